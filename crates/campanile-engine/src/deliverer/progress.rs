//! Which events of a partition are finished, and so what may be committed.

use std::collections::BTreeMap;
use std::ops::Range;

use campanile_core::port::Progress;
use campanile_core::{Offset, Partition};

/// Counts the unfinished deliveries of every event between the committed position and the last
/// event read.
#[derive(Debug)]
pub(crate) struct Tracker {
    partition: Partition,
    /// Where the group stood when the partition was assigned.
    start: Progress,
    /// The lowest offset that is not finished, unless nothing above is either.
    next: Offset,
    /// The offset after the last event read.
    read: Offset,
    /// Events with unfinished deliveries, and how many.
    open: BTreeMap<Offset, usize>,
}

impl Tracker {
    pub(crate) fn new(start: Progress) -> Self {
        let (partition, next) = (start.partition, start.next);
        Self { partition, start, next, read: next, open: BTreeMap::new() }
    }

    /// Whether the event was finished before this worker had the partition.
    pub(crate) fn was_finished(&self, offset: Offset) -> bool {
        self.start.is_finished(offset)
    }

    /// Takes note of an event that was read, with its number of deliveries.
    pub(crate) fn read(&mut self, offset: Offset, deliveries: usize) {
        self.read = self.read.max(offset.next());
        if deliveries > 0 {
            self.open.insert(offset, deliveries);
        }
        self.advance();
    }

    /// Takes note that everything up to and with `last` was read, also what could not be opened.
    pub(crate) fn pass(&mut self, last: Offset) {
        self.read(last, 0);
    }

    /// Takes note of one delivery of an event that is settled durably.
    pub(crate) fn settle(&mut self, offset: Offset) {
        if let Some(left) = self.open.get_mut(&offset) {
            *left -= 1;
            if *left == 0 {
                self.open.remove(&offset);
            }
        }
        self.advance();
    }

    /// What may be committed now: ranges that touch are one, and one that touches `next` moves it.
    pub(crate) fn progress(&self) -> Progress {
        let mut next = self.next.0;
        let mut finished: Vec<Range<u64>> = Vec::new();
        for range in self.ranges() {
            match finished.last_mut() {
                _ if range.start <= next => next = next.max(range.end),
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => finished.push(range),
            }
        }
        finished.truncate(Progress::MOST_RANGES);
        Progress { partition: self.partition, next: Offset(next), finished }
    }

    /// Whether so much is finished out of order that no more should be read.
    pub(crate) fn is_full(&self) -> bool {
        self.open.len() >= Progress::MOST_RANGES
    }

    fn advance(&mut self) {
        self.next = self.open.keys().next().copied().unwrap_or(self.read).max(self.next);
    }

    /// The gaps between open events, and what the group had finished beyond what was read.
    fn ranges(&self) -> Vec<Range<u64>> {
        let open = self.open.keys().map(|offset| offset.0);
        let ends = open.clone().skip(1).chain([self.read.0]);
        let read = open.zip(ends).map(|(open, end)| open + 1..end);
        let beyond = self.start.finished.iter();
        let beyond = beyond.map(|range| range.start.max(self.read.0)..range.end);
        read.chain(beyond).filter(|range| !range.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker(next: u64, finished: &[Range<u64>]) -> Tracker {
        let finished = finished.to_vec();
        Tracker::new(Progress { partition: Partition(0), next: Offset(next), finished })
    }

    fn committed(tracker: &Tracker) -> (u64, Vec<(u64, u64)>) {
        let progress = tracker.progress();
        let finished = progress.finished.iter().map(|range| (range.start, range.end));
        (progress.next.0, finished.collect())
    }

    #[test]
    fn events_without_deliveries_are_finished_when_read() {
        let mut tracker = tracker(5, &[]);
        tracker.read(Offset(5), 0);
        tracker.read(Offset(9), 0);
        assert_eq!(committed(&tracker), (10, vec![]));
    }

    #[test]
    fn an_open_event_holds_the_position_but_not_what_is_finished_above() {
        let mut tracker = tracker(0, &[]);
        tracker.read(Offset(0), 2);
        tracker.read(Offset(1), 1);
        tracker.read(Offset(2), 0);
        tracker.read(Offset(3), 1);
        tracker.settle(Offset(1));
        tracker.settle(Offset(0));
        assert_eq!(committed(&tracker), (0, vec![(1, 3)]));
        tracker.settle(Offset(0));
        assert_eq!(committed(&tracker), (3, vec![]));
        tracker.settle(Offset(3));
        assert_eq!(committed(&tracker), (4, vec![]));
    }

    #[test]
    fn what_was_finished_before_stays_finished() {
        let mut tracker = tracker(2, &[3..5, 8..9]);
        assert!(tracker.was_finished(Offset(4)) && !tracker.was_finished(Offset(5)));
        tracker.read(Offset(2), 1);
        tracker.read(Offset(3), 0);
        assert_eq!(committed(&tracker), (2, vec![(3, 5), (8, 9)]));
        tracker.settle(Offset(2));
        assert_eq!(committed(&tracker), (5, vec![(8, 9)]));
    }
}
