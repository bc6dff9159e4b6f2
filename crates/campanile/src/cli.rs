//! The command line.

use std::io::Write;

use clap::{Parser, Subcommand};

use crate::command::{self, Client};
use crate::config::DEFAULT_LISTEN;
use crate::demo;
use crate::environment::Environment;
use crate::exit::{Failure, Kind};
use crate::output::Format;

/// One tower, every bell: tell a user once, and every device rings.
#[derive(Debug, Parser)]
#[command(name = "campanile", version, arg_required_else_help = true)]
struct Cli {
    /// The form of standard output.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
    /// The server that client commands talk to [default: CAMPANILE_SERVER or
    /// http://127.0.0.1:8640]
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows one notification's way, with simulated devices, in one process.
    Demo(demo::Args),
    /// Runs a server: every role, or some.
    Serve(command::serve::Args),
    /// Tells a user.
    Publish(command::publish::Args),
    /// Takes back a notification, or everything of a campaign.
    Recall(command::recall::Args),
    /// Where a user can be reached.
    #[command(subcommand)]
    Endpoint(command::endpoint::Command),
    /// What a user was told, latest change first.
    Inbox(command::inbox::Args),
    /// Dismisses notifications on every device; or records what else the user did.
    Dismiss(command::dismiss::Args),
    /// Follows what changes for a user.
    Watch(command::watch::Args),
    /// Everything that happened to a notification.
    Timeline(command::history::TimelineArgs),
    /// Why a notification rang where it did, and why not elsewhere.
    Explain(command::explain::Args),
    /// Deliveries that failed, and their way back.
    #[command(subcommand)]
    Deadletter(command::deadletter::Command),
    /// A notification as it was at an instant.
    StateAt(command::history::StateAtArgs),
    /// How the routes of an app to the platforms fare, and what waits for them.
    Routes(command::routes::Args),
    /// The configuration of a server.
    #[command(subcommand)]
    Config(command::settings::Command),
    /// The groups that read the log.
    #[command(subcommand)]
    Group(command::group::Command),
    /// The event log of a stopped server.
    #[command(subcommand)]
    Log(command::log::Command),
    /// Builds the state again from the log, beside the one that serves, and has it serve.
    Replay(command::replay::Args),
}

/// Reads the command line and does what it says.
///
/// # Errors
/// [`Failure`], with the exit code.
pub(crate) fn run() -> Result<(), Failure> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let environment = Environment::read();
    let server = cli.server.or_else(|| environment.server.clone());
    let address = server.unwrap_or_else(|| format!("http://{DEFAULT_LISTEN}"));
    let client = Client { address, format: cli.output };
    match cli.command {
        Command::Demo(args) => demo::run(&args, cli.output),
        Command::Serve(args) => command::serve::run(args, environment),
        Command::Publish(args) => command::publish::run(args, &client),
        Command::Recall(args) => command::recall::run(args, &client),
        Command::Endpoint(command) => command::endpoint::run(command, &client),
        Command::Inbox(args) => command::inbox::run(args, &client),
        Command::Dismiss(args) => command::dismiss::run(args, &client),
        Command::Watch(args) => command::watch::run(args, &client),
        Command::Timeline(args) => command::history::timeline(args, &client),
        Command::Explain(args) => command::explain::run(args, &client),
        Command::Deadletter(command) => command::deadletter::run(command, &client),
        Command::StateAt(args) => command::history::state_at(args, &client),
        Command::Routes(args) => command::routes::run(args, &client),
        Command::Config(command) => command::settings::run(command, environment, cli.output),
        Command::Group(command) => command::group::run(command, environment),
        Command::Replay(args) => command::replay::run(args, environment, cli.output),
        Command::Log(command) => command::log::run(command, environment, cli.output),
    }
}

/// Help and version go to standard output and are no failure; anything else is one of usage.
fn usage(error: &clap::Error) -> Result<(), Failure> {
    let text = error.render();
    if error.use_stderr() {
        let _nobody_listens = write!(std::io::stderr(), "{text}");
        return Err(Failure::new(Kind::Usage, ""));
    }
    let mut out = std::io::stdout().lock();
    write!(out, "{text}")?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    /// Handles are in base64url, where a hyphen is a digit.
    #[test]
    fn a_handle_may_begin_with_a_hyphen() {
        use clap::CommandFactory;
        fn check(command: &clap::Command, handles: &mut usize) {
            let is_handle = |it: &&clap::Arg| matches!(it.get_id().as_str(), "cursor" | "unsid");
            for handle in command.get_arguments().filter(is_handle) {
                let (command, handle_name) = (command.get_name(), handle.get_id());
                assert!(handle.is_allow_hyphen_values_set(), "{command} --{handle_name}");
                *handles += 1;
            }
            command.get_subcommands().for_each(|command| check(command, handles));
        }
        let mut handles = 0;
        check(&Cli::command(), &mut handles);
        assert!(handles > 5, "{handles} handles were looked at");
    }
}
