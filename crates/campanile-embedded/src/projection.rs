//! The projection: current state, in one table of an embedded key-value store.
//!
//! A step of a fold is one batch of the table: pieces, lists, agenda, history and checkpoint. It
//! survives the process, and a power cut takes the latest steps whole; they are folded again from
//! the log. So the table is not synced until it is closed. One that cannot be read is put aside,
//! and folded again from the start.

mod bulk;
mod database;
mod feed;
mod fold;
mod history;
mod history_filter;
mod joint;
mod keys;
mod known;
pub(crate) mod names;
pub(crate) mod namespaces;
mod read;
mod sealed;
mod step;
mod sums;
mod whole;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};

use async_trait::async_trait;
use campanile_core::port::{
    Applied, CarriedState, ChangeFeed, Claim, DueEntry, HistoryQuery, ItemQuery, Items, PieceKey,
    Projection, ProjectionError, RecordRef, Stream, Views, Write,
};
use campanile_core::{LogIdentity, Partition, Timestamp, UserRef};

pub(crate) use database::TableOptions;
use database::{Table, TableError, failed};
use feed::Feeds;
use fold::Folds;
use known::Known;

use crate::directory::DirectoryLock;
use crate::error::OpenError;
use crate::threads::Threads;

/// Threads that use the table; more would only wait for the same disk. One may have to wait for
/// each stream's fold.
const THREADS: usize = 6;

/// The projection of a [`Store`](crate::Store)'s log. Clones are the same projection.
#[derive(Clone)]
pub struct EmbeddedProjection {
    shared: Arc<Shared>,
}

struct Shared {
    log: LogIdentity,
    options: TableOptions,
    table: RwLock<Open>,
    /// Whether the table is a fold of another log; then it answers nothing.
    is_foreign: bool,
    partitions: Box<[Part]>,
    /// Shared by whoever applies a step; taken alone to make another namespace serve.
    writers: Arc<tokio::sync::RwLock<()>>,
    threads: Threads,
    _lock: Option<Arc<DirectoryLock>>,
}

/// The table, if it opened.
struct Open {
    table: Option<Table>,
    /// How often it was opened.
    times: u64,
    dir: PathBuf,
    /// Whether it serves under another name now.
    is_given: bool,
}

/// One partition.
#[derive(Default)]
struct Part {
    /// What the table said, and in which of its openings.
    folds: Mutex<Option<(u64, Folds)>>,
    known: Known,
    feeds: Feeds,
}

impl EmbeddedProjection {
    /// Opens the projection of `log` in `dir`. Also answers why the one that was there had to be
    /// put aside, if it had to.
    ///
    /// # Errors
    /// [`OpenError::Projection`].
    pub(crate) fn open(
        dir: &Path,
        log: LogIdentity,
        options: TableOptions,
        lock: Option<Arc<DirectoryLock>>,
    ) -> Result<(Self, Option<String>), OpenError> {
        let failed = |error| match error {
            TableError::Damaged(reason) | TableError::Unavailable(reason) => {
                OpenError::Projection { reason }
            }
        };
        let open = || {
            let table = Table::open(dir, &log, &options)?;
            table.identity().map(|identity| (table, identity))
        };
        let mut put_aside = None;
        let (table, identity) = match open() {
            Err(TableError::Damaged(reason)) => {
                set_aside(dir)?;
                tracing::error!(reason, "the projection is damaged; it is built again");
                put_aside = Some(reason);
                open().map_err(failed)?
            }
            opened => opened.map_err(failed)?,
        };
        let is_foreign = identity != log;
        if is_foreign {
            tracing::error!(dir = %dir.display(), "the projection belongs to another log");
        }
        let threads = Threads::start("projection", THREADS);
        let threads = threads.map_err(OpenError::io("start threads for", dir))?;
        let shared = Shared {
            log,
            options,
            table: RwLock::new(Open {
                table: Some(table),
                times: 0,
                dir: dir.to_owned(),
                is_given: false,
            }),
            is_foreign,
            partitions: log.partitions().map(|_| Part::default()).collect(),
            writers: Arc::default(),
            threads,
            _lock: lock,
        };
        Ok((Self { shared: Arc::new(shared) }, put_aside))
    }

