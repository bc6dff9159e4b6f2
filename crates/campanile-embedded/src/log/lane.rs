//! A lane: one partition of one stream, as readers see it, with its latest records in memory.

use std::collections::VecDeque;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use campanile_core::port::{Batch, ReadLimit, Record};
use campanile_core::{Offset, Timestamp};

use super::format::Head;

/// What a record in memory costs besides its body.
pub(crate) const RECORD_COST: usize = 96;

/// Every lane of a log. Only the writer changes them.
pub(crate) struct Lanes(Box<[RwLock<Lane>]>);

/// What is visible of a lane.
pub(crate) struct Lane {
    /// The first kept offset.
    pub(crate) first: u64,
    /// The tail, and the time of the last record.
    pub(crate) head: Head,
    /// The last records, up to the tail.
    recent: VecDeque<Record>,
}

impl Lanes {
    /// Lanes that keep the records from `first` to `heads`, none of them in memory.
    pub(crate) fn new(first: &[Head], heads: &[Head]) -> Self {
        let lane = |(first, head): (&Head, &Head)| {
            RwLock::new(Lane { first: first.next, head: *head, recent: VecDeque::new() })
        };
        Self(first.iter().zip(heads).map(lane).collect())
    }

    /// Looks at a lane. `None` if there is no such lane.
    pub(crate) fn get(&self, lane: usize) -> Option<RwLockReadGuard<'_, Lane>> {
        Some(self.0.get(lane)?.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Changes a lane.
    pub(crate) fn change(&self, lane: usize) -> Option<RwLockWriteGuard<'_, Lane>> {
        Some(self.0.get(lane)?.write().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

impl Lane {
    /// Makes durable records visible.
    pub(crate) fn publish(&mut self, records: impl Iterator<Item = Record>, head: Head) {
        self.recent.extend(records);
        self.head = head;
    }

    /// Forgets the oldest `count` records in memory.
    pub(crate) fn evict(&mut self, count: usize) {
        self.recent.drain(..count.min(self.recent.len()));
    }

    /// The records from `from` on, if they are in memory.
    pub(crate) fn recent(&self, from: u64, limit: ReadLimit) -> Option<Batch> {
        let oldest = self.head.next.checked_sub(self.recent.len() as u64)?;
        let skip = usize::try_from(from.checked_sub(oldest)?).ok()?;
        let mut batch = Batch { records: Vec::new(), next: Offset(from) };
        let mut bytes = 0;
        for record in self.recent.iter().skip(skip) {
            bytes += record.body.len();
            if is_full(&batch, bytes, limit) {
                break;
            }
            batch.next = record.offset.next();
            batch.records.push(record.clone());
        }
        Some(batch)
    }

    /// The first record in memory appended at or after `time`, if it is certain that no earlier
    /// record was.
    pub(crate) fn recent_at(&self, time: Timestamp) -> Option<Offset> {
        if self.head.time < time.as_millis() {
            return Some(Offset(self.head.next));
        }
        let later = self.recent.partition_point(|record| record.time < time);
        let found = self.recent.get(later)?.offset;
        (later > 0 || found.0 == self.first).then_some(found)
    }
}

/// Whether `batch` takes no further record, which would make it `bytes` long.
pub(crate) fn is_full(batch: &Batch, bytes: usize, limit: ReadLimit) -> bool {
    !batch.records.is_empty() && (batch.records.len() >= limit.records || bytes > limit.bytes)
}
