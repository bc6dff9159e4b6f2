//! The one place that reads environment variables.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What this program wants to know from its environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// `CAMPANILE_CONFIG`: the configuration file.
    pub(crate) config: Option<PathBuf>,
    /// `CAMPANILE_SERVER`: the server that client commands talk to.
    pub(crate) server: Option<String>,
    /// `CAMPANILE__…`: settings. `None` for a value that is not UTF-8.
    pub(crate) settings: BTreeMap<String, Option<String>>,
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
