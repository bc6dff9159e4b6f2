//! Which records the log has dropped: all that the projection needs to know of the log.

use std::sync::atomic::{AtomicU64, Ordering};

use campanile_core::port::{RecordRef, Stream};
use campanile_core::{LogIdentity, Partition};

/// The first kept offset of every partition of every stream. Moved by retention only.
pub(crate) struct Floors {
    partitions: usize,
    lanes: Box<[AtomicU64]>,
}

impl Floors {
    /// Floors of a log that has dropped nothing.
    pub(crate) fn new(identity: &LogIdentity) -> Self {
        let partitions = usize::from(identity.partitions);
        Self { partitions, lanes: (0..2 * partitions).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Sets the floor of a lane, numbered as the log does.
    pub(crate) fn set(&self, lane: usize, first: u64) {
        if let Some(floor) = self.lanes.get(lane) {
            floor.store(first, Ordering::Relaxed);
        }
    }

    /// Whether a record is still in the log.
    pub(crate) fn is_kept(&self, partition: Partition, record: RecordRef) -> bool {
        let stream = match record.stream {
            Stream::Events => 0,
            Stream::Receipts => self.partitions,
        };
        let floor = self.lanes.get(stream + usize::from(partition.0));
        floor.is_none_or(|floor| record.offset.0 >= floor.load(Ordering::Relaxed))
    }
}
