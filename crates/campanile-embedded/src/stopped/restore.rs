//! Brings a backup back.

use std::path::Path;

use super::fresh::Fresh;
use super::manifest::{self, Entry};
use super::{StoppedStore, Verified};
use crate::disk::{Disk, RealDisk};
use crate::error::OpenError;

/// Brings the backup in `from` back as a store in `target`, which appears whole or not at all.
/// Every file is checked on the way, and every record afterwards. The projection is folded again
/// by the next start.
///
/// # Errors
/// [`OpenError::Used`] if `target` holds anything, [`OpenError::Damaged`] if the backup is.
pub fn restore(from: &Path, target: &Path) -> Result<Verified, OpenError> {
    let entries = manifest::read(from)?;
    let fresh = Fresh::begin(target)?;
    for Entry { checksum, length, name } in &entries {
        let (source, file) = (from.join(name), fresh.path().join(name));
        let damaged = |reason: &str| OpenError::Damaged {
            place: source.display().to_string(),
            reason: reason.into(),
        };
        match std::fs::metadata(&source) {
            Ok(found) if found.len() == *length => {}
            Ok(_) => return Err(damaged("has another length than the manifest says")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(damaged("is missing"));
            }
            Err(error) => return Err(OpenError::io("measure", &source)(error)),
        }
        if let Some(above) = file.parent() {
            std::fs::create_dir_all(above).map_err(OpenError::io("create", above))?;
        }
        if manifest::copy(&source, &file, *length)? != *checksum {
            return Err(damaged("its checksum is not the one in the manifest"));
        }
    }
    let log = fresh.path().join("log");
    RealDisk.sync_dir(&log).map_err(OpenError::io("sync", &log))?;
    let (_, verified) = StoppedStore::within(fresh.path(), None)?.whole()?;
    fresh.finish()?;
    Ok(verified)
}
