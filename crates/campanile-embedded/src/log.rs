//! The log: segments shared by every partition and both streams, and one writer.
//!
//! ```text
//! 00000000000000000007.segment      at most a day and about `segment_bytes` of records
//! ┌──────────────────────────────────────────────────────────────────────────────────────┐
//! │ magic "CAMPSEG1" · log id 16 · generation u32 · partitions u16 · 0 u16               │
//! │ sequence u64 · number of the first commit u64 · begun at, ms u64                     │
//! │ for each lane: next offset u64 · time of its last record, ms u64   (before this file)│
//! │ crc32c u32                                                                           │
//! ├───────────── commit 41: written in one call, synced once ────────────────────────────┤
//! │ frame │ frame │ frame                                                                │
//! ├───────────── commit 42 ──────────────────────────────────────────────────────────────┤
//! │ frame │ ░░░ torn: cut at the next start, as a whole                                  │
//! └──────────────────────────────────────────────────────────────────────────────────────┘
//! frame: records of one lane in one commit; a frame is verified before anything in it is read
//!   magic "CFRM" · crc32c u32 of all that follows · payload length u32 · records u32
//!   commit u64 · index in the commit u32 · frames of the commit u32
//!   first offset u64 · append time, ms u64 · partition u16 · stream u8 · 0 u8
//!   records × (body length u32 · user 16) · bodies
//!
//! 00000000000000000007.index        of a sealed segment; made again if missing or damaged
//!   magic "CAMPIDX1" · sequence u64 · segment length u64 · lanes u32
//!   lanes × (frames u32 · crc32c u32) · crc32c u32
//!   lane by lane: frames × (first offset u64 · time u64 · position u64 · length u32 · records u32)
//!
//! first                             the first segment to be kept u64 · crc32c u32
//! ```
//!
//! Numbers are little-endian. A *lane* is one partition of one stream. Checksums start from the
//! log's id, so that neither another log's bytes nor a producer's pass as frames.
//!
//! A commit is written only after the one before it was synced. So a flaw with no other commit
//! after it is a torn tail, and any other flaw is damage. Closing and opening write a *mark*, a
//! commit without records, so that the last acknowledged records are not mistaken for a tail.

mod catalogue;
mod commit;
pub(crate) mod format;
mod index;
mod lane;
mod queue;
mod reader;
mod recovery;
mod retention;
pub(crate) mod scan;
mod stream;
pub(crate) mod transcript;
pub(crate) mod verify;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use campanile_core::port::{Clock, ReadError, Stream};
use campanile_core::{LogIdentity, Partition};
use tokio::sync::watch;

pub use recovery::TornTail;
pub(crate) use stream::StreamLog;

use catalogue::Catalogue;
use lane::Lanes;
use queue::Queue;
use reader::Reader;
pub(crate) use recovery::Place;
use retention::Horizon;
use writer::Writer;

use crate::directory::DirectoryLock;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::floors::Floors;
use crate::threads::Threads;

/// Threads that read from files.
const READERS: usize = 4;

/// What the log needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogOptions {
    pub(crate) segment_bytes: u64,
    pub(crate) queue_bytes: usize,
    pub(crate) queue_records: usize,
    pub(crate) append_wait: Duration,
    pub(crate) tail_bytes: usize,
}

/// The log, shared by the writer and everybody who reads.
pub(crate) struct Core {
    pub(crate) identity: LogIdentity,
    pub(crate) clock: Arc<dyn Clock>,
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    pub(crate) lanes: Lanes,
    catalogue: RwLock<Catalogue>,
    reader: Reader,
    queue: Queue,
    /// How many commits each stream has seen: what readers at the tail wait for.
    tails: [watch::Sender<u64>; 2],
    /// Why the log stopped, once it has.
    stopped: watch::Sender<Option<String>>,
    /// What the projection knows of the lanes.
    pub(crate) floors: Arc<Floors>,
    /// Which of each stream's records may be dropped.
    horizons: Mutex<[Horizon; 2]>,
    /// Held while segments are dropped: twice at once would mix up where the log begins.
    dropping: Mutex<()>,
    readers: Threads,
}

/// A log that is open. Dropping it writes what waits, and ends the writer.
pub(crate) struct Log {
    pub(crate) core: Arc<Core>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Given back when the last reader is gone. `None` on a disk that is not one.
    _lock: Option<Arc<DirectoryLock>>,
}

/// What was found when a log was opened.
pub(crate) struct LogReport {
    pub(crate) torn: Option<TornTail>,
    pub(crate) indexes_rebuilt: usize,
}

