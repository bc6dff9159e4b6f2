//! One member of a group.
//!
//! A member compares what it was told with what is, so nothing is queued for it, and a `next` that
//! is dropped while it waits loses nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use campanile_core::port::{
    Batch, CommitError, Flow, GroupEvent, GroupName, GroupReader, Progress, ReadError, ReadLimit,
    Record,
};
use campanile_core::{Offset, Partition, Tick};
use tokio::sync::watch;

use super::assignment::Owner;
use super::{Commit, Group, Groups};
use crate::log::StreamLog;

/// How much one `Records` carries.
const AT_ONCE: ReadLimit = ReadLimit { records: 512, bytes: 1 << 20 };
/// How often the end of a drain is looked for, at least: clocks and timers need not agree.
const LOOK: Duration = Duration::from_millis(50);

/// A member of a group.
pub(crate) struct Member {
    log: StreamLog,
    groups: Arc<Groups>,
    group: Arc<Group>,
    number: u64,
    /// What the member was told, partition by partition.
    told: Vec<Option<Told>>,
    /// The version of the assignments that the member was told completely.
    told_version: Option<u64>,
    /// Whose turn it is to be read.
    turn: usize,
    /// The read of files that goes on, until somebody waits for its end. Who has much else to do
    /// drops each `next` before it, and would never get what is not in memory.
    reading: Option<Reading>,
    changed: watch::Receiver<u64>,
    tail: watch::Receiver<u64>,
    stopped: watch::Receiver<Option<String>>,
}

/// A read of files.
struct Reading {
    /// Of which partition.
    index: usize,
    from: Offset,
    read: Pin<Box<dyn Future<Output = Result<Batch, ReadError>> + Send>>,
}

#[derive(Clone, Copy)]
struct Told {
    term: u64,
    /// The next offset to hand out.
    next: Offset,
    revoking: bool,
    flow: Flow,
    /// More is under way than the position tells.
    is_busy: bool,
}

impl Member {
    /// Joins a group.
    ///
    /// # Errors
    /// [`ReadError::NoGroup`].
    pub(crate) fn join(
        log: StreamLog,
        groups: Arc<Groups>,
        name: &GroupName,
    ) -> Result<Self, ReadError> {
        let group = groups.find(log.stream, name)?;
        let number = super::lock(&group.membership).join();
        drop(groups.settle(&group));
        let told = vec![None; usize::from(log.core().identity.partitions)];
        let (changed, tail) = (group.changed.subscribe(), log.core().tail(log.stream));
        let stopped = log.core().stopped();
        Ok(Self {
            log,
            groups,
            group,
            number,
            told,
            told_version: None,
            turn: 0,
            reading: None,
            changed,
            tail,
            stopped,
        })
    }

    fn is_own(&self, partition: Partition, owner: Option<Owner>) -> bool {
        let told = self.told.get(usize::from(partition.0)).copied().flatten();
        let own =
            |told: Told| owner.is_some_and(|it| (it.member, it.term) == (self.number, told.term));
        told.is_some_and(own)
    }

    /// The next change of what the member has.
    fn change(&mut self) -> Option<GroupEvent> {
        let (groups, group) = (self.groups.clone(), self.group.clone());
        let mut membership = groups.settle(&group);
        let version = Some(membership.version());
        if self.told_version == version {
            return None;
        }
        for index in 0..self.told.len() {
            let partition = partition(index);
            let owner = membership.owner(partition);
            let told = self.told.get_mut(index)?;
            match (*told, owner) {
                (Some(known), Some(owner))
                    if (owner.member, owner.term) == (self.number, known.term) =>
                {
                    let Some(drain_by) = owner.drain_by.filter(|_| !known.revoking) else {
                        continue;
                    };
                    let stored = groups.progress_of(&group, partition);
                    let is_drained = stored.is_some_and(|stored| stored.next >= known.next);
                    if is_drained && !known.is_busy {
                        *told = None;
                        groups.release(&group, &mut membership, partition);
                        return Some(GroupEvent::Lost(partition));
                    }
                    *told = Some(Told { revoking: true, ..known });
                    return Some(GroupEvent::Revoking { partition, drain_by });
                }
                (Some(_), _) => {
                    *told = None;
                    return Some(GroupEvent::Lost(partition));
                }
                (None, Some(owner)) if owner.member == self.number => {
                    let progress = groups.progress_of(&group, partition)?;
                    let (term, next) = (owner.term, progress.next);
                    let (revoking, flow, is_busy) = (false, Flow::Resume, false);
                    *told = Some(Told { term, next, revoking, flow, is_busy });
                    return Some(GroupEvent::Assigned { progress });
                }
                (None, _) => {}
            }
        }
        self.told_version = version;
        None
    }

