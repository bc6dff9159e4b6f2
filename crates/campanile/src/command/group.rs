//! `campanile group create`

use campanile_core::port::StartAt;
use clap::{Subcommand, ValueEnum};

use super::serve::ServerArgs;
use crate::compose::Parts;
use crate::environment::Environment;
use crate::exit::{Failure, Kind};
use crate::role::Group;
use crate::{group, logging};

/// What to do about groups.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Creates a group on a log that has records; stop the server first.
    Create {
        /// projector-events, projector-receipts, deliver:apns or scheduler.
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
    logging::start(&config.log);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Kind::Bug, error))?;
    let parts = runtime.block_on(Parts::open(&config))?;
    let created = runtime.block_on(group::create(&parts, known, start));
    parts.close();
    created
}
