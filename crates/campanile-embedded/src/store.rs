//! A store: one directory with a log and its projection.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{Carried, Clock, Entropy, Namespaces, Stream};
use campanile_core::{Generation, LogIdentity};
use tokio::sync::watch;

use crate::carried::EmbeddedCarried;
use crate::directory;
use crate::disk::{Disk, RealDisk};
use crate::embedded_log::EmbeddedLog;
use crate::error::OpenError;
use crate::group::Groups;
use crate::log::{Log, LogOptions, LogReport, StreamLog, TornTail};
use crate::projection::EmbeddedProjection;
use crate::projection::names::{self, Names};
use crate::projection::namespaces::{EmbeddedNamespaces, Home};

/// How a store is opened. [`Options::new`] has values for a server with a few hundred megabytes
/// to spare.
#[derive(Clone)]
pub struct Options {
    /// How many partitions the log has, 1 to 4096. Fixed when it is created.
    pub partitions: u16,
    /// Gives append times and measures drains.
    pub clock: Arc<dyn Clock>,
    /// Draws the id of a new log.
    pub entropy: Arc<dyn Entropy>,
    /// How large a segment grows before the next begins, in bytes: 64 KiB to 1 GiB, and at least
    /// 1 KiB per partition. Retention drops whole segments.
    pub segment_bytes: u64,
    /// How many bytes of bodies wait for the disk at most; at least 4 MiB.
    pub queue_bytes: usize,
    /// How many records wait for the disk at most; at least 1024.
    pub queue_records: usize,
    /// How long an append waits for room in the queue before it is refused.
    pub append_wait: Duration,
    /// How many bytes of the latest records stay in memory, for readers at the tail.
    pub tail_bytes: usize,
    /// How long a group's member may finish a partition that another is to have.
    pub drain: Duration,
    /// How many bytes of the projection are cached.
    pub projection_cache_bytes: u64,
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new(partitions: u16, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            partitions,
            clock,
            entropy,
            segment_bytes: 64 << 20,
            queue_bytes: 32 << 20,
            queue_records: 1 << 16,
            append_wait: Duration::from_secs(2),
            tail_bytes: 8 << 20,
            drain: Duration::from_secs(5),
            projection_cache_bytes: 16 << 20,
        }
    }

    fn check(&self) -> Result<(), OpenError> {
        let allowed = [
            ("partitions", (1..=4096).contains(&self.partitions), "must be 1 to 4096"),
            (
                "segment_bytes",
                (64 << 10..=1 << 30).contains(&self.segment_bytes),
                "must be 64 KiB to 1 GiB",
            ),
            (
                "segment_bytes",
                self.segment_bytes >= u64::from(self.partitions) << 10,
                "must be at least 1 KiB per partition",
            ),
            ("queue_bytes", self.queue_bytes >= 4 << 20, "must be at least 4 MiB"),
            ("queue_records", self.queue_records >= 1024, "must be at least 1024"),
        ];
        match allowed.into_iter().find(|(_, ok, _)| !ok) {
            Some((field, _, reason)) => Err(OpenError::Option { field, reason: reason.into() }),
            None => Ok(()),
        }
    }

    fn log(&self) -> LogOptions {
        LogOptions {
            segment_bytes: self.segment_bytes,
            queue_bytes: self.queue_bytes,
            queue_records: self.queue_records,
            append_wait: self.append_wait,
            tail_bytes: self.tail_bytes,
        }
    }
}

/// What was found when a store was opened. Everything here was logged as a warning too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// The log's end that was cut because it was never synced: no acknowledged record was in it.
    pub torn: Option<TornTail>,
    /// Indexes of segments that were missing or damaged and were made again.
    pub indexes_rebuilt: usize,
    /// Bytes of group progress that could not be read: the latest commits before a power cut.
    pub progress_lost: u64,
    /// Why the projection could not be read, if it could not. It was put aside, and a new one
    /// begun.
    pub projection_damaged: Option<String>,
}

/// An open store. Clones of its parts keep it open; [`Store::close`] ends it for all of them.
pub struct Store {
    log: Arc<Log>,
    groups: Arc<Groups>,
    projection: EmbeddedProjection,
    namespaces: EmbeddedNamespaces,
    carried: EmbeddedCarried,
    report: OpenReport,
}