    /// Records of the partition whose turn it is, of those that have any.
    async fn records(&mut self) -> Result<Option<(Partition, Vec<Record>)>, ReadError> {
        if let Some(records) = self.read_files().await? {
            return Ok(Some(records));
        }
        for _ in 0..self.told.len() {
            let index = self.turn % self.told.len();
            self.turn = index + 1;
            let told = self.told.get(index).copied().flatten();
            let Some(told) = told.filter(|it| !it.revoking && it.flow == Flow::Resume) else {
                continue;
            };
            let (partition, from) = (partition(index), told.next);
            let found = match self.log.read_recent(partition, from, AT_ONCE)? {
                Some(batch) => self.hand_out(index, from, Ok(batch))?,
                None => {
                    let log = self.log.clone();
                    let read = Box::pin(async move { log.read(partition, from, AT_ONCE).await });
                    self.reading = Some(Reading { index, from, read });
                    self.read_files().await?
                }
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Waits for the read of files that goes on, if one does.
    async fn read_files(&mut self) -> Result<Option<(Partition, Vec<Record>)>, ReadError> {
        let Some(reading) = &mut self.reading else { return Ok(None) };
        let read = (&mut reading.read).await;
        let (index, from) = (reading.index, reading.from);
        self.reading = None;
        self.hand_out(index, from, read)
    }

    /// What was read of a partition, unless that was taken or paused meanwhile.
    fn hand_out(
        &mut self,
        index: usize,
        from: Offset,
        read: Result<Batch, ReadError>,
    ) -> Result<Option<(Partition, Vec<Record>)>, ReadError> {
        let partition = partition(index);
        let owner = super::lock(&self.group.membership).owner(partition);
        let is_own = self.is_own(partition, owner);
        let told = self.told.get_mut(index).and_then(Option::as_mut);
        let told = told.filter(|it| is_own && !it.revoking && it.flow == Flow::Resume);
        let Some(told) = told.filter(|told| told.next == from) else { return Ok(None) };
        let batch = read?;
        told.next = batch.next;
        Ok(Some((partition, batch.records)).filter(|(_, records)| !records.is_empty()))
    }

    async fn wait(&mut self) -> Result<(), ReadError> {
        let next_drain = super::lock(&self.group.membership).next_drain();
        let closed = |_| ReadError::Unavailable { reason: "the log is closed".into() };
        let drained = async {
            match next_drain {
                Some(end) => {
                    let left = end.since(self.groups.clock.tick());
                    tokio::time::sleep(left.clamp(Duration::from_millis(1), LOOK)).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.changed.changed() => changed.map_err(closed),
            tail = self.tail.changed() => tail.map_err(closed),
            () = drained => Ok(()),
        }
    }
}

fn partition(index: usize) -> Partition {
    Partition(u16::try_from(index).unwrap_or(u16::MAX))
}

#[async_trait]
impl GroupReader for Member {
    async fn next(&mut self) -> Result<GroupEvent, ReadError> {
        loop {
            // Before looking: what changes after the look ends the wait.
            self.changed.borrow_and_update();
            self.tail.borrow_and_update();
            if let Some(event) = self.change() {
                return Ok(event);
            }
            if let Some((partition, records)) = self.records().await? {
                return Ok(GroupEvent::Records { partition, records });
            }
            if let Some(reason) = self.stopped.borrow().clone() {
                return Err(ReadError::Unavailable { reason });
            }
            self.wait().await?;
        }
    }

    fn flow(&mut self, partition: Partition, flow: Flow) -> Result<(), ReadError> {
        let told = self.told.get_mut(usize::from(partition.0)).and_then(Option::as_mut);
        told.ok_or(ReadError::NoPartition(partition))?.flow = flow;
        Ok(())
    }

    fn busy(&mut self, partition: Partition, is_busy: bool) -> Result<(), ReadError> {
        let told = self.told.get_mut(usize::from(partition.0)).and_then(Option::as_mut);
        told.ok_or(ReadError::NoPartition(partition))?.is_busy = is_busy;
        Ok(())
    }

    async fn commit(&mut self, done: &[Progress]) -> Result<(), CommitError> {
        let mut commits = Vec::with_capacity(done.len());
        for progress in done {
            if let Some(reason) = malformed(progress) {
                return Err(CommitError::Unavailable { reason });
            }
            let told = self.told.get(usize::from(progress.partition.0)).copied().flatten();
            let told = told.ok_or(CommitError::Fenced(progress.partition))?;
            let drained = (!told.is_busy).then_some(told.next);
            commits.push(Commit { progress: progress.clone(), term: told.term, drained });
        }
        if self.groups.commit(&self.group, self.number, &commits)? {
            let groups = self.groups.clone();
            let rewritten = tokio::task::spawn_blocking(move || groups.rewrite()).await;
            let cancelled =
                |_| CommitError::Unavailable { reason: "the call was cancelled".into() };
            return rewritten.map_err(cancelled)?;
        }
        Ok(())
    }

    fn lease(&self, partition: Partition) -> Option<Tick> {
        let membership = self.groups.settle(&self.group);
        let owner = membership.owner(partition);
        let own = owner.filter(|_| self.is_own(partition, owner))?;
        Some(own.drain_by.unwrap_or_else(|| self.groups.lease()))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        super::lock(&self.group.membership).leave(self.number);
        drop(self.groups.settle(&self.group));
        // The last member leaves nobody to settle for, but others may just wait.
        self.group.changed.send_modify(|changes| *changes += 1);
    }
}

/// What is wrong with a progress, if anything is.
fn malformed(progress: &Progress) -> Option<String> {
    let is_fit = progress.is_well_formed() && super::holds::fit(&progress.holds);
    (!is_fit).then(|| format!("not a progress: {progress:?}"))
}
