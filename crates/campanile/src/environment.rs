//! The one place that reads environment variables, and how this program was started.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What this program is called where a shell finds it by name.
const NAME: &str = "campanile";

/// For how many milliseconds the allocator keeps memory that was freed.
pub(crate) const KEEPS_FREED: &str = "MIMALLOC_PURGE_DELAY";

/// What this program wants to know from its environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// `CAMPANILE_CONFIG`: the configuration file.
    pub(crate) config: Option<PathBuf>,
    /// `CAMPANILE_SERVER`: the server that client commands talk to.
    pub(crate) server: Option<String>,
    /// `CAMPANILE__…`: settings. `None` for a value that is not UTF-8.
    pub(crate) settings: BTreeMap<String, Option<String>>,
    /// Whether the allocator was told for how long it keeps memory, by [`KEEPS_FREED`].
    pub(crate) keeps_freed: bool,
}

impl Environment {
    /// Reads the environment of this process.
    pub(crate) fn read() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        let variables = std::env::vars_os();
        let mut environment = Self::default();
        for (name, value) in variables {
            let Ok(name) = name.into_string() else { continue };
            match name.as_str() {
                KEEPS_FREED => environment.keeps_freed = true,
                "CAMPANILE_CONFIG" => environment.config = Some(value.into()),
                "CAMPANILE_SERVER" => {
                    environment.server = Some(value.to_string_lossy().into_owned());
                }
                setting if setting.starts_with("CAMPANILE__") => {
                    environment.settings.insert(name, value.into_string().ok());
                }
                _ => {}
            }
        }
        environment
    }
}

/// The name under which a shell in the same directory finds this program.
pub(crate) fn invocation() -> String {
    let started_as = std::env::args_os().next().unwrap_or_default();
    let directory = std::env::current_dir().ok();
    typed(&started_as, directory.as_deref())
}

/// What to type for a program that was started as `started_as` in `directory`: its name if the
/// shell found it by that, otherwise its path, relative if it lies below.
fn typed(started_as: &OsStr, directory: Option<&Path>) -> String {
    let path = Path::new(started_as);
    if path.parent().is_none_or(|parent| parent.as_os_str().is_empty()) {
        return NAME.to_owned();
    }
    let below = directory.and_then(|directory| path.strip_prefix(directory).ok()).unwrap_or(path);
    let dot = if below.is_absolute() || below.starts_with("..") { "" } else { "./" };
    let below = below.strip_prefix(".").unwrap_or(below).display();
    quoted(&format!("{dot}{below}"))
}

/// `text` as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+@%,:=".contains(&b);
    if text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_finds_the_program() {
        let table = [
            ("", "/tower", "campanile"),
            ("campanile", "/tower", "campanile"),
            ("target/release/campanile", "/tower", "./target/release/campanile"),
            ("./campanile", "/tower", "./campanile"),
            ("../bin/campanile", "/tower", "../bin/campanile"),
            ("/tower/target/debug/campanile", "/tower", "./target/debug/campanile"),
            ("/usr/bin/campanile", "/tower", "/usr/bin/campanile"),
            ("/towers/campanile", "/tower", "/towers/campanile"),
            ("my tower/campanile", "/tower", "'./my tower/campanile'"),
            ("/it's/campanile", "/tower", "'/it'\\''s/campanile'"),
        ];
        for (started_as, directory, expected) in table {
            let typed = typed(OsStr::new(started_as), Some(Path::new(directory)));
            assert_eq!(typed, expected, "{started_as} in {directory}");
        }
        assert_eq!(typed(OsStr::new("/a/campanile"), None), "/a/campanile");
    }
}
