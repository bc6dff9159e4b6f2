//! Lanes: the deliveries of one item to one endpoint, one after the other.
//!
//! A clear must not overtake the retry of the post it clears, so a lane's next delivery starts
//! only when the one before is settled.

use std::collections::{BTreeSet, VecDeque};

use campanile_core::{
    AppId, Delivery, DeliveryId, EndpointId, NotificationId, Partition, Tick, Timestamp, Urgency,
    UserRef,
};

use super::backlog::Owed;
use super::follow::Followed;
use crate::pieces::{Map, Set};

/// A delivery in a worker's hands.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) delivery: Delivery,
    pub(crate) app: AppId,
    pub(crate) user: UserRef,
    pub(crate) partition: Partition,
    /// Counts jobs in the order they came, which is the order of the log.
    pub(crate) arrival: u64,
    /// Which assignment of the partition it belongs to.
    pub(crate) assignment: u64,
    /// The event whose progress waits for it, and which progress that is.
    pub(crate) owed: Owed,
    /// Events that came to the same delivery meanwhile; their progress waits for it, too.
    pub(crate) also: Vec<Owed>,
    /// Whether the agenda has it, because a former worker put it off.
    pub(crate) is_parked: bool,
    /// When its post came into the log; absent if it is none, or was put off.
    pub(crate) posted: Option<Timestamp>,
    /// Attempts made, those before it was parked included.
    pub(crate) attempts: u32,
    /// Set if a trace follows it.
    pub(crate) followed: Option<Box<Followed>>,
}

impl Job {
    /// Whether others may go before it: not if one of the events that came to it is urgent.
    pub(crate) fn urgency(&self) -> Urgency {
        self.also.iter().fold(self.owed.urgency, |urgency, owed| urgency.min(owed.urgency))
    }
}

/// Names a lane. The number is 0, unless lanes are not serial on purpose.
pub(crate) type LaneKey = (EndpointId, NotificationId, u64);

/// What the first job of a lane is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing yet: it was just put there.
    Idle,
    /// Waiting for room on its route.
    Ready,
    /// Being sent.
    InFlight {
        /// Which attempt: an answer to another one is not for this job.
        attempt: u64,
    },
    /// Waiting for its next attempt.
    Waiting(Tick),
}

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) jobs: VecDeque<Job>,
    pub(crate) step: Step,
}

/// Every lane that has a job.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: Map<LaneKey, Lane>,
    retries: BTreeSet<(Tick, LaneKey)>,
    jobs: usize,
}

impl Lanes {
    /// How many jobs there are.
    pub(crate) const fn jobs(&self) -> usize {
        self.jobs
    }

    pub(crate) fn get_mut(&mut self, key: &LaneKey) -> Option<&mut Lane> {
        self.lanes.get_mut(key)
    }

    /// The first job of a lane.
    pub(crate) fn first(&self, key: &LaneKey) -> Option<(&Job, Step)> {
        let lane = self.lanes.get(key)?;
        Some((lane.jobs.front()?, lane.step))
    }

    /// Puts a job at the end of its lane; `false` if the lane has the same delivery already, and the
    /// progress of both waits for that one. An event must not be finished before the delivery is:
    /// its successor would think it settled.
    pub(crate) fn push(&mut self, key: LaneKey, job: Job) -> bool {
        let lane = self
            .lanes
            .entry(key)
            .or_insert_with(|| Lane { jobs: VecDeque::with_capacity(1), step: Step::Idle });
        let mut known = lane.jobs.iter_mut();
        if let Some(known) = known.find(|known| known.delivery.id == job.delivery.id) {
            known.also.push(job.owed);
            known.attempts = known.attempts.max(job.attempts);
            known.is_parked = false;
            return false;
        }
        lane.jobs.push_back(job);
        self.jobs += 1;
        true
    }

    /// Takes the first job of a lane away; the next one is idle.
    pub(crate) fn pop(&mut self, key: &LaneKey) -> Option<Job> {
        let lane = self.lanes.get_mut(key)?;
        let job = lane.jobs.pop_front()?;
        if let Step::Waiting(until) = std::mem::replace(&mut lane.step, Step::Idle) {
            self.retries.remove(&(until, *key));
        }
        self.jobs -= 1;
        if lane.jobs.is_empty() {
            self.lanes.remove(key);
        }
        Some(job)
    }

    /// The agenda has a delivery, put there by a former worker: takes it out of its lane. What is
    /// being sent stays, and is marked.
    pub(crate) fn take_parked(&mut self, key: &LaneKey, delivery: DeliveryId) -> Option<Job> {
        let lane = self.lanes.get_mut(key)?;
        let at = lane.jobs.iter().position(|job| job.delivery.id == delivery)?;
        if at == 0 {
            if !matches!(lane.step, Step::InFlight { .. }) {
                return self.pop(key);
            }
            lane.jobs.iter_mut().take(1).for_each(|job| job.is_parked = true);
            return None;
        }
        self.jobs -= 1;
        lane.jobs.remove(at)
    }

