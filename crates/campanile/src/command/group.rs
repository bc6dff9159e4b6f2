//! `campanile group create`

use campanile_core::port::{LogAdmin, ReadError, StartAt};
use clap::{Subcommand, ValueEnum};
use tracing::Level;

use super::serve::ServerArgs;
use crate::compose::Parts;
use crate::config::LogConfig;
use crate::environment::Environment;
use crate::exit::{Failure, Kind};
use crate::output::say;
use crate::role::Group;
use crate::{group, logging};

/// What to do about groups.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Creates a group on a log that has records; stop the server first.
    Create {
        /// projector-events, projector-receipts, deliver:apns, deliver:fcm or scheduler.
        name: String,
        /// With which record it begins.
        #[arg(long, value_enum)]
        start: Start,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Where a group begins.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Start {
    /// With the first record kept.
    Beginning,
    /// With the next record appended.
    End,
}

/// Does what `command` says.
///
/// # Errors
/// [`Failure`].
pub(crate) fn run(command: Command, environment: Environment) -> Result<(), Failure> {
    let Command::Create { name, start, server } = command;
    let known = Group::ALL.into_iter().find(|group| group.name == name);
    let known = known.ok_or_else(|| {
        let names = Group::ALL.map(|group| group.name).join(", ");
        Failure::new(Kind::Usage, format_args!("a group is one of {names}"))
    })?;
    let start = match start {
        Start::Beginning => StartAt::Beginning,
        Start::End => StartAt::End,
    };
    let (config, _) = server.load(environment)?;
    let directory = &config.store.directory;
    if !directory.is_dir() {
        let message = format_args!("store.directory: {}: is no directory", directory.display());
        return Err(Failure::new(Kind::Config, message));
    }
    logging::start(&LogConfig { level: Level::WARN, ..config.log });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Kind::Bug, error))?;
    let parts = runtime.block_on(Parts::open(&config))?;
    let created = runtime.block_on(create(&parts, known, start));
    parts.close();
    created
}

/// Creates `group` where one is missing; anything else would do nothing, and look as if it had.
async fn create(parts: &Parts, group: Group, start: StartAt) -> Result<(), Failure> {
    if parts.is_unused().await? {
        let reason = "the log has no records; a server creates every group on such a log";
        return Err(Failure::new(Kind::Failed, reason));
    }
    match parts.log(group.stream).progress(&group.group_name()).await {
        Err(ReadError::NoGroup(_)) => group::create(parts, group, start).await?,
        Ok(_) => {
            let message = format_args!("there is a group {}; nothing was changed", group.name);
            return Err(Failure::new(Kind::Failed, message));
        }
        Err(error) => return Err(Failure::new(Kind::Unavailable, error)),
    }
    say(format_args!("group {} is created", group.name));
    Ok(())
}
