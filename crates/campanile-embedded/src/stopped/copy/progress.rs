//! A group's progress, said in another log's offsets: what was finished is finished, and nothing
//! else is.

use campanile_core::port::{Progress, Stream};
use campanile_core::{LogIdentity, Offset, Partition};

use crate::error::OpenError;
use crate::group::journal::GroupKey;
use crate::log::format::Head;
use crate::log::{lane_of, stream_number};

/// A group whose progress is carried over.
pub(super) struct Carried<'a> {
    key: &'a GroupKey,
    old: &'a [Progress],
    partitions: u16,
    lanes: Vec<Lane>,
}

/// One new partition.
#[derive(Clone, Default)]
struct Lane {
    /// The lowest offset that is not finished.
    next: Option<u64>,
    /// Finished ranges above it.
    finished: Vec<std::ops::Range<u64>>,
}

impl<'a> Carried<'a> {
    /// A group that stands at `old`.
    pub(super) fn new(key: &'a GroupKey, old: &'a [Progress], to: &LogIdentity) -> Self {
        let lanes = vec![Lane::default(); usize::from(to.partitions)];
        Self { key, old, partitions: to.partitions, lanes }
    }

    pub(super) const fn stream(&self) -> Stream {
        self.key.0
    }

    /// Takes in that the record at `old` now stands at `new`. Records come in the order of their
    /// new offsets.
    pub(super) fn take(&mut self, old: (Partition, Offset), new: (Partition, Offset)) {
        let progress = self.old.get(usize::from(old.0.0));
        let is_finished = progress.is_some_and(|progress| progress.is_finished(old.1));
        let at = new.1.0;
        let Some(lane) = self.lanes.get_mut(usize::from(new.0.0)) else { return };
        let is_full = lane.finished.len() > Progress::MOST_RANGES;
        match (is_finished, lane.next, lane.finished.last_mut()) {
            (false, None, _) => lane.next = Some(at),
            (false, Some(_), _) | (true, None, _) => {}
            (true, Some(_), Some(range)) if range.end == at => range.end = at + 1,
            // One more than there may be is enough to refuse.
            (true, Some(_), _) if is_full => {}
            (true, Some(_), _) => lane.finished.push(at..at + 1),
        }
    }

    /// The progress in a log whose lanes end at `heads`.
    ///
    /// # Errors
    /// [`OpenError::Scattered`] if there are more finished ranges than progress can hold: to
    /// forget any would be to ring again for what they hold. [`OpenError::Held`] if a route owes
    /// something: to forget that would be to lose it.
    pub(super) fn finish(self, heads: &[Head]) -> Result<(GroupKey, Vec<Progress>), OpenError> {
        if let Some(hold) = self.old.iter().flat_map(|progress| &progress.holds).next() {
            let (group, route) = (self.key.1.to_string(), hold.route.to_string());
            return Err(OpenError::Held { group, route });
        }
        let mut stored = Vec::with_capacity(self.lanes.len());
        for (partition, lane) in (0..self.partitions).zip(self.lanes) {
            if lane.finished.len() > Progress::MOST_RANGES {
                return Err(OpenError::Scattered { group: self.key.1.to_string() });
            }
            let end = lane_of(stream_number(self.key.0), partition, self.partitions);
            let end = end.and_then(|lane| heads.get(lane)).map_or(0, |head| head.next);
            let (partition, next) = (Partition(partition), Offset(lane.next.unwrap_or(end)));
            stored.push(Progress { finished: lane.finished, ..Progress::from(partition, next) });
        }
        Ok((self.key.clone(), stored))
    }
}
