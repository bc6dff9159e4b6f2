//! What the suites of the log stand on.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "test code")]

use async_trait::async_trait;
use bytes::Bytes;
use campanile_core::port::{
    AppendError, EventLog, GroupName, LogAdmin, NewRecord, ReadLimit, Record, StartAt,
};
use campanile_core::{Offset, Partition, Position};

use crate::memory::ManualClock;
use crate::vocabulary::{START, user};

/// How a log under test is to be made.
#[derive(Clone, Debug)]
pub struct LogSetup {
    /// How many partitions it has.
    pub partitions: u16,
    /// Where it takes its append times from, if it can be told.
    pub clock: ManualClock,
}

/// Makes logs for the suites `log` and `group`.
#[async_trait]
pub trait LogFactory: Send + Sync {
    /// A log that is open, and whatever its storage lives in.
    type Open: OpenLog;

    /// A new, empty log.
    async fn create(&self, setup: &LogSetup) -> Self::Open;

    /// Closes a log and opens the same storage again; an adapter that stores nothing answers the
    /// same log.
    ///
    /// # Errors
    /// In words, if it does not open: with another partition count it must not.
    async fn reopen(&self, open: Self::Open, setup: &LogSetup) -> Result<Self::Open, String>;

    /// Whether a member that joins a group is given partitions of the members that are there.
    fn rebalances(&self) -> bool {
        true
    }
}

/// One stream of a log, open.
pub trait OpenLog: Send + Sync {
    /// Its data.
    fn log(&self) -> &dyn EventLog;

    /// Its administration.
    fn admin(&self) -> &dyn LogAdmin;
}

/// How many partitions the logs of the checks have.
pub(super) const PARTITIONS: u16 = 4;

/// A limit that nothing in a check reaches.
pub(super) const ALL: ReadLimit = ReadLimit { records: 10_000, bytes: 1 << 24 };

/// A log under test.
pub(super) struct Bench<'factory, F: LogFactory> {
    pub(super) factory: &'factory F,
    pub(super) setup: LogSetup,
    pub(super) open: F::Open,
}

impl<'factory, F: LogFactory> Bench<'factory, F> {
    pub(super) async fn new(factory: &'factory F) -> Self {
        let setup = LogSetup { partitions: PARTITIONS, clock: ManualClock::new(START) };
        let open = factory.create(&setup).await;
        Self { factory, setup, open }
    }

    pub(super) fn log(&self) -> &dyn EventLog {
        self.open.log()
    }

    pub(super) fn admin(&self) -> &dyn LogAdmin {
        self.open.admin()
    }

    pub(super) fn clock(&self) -> &ManualClock {
        &self.setup.clock
    }

    pub(super) async fn reopened(self) -> Self {
        let Self { factory, setup, open } = self;
        let open = factory.reopen(open, &setup).await.expect("the log opens again");
        Self { factory, setup, open }
    }

    /// Appends records with these bodies to one partition, all of which must be taken.
    pub(super) async fn append(&self, partition: u16, bodies: &[&str]) -> Vec<Offset> {
        let batch = bodies.iter().map(|body| record(partition, body)).collect();
        let answers = self.log().append(batch).await;
        answers.into_iter().map(|answer| position(answer).offset).collect()
    }

    /// Everything the partition holds.
    pub(super) async fn records(&self, partition: u16) -> Vec<Record> {
        let partition = Partition(partition);
        let mut from = self.log().bounds(partition).await.unwrap().start;
        let mut records = Vec::new();
        loop {
            let batch = self.log().read(partition, from, ALL).await.unwrap();
            if batch.records.is_empty() {
                return records;
            }
            from = batch.next;
            records.extend(batch.records);
        }
    }

    /// A group that reads from the beginning.
    pub(super) async fn group(&self) -> GroupName {
        let group = GroupName("readers".into());
        self.admin().create_group(&group, StartAt::Beginning).await.unwrap();
        group
    }
}

/// A record for the partition.
pub(super) fn record(partition: u16, body: &str) -> NewRecord {
    let body = Bytes::copy_from_slice(body.as_bytes());
    NewRecord { partition: Partition(partition), user: user(partition), body }
}

/// The position of a record that must have been appended.
pub(super) fn position(answer: Result<Position, AppendError>) -> Position {
    answer.unwrap_or_else(|error| panic!("the record was not appended: {error}"))
}

/// The bodies of records, as text.
pub(super) fn bodies(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(&record.body).into_owned()).collect()
}