impl Store {
    /// Opens the store in `dir`, or creates it. May block for as long as reading one segment
    /// takes; longer if indexes are missing.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(dir: impl Into<PathBuf>, options: &Options) -> Result<Self, OpenError> {
        Self::open_on(&dir.into(), Arc::new(RealDisk), options)
    }

    fn open_on(dir: &Path, disk: Arc<dyn Disk>, options: &Options) -> Result<Self, OpenError> {
        options.check()?;
        // Every part holds it, and the last one gives it back.
        let lock = Arc::new(directory::lock(dir)?);
        let identity = identity(dir, disk.as_ref(), options)?;
        let clock = options.clock.clone();
        let begun = clock.tick();
        let (log, found) = Log::open(
            log_dir(dir),
            disk.clone(),
            identity,
            clock.clone(),
            options.log(),
            Some(lock.clone()),
        )?;
        let log_open = clock.tick();
        let (groups, progress_lost) =
            Groups::open(dir, disk, identity, clock.clone(), options.drain)?;
        let (floors, cache_bytes) = (log.core.floors.clone(), options.projection_cache_bytes);
        let serving = names::directory(dir, Names::read(dir)?.serving);
        let home = Home { dir: dir.to_owned(), log: identity, floors, cache_bytes, lock };
        let (projection, projection_damaged) = home.open(&serving, None)?;
        let carried = EmbeddedCarried::new(dir, identity, projection.clone());
        let namespaces = EmbeddedNamespaces::new(home, projection.clone());
        let (log_took, projection_took) = (log_open.since(begun), clock.tick().since(log_open));
        tracing::info!(dir = %dir.display(), ?log_took, ?projection_took, "store opened");
        let LogReport { torn, indexes_rebuilt } = found;
        let report = OpenReport { torn, indexes_rebuilt, progress_lost, projection_damaged };
        let (log, groups) = (Arc::new(log), Arc::new(groups));
        Ok(Self { log, groups, projection, namespaces, carried, report })
    }

    /// What was found when the store was opened.
    #[must_use]
    pub fn report(&self) -> &OpenReport {
        &self.report
    }

    /// A stream of the log, for its readers and writers and for its administration.
    #[must_use]
    pub fn log(&self, stream: Stream) -> Arc<EmbeddedLog> {
        let stream = StreamLog { log: self.log.clone(), stream };
        Arc::new(EmbeddedLog { stream, groups: self.groups.clone() })
    }

    /// The projection of the log.
    #[must_use]
    pub fn projection(&self) -> Arc<EmbeddedProjection> {
        Arc::new(self.projection.clone())
    }

    /// The namespaces of the projection, for its administration.
    #[must_use]
    pub fn namespaces(&self) -> Arc<dyn Namespaces> {
        Arc::new(self.namespaces.clone())
    }

    /// What is carried of the log.
    #[must_use]
    pub fn carried(&self) -> Arc<dyn Carried> {
        Arc::new(self.carried.clone())
    }

    /// Why the log stopped, once it has: the disk failed, or the store was closed. After a failure
    /// every append is refused; only opening the store again can help.
    #[must_use]
    pub fn stopped(&self) -> watch::Receiver<Option<String>> {
        self.log.core.stopped()
    }

    /// Writes what waits and closes the log. Appends are refused from the start, reads go on. May
    /// block until the disk has written what is in the queue.
    pub fn close(&self) {
        self.log.close();
        if let Err(error) = self.groups.sync() {
            tracing::warn!(%error, "cannot sync the groups' progress");
        }
        if let Err(error) = self.projection.sync() {
            tracing::warn!(%error, "cannot sync the projection");
        }
    }
}

fn log_dir(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// Reads which log the directory holds; creates one if there is none.
///
/// The identity is written last, so that without it there was never a record.
fn identity(dir: &Path, disk: &dyn Disk, options: &Options) -> Result<LogIdentity, OpenError> {
    let asked = options.partitions;
    if let Some(identity) = directory::read_identity(disk, dir)? {
        if identity.partitions != asked {
            let (dir, stored) = (dir.to_owned(), identity.partitions);
            return Err(OpenError::Partitions { dir, stored, asked });
        }
        return Ok(identity);
    }
    let id = options.entropy.draw();
    let identity = LogIdentity { id, generation: Generation(0), partitions: asked };
    Log::create(&log_dir(dir), disk, &identity, options.clock.as_ref())?;
    directory::write_identity(disk, dir, &identity)?;
    Ok(identity)
}
