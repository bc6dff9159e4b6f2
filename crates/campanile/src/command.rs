//! What each command does. Client commands call the public API, like any other program.

pub(crate) mod deadletter;
pub(crate) mod dismiss;
pub(crate) mod endpoint;
pub(crate) mod explain;
pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod inbox;
pub(crate) mod log;
pub(crate) mod publish;
pub(crate) mod recall;
pub(crate) mod replay;
pub(crate) mod routes;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod watch;
mod words;

pub(crate) use words::{instant, span};

use std::future::Future;

use campanile_proto::v1;
use clap::Args;

use crate::exit::{Failure, Kind};
use crate::output::Format;

/// What client commands have in common.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The server's address.
    pub(crate) address: String,
    /// The form of the output.
    pub(crate) format: Format,
}

impl Client {
    /// Connects, and does `work`.
    ///
    /// # Errors
    /// [`Failure`] if nobody is there, or the work fails.
    pub(crate) fn run<F, Fut>(&self, work: F) -> Result<(), Failure>
    where
        F: FnOnce(campanile_api::Client, Format) -> Fut,
        Fut: Future<Output = Result<(), Failure>>,
    {
        let address = &self.address;
        if !address.starts_with("http://") {
            let reason = "--server: must be a URL such as http://127.0.0.1:8640";
            return Err(Failure::new(Kind::Usage, reason));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(Kind::Bug, error))?;
        runtime.block_on(async {
            let client = campanile_api::Client::connect(address).await.map_err(|error| {
                let Failure { kind, message } = error.into();
                Failure::new(kind, format_args!("{message} ({address})"))
            })?;
            work(client, self.format).await
        })
    }
}

/// Whom a command is about.
#[derive(Clone, Debug, Args)]
pub(crate) struct Whom {
    /// The app.
    #[arg(long)]
    app: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The app's own name for the user.
    #[arg(long)]
    user: Option<String>,
    /// The handle of one of the user's installations; it also says which device acts.
    #[arg(long, allow_hyphen_values = true)]
    unsid: Option<String>,
}

impl Whom {
    /// As the API wants it: the app, and the target.
    pub(crate) fn into_wire(self) -> (String, Option<v1::Target>) {
        use v1::target::Target::{Unsid, UserId};
        let target = self.target.user.map(UserId).or(self.target.unsid.map(Unsid));
        (self.app, Some(v1::Target { target }))
    }
}
