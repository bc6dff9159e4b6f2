//! Consumer groups: who reads which partition, and how far each group has come.
//!
//! Members live in this process, so who they are is only in memory. Progress is in a file, and
//! survives the process; a power cut may lose the latest commits.

mod assignment;
mod journal;
mod member;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use campanile_core::port::{Clock, CommitError, GroupName, Progress, ReadError, Stream};
use campanile_core::{LogIdentity, Offset, Partition, Tick};
use tokio::sync::watch;

pub(crate) use member::Member;

use assignment::{Membership, Owner};
use journal::{GroupKey, Journal};

use crate::disk::Disk;
use crate::error::OpenError;

/// The longest name of a group, in bytes.
const NAME_BYTES: usize = 255;

/// Every group of a log.
pub(crate) struct Groups {
    identity: LogIdentity,
    clock: Arc<dyn Clock>,
    /// How long a member may finish a partition that another is to have.
    drain: Duration,
    journal: Mutex<Journal>,
    live: Mutex<BTreeMap<GroupKey, Arc<Group>>>,
}

/// A group with members.
pub(crate) struct Group {
    key: GroupKey,
    state: Mutex<GroupState>,
    /// Told of every change of an assignment.
    changed: watch::Sender<u64>,
}

struct GroupState {
    membership: Membership,
    /// The latest commit stored of each partition, by term and number.
    stored: Vec<(u64, u64)>,
}

/// Progress that a member wants stored.
struct Commit {
    progress: Progress,
    /// Under which assignment.
    term: u64,
    /// The next offset that the member would be handed.
    handed: Offset,
}

impl Groups {
    /// Opens the groups in `dir`. Also answers how many bytes at the file's end were useless.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn open(
        dir: &Path,
        disk: Arc<dyn Disk>,
        identity: LogIdentity,
        clock: Arc<dyn Clock>,
        drain: Duration,
    ) -> Result<(Self, u64), OpenError> {
        let (journal, lost) = Journal::open(dir, disk, &identity)?;
        let journal = Mutex::new(journal);
        Ok((Self { identity, clock, drain, journal, live: Mutex::default() }, lost))
    }

    /// Creates a group that starts at `first`; one that exists stays as it is. May wait for the
    /// disk.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`].
    pub(crate) fn create(
        &self,
        stream: Stream,
        name: &GroupName,
        first: Vec<Progress>,
    ) -> Result<(), ReadError> {
        let unavailable = |reason: String| ReadError::Unavailable { reason };
        if name.0.is_empty() || name.0.len() > NAME_BYTES {
            let reason =
                format!("a group's name has 1 to {NAME_BYTES} bytes, got {}", name.0.len());
            return Err(unavailable(reason));
        }
        let mut journal = lock(&self.journal);
        let key = (stream, name.clone());
        if journal.progress(&key).is_some() {
            return Ok(());
        }
        let stored = journal.store(&key, first).and_then(|()| journal.sync());
        stored.map_err(|error| unavailable(format!("cannot store group {name}: {error}")))
    }

    /// How far a group has come.
    ///
    /// # Errors
    /// [`ReadError::NoGroup`].
    pub(crate) fn progress(
        &self,
        stream: Stream,
        name: &GroupName,
    ) -> Result<Vec<Progress>, ReadError> {
        let journal = lock(&self.journal);
        let found = journal.progress(&(stream, name.clone()));
        found.map(<[_]>::to_vec).ok_or_else(|| ReadError::NoGroup(name.clone()))
    }

    /// Finds a group to join.
    fn find(&self, stream: Stream, name: &GroupName) -> Result<Arc<Group>, ReadError> {
        self.progress(stream, name)?;
        let key = (stream, name.clone());
        let partitions = self.identity.partitions;
        let group = || {
            let membership = Membership::new(partitions);
            let stored = vec![(0, 0); usize::from(partitions)];
            let state = Mutex::new(GroupState { membership, stored });
            Arc::new(Group { key: key.clone(), state, changed: watch::channel(0).0 })
        };
        Ok(lock(&self.live).entry(key.clone()).or_insert_with(group).clone())
    }

    fn progress_of(&self, group: &Group, partition: Partition) -> Option<Progress> {
        let journal = lock(&self.journal);
        journal.progress(&group.key)?.get(usize::from(partition.0)).cloned()
    }

    /// Until when a member certainly has what nobody else waits for: a drain would end later.
    fn lease(&self) -> Tick {
        self.clock.tick().after(self.drain)
    }

    /// Brings the assignments up to date.
    fn settle<'a>(&self, group: &'a Group) -> MutexGuard<'a, GroupState> {
        let mut state = lock(&group.state);
        let now = self.clock.tick();
        if state.membership.settle(now, now.after(self.drain)) {
            group.changed.send_modify(|changes| *changes += 1);
        }
        state
    }

    /// Gives a partition back.
    fn release(&self, group: &Group, state: &mut GroupState, partition: Partition) {
        let now = self.clock.tick();
        state.membership.release(partition);
        state.membership.settle(now, now.after(self.drain));
        group.changed.send_modify(|changes| *changes += 1);
    }

    /// Stores what `member` finished. May wait for the disk.
    ///
    /// `number` counts the member's commits: an earlier one that comes late, because its caller
    /// stopped waiting, does not undo a later one.
    fn commit(
        &self,
        group: &Group,
        member: u64,
        number: u64,
        mut commits: Vec<Commit>,
    ) -> Result<(), CommitError> {
        let mut state = self.settle(group);
        for Commit { progress, term, .. } in &commits {
            let owner = state.membership.owner(progress.partition);
            if !owner.is_some_and(|owner| owner.member == member && owner.term == *term) {
                return Err(CommitError::Fenced(progress.partition));
            }
        }
        commits.retain(|commit| state.is_latest(commit, number));
        let progress = commits.iter().map(|commit| commit.progress.clone()).collect();
        let stored = lock(&self.journal).store(&group.key, progress);
        stored.map_err(|error| CommitError::Unavailable {
            reason: format!("cannot store the progress of group {}: {error}", group.key.1),
        })?;
        for Commit { progress, term, handed } in &commits {
            let stored = state.stored.get_mut(usize::from(progress.partition.0));
            stored.into_iter().for_each(|it| *it = (*term, number));
            let owner = state.membership.owner(progress.partition);
            if owner.is_some_and(Owner::is_draining) && progress.next >= *handed {
                self.release(group, &mut state, progress.partition);
            }
        }
        Ok(())
    }

    /// Makes what was committed survive a power cut.
    pub(crate) fn sync(&self) {
        if let Err(error) = lock(&self.journal).sync() {
            tracing::warn!(%error, "cannot sync the groups' progress");
        }
    }
}

impl GroupState {
    fn is_latest(&self, commit: &Commit, number: u64) -> bool {
        let stored = self.stored.get(usize::from(commit.progress.partition.0));
        stored.is_none_or(|(term, stored)| *term != commit.term || *stored < number)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