    /// Lets the first job of a lane wait for its next attempt.
    pub(crate) fn wait(&mut self, key: LaneKey, until: Tick) {
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.step = Step::Waiting(until);
            self.retries.insert((until, key));
        }
    }

    /// When the next waiting job is to be woken.
    pub(crate) fn next_retry(&self) -> Option<Tick> {
        self.retries.first().map(|(tick, _)| *tick)
    }

    /// Wakes the lanes whose wait is over at `now`.
    pub(crate) fn wake(&mut self, now: Tick) -> Vec<LaneKey> {
        let mut woken = Vec::new();
        while self.next_retry().is_some_and(|tick| tick <= now) {
            let Some((_, key)) = self.retries.pop_first() else { break };
            self.set_idle(&key);
            woken.push(key);
        }
        woken
    }

    /// Forgets every job of a partition.
    pub(crate) fn drop_partition(&mut self, partition: Partition) {
        self.lanes
            .retain(|_, lane| lane.jobs.front().is_some_and(|first| first.partition != partition));
        let lanes = &self.lanes;
        self.retries.retain(|(_, key)| lanes.contains_key(key));
        self.jobs = self.lanes.values().map(|lane| lane.jobs.len()).sum();
    }

    /// The items that jobs will be checked against.
    pub(crate) fn needed(&self) -> Set<NotificationId> {
        self.lanes.keys().map(|(_, item, _)| *item).collect()
    }

    /// How many jobs are being sent.
    pub(crate) fn in_flight(&self) -> usize {
        let sending = |lane: &&Lane| matches!(lane.step, Step::InFlight { .. });
        self.lanes.values().filter(sending).count()
    }

    fn set_idle(&mut self, key: &LaneKey) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.step = Step::Idle;
        }
    }
}

#[cfg(test)]
mod tests {
    use campanile_core::{DeliveryKind, Offset, Platform};

    use super::*;

    const LANE: LaneKey = (EndpointId::from_bytes([1; 16]), NotificationId::from_bytes([2; 16]), 0);

    /// The delivery of the event at `cause`, which the event at `record` came to.
    fn job(cause: u64, record: u64) -> Option<Job> {
        let (endpoint, item, _) = LANE;
        let (cause, kind, platform) = (Offset(cause), DeliveryKind::Sync, Platform::Apns);
        let id = DeliveryId::new(item, cause, endpoint);
        let delivery =
            Delivery { id, cause, tells_of: cause, item, endpoint, platform, kind, attempts: 0 };
        Some(Job {
            delivery,
            app: AppId::new("app").ok()?,
            user: UserRef::from_bytes([3; 16]),
            partition: Partition(0),
            arrival: record,
            assignment: 1,
            owed: owed(record),
            also: Vec::new(),
            is_parked: false,
            posted: None,
            attempts: 0,
            followed: None,
        })
    }

    fn owed(record: u64) -> Owed {
        Owed { backlog: 0, record: Offset(record), urgency: Urgency::Urgent }
    }

    fn lanes(jobs: &[(u64, u64)]) -> Lanes {
        let mut lanes = Lanes::default();
        for job in jobs.iter().filter_map(|(cause, record)| job(*cause, *record)) {
            lanes.push(LANE, job);
        }
        lanes
    }

    fn id(cause: u64) -> DeliveryId {
        let (endpoint, item, _) = LANE;
        DeliveryId::new(item, Offset(cause), endpoint)
    }

    #[test]
    fn an_event_that_comes_to_the_same_delivery_waits_for_it() {
        let mut lanes = lanes(&[(1, 1), (1, 9)]);
        let job = lanes.pop(&LANE);
        assert_eq!(job.map(|job| (job.owed, job.also)), Some((owed(1), vec![owed(9)])));
        assert_eq!((lanes.jobs(), lanes.pop(&LANE).is_none()), (0, true));
    }

    #[test]
    fn what_is_parked_leaves_its_lane_unless_it_is_being_sent() {
        let mut lanes = lanes(&[(1, 1), (2, 2), (3, 3)]);
        lanes.wait(LANE, Tick::default());
        let taken = |job: Option<Job>| job.map(|job| job.owed.record);
        assert_eq!(taken(lanes.take_parked(&LANE, id(2))), Some(Offset(2)));
        assert_eq!(taken(lanes.take_parked(&LANE, id(1))), Some(Offset(1)));
        assert_eq!((lanes.jobs(), lanes.next_retry()), (1, None));
        if let Some(lane) = lanes.get_mut(&LANE) {
            lane.step = Step::InFlight { attempt: 1 };
        }
        assert_eq!(taken(lanes.take_parked(&LANE, id(3))), None);
        assert_eq!(lanes.first(&LANE).map(|(job, _)| job.is_parked), Some(true));
        assert_eq!(taken(lanes.take_parked(&LANE, id(4))), None);
    }
}
