//! What is carried of each partition, in a file of its own.
//!
//! ```text
//! carried/00017     magic "CAMPCRD1" · log id 16 · partition u16 · as of u64 · time, ms u64
//!                   entries · one of kind 0 with the number of the others, u64 · crc32c u32 of all
//!   entry: kind u8 · length u32 · that many bytes
//!     1 reach:    user 16 · encoded piece
//!     2 item:     keep until, ms u64 · user 16 · encoded piece
//!     3 request:  keep until, ms u64 · user 16 · request key 16 · encoded piece
//!     4 due:      user 16 · app length u8 · app · encoded agenda entry
//! ```
//!
//! Numbers are little-endian. A file is written beside the one before and put in its place once it
//! is synced, so there is always a whole one. The offsets in it are those of the log's generation;
//! a copy with the same partitions keeps them.

mod format;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use campanile_core::port::{Carried, CarriedState, ProjectionError};
use campanile_core::{LogIdentity, Offset, Partition};

use crate::disk::{Disk, RealDisk};
use crate::projection::EmbeddedProjection;

/// The directory in a store's.
pub(crate) const DIRECTORY: &str = "carried";

/// The file of a partition.
pub(crate) fn file(partition: Partition) -> String {
    format!("{DIRECTORY}/{:05}", partition.0)
}

/// What is carried of a [`Store`](crate::Store)'s log.
#[derive(Clone)]
pub(crate) struct EmbeddedCarried {
    dir: PathBuf,
    log: LogIdentity,
    serving: EmbeddedProjection,
    /// Held while a file is written.
    writing: Arc<Mutex<()>>,
}

impl EmbeddedCarried {
    pub(crate) fn new(dir: &Path, log: LogIdentity, serving: EmbeddedProjection) -> Self {
        Self { dir: dir.to_owned(), log, serving, writing: Arc::default() }
    }

    fn path(&self, partition: Partition) -> PathBuf {
        self.dir.join(file(partition))
    }

    fn stored_as_of(&self, partition: Partition) -> Result<Option<Offset>, ProjectionError> {
        format::read_as_of(&self.path(partition), &self.log, partition)
    }

    fn store(&self, partition: Partition, state: &CarriedState) -> Result<Offset, ProjectionError> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(as_of) = self.stored_as_of(partition)?.filter(|as_of| *as_of > state.as_of) {
            return Ok(as_of);
        }
        let path = self.path(partition);
        let new = path.with_extension("new");
        let bytes = format::encode(&self.log, partition, state);
        let put = || {
            let above = self.dir.join(DIRECTORY);
            RealDisk.make_dir(&above)?;
            let file = RealDisk.create(&new)?;
            file.write_at(&bytes, 0)?;
            file.sync()?;
            RealDisk.rename(&new, &path)?;
            RealDisk.sync_dir(&above)?;
            RealDisk.sync_dir(&self.dir)
        };
        put().map_err(|error| ProjectionError::Unavailable {
            reason: format!("cannot write {}: {error}", path.display()),
        })?;
        tracing::info!(%partition, as_of = %state.as_of, bytes = bytes.len(), "carried");
        Ok(state.as_of)
    }
}

#[async_trait]
impl Carried for EmbeddedCarried {
    async fn carry(&self, partition: Partition) -> Result<Offset, ProjectionError> {
        let this = self.clone();
        let state = self.serving.whole(partition).await?;
        self.serving
            .blocking(move || {
                // What is dropped from the log is not folded again: a power cut must not take it
                // from the projection either.
                this.serving.sync()?;
                this.store(partition, &state)
            })
            .await
    }

    async fn as_of(&self, partition: Partition) -> Result<Option<Offset>, ProjectionError> {
        let this = self.clone();
        self.serving.blocking(move || this.stored_as_of(partition)).await
    }

    async fn state(&self, partition: Partition) -> Result<Option<CarriedState>, ProjectionError> {
        let this = self.clone();
        let read = move || format::read(&this.path(partition), &this.log, partition);
        self.serving.blocking(read).await
    }
}

/// Whether what is stored for a partition in `dir` is whole.
///
/// # Errors
/// [`ProjectionError::Damaged`] if it is not.
pub(crate) fn check(
    dir: &Path,
    log: &LogIdentity,
    partition: Partition,
) -> Result<Option<Offset>, ProjectionError> {
    let path = dir.join(file(partition));
    Ok(format::read(&path, log, partition)?.map(|state| state.as_of))
}
