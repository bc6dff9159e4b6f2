//! The log on a disk that forgets and fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

mod damage;
mod failure;
mod power_cut;
mod visibility;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use campanile_core::port::{AppendError, NewRecord, ReadError, ReadLimit, Record, Stream};
use campanile_core::{Generation, LogIdentity, Offset, Partition, Position};
use campanile_testkit::memory::ManualClock;
use campanile_testkit::vocabulary::{START, user};

use super::{Log, LogOptions, LogReport, StreamLog};
use crate::disk::volatile::VolatileDisk;
use crate::error::OpenError;

const IDENTITY: LogIdentity =
    LogIdentity { id: *b"the log of tests", generation: Generation(0), partitions: 3 };
const OPTIONS: LogOptions = LogOptions {
    segment_bytes: 2048,
    queue_bytes: 4 << 20,
    queue_records: 1024,
    append_wait: Duration::from_millis(50),
    tail_bytes: 1000,
};

fn dir() -> PathBuf {
    PathBuf::from("log")
}

/// Opens the log on `disk`; creates it if there is none.
fn open(disk: &VolatileDisk) -> Result<(Arc<Log>, LogReport), OpenError> {
    open_with(disk, OPTIONS)
}

fn open_with(disk: &VolatileDisk, options: LogOptions) -> Result<(Arc<Log>, LogReport), OpenError> {
    let clock = Arc::new(ManualClock::new(START));
    let (log, report) = Log::open(dir(), Arc::new(disk.clone()), IDENTITY, clock, options, None)?;
    Ok((Arc::new(log), report))
}

fn new_disk() -> VolatileDisk {
    let disk = VolatileDisk::default();
    Log::create(&dir(), &disk, &IDENTITY, &ManualClock::new(START)).unwrap();
    disk
}

fn stream(log: &Arc<Log>, stream: Stream) -> StreamLog {
    StreamLog { log: log.clone(), stream }
}

fn record(partition: u16, body: &[u8]) -> NewRecord {
    let body = Bytes::copy_from_slice(body);
    NewRecord { partition: Partition(partition), user: user(partition), body }
}

/// Bodies of all sizes that tell themselves apart.
fn body(number: usize) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(8 + number * 37 % 300, number as u8);
    body
}

async fn append_one(log: &StreamLog, partition: u16, body: &[u8]) -> Result<Position, AppendError> {
    log.append(vec![record(partition, body)]).await.pop().unwrap()
}

/// Everything of a partition.
async fn read_all(log: &StreamLog, partition: u16) -> Result<Vec<Record>, ReadError> {
    let partition = Partition(partition);
    let mut from = log.bounds(partition)?.start;
    let mut records = Vec::new();
    loop {
        let limit = ReadLimit { records: 5, bytes: 1000 };
        let batch = log.read(partition, from, limit).await?;
        if batch.records.is_empty() {
            return Ok(records);
        }
        from = batch.next;
        records.extend(batch.records);
    }
}

fn offsets(records: &[Record]) -> Vec<Offset> {
    records.iter().map(|record| record.offset).collect()
}

fn segment(sequence: u64) -> PathBuf {
    super::catalogue::segment_file(Path::new("log"), sequence)
}

fn index(sequence: u64) -> PathBuf {
    super::catalogue::index_file(Path::new("log"), sequence)
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test)
}
