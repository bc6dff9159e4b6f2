//! Consumer groups in memory: who reads which partition, and a member's view of it.
//!
//! Members learn by comparing what they were told with what is, so nothing is queued and a
//! dropped `next` loses nothing.

mod assignment;

use std::collections::BTreeMap;

use async_trait::async_trait;
use campanile_core::port::{
    CommitError, Flow, GroupEvent, GroupName, GroupReader, Progress, ReadError, ReadLimit,
};
use campanile_core::{Offset, Partition, Tick};

pub(super) use assignment::Memberships;
use assignment::{DrainEnd, Holding, MemberId, Term};

use super::clock::runtime_now;
use super::log::{LogState, MemoryLog};

/// How much one `Records` carries.
const AT_ONCE: ReadLimit = ReadLimit { records: 64, bytes: 1 << 20 };

/// One member of a group.
pub(super) struct MemoryReader {
    log: MemoryLog,
    group: GroupName,
    member: MemberId,
    told: BTreeMap<Partition, Told>,
    /// The partition served last; the ones after it have their turn first.
    served: Option<Partition>,
}

/// What the member knows of a partition.
struct Told {
    term: Term,
    /// The next offset to hand out.
    next: Offset,
    revoking: bool,
    paused: bool,
    /// More is under way than the position tells.
    busy: bool,
}

impl MemoryReader {
    pub(super) fn join(log: MemoryLog, group: GroupName) -> Self {
        let member = log.lock().memberships.join(&group);
        log.shared.changed.notify_waiters();
        Self { log, group, member, told: BTreeMap::new(), served: None }
    }

    /// Brings the assignments up to date.
    fn settle(&self, state: &mut LogState) {
        let shared = &self.log.shared;
        let (now, drain) = (runtime_now(), shared.options.drain);
        let end = DrainEnd { tick: shared.clock.tick().after(drain), instant: now + drain };
        if state.memberships.settle(&self.group, shared.identity.partitions(), now, end) {
            shared.changed.notify_waiters();
        }
    }

    /// The partition, if it is still held as this member was told.
    fn holding<'a>(&self, state: &'a LogState, partition: Partition) -> Option<&'a Holding> {
        let told = self.told.get(&partition)?;
        let holding = state.memberships.holding(&self.group, partition)?;
        (holding.member == self.member && holding.term == told.term).then_some(holding)
    }

    /// Gives a partition back early if everything handed out of it is finished and committed.
    fn release_if_drained(&self, state: &mut LogState, partition: Partition) -> bool {
        let stored = state.durable.groups.get(&self.group).and_then(|it| it.get(&partition));
        let told = self.told.get(&partition);
        let told = told.filter(|told| told.revoking && !told.busy);
        let drained = told.zip(stored).is_some_and(|(told, stored)| stored.next >= told.next);
        if drained {
            state.memberships.release(&self.group, partition);
            self.settle(state);
        }
        drained
    }

    fn poll(&mut self) -> Result<Option<GroupEvent>, ReadError> {
        let log = self.log.clone();
        let mut state = log.lock();
        self.settle(&mut state);
        if let Some(event) = self.taken(&mut state).or_else(|| self.given(&state)) {
            return Ok(Some(event));
        }
        self.records(&state)
    }

    fn taken(&mut self, state: &mut LogState) -> Option<GroupEvent> {
        let known: Vec<Partition> = self.told.keys().copied().collect();
        for partition in known {
            let Some(holding) = self.holding(state, partition).copied() else {
                self.told.remove(&partition);
                return Some(GroupEvent::Lost(partition));
            };
            let told = self.told.get_mut(&partition).filter(|told| !told.revoking);
            let Some((told, end)) = told.zip(holding.draining) else { continue };
            told.revoking = true;
            if self.release_if_drained(state, partition) {
                self.told.remove(&partition);
                return Some(GroupEvent::Lost(partition));
            }
            return Some(GroupEvent::Revoking { partition, drain_by: end.tick });
        }
        None
    }

    fn given(&mut self, state: &LogState) -> Option<GroupEvent> {
        let held = state.memberships.held_by(&self.group, self.member);
        let (partition, term) = held.into_iter().find(|(it, _)| !self.told.contains_key(it))?;
        let progress = state.durable.groups.get(&self.group)?.get(&partition)?.clone();
        let next = progress.next;
        let told = Told { term, next, revoking: false, paused: false, busy: false };
        self.told.insert(partition, told);
        Some(GroupEvent::Assigned { progress })
    }

    fn records(&mut self, state: &LogState) -> Result<Option<GroupEvent>, ReadError> {
        let mut turns: Vec<Partition> = self.told.keys().copied().collect();
        let had_their_turn = turns.partition_point(|it| Some(*it) <= self.served);
        turns.rotate_left(had_their_turn);
        for partition in turns {
            let told = self.told.get_mut(&partition).filter(|it| !it.revoking && !it.paused);
            let Some(told) = told else { continue };
            self.served = Some(partition);
            let log = state.durable.partition(partition)?;
            let batch = log.read(partition, told.next, AT_ONCE)?;
            told.next = batch.next;
            if !batch.records.is_empty() {
                return Ok(Some(GroupEvent::Records { partition, records: batch.records }));
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl GroupReader for MemoryReader {
    async fn next(&mut self) -> Result<GroupEvent, ReadError> {
        let log = self.log.clone();
        loop {
            // Made before looking: a change after the look ends the wait.
            let changed = log.shared.changed.notified();
            if let Some(event) = self.poll()? {
                return Ok(event);
            }
            let drain_ends = log.lock().memberships.next_end(&self.group);
            match drain_ends {
                Some(end) => drop(tokio::time::timeout_at(end, changed).await),
                None => changed.await,
            }
        }
    }

    fn flow(&mut self, partition: Partition, flow: Flow) -> Result<(), ReadError> {
        let told = self.told.get_mut(&partition).ok_or(ReadError::NoPartition(partition))?;
        told.paused = flow == Flow::Pause;
        if flow == Flow::Resume {
            self.log.shared.changed.notify_waiters();
        }
        Ok(())
    }

    fn busy(&mut self, partition: Partition, is_busy: bool) -> Result<(), ReadError> {
        self.told.get_mut(&partition).ok_or(ReadError::NoPartition(partition))?.busy = is_busy;
        Ok(())
    }

    async fn commit(&mut self, done: &[Progress]) -> Result<(), CommitError> {
        let mut state = self.log.lock();
        self.settle(&mut state);
        for progress in done {
            assert!(Progress::is_well_formed(progress), "not a progress: {progress:?}");
            let partition = progress.partition;
            self.holding(&state, partition).ok_or(CommitError::Fenced(partition))?;
            let group = state.durable.groups.entry(self.group.clone()).or_default();
            group.insert(partition, progress.clone());
            self.release_if_drained(&mut state, partition);
        }
        Ok(())
    }

    fn lease(&self, partition: Partition) -> Option<Tick> {
        let mut state = self.log.lock();
        self.settle(&mut state);
        let holding = self.holding(&state, partition)?;
        let shared = &self.log.shared;
        let at_least = || shared.clock.tick().after(shared.options.drain);
        Some(holding.draining.map_or_else(at_least, |end| end.tick))
    }
}

impl Drop for MemoryReader {
    fn drop(&mut self) {
        self.log.lock().memberships.leave(&self.group, self.member);
        self.log.shared.changed.notify_waiters();
    }
}
