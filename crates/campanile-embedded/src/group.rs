//! Consumer groups: who reads which partition, and how far each group has come.
//!
//! Members live in this process, so who they are is only in memory. Progress is in a file, and
//! survives the process; a power cut may lose the latest commits.

mod assignment;
mod holds;
pub(crate) mod journal;
mod member;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
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
    membership: Mutex<Membership>,
    /// Told of every change of an assignment.
    changed: watch::Sender<u64>,
}

/// Progress that a member wants stored.
struct Commit {
    progress: Progress,
    /// Under which assignment.
    term: u64,
    /// The position at which the member has nothing under way any more; absent while it is busy
    /// with what no position tells of.
    drained: Option<Offset>,
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
        let group = || {
            let membership = Mutex::new(Membership::new(self.identity.partitions));
            Arc::new(Group { key: key.clone(), membership, changed: watch::channel(0).0 })
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
    fn settle<'a>(&self, group: &'a Group) -> MutexGuard<'a, Membership> {
        let mut membership = lock(&group.membership);
        let now = self.clock.tick();
        if membership.settle(now, now.after(self.drain)) {
            group.changed.send_modify(|changes| *changes += 1);
        }
        membership
    }

    /// Gives a partition back.
    fn release(&self, group: &Group, membership: &mut Membership, partition: Partition) {
        let now = self.clock.tick();
        membership.release(partition);
        membership.settle(now, now.after(self.drain));
        group.changed.send_modify(|changes| *changes += 1);
    }

    /// Stores what `member` finished: a write of a few bytes that nobody waits for the disk for.
    /// Answers whether the file should be written anew.
    fn commit(&self, group: &Group, member: u64, commits: &[Commit]) -> Result<bool, CommitError> {
        let mut membership = self.settle(group);
        for Commit { progress, term, .. } in commits {
            let owner = membership.owner(progress.partition);
            if !owner.is_some_and(|owner| owner.member == member && owner.term == *term) {
                return Err(CommitError::Fenced(progress.partition));
            }
        }
        let progress = commits.iter().map(|commit| commit.progress.clone()).collect();
        let is_long = {
            let mut journal = lock(&self.journal);
            journal.store(&group.key, progress).map(|()| journal.is_long())
        };
        for Commit { progress, drained, .. } in commits.iter().filter(|_| is_long.is_ok()) {
            let owner = membership.owner(progress.partition);
            let is_drained = drained.is_some_and(|drained| progress.next >= drained);
            if owner.is_some_and(Owner::is_draining) && is_drained {
                self.release(group, &mut membership, progress.partition);
            }
        }
        is_long.map_err(|error| CommitError::Unavailable {
            reason: format!("cannot store the progress of group {}: {error}", group.key.1),
        })
    }

    /// Writes the file of progress anew, which waits for the disk.
    fn rewrite(&self) -> Result<(), CommitError> {
        lock(&self.journal).rewrite().map_err(|error| CommitError::Unavailable {
            reason: format!("cannot rewrite the progress of the groups: {error}"),
        })
    }

    /// Makes what was committed survive a power cut.
    ///
    /// # Errors
    /// What the disk answers; the latest commits may be lost in a power cut then.
    pub(crate) fn sync(&self) -> io::Result<()> {
        lock(&self.journal).sync()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
