//! Reading files that people name: quickly, whatever they named.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::ConfigError;

/// The longest configuration, in bytes.
pub(super) const CONFIG_BYTES: u64 = 1 << 20;
/// The longest key or certificate file, in bytes.
pub(super) const PEM_BYTES: u64 = 64 << 10;

/// Reads a text file of at most `limit` bytes. Pipes, devices and directories are refused before
/// they are opened, because opening one may wait forever.
///
/// # Errors
/// [`ConfigError`] that names the file.
pub(super) fn read_text(path: &Path, limit: u64) -> Result<String, ConfigError> {
    let refuse = |reason: String| ConfigError { place: path.display().to_string(), reason };
    let unreadable = |error: io::Error| refuse(words(&error));
    let found = std::fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err(refuse("is not a file".to_owned()));
    }
    let too_long = || refuse(format!("is longer than {limit} bytes"));
    if found.len() > limit {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(too_long());
    }
    String::from_utf8(bytes).map_err(|_| refuse("is not UTF-8 text".to_owned()))
}

/// Reads a file that holds a secret, which nobody but its owner may be able to read.
///
/// # Errors
/// [`ConfigError`] that names the file.
pub(crate) fn read_secret(path: &Path) -> Result<String, ConfigError> {
    if let Some(mode) = open_to_others(path) {
        let place = path.display().to_string();
        let reason = format!("holds a secret and has mode {mode:04o}; `chmod 600` it");
        return Err(ConfigError { place, reason });
    }
    read_text(path, PEM_BYTES)
}

/// The mode of a file that others than its owner may use in any way.
#[cfg(unix)]
fn open_to_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Elsewhere access is not a matter of modes.
#[cfg(not(unix))]
fn open_to_others(_path: &Path) -> Option<u32> {
    None
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}
