//! The progress of groups, in one file.
//!
//! ```text
//! groups:  magic "CAMPGRP2" · log id 16, then entries:
//!   length u32 · crc32c u32 · stream u8 · name length u8 · name · partitions u16
//!   partitions × (partition u16 · next u64 · ranges u16 · ranges × (start u64 · end u64) · holds)
//! ```
//!
//! What `holds` are is said in [`super::holds`]. A file with the magic `CAMPGRP1` has none.
//!
//! Entries are appended and the later one counts. They are not synced: the process may die at any
//! time, and a power cut loses the entries from some point on, which is progress that is made
//! again. The file is written anew when it is opened and when it has grown long; that is synced.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, BufMut};
use campanile_core::port::{GroupName, Progress, Stream};
use campanile_core::{LogIdentity, Offset, Partition};

use super::holds;
use crate::disk::{Disk, DiskFile, is_full};
use crate::error::OpenError;

/// A group's stream and name.
pub(crate) type GroupKey = (Stream, GroupName);

/// The progress of every group, a partition each, in order.
pub(crate) type Stored = BTreeMap<GroupKey, Vec<Progress>>;

const MAGIC: &[u8; 8] = b"CAMPGRP2";
/// The magic of files from before there were holds.
const WITHOUT_HOLDS: &[u8; 8] = b"CAMPGRP1";
const HEADER: usize = 24;
/// How long the file may grow before it is written anew.
const LONG: u64 = 4 << 20;

pub(super) struct Journal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    id: [u8; 16],
    file: Arc<dyn DiskFile>,
    end: u64,
    groups: Stored,
}

impl Journal {
    /// Opens the file in `dir`, or creates it. Also answers how many bytes at its end were useless.
    pub(super) fn open(
        dir: &Path,
        disk: Arc<dyn Disk>,
        identity: &LogIdentity,
    ) -> Result<(Self, u64), OpenError> {
        let path = dir.join("groups");
        let old = match disk.open(&path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(OpenError::io("open", path)(error)),
        };
        let Read { groups, end, lost } = match &old {
            Some(old) => read(old.as_ref(), &path, identity)?,
            None => Read::default(),
        };
        if lost > 0 {
            tracing::warn!(file = %path.display(), bytes = lost, "the latest progress was lost");
        }
        let written = write(disk.as_ref(), dir, identity.id, &groups);
        let (file, end) = match (written, old) {
            (Ok(new), _) => new,
            // A full disk is no reason not to start: the old file will do.
            (Err(error), Some(old)) if is_full(&error) => (old, end),
            (Err(error), _) => return Err(OpenError::io("write", path)(error)),
        };
        let (dir, id) = (dir.to_owned(), identity.id);
        Ok((Self { disk, dir, id, file, end, groups }, lost))
    }

    /// The progress of a group, a partition each, in order.
    pub(super) fn progress(&self, key: &GroupKey) -> Option<&[Progress]> {
        self.groups.get(key).map(Vec::as_slice)
    }

    /// Stores progress of some partitions of a group; all of them, if it is new.
    pub(super) fn store(&mut self, key: &GroupKey, progress: Vec<Progress>) -> io::Result<()> {
        let entry = encode(key, &progress);
        self.file.write_at(&entry, self.end)?;
        self.end += entry.len() as u64;
        merge(&mut self.groups, key.clone(), progress);
        Ok(())
    }

    /// Whether the file has grown so long that it should be written anew.
    pub(super) fn is_long(&self) -> bool {
        self.end >= LONG
    }

    /// Writes the file anew, unless somebody else just did.
    pub(super) fn rewrite(&mut self) -> io::Result<()> {
        if self.is_long() {
            let (file, end) = write(self.disk.as_ref(), &self.dir, self.id, &self.groups)?;
            (self.file, self.end) = (file, end);
        }
        Ok(())
    }

    /// Makes everything stored survive a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

/// Reads what is stored in `dir` and changes nothing. Also answers how many bytes at the file's end
/// are useless.
///
/// # Errors
/// [`OpenError`].
pub(crate) fn stored(
    dir: &Path,
    disk: &dyn Disk,
    identity: &LogIdentity,
) -> Result<(Stored, u64), OpenError> {
    let path = dir.join("groups");
    let file = match disk.open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Stored::new(), 0)),
        Err(error) => return Err(OpenError::io("open", path)(error)),
    };
    let Read { groups, lost, .. } = read(file.as_ref(), &path, identity)?;
    Ok((groups, lost))
}

/// Stores `groups` in `dir`, for good.
///
/// # Errors
/// [`OpenError::Io`].
pub(crate) fn put(
    dir: &Path,
    disk: &dyn Disk,
    identity: &LogIdentity,
    groups: &Stored,
) -> Result<(), OpenError> {
    let written = write(disk, dir, identity.id, groups);
    written.map(drop).map_err(OpenError::io("write", dir.join("groups")))
}