    /// Makes everything applied survive a power cut. May block.
    ///
    /// # Errors
    /// [`ProjectionError::Unavailable`]: what was applied last may be lost.
    pub(crate) fn sync(&self) -> Result<(), ProjectionError> {
        let open = self.shared.table.read().unwrap_or_else(PoisonError::into_inner);
        let closed = || ProjectionError::Unavailable { reason: "it is not open".into() };
        open.table.as_ref().ok_or_else(closed)?.sync().map_err(failed)
    }

    /// All of a partition's state, at one instant.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub(crate) async fn whole(
        &self,
        partition: Partition,
    ) -> Result<CarriedState, ProjectionError> {
        let state = move |table: &Table, _| whole::state(table, partition);
        self.call(move |shared| shared.with_table(state)).await
    }

    /// Runs `work`, which may wait for the disk, and has nothing to do with the table.
    ///
    /// # Errors
    /// As `work` says.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ProjectionError> + Send + 'static,
    ) -> Result<T, ProjectionError> {
        self.call(move |_| work()).await
    }

    /// Runs `work` where it may wait for the disk.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, ProjectionError> + Send + 'static,
    ) -> Result<T, ProjectionError> {
        if self.shared.is_foreign {
            return Err(ProjectionError::OtherLog);
        }
        let cancelled = || ProjectionError::Unavailable { reason: "the call was cancelled".into() };
        let shared = self.shared.clone();
        let done = self.shared.threads.run(move || work(&shared)).await;
        done.ok_or_else(cancelled)?
    }
}

impl Shared {
    fn open(&self) -> RwLockWriteGuard<'_, Open> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn part(&self, partition: Partition) -> Result<&Part, ProjectionError> {
        let part = self.partitions.get(usize::from(partition.0));
        part.ok_or(ProjectionError::NotBuilt(partition))
    }

    /// Runs `work` on the table, and tells it which opening of the table it is. One that failed is
    /// opened again first.
    fn with_table<T>(
        &self,
        work: impl FnOnce(&Table, u64) -> Result<T, ProjectionError>,
    ) -> Result<T, ProjectionError> {
        loop {
            let open = self.table.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(table) = open.table.as_ref().filter(|table| !table.is_broken()) {
                return work(table, open.times);
            }
            drop(open);
            self.open_again()?;
        }
    }

    /// A table takes no writes after one that failed. Another opening finds out what is there.
    fn open_again(&self) -> Result<(), ProjectionError> {
        let mut open = self.open();
        if open.is_given {
            let reason = "this namespace serves under another name".into();
            return Err(ProjectionError::Unavailable { reason });
        }
        if open.table.as_ref().is_none_or(Table::is_broken) {
            open.table = None;
            open.table = Some(Table::open(&open.dir, &self.log, &self.options)?);
            open.times += 1;
            self.forget();
            tracing::info!("the projection is open again");
        }
        Ok(())
    }

    /// Forgets what is known without asking the table. Nobody reads it meanwhile.
    fn forget(&self) {
        self.partitions.iter().for_each(|part| part.known.forget());
    }

    /// Runs `work` on the table and the folds of a partition, which nobody else uses meanwhile.
    /// After an error they are read from the table again.
    fn with_folds<T>(
        &self,
        partition: Partition,
        work: impl FnOnce(&Table, &mut Folds) -> Result<T, ProjectionError>,
    ) -> Result<T, ProjectionError> {
        self.with_all_folds(&[partition], |table, folds| {
            let folds = folds.first_mut().ok_or(ProjectionError::NotBuilt(partition))?;
            work(table, folds)
        })
    }

    /// The same for several partitions, which are in order, so that nobody waits in a circle.
    fn with_all_folds<T>(
        &self,
        partitions: &[Partition],
        work: impl FnOnce(&Table, &mut [Folds]) -> Result<T, ProjectionError>,
    ) -> Result<T, ProjectionError> {
        let parts = partitions.iter().map(|partition| self.part(*partition));
        let parts: Vec<&Part> = parts.collect::<Result<_, _>>()?;
        let locks = parts.iter().map(|part| part.folds.lock());
        let mut known: Vec<_> =
            locks.map(|lock| lock.unwrap_or_else(PoisonError::into_inner)).collect();
        self.with_table(|table, times| {
            let folds = partitions.iter().zip(&mut known).map(|(partition, known)| {
                match known.take().filter(|(read, _)| *read == times) {
                    Some((_, folds)) => Ok(folds),
                    None => Folds::read(table, *partition).map_err(failed),
                }
            });
            let mut folds: Vec<_> = folds.collect::<Result<_, _>>()?;
            let done = work(table, &mut folds)?;
            known.iter_mut().zip(folds).for_each(|(known, folds)| **known = Some((times, folds)));
            Ok(done)
        })
    }

    fn claim(&self, partition: Partition, stream: Stream) -> Result<Claim, ProjectionError> {
        self.with_folds(partition, |table, folds| {
            let fold = folds.of(stream);
            let claimed = fold.unwrap_or_default().claimed();
            *fold = Some(claimed);
            step::claim(table, partition, stream, claimed)?;
            Ok(claimed.claim())
        })
    }
}

