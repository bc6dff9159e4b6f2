//! How far a group has come.

use std::ops::Range;

use crate::{HoldReason, Offset, Partition, Route, Timestamp, Urgency};

/// How far a group has come in one partition: everything below `next` is finished, and so are
/// the `finished` ranges above it, except what its `holds` still owe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The partition.
    pub partition: Partition,
    /// The lowest offset that is not finished.
    pub next: Offset,
    /// Finished offsets above `next`: ascending, apart, not empty, at most
    /// [`Progress::MOST_RANGES`].
    pub finished: Vec<Range<u64>>,
    /// What waits for a route while the group goes on for all others: at most
    /// [`Progress::MOST_HOLDS`], each route at most once for each [`Urgency`].
    pub holds: Vec<Hold>,
}

/// What one route still owes of a partition: whatever of an urgency is for it from `next` on,
/// without the `finished` ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The route that does not send, or catches up.
    pub route: Route,
    /// Which events it is about; it owes nothing of the others.
    pub urgency: Urgency,
    /// Why it was held; absent if the route sends, and this gives way to what is more urgent.
    pub why: Option<HoldReason>,
    /// Since when, by the worker's clock.
    pub since: Timestamp,
    /// The lowest offset that is owed.
    pub next: Offset,
    /// Offsets above `next` that are not: as in [`Progress::finished`].
    pub finished: Vec<Range<u64>>,
}

impl Progress {
    /// How many finished ranges are kept.
    pub const MOST_RANGES: usize = 256;

    /// How many holds are kept. What would be one more is not held as a range.
    pub const MOST_HOLDS: usize = 128;

    /// A start without finished ranges.
    #[must_use]
    pub const fn from(partition: Partition, next: Offset) -> Self {
        Self { partition, next, finished: Vec::new(), holds: Vec::new() }
    }

    /// Whether `offset` is finished, apart from holds.
    #[must_use]
    pub fn is_finished(&self, offset: Offset) -> bool {
        is_within(self.next, &self.finished, offset)
    }

    /// Whether the event at `offset`, of that urgency, is finished for a delivery on `route`.
    #[must_use]
    pub fn is_finished_for(&self, route: &Route, urgency: Urgency, offset: Offset) -> bool {
        let about = |hold: &&Hold| hold.route == *route && hold.urgency == urgency;
        let mut holds = self.holds.iter().filter(about);
        self.is_finished(offset) && holds.all(|hold| hold.is_finished(offset))
    }

    /// Whether it is what it has to be: what is not must not be stored.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let holds = &self.holds;
        let routes = holds.iter().enumerate().all(|(at, hold)| {
            let mut before = holds.iter().take(at);
            before.all(|it| (&it.route, it.urgency) != (&hold.route, hold.urgency))
        });
        let ranges = |hold: &Hold| are_apart(hold.next, &hold.finished);
        let is_short = holds.len() <= Self::MOST_HOLDS;
        is_short && routes && are_apart(self.next, &self.finished) && holds.iter().all(ranges)
    }
}

impl Hold {
    /// Whether the route owes nothing of the record at `offset`.
    #[must_use]
    pub fn is_finished(&self, offset: Offset) -> bool {
        is_within(self.next, &self.finished, offset)
    }
}

fn is_within(next: Offset, finished: &[Range<u64>], offset: Offset) -> bool {
    offset < next || finished.iter().any(|range| range.contains(&offset.0))
}

fn are_apart(next: Offset, finished: &[Range<u64>]) -> bool {
    let mut above = next.0;
    let apart = finished.iter().all(|range| {
        let fits = range.start > above && range.end > range.start;
        above = range.end;
        fits
    });
    apart && finished.len() <= Progress::MOST_RANGES
}
