//! What is written to a table that is built at once and that nobody reads yet.
//!
//! Changes are gathered in memory, each key once, and go to the table as sorted files: nothing is
//! written to a journal, sorted into the table's own memory or merged afterwards. A file and what
//! was gathered are one instant of a partition, because its checkpoints are among its changes. Who
//! kills the process loses what was gathered last, which is folded again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use campanile_core::port::ProjectionError;
use campanile_core::{Offset, Partition};
use fjall::{Keyspace, UserValue};
use rustc_hash::FxHashMap;

use super::database::failed;
use super::keys;
use super::step::Step;

/// What an entry takes beside its key and its value.
const ENTRY: usize = 96;
/// A partition with less than this share of what may be gathered is not worth a place in a file,
/// until all has to be stored.
const FEW: u64 = 1024;
/// A partition that was written as recently as that, counted in writes, is about to be written
/// again: what is stored in two files has to be merged.
const RECENT: u64 = 8;

/// Changes of a partition by key; `None` removes.
type Gathered = FxHashMap<Vec<u8>, Option<Vec<u8>>>;

/// What is gathered of a table.
pub(super) struct Bulk {
    keyspace: Keyspace,
    /// Bytes that may be gathered; with half of them some are stored.
    limit: u64,
    parts: Box<[Mutex<Part>]>,
    bytes: AtomicU64,
    writes: AtomicU64,
    /// Held while files are written, so that writers wait if they are faster.
    storing: Mutex<()>,
}

/// What is gathered of a partition.
pub(super) struct Part {
    changes: Gathered,
    bytes: u64,
    /// The latest write.
    written: u64,
    /// Whether the table may hold anything of it.
    is_stored: bool,
}

impl Bulk {
    /// Gathers up to `limit` bytes that go to `keyspace`, which has nothing of any partition yet if
    /// `is_new`.
    pub(super) fn new(keyspace: Keyspace, limit: u64, partitions: u16, is_new: bool) -> Self {
        let part = |_| {
            let (changes, is_stored) = (Gathered::default(), !is_new);
            Mutex::new(Part { changes, bytes: 0, written: 0, is_stored })
        };
        Self {
            keyspace,
            limit,
            parts: (0..partitions).map(part).collect(),
            bytes: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            storing: Mutex::default(),
        }
    }

    /// Nobody changes the partition as long as this is held.
    pub(super) fn part(&self, partition: Partition) -> Option<MutexGuard<'_, Part>> {
        self.parts.get(usize::from(partition.0)).map(lock)
    }

    /// The newest value of a key of `part`'s partition.
    pub(super) fn get(&self, part: &Part, key: &[u8]) -> fjall::Result<Option<UserValue>> {
        match part.changes.get(key) {
            Some(changed) => Ok(changed.as_ref().map(UserValue::from)),
            None if part.is_stored => self.keyspace.get(key),
            None => Ok(None),
        }
    }

    /// Gathers what `fill` puts into a step of a partition. After an error some of it may be
    /// gathered, and what is gathered is good for nothing.
    pub(super) fn gather(
        &self,
        partition: Partition,
        fill: impl FnOnce(&mut dyn Step) -> Result<(), ProjectionError>,
    ) -> Result<(), ProjectionError> {
        let mut part = self.part(partition).ok_or(ProjectionError::NotBuilt(partition))?;
        let before = part.bytes;
        fill(&mut Gathering { bulk: self, part: &mut part })?;
        part.written = self.writes.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(part.bytes, Ordering::Relaxed);
        drop(part);
        let bytes = self.bytes.fetch_sub(before, Ordering::Relaxed) - before;
        if bytes > self.limit / 2 { self.store_some(bytes).map_err(failed) } else { Ok(()) }
    }

    /// Stores everything.
    pub(super) fn store_all(&self) -> fjall::Result<()> {
        let _alone = lock(&self.storing);
        self.store(self.parts.iter().map(lock).filter(|part| !part.changes.is_empty()).collect())
    }

    /// Stores the first partitions, up to one that is about to be written again: what files are
    /// about does not overlap then, and they need not be merged. Stores all if those are too few
    /// and as much is gathered as may be.
    ///
    /// Whoever comes meanwhile need not wait, until as much is gathered as may be.
    fn store_some(&self, bytes: u64) -> fjall::Result<()> {
        let _alone = match self.storing.try_lock() {
            Ok(alone) => alone,
            Err(TryLockError::WouldBlock) if bytes < self.limit => return Ok(()),
            Err(_) => lock(&self.storing),
        };
        if self.bytes.load(Ordering::Relaxed) <= self.limit / 2 {
            return Ok(());
        }
        let few = self.limit / FEW;
        let recent = self.writes.load(Ordering::Relaxed).saturating_sub(RECENT);
        let parts = self.parts.iter().map(lock);
        let quiet = parts.take_while(|part| part.written < recent).filter(|part| part.bytes > few);
        let quiet: Vec<_> = quiet.collect();
        if quiet.iter().map(|part| part.bytes).sum::<u64>() > self.limit / 8 {
            return self.store(quiet);
        }
        drop(quiet);
        match bytes < self.limit {
            true => Ok(()),
            false => self.store(self.parts.iter().map(lock).filter(|it| it.bytes > few).collect()),
        }
    }

    /// Writes sorted files and has the table take them, all at once. `parts` are in order.
    fn store(&self, parts: Vec<MutexGuard<'_, Part>>) -> fjall::Result<()> {
        if parts.is_empty() {
            return Ok(());
        }
        let mut files = self.keyspace.start_ingestion()?;
        for part in &parts {
            let mut sorted: Vec<_> = part.changes.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| *key);
            for (key, value) in sorted {
                match value {
                    Some(value) => files.write(key.as_slice(), value.as_slice())?,
                    None if part.is_stored => files.write_tombstone(key.as_slice())?,
                    None => {}
                }
            }
        }
        files.finish()?;
        for mut part in parts {
            self.bytes.fetch_sub(part.bytes, Ordering::Relaxed);
            (part.changes, part.bytes, part.is_stored) = (Gathered::default(), 0, true);
        }
        Ok(())
    }
}

impl Part {
    fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let size = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len) as u64;
        let more = (key.len() + ENTRY) as u64;
        let new = size(&value);
        match self.changes.insert(key, value) {
            Some(old) => self.bytes = (self.bytes + new).saturating_sub(size(&old)),
            None => self.bytes += more + new,
        }
    }
}

/// A step that is gathered.
struct Gathering<'a> {
    bulk: &'a Bulk,
    part: &'a mut Part,
}

impl Step for Gathering<'_> {
    fn head(&self, piece: &[u8]) -> fjall::Result<Option<(u64, Offset)>> {
        match self.part.changes.get(piece) {
            Some(changed) => Ok(changed.as_deref().and_then(keys::read_piece_head)),
            None if self.part.is_stored => {
                let stored = self.bulk.keyspace.get(piece)?;
                Ok(stored.and_then(|value| keys::read_piece_head(&value)))
            }
            None => Ok(None),
        }
    }

    fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.part.put(key, value);
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
