//! `campanile serve`

use std::path::PathBuf;

use crate::compose;
use crate::config::{Config, Effective, Given};
use crate::environment::Environment;
use crate::exit::{Failure, Kind};
use crate::{logging, memory, server};

/// The arguments.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

/// How a server is told what it is. Values are checked with the rest of the configuration.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ServerArgs {
    /// The configuration file [default: CAMPANILE_CONFIG, or none]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8640]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Where the log and the projection are [default: campanile-data]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<String>,
    /// How many partitions a new log gets [default: 64]
    #[arg(long, value_name = "COUNT")]
    partitions: Option<String>,
    /// What to do: some of ingest, gateway, projector, deliver:apns, deliver:fcm, scheduler [default: all]
    #[arg(long, value_name = "ROLES")]
    role: Option<String>,
    /// Listen beyond loopback although callers are not authenticated.
    #[arg(long)]
    insecure_no_auth: bool,
    /// Where to serve /metrics, /healthz and /readyz [default: off]
    #[arg(long, value_name = "ADDRESS:PORT")]
    observe: Option<String>,
    /// error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// text or json [default: text]
    #[arg(long, value_name = "FORM")]
    log_format: Option<String>,
}

/// Where a server's log and state are, for commands that work on them without a server.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct StoreArgs {
    /// The configuration file [default: CAMPANILE_CONFIG, or none]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the log and the projection are [default: campanile-data]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<String>,
}

impl StoreArgs {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// [`Failure`] of the kind [`Kind::Config`].
    pub(crate) fn load(self, environment: Environment) -> Result<Config, Failure> {
        let Self { config, data_dir } = self;
        let server = ServerArgs { config, data_dir, ..ServerArgs::default() };
        server.load(environment).map(|(config, _)| config)
    }
}

impl ServerArgs {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// [`Failure`] of the kind [`Kind::Config`].
    pub(crate) fn load(
        self,
        environment: Environment,
    ) -> Result<(Config, Vec<Effective>), Failure> {
        let insecure = self.insecure_no_auth.then(|| "true".to_owned());
        let flags = [
            ("serve.listen", "--listen", self.listen),
            ("serve.roles", "--role", self.role),
            ("serve.insecure_no_auth", "--insecure-no-auth", insecure),
            ("store.directory", "--data-dir", self.data_dir),
            ("store.partitions", "--partitions", self.partitions),
            ("observe.listen", "--observe", self.observe),
            ("log.level", "--log-level", self.log_level),
            ("log.format", "--log-format", self.log_format),
        ];
        let given = |(setting, flag, value): (_, _, Option<_>)| Some((setting, (flag, value?)));
        let given = Given {
            file: self.config.or(environment.config),
            flags: flags.into_iter().filter_map(given).collect(),
            environment: environment.settings,
        };
        let loaded = Config::load(given);
        let (config, effective) = loaded.map_err(|error| Failure::new(Kind::Config, error))?;
        // What only the sender can judge, such as a certificate that is none.
        let clock = crate::system::SystemClock::start();
        compose::to_apple(&config, clock.clone())?;
        compose::to_google(&config, clock)?;
        Ok((config, effective))
    }
}

/// Serves until asked to stop.
///
/// # Errors
/// [`Failure`].
pub(crate) fn run(args: Args, environment: Environment) -> Result<(), Failure> {
    memory::free_at_once(&environment);
    let (config, _) = args.server.load(environment)?;
    logging::start(&config.log);
    server::run(config)
}