/// Puts a table that cannot be read beside the place of the next, for whoever wants to look at it.
/// An earlier one goes.
fn set_aside(dir: &Path) -> Result<(), OpenError> {
    let aside = dir.with_extension("damaged");
    if aside.exists() {
        std::fs::remove_dir_all(&aside).map_err(OpenError::io("remove", &aside))?;
    }
    std::fs::rename(dir, &aside).map_err(OpenError::io("put aside", dir))
}

#[async_trait]
impl Projection for EmbeddedProjection {
    async fn claim(&self, partition: Partition, stream: Stream) -> Result<Claim, ProjectionError> {
        self.call(move |shared| shared.claim(partition, stream)).await
    }

    async fn apply_all(&self, writes: Vec<Write>) -> Vec<Result<Applied, ProjectionError>> {
        let count = writes.len();
        let _others_may_write = self.shared.writers.read().await;
        let applied = self.call(move |shared| Ok(shared.apply_all(&writes))).await;
        applied.unwrap_or_else(|error| vec![Err(error); count])
    }

    async fn view(
        &self,
        partition: Partition,
        keys: &[PieceKey],
    ) -> Result<Views, ProjectionError> {
        let known = self.shared.part(partition)?.known.view(keys);
        if let Some(known) = known {
            return Ok(known);
        }
        let keys = keys.to_vec();
        self.call(move |shared| {
            let known = &shared.part(partition)?.known;
            let view = |table: &Table, keys: &[PieceKey]| read::view(table, partition, keys);
            shared.with_table(|table, _| known.read(&keys, |keys| view(table, keys)))
        })
        .await
    }

    async fn items(
        &self,
        partition: Partition,
        user: UserRef,
        query: ItemQuery,
    ) -> Result<Items, ProjectionError> {
        let read = move |table: &Table, _| read::items(table, partition, user, query);
        self.call(move |shared| shared.with_table(read)).await
    }

    async fn history(
        &self,
        partition: Partition,
        user: UserRef,
        query: HistoryQuery,
    ) -> Result<Vec<RecordRef>, ProjectionError> {
        self.call(move |shared| {
            let floors = &shared.options.floors;
            shared.with_table(|table, _| history::read(table, floors, partition, user, query))
        })
        .await
    }

    async fn due(
        &self,
        partition: Partition,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueEntry>, ProjectionError> {
        self.call(move |shared| {
            let due =
                |table: &Table, folds: &mut Folds| read::due(table, folds, partition, until, limit);
            shared.with_folds(partition, due)
        })
        .await
    }

    async fn feed(&self, partition: Partition) -> Result<Box<dyn ChangeFeed>, ProjectionError> {
        self.call(move |shared| {
            let built = |table: &Table, _| read::checkpoint(table, partition);
            shared.with_table(built)?;
            Ok(shared.part(partition)?.feeds.subscribe())
        })
        .await
    }
}
