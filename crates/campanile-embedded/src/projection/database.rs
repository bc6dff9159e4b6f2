//! The table in which the projection is kept.
//!
//! One table for everything: a write is one batch of it, so a flush of its memory to a file holds
//! whole writes, and a power cut loses the latest of them whole.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::{Buf, BufMut};
use campanile_core::port::ProjectionError;
use campanile_core::{Generation, LogIdentity, Partition};
use fjall::compaction::Leveled;
use fjall::compaction::filter::Factory;
use fjall::{
    AbstractTree, Database, Keyspace, KeyspaceCreateOptions, LsmError, PersistMode, Readable,
    Snapshot, UserValue,
};

use super::bulk::Bulk;
use super::keys;
use super::sealed::Sealed;
use super::step::Step;
use crate::floors::Floors;
use crate::projection::history_filter::HistoryFilter;

/// The format of keys and values; another one is built anew.
const FORMAT: &[u8; 8] = b"CAMPPRJ2";
/// Background threads that write and merge files. With two, one of them spins while the other
/// merges (fjall 3.1 sends itself the message that it leaves to the other).
const WORKERS: usize = 1;
/// How large the table's memory grows before it goes to a file.
const MEMTABLE_BYTES: u64 = 8 << 20;
/// How large it would grow if nobody but the background thread sealed it.
const MEMTABLE_LIMIT: u64 = 4 * MEMTABLE_BYTES;
/// How many files of that are merged at once. A partition's keys are spread over all of them, so
/// each merge rewrites the whole first level, too: the more at once, the less is rewritten. A read
/// looks into each, and writes wait when there are twice as many and more.
const FRESH_FILES: u8 = 8;
/// How large a merged file grows. The first level has as many of them as are merged at once; so it
/// is small, and merging into it is over soon.
const FILE_BYTES: u64 = 8 << 20;
/// How long the journal may grow.
const JOURNAL_BYTES: u64 = 64 << 20;

/// An open table.
pub(super) struct Table {
    database: Database,
    pub(super) keyspace: Keyspace,
    /// What is gathered, while the table is built at once.
    bulk: Option<Bulk>,
    /// Set by a write that failed.
    broken: AtomicBool,
    /// Memory that was written to.
    sealed: Sealed,
    /// Held by whoever writes to a partition, and while a snapshot for one is opened.
    partitions: Box<[RwLock<()>]>,
}

/// What the table may use, and where it learns what to forget.
#[derive(Clone)]
pub(crate) struct TableOptions {
    pub(crate) cache_bytes: u64,
    pub(crate) floors: Arc<Floors>,
    /// How many bytes are gathered, if it is written at once before anybody reads it: by [`Bulk`].
    pub(crate) gathers: Option<u64>,
}

/// Why a table does not open.
pub(super) enum TableError {
    /// What is stored cannot be used.
    Damaged(String),
    /// The disk does not answer.
    Unavailable(String),
}

impl Table {
    /// Opens the table in `dir`, or creates it.
    ///
    /// It is a fold of `log` if it is new.
    pub(super) fn open(
        dir: &Path,
        log: &LogIdentity,
        options: &TableOptions,
    ) -> Result<Self, TableError> {
        let filter: Arc<dyn Factory> = Arc::new(HistoryFilter::new(options.floors.clone()));
        let database = Database::builder(dir)
            .cache_size(options.cache_bytes)
            .worker_threads(WORKERS)
            .max_journaling_size(JOURNAL_BYTES)
            .with_compaction_filter_factories(Arc::new(move |_| Some(filter.clone())))
            .open()?;
        let keyspace = database.keyspace("projection", settings)?;
        let sealed = Sealed::start().map_err(fjall::Error::Io)?;
        let broken = AtomicBool::new(false);
        let partitions = log.partitions().map(|_| RwLock::default()).collect();
        let mut table = Self { database, keyspace, bulk: None, broken, sealed, partitions };
        let is_new = table.keyspace.get(keys::IDENTITY)?.is_none();
        if is_new {
            table.identify(log)?;
        }
        let gather = |limit| Bulk::new(table.keyspace.clone(), limit, log.partitions, is_new);
        table.bulk = options.gathers.map(gather);
        Ok(table)
    }

    fn identify(&self, log: &LogIdentity) -> fjall::Result<()> {
        let mut value = Vec::from(*FORMAT);
        value.put_slice(&log.id);
        value.put_u32(log.generation.0);
        value.put_u16(log.partitions);
        self.keyspace.insert(keys::IDENTITY, value)?;
        self.sync()
    }

    /// The log that the table is a fold of.
    pub(super) fn identity(&self) -> Result<LogIdentity, TableError> {
        let stored = self.keyspace.get(keys::IDENTITY)?;
        let damaged = || TableError::Damaged("it has another format".into());
        stored.and_then(|stored| read_identity(&stored)).ok_or_else(damaged)
    }

    /// An instant; of `partition` it has every write whole or not at all.
    ///
    /// The store makes everything visible that is numbered when it has changed its list of files,
    /// also a write that is half done then: its checkpoint perhaps, and not its pieces. So no write
    /// to the partition goes on while the instant is chosen.
    pub(super) fn snapshot(&self, partition: Partition) -> fjall::Result<Snapshot> {
        self.store()?;
        Ok(self.instant(partition))
    }

    fn instant(&self, partition: Partition) -> Snapshot {
        let lock = self.partitions.get(usize::from(partition.0));
        let _whole = lock.map(|lock| lock.read().unwrap_or_else(PoisonError::into_inner));
        self.database.snapshot()
    }

