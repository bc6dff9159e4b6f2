//! A directory that appears whole or not at all.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{refuse_used, sync_above};
use crate::directory::{self, DirectoryLock};
use crate::disk::{Disk, RealDisk};
use crate::error::OpenError;

/// A directory being filled under another name, `NAME.partial`. What is left of an attempt that
/// did not come to its end is removed by the next.
pub(super) struct Fresh {
    target: PathBuf,
    partial: PathBuf,
    _lock: DirectoryLock,
}

impl Fresh {
    /// Begins a directory that will be `target`.
    ///
    /// # Errors
    /// [`OpenError::Used`] if `target` holds anything, [`OpenError::InUse`] if somebody else is
    /// filling it.
    pub(super) fn begin(target: &Path) -> Result<Self, OpenError> {
        refuse_used(target)?;
        let mut name = target.file_name().map_or_else(OsString::new, OsString::from);
        if name.is_empty() {
            let (dir, action) = (target.to_owned(), "name a directory beside");
            return Err(OpenError::io(action, dir)(std::io::ErrorKind::InvalidInput.into()));
        }
        name.push(".partial");
        let partial = target.with_file_name(name);
        // Taken before anything is removed: somebody may be filling it right now.
        let lock = directory::lock(&partial)?;
        for entry in std::fs::read_dir(&partial).map_err(OpenError::io("read", &partial))? {
            let path = entry.map_err(OpenError::io("read", &partial))?.path();
            let removed = match (path.is_dir(), path.ends_with("lock")) {
                (_, true) => Ok(()),
                (true, _) => std::fs::remove_dir_all(&path),
                (false, _) => std::fs::remove_file(&path),
            };
            removed.map_err(OpenError::io("remove", &path))?;
        }
        private(&partial)?;
        Ok(Self { target: target.to_owned(), partial, _lock: lock })
    }

    /// Where it is filled.
    pub(super) fn path(&self) -> &Path {
        &self.partial
    }

    /// Gives it its name. Its files are synced already.
    ///
    /// # Errors
    /// [`OpenError::Io`], also if something is at `target` by now.
    pub(super) fn finish(self) -> Result<(), OpenError> {
        RealDisk.sync_dir(&self.partial).map_err(OpenError::io("sync", &self.partial))?;
        let renamed = std::fs::rename(&self.partial, &self.target);
        renamed.map_err(OpenError::io("rename to", &self.target))?;
        sync_above(&self.target)
    }
}

/// What is in a store is nobody's business but its owner's.
fn private(dir: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(dir, permissions).map_err(OpenError::io("protect", dir))
}