fn merge(groups: &mut Stored, key: GroupKey, progress: Vec<Progress>) {
    let group = groups.entry(key).or_default();
    for progress in progress {
        match group.iter_mut().find(|known| known.partition == progress.partition) {
            Some(known) => *known = progress,
            None => group.push(progress),
        }
    }
}

/// Writes a whole file beside the old one and puts it in its place.
fn write(
    disk: &dyn Disk,
    dir: &Path,
    id: [u8; 16],
    groups: &Stored,
) -> io::Result<(Arc<dyn DiskFile>, u64)> {
    let mut bytes = Vec::from(*MAGIC);
    bytes.put_slice(&id);
    for (key, progress) in groups {
        bytes.put_slice(&encode(key, progress));
    }
    let (new, path) = (dir.join("groups.new"), dir.join("groups"));
    let put = || {
        let file = disk.create(&new)?;
        file.write_at(&bytes, 0)?;
        file.sync()?;
        disk.rename(&new, &path)?;
        disk.sync_dir(dir)?;
        Ok((file, bytes.len() as u64))
    };
    // What is left of a failed attempt would only take space.
    put().inspect_err(|_| drop(disk.remove(&new)))
}

fn encode((stream, name): &GroupKey, progress: &[Progress]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.put_u8(match stream {
        Stream::Events => 0,
        Stream::Receipts => 1,
    });
    // The lengths are checked where groups are created and progress is committed.
    bytes.put_u8(u8::try_from(name.0.len()).unwrap_or(u8::MAX));
    bytes.put_slice(name.0.as_bytes());
    bytes.put_u16_le(u16::try_from(progress.len()).unwrap_or(u16::MAX));
    for Progress { partition, next, finished, holds } in progress {
        bytes.put_u16_le(partition.0);
        bytes.put_u64_le(next.0);
        holds::put_ranges(&mut bytes, finished);
        holds::put(&mut bytes, holds);
    }
    let content = bytes.split_off(8);
    bytes.clear();
    bytes.put_u32_le(u32::try_from(content.len()).unwrap_or(u32::MAX));
    bytes.put_u32_le(crc32c::crc32c(&content));
    bytes.extend(content);
    bytes
}

/// What a file holds.
#[derive(Default)]
struct Read {
    groups: Stored,
    /// Where its last whole entry ends, and how many bytes follow.
    end: u64,
    lost: u64,
}

fn read(file: &dyn DiskFile, path: &Path, identity: &LogIdentity) -> Result<Read, OpenError> {
    let failed = || OpenError::io("read", path);
    let damaged = |reason: &str| {
        Err(OpenError::Damaged { place: path.display().to_string(), reason: reason.into() })
    };
    let length = usize::try_from(file.len().map_err(failed())?).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length];
    file.read_at(&mut bytes, 0).map_err(failed())?;
    let Some((header, mut rest)) = bytes.split_at_checked(HEADER) else {
        return damaged("the header is cut off");
    };
    let has_holds = match header.get(..8) {
        Some(magic) if magic == MAGIC => true,
        Some(magic) if magic == WITHOUT_HOLDS => false,
        _ => return damaged("not a file of groups"),
    };
    if header.get(8..) != Some(&identity.id) {
        return damaged("belongs to another log");
    }
    let mut groups = BTreeMap::new();
    while let Some((key, progress, after)) = decode(rest, has_holds) {
        merge(&mut groups, key, progress);
        rest = after;
    }
    for group in groups.values_mut() {
        group.sort_by_key(|progress| progress.partition);
        let partitions = group.iter().map(|progress| progress.partition);
        if !partitions.eq(identity.partitions()) {
            return damaged("a group has other partitions than the log");
        }
    }
    Ok(Read { groups, end: (length - rest.len()) as u64, lost: rest.len() as u64 })
}

/// Reads an entry, and answers what follows it. `None` at the end, or where it cannot be read.
fn decode(mut rest: &[u8], has_holds: bool) -> Option<(GroupKey, Vec<Progress>, &[u8])> {
    let length = rest.try_get_u32_le().ok()? as usize;
    let checksum = rest.try_get_u32_le().ok()?;
    let (mut content, after) = rest.split_at_checked(length)?;
    if crc32c::crc32c(content) != checksum {
        return None;
    }
    let stream = match content.try_get_u8().ok()? {
        0 => Stream::Events,
        1 => Stream::Receipts,
        _ => return None,
    };
    let name_length = usize::from(content.try_get_u8().ok()?);
    let (name, mut content) = content.split_at_checked(name_length)?;
    let name = GroupName(std::str::from_utf8(name).ok()?.to_owned());
    let partitions = content.try_get_u16_le().ok()?;
    let mut progress = || {
        let partition = Partition(content.try_get_u16_le().ok()?);
        let next = Offset(content.try_get_u64_le().ok()?);
        let finished = holds::get_ranges(&mut content)?;
        let holds = if has_holds { holds::get(&mut content)? } else { Vec::new() };
        Some(Progress { partition, next, finished, holds })
    };
    let progress = (0..partitions).map(|_| progress()).collect::<Option<_>>()?;
    Some(((stream, name), progress, after))
}