    /// The values of `keys`, which are of one partition, at one instant.
    pub(super) fn values(
        &self,
        partition: Partition,
        keys: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> fjall::Result<Vec<Option<UserValue>>> {
        match self.bulk.as_ref().and_then(|bulk| Some((bulk, bulk.part(partition)?))) {
            Some((bulk, part)) => keys.map(|key| bulk.get(&part, &key)).collect(),
            None => {
                let snapshot = self.instant(partition);
                keys.map(|key| snapshot.get(&self.keyspace, key)).collect()
            }
        }
    }

    /// The newest value of a key of `partition`.
    pub(super) fn newest(
        &self,
        partition: Partition,
        key: &[u8],
    ) -> fjall::Result<Option<UserValue>> {
        match self.bulk.as_ref().and_then(|bulk| Some((bulk, bulk.part(partition)?))) {
            Some((bulk, part)) => bulk.get(&part, key),
            None => self.keyspace.get(key),
        }
    }

    /// Stores what is gathered.
    fn store(&self) -> fjall::Result<()> {
        let stored = self.bulk.as_ref().map_or(Ok(()), Bulk::store_all);
        stored.inspect_err(|error| self.note(error))
    }

    /// Stores what is gathered; from now on it is written as one that is read.
    pub(super) fn serve(&mut self) -> fjall::Result<()> {
        self.store()?;
        self.bulk = None;
        Ok(())
    }

    /// Gathers what `fill` puts into a step of a partition; `None` if the table is not built at
    /// once. After an error nothing is left of what is gathered.
    pub(super) fn gather(
        &self,
        partition: Partition,
        fill: impl FnOnce(&mut dyn Step) -> Result<(), ProjectionError>,
    ) -> Option<Result<(), ProjectionError>> {
        let bulk = self.bulk.as_ref()?;
        Some(bulk.gather(partition, fill).inspect_err(|error| self.note(error)))
    }

    /// Writes `changes` of `partitions`, which are in order, in one piece. Nobody reads any others
    /// that they are of. A process that dies afterwards has written them.
    pub(super) fn write(
        &self,
        partitions: &[Partition],
        changes: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
    ) -> fjall::Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(&self.keyspace, key, value),
                None => batch.remove(&self.keyspace, key),
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        let locks = partitions.iter().filter_map(|it| self.partitions.get(usize::from(it.0)));
        let alone: Vec<_> =
            locks.map(|lock| lock.write().unwrap_or_else(PoisonError::into_inner)).collect();
        let committed = batch.commit();
        drop(alone);
        let written = committed.and_then(|()| self.seal());
        written.inspect_err(|error| self.note(error))
    }

    /// Remembers that a write failed.
    fn note(&self, error: &dyn std::fmt::Display) {
        tracing::error!(%error, "the projection cannot be written");
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Seals the table's memory once it is large enough. The background thread could do that, but
    /// only after the merge it is at, and until then the memory would grow. Sealed ones are bounded:
    /// with four of them a write waits.
    fn seal(&self) -> fjall::Result<()> {
        let active = self.keyspace.tree.active_memtable();
        let is_large = active.size() > MEMTABLE_BYTES;
        self.sealed.see(active);
        if is_large {
            self.keyspace.rotate_memtable()?;
        }
        Ok(())
    }

    /// Makes it look as if a write had failed.
    #[cfg(test)]
    pub(super) fn break_it(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Whether it has to be opened again.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Makes everything written survive a power cut.
    pub(super) fn sync(&self) -> fjall::Result<()> {
        self.store()?;
        self.database.persist(PersistMode::SyncAll)
    }
}

impl Drop for Table {
    /// What is gathered is not lost with a process that ends in order.
    fn drop(&mut self) {
        if !self.is_broken() {
            // It says so itself, and what is lost is folded again.
            let _lost = self.store();
        }
    }
}

/// The settings of a new table; one that is there keeps those it was made with.
fn settings() -> KeyspaceCreateOptions {
    let merging =
        Leveled::default().with_l0_threshold(FRESH_FILES).with_table_target_size(FILE_BYTES);
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_LIMIT)
        .compaction_strategy(Arc::new(merging))
}

fn read_identity(stored: &[u8]) -> Option<LogIdentity> {
    let mut rest = stored.strip_prefix(FORMAT)?;
    let mut id = [0; 16];
    rest.try_copy_to_slice(&mut id).ok()?;
    let generation = Generation(rest.try_get_u32().ok()?);
    Some(LogIdentity { id, generation, partitions: rest.try_get_u16().ok()? })
}

impl From<fjall::Error> for TableError {
    /// Trouble of the disk may go away; what was read and makes no sense does not.
    fn from(error: fjall::Error) -> Self {
        let reason = error.to_string();
        match error {
            fjall::Error::Storage(LsmError::Io(source)) | fjall::Error::Io(source)
                if !makes_no_sense(&source) =>
            {
                Self::Unavailable(reason)
            }
            fjall::Error::Locked | fjall::Error::Poisoned => Self::Unavailable(reason),
            _ => Self::Damaged(reason),
        }
    }
}

impl From<TableError> for ProjectionError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Damaged(reason) => Self::Damaged { reason },
            TableError::Unavailable(reason) => Self::Unavailable { reason },
        }
    }
}

/// Turns an error of the table into the port's.
pub(super) fn failed(error: fjall::Error) -> ProjectionError {
    TableError::from(error).into()
}

fn makes_no_sense(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    matches!(error.kind(), InvalidData | NotFound | UnexpectedEof)
}
