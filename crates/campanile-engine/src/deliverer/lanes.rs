//! Lanes: the deliveries of one item to one endpoint, one after the other.
//!
//! A clear must not overtake the retry of the post it clears, so a lane's next delivery starts
//! only when the one before is settled.

use std::collections::{BTreeSet, VecDeque};

use campanile_core::port::PieceKey;
use campanile_core::{
    AppId, Delivery, EndpointId, NotificationId, Offset, Partition, Tick, UserRef,
};

use crate::pieces::Map;

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
    /// The event whose progress waits for it: the cause, or the agenda entry that came due.
    pub(crate) record: Offset,
    /// Attempts made, those before it was parked included.
    pub(crate) attempts: u32,
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

    /// Puts a job at the end of its lane; `false` if the lane has the same delivery already.
    pub(crate) fn push(&mut self, key: LaneKey, job: Job) -> bool {
        let lane = self
            .lanes
            .entry(key)
            .or_insert_with(|| Lane { jobs: VecDeque::new(), step: Step::Idle });
        if lane.jobs.iter().any(|known| known.delivery.id == job.delivery.id) {
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

    /// The pieces that the jobs of a partition will be checked against.
    pub(crate) fn needed(&self, partition: Partition) -> BTreeSet<PieceKey> {
        let jobs = self.lanes.values().flat_map(|lane| &lane.jobs);
        jobs.filter(|job| job.partition == partition)
            .flat_map(|job| {
                [PieceKey::Reach(job.user), PieceKey::Item(job.user, job.delivery.item)]
            })
            .collect()
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