impl Log {
    /// Begins an empty log in `dir`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn create(
        dir: &std::path::Path,
        disk: &dyn Disk,
        identity: &LogIdentity,
        clock: &dyn Clock,
    ) -> Result<(), OpenError> {
        recovery::create(&Place { disk, dir, identity }, clock.now().as_millis())
    }

    /// Opens the log in `dir`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn open(
        dir: PathBuf,
        disk: Arc<dyn Disk>,
        identity: LogIdentity,
        clock: Arc<dyn Clock>,
        options: LogOptions,
        lock: Option<Arc<DirectoryLock>>,
    ) -> Result<(Self, LogReport), OpenError> {
        let place = Place { disk: disk.as_ref(), dir: &dir, identity: &identity };
        let found = recovery::open(&place)?;
        let report = LogReport { torn: found.torn, indexes_rebuilt: found.indexes_rebuilt };
        let LogOptions { queue_bytes, queue_records, append_wait, .. } = options;
        let floors = Arc::new(Floors::new(&identity));
        for (lane, head) in found.first.iter().enumerate() {
            floors.set(lane, head.next);
        }
        let readers = Threads::start("log-reader", READERS);
        let readers = readers.map_err(OpenError::io("start the readers of", &dir))?;
        let core = Arc::new(Core {
            identity,
            clock,
            dir: dir.clone(),
            disk: disk.clone(),
            lanes: Lanes::new(&found.first, &found.start.heads),
            catalogue: RwLock::new(found.catalogue),
            reader: Reader::new(dir.clone(), disk, identity),
            queue: Queue::new(queue_bytes, queue_records, append_wait),
            tails: [watch::channel(0).0, watch::channel(0).0],
            stopped: watch::channel(None).0,
            floors,
            horizons: Mutex::default(),
            dropping: Mutex::default(),
            readers,
        });
        let mut writer = Writer::new(core.clone(), options, found.start);
        let marked = writer.open_mark().map_err(std::io::Error::other);
        marked.map_err(OpenError::io("write to the log in", &dir))?;
        let writer = writer.start().map_err(OpenError::io("start the writer of", &dir))?;
        Ok((Self { core, writer: Mutex::new(Some(writer)), _lock: lock }, report))
    }

    /// Writes what waits, then ends. Blocks until it is done.
    pub(crate) fn close(&self) {
        self.core.queue.close("the log is shutting down");
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that panicked has said so itself.
            drop(writer.join());
            self.core.stop("the log is closed");
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

impl Core {
    /// Refuses everything from now on, and tells everybody who waits.
    fn stop(&self, reason: &str) {
        self.queue.refuse_all(reason);
        self.stopped.send_modify(|stopped| {
            if stopped.is_none() {
                tracing::info!(reason, "the log stopped");
                *stopped = Some(reason.to_owned());
            }
        });
        for tail in &self.tails {
            tail.send_modify(|commits| *commits += 1);
        }
    }

    /// Why the log stopped, once it has.
    pub(crate) fn stopped(&self) -> watch::Receiver<Option<String>> {
        self.stopped.subscribe()
    }

    /// Tells of commits of a stream.
    pub(crate) fn tail(&self, stream: Stream) -> watch::Receiver<u64> {
        let [events, receipts] = &self.tails;
        match stream {
            Stream::Events => events.subscribe(),
            Stream::Receipts => receipts.subscribe(),
        }
    }

    /// The lane of a partition of `stream`.
    pub(crate) fn lane(&self, stream: Stream, partition: Partition) -> Result<usize, ReadError> {
        let lane = lane_of(stream_number(stream), partition.0, self.identity.partitions);
        lane.ok_or(ReadError::NoPartition(partition))
    }

    fn with_catalogue<T>(&self, change: impl FnOnce(&mut Catalogue) -> T) -> T {
        change(&mut self.catalogue.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn active_sequence(&self) -> u64 {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner).active.sequence
    }
}

/// The number of a stream in files.
pub(crate) fn stream_number(stream: Stream) -> u8 {
    match stream {
        Stream::Events => 0,
        Stream::Receipts => 1,
    }
}

/// The lane of a stream and a partition, if there is one.
pub(crate) fn lane_of(stream: u8, partition: u16, partitions: u16) -> Option<usize> {
    let exists = stream < 2 && partition < partitions;
    exists.then(|| usize::from(stream) * usize::from(partitions) + usize::from(partition))
}
