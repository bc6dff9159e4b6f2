//! Which events of a partition are finished, and so what may be committed.

use std::collections::BTreeMap;
use std::ops::Range;

use campanile_core::port::Progress;
use campanile_core::{Offset, Partition};

/// The most events that can have been open in a worker; a progress that says more is read as if
/// nothing above its position were finished.
const MOST_OPEN: u64 = 65_536;

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

    /// What is owed from `next` on, without what is `finished`. Read to the end of what is finished:
    /// what is not below that is open, one delivery each as far as is known.
    pub(crate) fn owing(partition: Partition, next: Offset, finished: &[Range<u64>]) -> Self {
        let read = finished.last().map_or(next, |last| Offset(last.end));
        let mut tracker = Self::new(Progress::from(partition, read));
        let starts = finished.iter().map(|range| range.start);
        let ends = std::iter::once(next.0).chain(finished.iter().map(|range| range.end));
        let gaps: Vec<_> = ends.zip(starts).map(|(end, start)| end..start).collect();
        if gaps.iter().map(|gap| gap.end.saturating_sub(gap.start)).sum::<u64>() > MOST_OPEN {
            return Self::new(Progress::from(partition, next));
        }
        gaps.into_iter().flatten().for_each(|offset| tracker.reopen(Offset(offset)));
        tracker
    }

    /// Whether something of the record at `offset` is owed, or may be.
    pub(crate) fn owes(&self, offset: Offset) -> bool {
        offset >= self.read || self.open.contains_key(&offset)
    }

    /// The offset after the last event read.
    pub(crate) const fn read_to(&self) -> Offset {
        self.read
    }

    /// How many records up to `live` are owed, or may be.
    pub(crate) fn owed_until(&self, live: Offset) -> u64 {
        live.0.saturating_sub(self.read.0) + self.open.len() as u64
    }

    /// The events with unfinished deliveries.
    pub(crate) fn open(&self) -> impl Iterator<Item = Offset> {
        self.open.keys().copied()
    }

    /// One more delivery of an event that was read is unfinished, however long ago that was.
    pub(crate) fn reopen(&mut self, offset: Offset) {
        *self.open.entry(offset).or_default() += 1;
        self.next = self.next.min(offset);
    }

    /// Whether the event was finished before this worker had the partition.
    pub(crate) fn was_finished(&self, offset: Offset) -> bool {
        self.start.is_finished(offset)
    }

    /// Whether nothing from `offset` on was finished before this worker had the partition.
    pub(crate) fn is_new_from(&self, offset: Offset) -> bool {
        self.start.finished.last().is_none_or(|last| last.end <= offset.0)
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
        Progress { finished, ..Progress::from(self.partition, Offset(next)) }
    }

    /// Whether so much is finished out of order that no more should be read.
    pub(crate) fn is_full(&self) -> bool {
        self.open.len() >= Progress::MOST_RANGES
    }

    /// Whether half of that is: no more should be read of what others may overtake.
    pub(crate) fn is_half_full(&self) -> bool {
        self.open.len() >= Progress::MOST_RANGES / 2
    }

    /// Whether no event read is open.
    pub(crate) fn is_settled(&self) -> bool {
        self.open.is_empty()
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
        Tracker::new(Progress { finished, ..Progress::from(Partition(0), Offset(next)) })
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
    fn what_is_owed_is_known_again_from_what_is_stored() {
        let mut tracker = Tracker::owing(Partition(0), Offset(10), &[]);
        tracker.reopen(Offset(4));
        tracker.reopen(Offset(4));
        tracker.reopen(Offset(7));
        assert_eq!(committed(&tracker), (4, vec![(5, 7), (8, 10)]));
        let mut again = Tracker::owing(Partition(0), Offset(4), &[5..7, 8..10]);
        let owed: Vec<_> = (0..12).filter(|offset| again.owes(Offset(*offset))).collect();
        assert_eq!((owed, again.read_to()), (vec![4, 7, 10, 11], Offset(10)));
        assert_eq!(committed(&again), committed(&tracker));
        again.reopen(Offset(4));
        again.settle(Offset(4));
        again.settle(Offset(7));
        again.read(Offset(10), 1);
        assert_eq!(committed(&again), (4, vec![(5, 10)]));
        again.settle(Offset(4));
        assert_eq!(committed(&again), (10, vec![]));
        again.settle(Offset(10));
        assert_eq!((committed(&again), again.is_settled()), ((11, vec![]), true));
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
