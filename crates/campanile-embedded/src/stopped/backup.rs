//! Backups: a directory with the log's files as they are, and their checksums.

use std::path::Path;

use super::fresh::Fresh;
use super::manifest::{self, Entry};
use super::{StoppedStore, Verified};
use crate::carried;
use crate::disk::{Disk, RealDisk};
use crate::error::OpenError;

/// What was backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// What was read before.
    pub verified: Verified,
    /// Files in the backup.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl StoppedStore {
    /// Backs the log and the groups' progress up, and `beside`: files of the directory that belong
    /// to it. The projection is not in it; it is folded again from the log.
    ///
    /// `target` appears whole or not at all.
    ///
    /// # Errors
    /// [`OpenError`]: [`OpenError::Damaged`] if the log is, [`OpenError::Used`] if `target` holds
    /// anything.
    pub fn backup(&self, target: &Path, beside: &[&str]) -> Result<BackedUp, OpenError> {
        let (found, verified) = self.whole()?;
        let fresh = Fresh::begin(target)?;
        let log = fresh.path().join("log");
        std::fs::create_dir(&log).map_err(OpenError::io("create", &log))?;
        let carried = self.carried();
        let kept = fresh.path().join(carried::DIRECTORY);
        if !carried.is_empty() {
            std::fs::create_dir(&kept).map_err(OpenError::io("create", &kept))?;
        }
        let mut entries = Vec::new();
        let mut put = |name: String, length: Option<u64>| {
            let from = self.dir.join(&name);
            let whole = || std::fs::metadata(&from).map(|it| it.len());
            let length = match length {
                Some(length) => length,
                None => whole().map_err(OpenError::io("measure", &from))?,
            };
            let checksum = manifest::copy(&from, &fresh.path().join(&name), length)?;
            entries.push(Entry { checksum, length, name });
            Ok(())
        };
        for segment in &found.reading.segments {
            // Without a tail that was never synced.
            put(in_log(&segment.path), Some(segment.end))?;
            let index = segment.path.with_extension("index");
            if index.exists() {
                put(in_log(&index), None)?;
            }
        }
        let exists = |name: &&str| self.dir.join(name).exists();
        for name in ["log/first", "groups"].iter().chain(beside).filter(|name| exists(name)) {
            put((*name).to_owned(), None)?;
        }
        for name in &carried {
            put(name.clone(), None)?;
        }
        put("identity".to_owned(), None)?;
        RealDisk.sync_dir(&log).map_err(OpenError::io("sync", &log))?;
        if !carried.is_empty() {
            RealDisk.sync_dir(&kept).map_err(OpenError::io("sync", &kept))?;
        }
        manifest::write(fresh.path(), &entries)?;
        fresh.finish()?;
        let bytes = entries.iter().map(|entry| entry.length).sum();
        Ok(BackedUp { verified, files: entries.len() as u64, bytes })
    }
}

/// The name of a file of the log within the store.
fn in_log(path: &Path) -> String {
    format!("log/{}", path.file_name().unwrap_or_default().to_string_lossy())
}
