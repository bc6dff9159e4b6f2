//! What a backup holds, with checksums.
//!
//! ```text
//! campanile backup 1
//! 7f3a90c2 67108912 log/00000000000000000000.segment     crc32c, bytes, name: a line per file
//! end 5be1c0d4                                           crc32c of all lines before
//! ```

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path};

use crate::error::OpenError;

/// The name of the file.
pub(super) const FILE: &str = "manifest";
const HEADER: &str = "campanile backup 1";
/// How much is copied at a time.
const CHUNK: usize = 1 << 20;
/// The longest manifest: more than any log has segments.
const LONGEST: u64 = 64 << 20;

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) checksum: u32,
    pub(super) length: u64,
    /// Its name within the backup, and within the store.
    pub(super) name: String,
}

/// Copies the first `length` bytes of `from` to a new file `to`, with its permissions, and syncs
/// it. Answers their checksum.
///
/// # Errors
/// [`OpenError::Io`], also if `from` is shorter.
pub(super) fn copy(from: &Path, to: &Path, length: u64) -> Result<u32, OpenError> {
    let mut source = File::open(from).map_err(OpenError::io("open", from))?;
    let permissions = source.metadata().map_err(OpenError::io("look at", from))?.permissions();
    let mut target = File::create_new(to).map_err(OpenError::io("create", to))?;
    target.set_permissions(permissions).map_err(OpenError::io("protect", to))?;
    let mut chunk = vec![0; CHUNK];
    let (mut left, mut checksum) = (length, 0);
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let Some(part) = chunk.get_mut(..want) else { break };
        source.read_exact(part).map_err(OpenError::io("read", from))?;
        target.write_all(part).map_err(OpenError::io("write", to))?;
        checksum = crc32c::crc32c_append(checksum, part);
        left -= want as u64;
    }
    target.sync_all().map_err(OpenError::io("sync", to))?;
    Ok(checksum)
}

/// Writes the manifest of `entries` into `dir`.
///
/// # Errors
/// [`OpenError::Io`].
pub(super) fn write(dir: &Path, entries: &[Entry]) -> Result<(), OpenError> {
    let mut text = format!("{HEADER}\n");
    for Entry { checksum, length, name } in entries {
        text += &format!("{checksum:08x} {length} {name}\n");
    }
    text += &format!("end {:08x}\n", crc32c::crc32c(text.as_bytes()));
    let path = dir.join(FILE);
    let put = || {
        let mut file = File::create_new(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    put().map_err(OpenError::io("write", &path))
}

/// Reads the manifest in `dir`.
///
/// # Errors
/// [`OpenError::Damaged`] if there is none, or none that can be trusted.
pub(super) fn read(dir: &Path) -> Result<Vec<Entry>, OpenError> {
    let path = dir.join(FILE);
    let damaged = |reason: &str| OpenError::Damaged {
        place: path.display().to_string(),
        reason: reason.into(),
    };
    let mut text = String::new();
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(damaged("is missing, so this is no backup, or half of one"));
        }
        opened => opened.map_err(OpenError::io("open", &path))?,
    };
    match file.take(LONGEST).read_to_string(&mut text) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(damaged("is not a manifest"));
        }
        read => read.map_err(OpenError::io("read", &path))?,
    };
    let lines = text.strip_suffix('\n').and_then(|text| text.rsplit_once("\nend "));
    let (before, checksum) = lines.ok_or_else(|| damaged("is cut off"))?;
    let stored = u32::from_str_radix(checksum, 16).ok();
    if stored != Some(crc32c::crc32c(format!("{before}\n").as_bytes())) {
        return Err(damaged("its checksum is wrong"));
    }
    let mut lines = before.lines();
    if lines.next() != Some(HEADER) {
        return Err(damaged("another release wrote it, in a format that this one does not know"));
    }
    lines.map(entry).collect::<Option<_>>().ok_or_else(|| damaged("a line makes no sense"))
}

fn entry(line: &str) -> Option<Entry> {
    let (checksum, rest) = line.split_once(' ')?;
    let (length, name) = rest.split_once(' ')?;
    let is_inside = |part: Component<'_>| matches!(part, Component::Normal(_));
    let is_safe = !name.is_empty() && Path::new(name).components().all(is_inside);
    let checksum = u32::from_str_radix(checksum, 16).ok()?;
    let length = length.parse().ok()?;
    is_safe.then(|| Entry { checksum, length, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

    use super::*;

    #[test]
    fn a_manifest_is_what_it_was_and_names_nothing_outside() {
        let dir = tempfile::tempdir().unwrap();
        let entry = Entry { checksum: 0x7f3a_90c2, length: 12, name: "log/first".into() };
        write(dir.path(), std::slice::from_ref(&entry)).unwrap();
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        let golden = "campanile backup 1\n7f3a90c2 12 log/first\nend 39139955\n";
        assert_eq!(text, golden);
        assert_eq!(read(dir.path()).unwrap(), [entry]);
        for outside in ["../etc", "/etc", ""] {
            let name = outside.to_owned();
            std::fs::remove_file(dir.path().join(FILE)).unwrap();
            write(dir.path(), &[Entry { checksum: 1, length: 1, name }]).unwrap();
            assert!(matches!(read(dir.path()), Err(OpenError::Damaged { .. })), "{outside}");
        }
    }
}
