//! Backlogs: what a route that does not send owes of one partition.
//!
//! A range, not a list: whatever is for the route from a position on is read from the log again
//! when the route works again. Only what was in memory when the route was held is told apart, by
//! id, so that nothing that ended before is sent again. Live deliveries of the route are left out
//! until the backlog has caught up with them, so its deliveries go out in the order of the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use campanile_core::port::Hold;
use campanile_core::{
    Delivery, DeliveryId, HoldReason, Offset, ParkedDelivery, Partition, Recorded, Route,
    Timestamp, Urgency,
};

use super::lanes::LaneKey;
use super::progress::Tracker;

/// Whose progress waits for a delivery of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owed {
    /// The number of the backlog; 0 if it is the partition's own progress.
    pub(crate) backlog: u64,
    /// The event: the cause, or the agenda entry that came due.
    pub(crate) record: Offset,
    /// Which of the route's backlogs it belongs into.
    pub(crate) urgency: Urgency,
}

/// A route's backlogs are told apart by what they hold: one of the bulk, one of all else.
pub(crate) type Kind = (Route, Urgency);

/// What a route owes of a partition.
#[derive(Debug)]
pub(crate) struct Backlog {
    /// Told apart from later ones of the same route; never 0.
    pub(crate) number: u64,
    /// Absent if the route sends, and this gives way to what is more urgent.
    pub(crate) why: Option<HoldReason>,
    pub(crate) since: Timestamp,
    /// This worker began it: what a former one finished is not owed.
    pub(crate) is_own: bool,
    /// What is finished for the route, and how far the backlog was read.
    pub(crate) tracker: Tracker,
    /// It was read as far as the partition: what comes now needs no backlog.
    pub(crate) follows: bool,
    pub(crate) is_reading: bool,
    /// From where it is being read on, if it is: others that stand there are given what is found.
    pub(crate) reads_on: Option<Offset>,
    /// What was read, and waits for the state it is planned with.
    pub(crate) pending: Option<Pending>,
    /// Its deliveries under way.
    pub(crate) out: usize,
    /// The record whose delivery tried the route last; the next one to try it is above.
    pub(crate) tried: Option<Offset>,
    /// Records below the tracker's that are to be read again.
    given_back: BTreeMap<Offset, GivenBack>,
}

/// Which deliveries of a record wait.
#[derive(Debug)]
enum GivenBack {
    /// Whatever is for the route: a former worker knew.
    Whatever,
    /// These.
    These(BTreeMap<DeliveryId, Left>),
}

/// A delivery that waits.
#[derive(Debug)]
struct Left {
    /// Those that were made.
    attempts: u32,
    lane: LaneKey,
}

/// What is read at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// These records.
    Records(Vec<Offset>),
    /// What comes from there on.
    From(Offset),
}

/// Records of a backlog that were read.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) events: Vec<Arc<Recorded>>,
    /// What was asked for.
    pub(crate) part: Part,
    /// Where to read on.
    pub(crate) next: Offset,
}

impl Backlog {
    /// Owes what comes from `begin` on.
    pub(crate) fn new(
        number: u64,
        partition: Partition,
        begin: Offset,
        why: Option<HoldReason>,
        since: Timestamp,
    ) -> Self {
        let tracker = Tracker::owing(partition, begin, &[]);
        Self {
            number,
            why,
            since,
            is_own: true,
            tracker,
            follows: false,
            is_reading: false,
            reads_on: None,
            pending: None,
            out: 0,
            tried: None,
            given_back: BTreeMap::new(),
        }
    }

    /// What a former worker left.
    pub(crate) fn restored(number: u64, partition: Partition, hold: &Hold) -> Self {
        let mut backlog = Self::new(number, partition, hold.next, hold.why, hold.since);
        backlog.is_own = false;
        backlog.tracker = Tracker::owing(partition, hold.next, &hold.finished);
        let open = backlog.tracker.open().map(|offset| (offset, GivenBack::Whatever));
        backlog.given_back = open.collect();
        backlog
    }

    /// What is stored of it.
    pub(crate) fn hold(&self, (route, urgency): &Kind) -> Hold {
        let progress = self.tracker.progress();
        let (why, since) = (self.why, self.since);
        let (next, finished) = (progress.next, progress.finished);
        Hold { route: route.clone(), urgency: *urgency, why, since, next, finished }
    }

    /// Takes a delivery back that cannot be sent now.
    pub(crate) fn take_back(
        &mut self,
        owed: Owed,
        delivery: DeliveryId,
        attempts: u32,
        lane: LaneKey,
    ) {
        self.follows = false;
        if owed.backlog == self.number {
            self.out = self.out.saturating_sub(1);
        } else if owed.record >= self.tracker.read_to() {
            // Of an endpoint that came from another route: it is read with all that follows.
            return;
        } else {
            self.tracker.reopen(owed.record);
        }
        let these = || GivenBack::These(BTreeMap::new());
        match self.given_back.entry(owed.record).or_insert_with(these) {
            GivenBack::Whatever => self.tracker.settle(owed.record),
            GivenBack::These(known) => {
                if known.insert(delivery, Left { attempts, lane }).is_some() {
                    self.tracker.settle(owed.record);
                }
            }
        }
    }

