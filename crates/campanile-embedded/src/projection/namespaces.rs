//! The namespaces of the projection: one serves, another may be built beside it.
//!
//! Each is a table of its own in a directory of its own. To switch is to hand the candidate's table
//! to whoever holds the serving projection, after the file that names it is on the disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use campanile_core::port::{
    Begin, Digest, Held, Namespace, Namespaces, Projection, ProjectionError, Stream,
};
use campanile_core::{LogIdentity, Partition};
use tokio::sync::OwnedRwLockWriteGuard;

use super::database::{Table, failed};
use super::fold::Fold;
use super::names::{self, Names};
use super::{EmbeddedProjection, Open, TableOptions, keys, sums};
use crate::directory::DirectoryLock;
use crate::error::OpenError;
use crate::floors::Floors;

/// Bytes that a candidate gathers before it stores some.
const GATHERED: u64 = 48 << 20;

/// What a candidate is opened with.
#[derive(Clone)]
pub(crate) struct Home {
    /// The store's directory.
    pub(crate) dir: PathBuf,
    pub(crate) log: LogIdentity,
    pub(crate) floors: Arc<Floors>,
    pub(crate) cache_bytes: u64,
    pub(crate) lock: Arc<DirectoryLock>,
}

impl Home {
    /// Opens the namespace in `dir`, to build it at once if it `gathers`. Also answers why the one that was there had to be put aside,
    /// if it had to.
    ///
    /// # Errors
    /// [`OpenError::Projection`].
    pub(crate) fn open(
        &self,
        dir: &Path,
        gathers: Option<u64>,
    ) -> Result<(EmbeddedProjection, Option<String>), OpenError> {
        let Self { log, floors, cache_bytes, lock, .. } = self.clone();
        let options = TableOptions { cache_bytes, floors, gathers };
        EmbeddedProjection::open(dir, log, options, Some(lock))
    }
}

/// The namespaces of a [`Store`](crate::Store)'s projection.
#[derive(Clone)]
pub(crate) struct EmbeddedNamespaces(Arc<Shelf>);

struct Shelf {
    home: Home,
    serving: EmbeddedProjection,
    candidate: Mutex<Option<Candidate>>,
    known_sums: Mutex<sums::Known>,
}

#[derive(Clone)]
struct Candidate {
    number: u32,
    projection: EmbeddedProjection,
}

impl EmbeddedNamespaces {
    pub(crate) fn new(home: Home, serving: EmbeddedProjection) -> Self {
        let (candidate, known_sums) = Default::default();
        Self(Arc::new(Shelf { home, serving, candidate, known_sums }))
    }
}

impl Shelf {
    fn known(&self) -> MutexGuard<'_, Option<Candidate>> {
        self.candidate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, begin: Begin) -> Result<Option<Candidate>, ProjectionError> {
        let dir = &self.home.dir;
        let names = Names::read(dir).map_err(unopened)?;
        let number = match begin {
            Begin::Former => names.former,
            Begin::Anew => {
                let unfinished = names.unfinished(dir).map_err(io)?.into_iter().next_back();
                Some(unfinished.map_or_else(|| names.unused(dir).map_err(io), Ok)?)
            }
        };
        let Some(number) = number else { return Ok(None) };
        if let Some(known) = self.known().as_ref().filter(|known| known.number == number) {
            return Ok(Some(known.clone()));
        }
        // Another one that was begun is not open any more.
        *self.known() = None;
        let opened = self.home.open(&names::directory(dir, number), Some(GATHERED));
        let (projection, _) = opened.map_err(unopened)?;
        if projection.shared.is_foreign {
            return Err(ProjectionError::OtherLog);
        }
        let candidate = Candidate { number, projection };
        *self.known() = Some(candidate.clone());
        Ok(Some(candidate))
    }

    fn of(&self, namespace: Namespace) -> Result<EmbeddedProjection, ProjectionError> {
        match namespace {
            Namespace::Serving => Ok(self.serving.clone()),
            Namespace::Candidate => {
                self.known().as_ref().map(|it| it.projection.clone()).ok_or_else(no_candidate)
            }
        }
    }
}

#[async_trait]
impl Namespaces for EmbeddedNamespaces {
    async fn candidate(
        &self,
        begin: Begin,
    ) -> Result<Option<Arc<dyn Projection>>, ProjectionError> {
        let this = self.0.clone();
        let opened = self.0.serving.call(move |_| this.open(begin)).await?;
        Ok(opened.map(|it| Arc::new(it.projection) as Arc<dyn Projection>))
    }

    async fn digest(&self, of: Namespace, partition: Partition) -> Result<Digest, ProjectionError> {
        let this = self.0.clone();
        let sums = move |table: &Table, _| sums::digest(table, partition, &this.known_sums);
        self.0.of(of)?.call(move |shared| shared.with_table(sums)).await
    }

