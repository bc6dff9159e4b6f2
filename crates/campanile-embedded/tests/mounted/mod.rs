//! File systems of a test's own, for which it has to be root.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A file system that is mounted as long as this lives.
pub(crate) struct Mounted {
    at: TempDir,
}

impl Mounted {
    /// Mounts `what` with these arguments of `mount`.
    pub(crate) fn new(what: &Path, arguments: &[&str]) -> Result<Self, String> {
        let at = TempDir::new().map_err(|error| error.to_string())?;
        run(Command::new("mount").args(arguments).arg(what).arg(at.path()))?;
        Ok(Self { at })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.at.path().join("store")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily, because a killed child may hold it for a moment more.
        if let Err(error) = run(Command::new("umount").arg("--lazy").arg(self.at.path())) {
            skip(&error);
        }
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let done = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
}

/// Says that a test was skipped, or fails it where it must not be.
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says what must run")]
#[expect(clippy::print_stderr, reason = "a skipped test must not pass in silence")]
pub(crate) fn skip(reason: &str) {
    let required = std::env::var_os("CAMPANILE_REQUIRE_SERVICES").is_some_and(|it| it == "1");
    assert!(!required, "CAMPANILE_REQUIRE_SERVICES=1, but: {reason}");
    eprintln!("SKIPPED: {reason}");
}
