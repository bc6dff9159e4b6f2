//! Which directory is which namespace.
//!
//! ```text
//! projection            namespace 0; the first
//! projection.3          namespace 3
//! namespaces            magic "CAMPNSP1" · the serving one u32 · the former one u32, or the
//!                       largest · crc32c u32 of all before. Absent: 0 serves, there was no other
//! ```
//!
//! A directory that is neither the serving nor the former one is a candidate that was not finished.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};

use crate::disk::{Disk, RealDisk};
use crate::error::OpenError;

const MAGIC: &[u8; 8] = b"CAMPNSP1";
const FIRST: &str = "projection";
const NONE: u32 = u32::MAX;

/// Which namespaces there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) serving: u32,
    pub(crate) former: Option<u32>,
}

impl Names {
    /// Reads which namespace of the store in `dir` serves.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] if that cannot be read.
    pub(crate) fn read(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join("namespaces");
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read.map_err(OpenError::io("read", &path))?,
        };
        Self::decode(&bytes).ok_or_else(|| OpenError::Damaged {
            place: path.display().to_string(),
            reason: "does not say which namespace serves; without it the state is built anew"
                .into(),
        })
    }

    /// Stores which one serves, for good.
    ///
    /// # Errors
    /// What the disk said.
    pub(crate) fn write(self, dir: &Path) -> io::Result<()> {
        let (new, path) = (dir.join("namespaces.new"), dir.join("namespaces"));
        let file = RealDisk.create(&new)?;
        file.write_at(&self.encode(), 0)?;
        file.sync()?;
        RealDisk.rename(&new, &path)?;
        RealDisk.sync_dir(dir)
    }

    fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::from(*MAGIC);
        bytes.put_u32_le(self.serving);
        bytes.put_u32_le(self.former.unwrap_or(NONE));
        let checksum = crc32c::crc32c(&bytes);
        bytes.put_u32_le(checksum);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, mut checksum) = bytes.split_at_checked(16)?;
        if checksum.try_get_u32_le().ok()? != crc32c::crc32c(content) || !checksum.is_empty() {
            return None;
        }
        let mut rest = content.strip_prefix(MAGIC)?;
        let serving = rest.try_get_u32_le().ok()?;
        let former = Some(rest.try_get_u32_le().ok()?).filter(|former| *former != NONE);
        Some(Self { serving, former })
    }

    /// The namespaces in `dir` that are neither; the oldest first.
    ///
    /// # Errors
    /// What the disk said.
    pub(crate) fn unfinished(self, dir: &Path) -> io::Result<Vec<u32>> {
        let mut found = all(dir)?;
        found.retain(|it| *it != self.serving && Some(*it) != self.former);
        found.sort_unstable();
        Ok(found)
    }

    /// A number that no namespace in `dir` has.
    ///
    /// # Errors
    /// What the disk said.
    pub(crate) fn unused(self, dir: &Path) -> io::Result<u32> {
        let taken = all(dir)?.into_iter().chain([self.serving]).chain(self.former);
        Ok(taken.max().unwrap_or_default().saturating_add(1))
    }
}

/// The directory of a namespace.
pub(crate) fn directory(dir: &Path, namespace: u32) -> PathBuf {
    match namespace {
        0 => dir.join(FIRST),
        other => dir.join(format!("{FIRST}.{other}")),
    }
}

fn all(dir: &Path) -> io::Result<Vec<u32>> {
    let number = |name: &str| match name.strip_prefix(FIRST)? {
        "" => Some(0),
        rest => rest.strip_prefix('.')?.parse().ok(),
    };
    Ok(RealDisk.list(dir)?.iter().filter_map(|name| number(name)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    #[test]
    fn the_bytes_are_what_they_were() {
        let names = Names { serving: 3, former: Some(0) };
        let golden = *b"CAMPNSP1\x03\0\0\0\0\0\0\0\x87\x18\x04\xce";
        assert_eq!(names.encode(), golden);
        for names in [names, Names { serving: 1, former: None }] {
            assert_eq!(Names::decode(&names.encode()), Some(names));
        }
        let mut flipped = names.encode();
        flipped[9] ^= 1;
        assert_eq!(Names::decode(&flipped), None);
        assert_eq!(Names::decode(&golden[..15]), None);
    }
}