    async fn hold(&self) -> Result<Box<dyn Held>, ProjectionError> {
        let writers = self.0.serving.shared.writers.clone().write_owned().await;
        Ok(Box::new(HeldTable { namespaces: self.0.clone(), writers }))
    }

    async fn discard(&self) -> Result<(), ProjectionError> {
        let this = self.0.clone();
        self.0
            .serving
            .call(move |_| {
                *this.known() = None;
                let dir = &this.home.dir;
                let names = Names::read(dir).map_err(unopened)?;
                for number in names.unfinished(dir).map_err(io)? {
                    std::fs::remove_dir_all(names::directory(dir, number)).map_err(io)?;
                }
                Ok(())
            })
            .await
    }
}

/// The serving table, while nobody may write it.
struct HeldTable {
    namespaces: Arc<Shelf>,
    writers: OwnedRwLockWriteGuard<()>,
}

#[async_trait]
impl Held for HeldTable {
    async fn switch(self: Box<Self>) -> Result<(), ProjectionError> {
        let Self { namespaces, writers } = *self;
        let serving = namespaces.serving.clone();
        serving
            .call(move |_| {
                let switched = namespaces.switch();
                drop(writers);
                switched
            })
            .await
    }
}

impl Shelf {
    fn switch(&self) -> Result<(), ProjectionError> {
        let candidate = self.known().clone().ok_or_else(no_candidate)?;
        let shared = &candidate.projection.shared;
        // It serves nobody under its former name from now on, whoever still holds it.
        let mut given = shared.table.write().unwrap_or_else(PoisonError::into_inner);
        let mut table = given.table.take().ok_or_else(no_candidate)?;
        let ready = table.serve().map_err(failed);
        let ready =
            ready.and_then(|()| self.serving.shared.with_table(|old, _| self.fence(old, &table)));
        let names = Names::read(&self.home.dir).map_err(unopened);
        let next = ready.and(names).and_then(|names| {
            let next = Names { serving: candidate.number, former: Some(names.serving) };
            next.write(&self.home.dir).map_err(io).map(|()| names)
        });
        let before = match next {
            Ok(before) => before,
            Err(error) => {
                given.table = Some(table);
                return Err(error);
            }
        };
        given.is_given = true;
        shared.forget();
        let former = {
            let mut open = self.serving.shared.open();
            self.serving.shared.forget();
            let next = Open {
                table: Some(table),
                times: open.times + 1,
                dir: given.dir.clone(),
                is_given: false,
            };
            std::mem::replace(&mut *open, next)
        };
        self.serving.shared.partitions.iter().for_each(|part| part.feeds.skip());
        *self.known() = None;
        drop(former);
        let superseded = before.former.filter(|it| *it != candidate.number);
        if let Some(dir) = superseded.map(|it| names::directory(&self.home.dir, it))
            && let Err(error) = std::fs::remove_dir_all(&dir)
        {
            tracing::warn!(dir = %dir.display(), %error, "cannot remove an old namespace");
        }
        tracing::info!(namespace = candidate.number, "another namespace serves");
        Ok(())
    }

    /// Sees that the table is nowhere behind the one that serves, and gives every fold an epoch that
    /// nobody has who writes either of them.
    fn fence(&self, old: &Table, new: &Table) -> Result<(), ProjectionError> {
        let mut changes = Vec::new();
        for partition in self.home.log.partitions() {
            let before = old.snapshot(partition).map_err(failed)?;
            let after = new.snapshot(partition).map_err(failed)?;
            for stream in Stream::ALL {
                let before = Fold::read(old, &before, partition, stream).map_err(failed)?;
                let after = Fold::read(new, &after, partition, stream).map_err(failed)?;
                let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
                if after.next < before.next || after.epoch == 0 {
                    let reason = format!("the candidate is behind in partition {partition}");
                    return Err(ProjectionError::Unavailable { reason });
                }
                let epoch = after.epoch.max(before.epoch).saturating_add(1);
                changes.push((keys::fold(partition, stream), Fold { epoch, ..after }.encode()));
            }
        }
        let changes = changes.into_iter().map(|(key, value)| (key, Some(value)));
        new.write(&[], changes).map_err(failed)?;
        new.sync().map_err(failed)
    }
}

fn no_candidate() -> ProjectionError {
    ProjectionError::Unavailable { reason: "there is no candidate".into() }
}

fn io(error: std::io::Error) -> ProjectionError {
    ProjectionError::Unavailable { reason: error.to_string() }
}

fn unopened(error: OpenError) -> ProjectionError {
    ProjectionError::Unavailable { reason: error.to_string() }
}
