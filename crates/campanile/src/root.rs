//! The root secret of a deployment: all names and handles depend on it.
//!
//! It is made once, with the log. Another one would make every user, item and endpoint another,
//! so a log without its secret is an error and never a reason to make a new one.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::config::read_secret;
use crate::exit::{Failure, Kind};
use crate::system::SystemEntropy;

/// The name of the file in the data directory.
pub(crate) const FILE: &str = "root-secret";
/// The first line of the file: what it is, and its version.
const HEADER: &str = "campanile root secret 1";

/// Two independent keys.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Root {
    /// Names users, items and endpoints.
    pub(crate) names: [u8; 32],
    /// Seals handles.
    pub(crate) seal: [u8; 32],
}

impl Root {
    /// The secret in `directory`; made if there is none and the log `is_unused`.
    ///
    /// # Errors
    /// [`Failure`] that names the file.
    pub(crate) fn of(
        directory: &Path,
        is_unused: bool,
        entropy: &SystemEntropy,
    ) -> Result<Self, Failure> {
        let path = directory.join(FILE);
        let config =
            |reason: &str| Failure::new(Kind::Config, format_args!("{}: {reason}", path.display()));
        if path.try_exists().is_ok_and(|exists| exists) {
            let text = read_secret(&path).map_err(|error| Failure::new(Kind::Config, error))?;
            return Self::parse(&text).ok_or_else(|| config("is not a root secret"));
        }
        if !is_unused {
            let reason = "does not exist, and the log was written with it; restore it from a \
                          backup, because with another one every user would be another";
            return Err(config(reason));
        }
        let root = Self::draw(entropy).map_err(|error| Failure::new(Kind::Unavailable, error))?;
        let unwritten = |error| config(&format!("cannot be written: {error}"));
        root.write(directory, &path).map_err(unwritten)?;
        Ok(root)
    }

    fn draw(entropy: &SystemEntropy) -> Result<Self, crate::system::NoEntropy> {
        let mut root = Self { names: [0; 32], seal: [0; 32] };
        entropy.fill(&mut root.names)?;
        entropy.fill(&mut root.seal)?;
        Ok(root)
    }

    /// Writes the whole file under another name first, so that there is never half a secret.
    fn write(&self, directory: &Path, path: &Path) -> io::Result<()> {
        let new = directory.join(format!("{FILE}.new"));
        let mut file = create_private(&new)?;
        writeln!(file, "{HEADER}\n{}\n{}", hex(&self.names), hex(&self.seal))?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        File::open(directory)?.sync_all()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return None;
        }
        let root = Self { names: unhex(lines.next()?)?, seal: unhex(lines.next()?)? };
        lines.next().is_none().then_some(root)
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Root(…)")
    }
}

/// Creates a file that nobody but its owner can read; what an earlier attempt left is replaced.
fn create_private(path: &PathBuf) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    fn root(directory: &Path, is_unused: bool) -> Result<Root, Failure> {
        Root::of(directory, is_unused, &SystemEntropy::open().unwrap())
    }

    #[test]
    fn it_is_made_once_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let made = root(directory.path(), true).unwrap();
        assert_ne!(made.names, made.seal);
        assert_eq!(root(directory.path(), false).unwrap(), made);
        assert_eq!(root(directory.path(), true).unwrap(), made);
        assert_eq!(format!("{made:?}"), "Root(…)");
    }

    #[test]
    fn a_used_log_without_it_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let failure = root(directory.path(), false).unwrap_err();
        assert_eq!(failure.kind, Kind::Config);
        assert!(failure.message.contains("restore it"), "{}", failure.message);
    }

    #[test]
    fn a_damaged_one_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        root(directory.path(), true).unwrap();
        let path = directory.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        for damaged in ["", &text[..80], &text.replace("secret 1", "secret 2"), &text.repeat(2)] {
            std::fs::write(&path, damaged).unwrap();
            let failure = root(directory.path(), true).unwrap_err();
            assert!(failure.message.ends_with("is not a root secret"), "{}", failure.message);
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        root(directory.path(), true).unwrap();
        let path = directory.path().join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let failure = root(directory.path(), false).unwrap_err();
        assert!(failure.message.contains("chmod 600"), "{}", failure.message);
    }
}
