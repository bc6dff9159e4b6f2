//! `campanile config check|show`

use std::fmt;

use clap::Subcommand;
use serde::Serialize;

use super::serve::ServerArgs;
use crate::config::Effective;
use crate::environment::Environment;
use crate::exit::Failure;
use crate::output::{Format, say};

/// What to do about the configuration.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Checks it, with all files it names, and changes nothing.
    Check(ServerArgs),
    /// Shows every setting as it takes effect, and where it comes from.
    Show(ServerArgs),
}

/// One setting.
#[derive(Debug, Serialize)]
struct Shown {
    setting: &'static str,
    value: String,
    origin: String,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  # {}", self.setting, self.value, self.origin)
    }
}

/// Does what `command` says.
///
/// # Errors
/// [`Failure`] if something is wrong with the configuration.
pub(crate) fn run(
    command: Command,
    environment: Environment,
    format: Format,
) -> Result<(), Failure> {
    match command {
        Command::Check(args) => {
            let (config, _) = args.load(environment)?;
            let routes: usize = config.apps.values().map(|it| it.apns.len() + it.fcm.len()).sum();
            let apps = config.apps.len();
            say(format_args!("the configuration is good: {apps} apps, {routes} routes"));
            Ok(())
        }
        Command::Show(args) => {
            let (config, effective) = args.load(environment)?;
            for Effective { setting, value, origin } in effective {
                format.write(&Shown { setting, value, origin })?;
            }
            for (app, routes) in &config.apps {
                let to_apple = routes.apns.iter().map(|it| (it.route(app), &it.server));
                let to_google = routes.fcm.iter().map(|it| (it.route(app), &it.server));
                for (route, server) in to_apple.chain(to_google) {
                    let value = route.to_string();
                    let origin = format!("{}:{}", server.host, server.port);
                    format.write(&Shown { setting: "route", value, origin })?;
                }
            }
            Ok(())
        }
    }
}
