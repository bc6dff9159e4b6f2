//! The directory of a store: who may use it, and which log it holds.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};
use campanile_core::{Generation, LogIdentity};

use crate::disk::{Disk, RealDisk};
use crate::error::OpenError;

const MAGIC: &[u8; 8] = b"CAMPLOG1";
/// Magic, id, generation, partitions, checksum.
const IDENTITY: usize = 8 + 16 + 4 + 2 + 4;

/// The right to use a directory, as long as it lives. The operating system takes it back from a
/// process that dies.
pub(crate) struct DirectoryLock(#[expect(dead_code, reason = "held, not read")] File);

/// Takes a directory for this process, and makes it if there is none.
///
/// # Errors
/// [`OpenError::InUse`] if another process, or another store of this one, has it.
pub(crate) fn lock(dir: &Path) -> Result<DirectoryLock, OpenError> {
    make(dir)?;
    let path = dir.join("lock");
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(OpenError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(DirectoryLock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(OpenError::io("lock", path)(error)),
    }
}

/// Makes a directory, and the ones above it, so that they survive a power cut: a synced file in a
/// directory that nobody finds is no good.
fn make(dir: &Path) -> Result<(), OpenError> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|it| !it.exists()).collect();
    std::fs::create_dir_all(dir).map_err(OpenError::io("create", dir))?;
    for made in missing {
        let above = match made.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        RealDisk.sync_dir(above).map_err(OpenError::io("sync", above))?;
    }
    Ok(())
}

/// Reads which log a directory holds. `None` if it holds none yet.
///
/// # Errors
/// [`OpenError::Damaged`] if the file cannot be understood.
pub(crate) fn read_identity(disk: &dyn Disk, dir: &Path) -> Result<Option<LogIdentity>, OpenError> {
    let path = identity_file(dir);
    let file = match disk.open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::io("open", path)(error)),
    };
    let mut bytes = [0; IDENTITY];
    let identity = match file.read_at(&mut bytes, 0) {
        Ok(()) => decode(&bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
        Err(error) => return Err(OpenError::io("read", path)(error)),
    };
    let damaged = || OpenError::Damaged {
        place: path.display().to_string(),
        reason: "not the identity of a log".into(),
    };
    identity.map(Some).ok_or_else(damaged)
}

/// Stores which log a directory holds, for good.
///
/// # Errors
/// [`OpenError::Io`].
pub(crate) fn write_identity(
    disk: &dyn Disk,
    dir: &Path,
    identity: &LogIdentity,
) -> Result<(), OpenError> {
    let (new, path) = (dir.join("identity.new"), identity_file(dir));
    let write = || {
        let file = disk.create(&new)?;
        file.write_at(&encode(identity), 0)?;
        file.sync()?;
        disk.rename(&new, &path)?;
        disk.sync_dir(dir)
    };
    write().map_err(OpenError::io("write", &path))
}

fn identity_file(dir: &Path) -> PathBuf {
    dir.join("identity")
}

fn encode(identity: &LogIdentity) -> Vec<u8> {
    let mut bytes = Vec::from(*MAGIC);
    bytes.put_slice(&identity.id);
    bytes.put_u32_le(identity.generation.0);
    bytes.put_u16_le(identity.partitions);
    let checksum = crc32c::crc32c(&bytes);
    bytes.put_u32_le(checksum);
    bytes
}

fn decode(bytes: &[u8; IDENTITY]) -> Option<LogIdentity> {
    let (content, mut checksum) = bytes.split_at_checked(IDENTITY - 4)?;
    if checksum.try_get_u32_le().ok()? != crc32c::crc32c(content) {
        return None;
    }
    let mut rest = content.strip_prefix(MAGIC)?;
    let mut id = [0; 16];
    rest.try_copy_to_slice(&mut id).ok()?;
    let generation = Generation(rest.try_get_u32_le().ok()?);
    Some(LogIdentity { id, generation, partitions: rest.try_get_u16_le().ok()? })
}