    /// The agenda has a delivery that was taken back.
    pub(crate) fn leave_to_agenda(&mut self, parked: &ParkedDelivery) {
        let Some(GivenBack::These(known)) = self.given_back.get_mut(&parked.cause) else { return };
        if known.remove(&parked.delivery).is_some() {
            if known.is_empty() {
                self.given_back.remove(&parked.cause);
            }
            self.tracker.settle(parked.cause);
        }
    }

    /// What to read next, `most` records of it, of a partition that was read to `live`. A record
    /// from there on has to wait: the worker's state does not have it in it yet.
    pub(crate) fn next_part(&self, live: Offset, most: usize) -> Option<Part> {
        let again = self.given_back.range(..live).map(|(record, _)| *record);
        let again: Vec<_> = again.take(most).collect();
        if !again.is_empty() {
            return Some(Part::Records(again));
        }
        let read_to = self.tracker.read_to();
        (read_to < live).then_some(Part::From(read_to))
    }

    /// What to read to find a delivery that tries the route: what is above the one that tried it
    /// last, and then from the beginning again. One that always fails must not keep the others from
    /// being tried. What a former worker left comes first, because nobody knows which lanes it is of.
    pub(crate) fn next_to_try(&self, live: Offset, most: usize) -> Option<Part> {
        let unknown = |(record, left): (&Offset, &GivenBack)| {
            matches!(left, GivenBack::Whatever).then_some(*record)
        };
        let above = self.tried.map_or(Offset(0), Offset::next);
        let from = self.given_back.iter().find_map(unknown).map_or(above, |it| it.min(above));
        let again = self.given_back.keys().filter(|record| **record >= from && **record < live);
        let again: Vec<_> = again.take(most).copied().collect();
        if !again.is_empty() {
            return Some(Part::Records(again));
        }
        let read_to = self.tracker.read_to();
        if read_to < live && !self.tracker.is_full() {
            return Some(Part::From(read_to));
        }
        self.next_part(live, most)
    }

    /// Nothing of a part could try the route.
    pub(crate) fn found_none(&mut self, part: &Part) {
        if let Part::Records(records) = part {
            self.tried = records.last().copied();
        }
    }

    /// Whether something below a part waits, which must not be overtaken once the route works.
    pub(crate) fn owes_below(&self, part: &Part) -> bool {
        let begin = match part {
            Part::Records(records) => records.first().copied().unwrap_or_default(),
            Part::From(begin) => *begin,
        };
        self.given_back.range(..begin).next().is_some()
    }

    /// Whether a delivery of a lane waits that comes before the one of `record`.
    pub(crate) fn owes_before(&self, record: Offset, lane: &LaneKey) -> bool {
        self.given_back.range(..record).any(|(_, left)| match left {
            GivenBack::Whatever => false,
            GivenBack::These(known) => known.values().any(|left| left.lane == *lane),
        })
    }

    /// Whether everything is read, of a partition that was read to `live`. A partition that is read
    /// once more after a crash may itself be behind what the backlog was read to.
    pub(crate) fn has_caught_up(&self, live: Offset) -> bool {
        self.given_back.is_empty() && self.tracker.read_to() == live
    }

    /// Whether it is known by id which deliveries of a record are owed.
    pub(crate) fn knows(&self, record: Offset) -> bool {
        matches!(self.given_back.get(&record), Some(GivenBack::These(_)))
    }

    /// Takes a record up that calls for `planned`. Answers which of them are owed, by their place,
    /// with the attempts that were made.
    pub(crate) fn begin(
        &mut self,
        part: &Part,
        record: Offset,
        planned: &[Delivery],
    ) -> Vec<(usize, u32)> {
        let all = planned.iter().enumerate();
        let (counted, owed): (_, Vec<_>) = match (self.given_back.remove(&record), part) {
            (Some(GivenBack::These(known)), _) => {
                let owed = all.filter_map(|(at, it)| Some((at, known.get(&it.id)?.attempts)));
                (known.len(), owed.collect())
            }
            (Some(GivenBack::Whatever), _) => (1, all.map(|(at, _)| (at, 0)).collect()),
            (None, Part::From(_)) => {
                self.tracker.read(record, planned.len());
                self.out += planned.len();
                return all.map(|(at, _)| (at, 0)).collect();
            }
            // The agenda has it meanwhile.
            (None, Part::Records(_)) => return Vec::new(),
        };
        // Others of the record may be under way, and are counted, too. What the event calls for no
        // more is settled: its endpoint is gone.
        (counted..owed.len()).for_each(|_| self.tracker.reopen(record));
        (owed.len()..counted).for_each(|_| self.tracker.settle(record));
        self.out += owed.len();
        owed
    }

    /// Nothing of a record is owed any more, because the log does not have it.
    pub(crate) fn give_up(&mut self, record: Offset) {
        let counted = match self.given_back.remove(&record) {
            Some(GivenBack::These(known)) => known.len(),
            Some(GivenBack::Whatever) => 1,
            None => 0,
        };
        (0..counted).for_each(|_| self.tracker.settle(record));
    }

    /// A delivery is settled durably.
    pub(crate) fn settle(&mut self, record: Offset) {
        self.out = self.out.saturating_sub(1);
        self.tracker.settle(record);
    }
}
