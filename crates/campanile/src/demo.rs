//! `campanile demo`: the story of one notification, told while it happens.
//!
//! Everything is real but Apple, Google and the devices: the roles, the log on a disk, the public API over
//! a socket, HTTP/2 over TLS. What the story says happened was observed; with `--once` the exit
//! code says whether all of it was.

mod devices;
mod stage;
mod story;
mod teller;

use tokio::sync::broadcast::error::RecvError;

use crate::config::{LogConfig, LogFormat};
use crate::environment::invocation;
use crate::exit::{Failure, Kind};
use crate::logging;
use crate::output::Format;
use crate::server::{self, Server};
use crate::signal::StopSignal;
use devices::{Changes, Seen, What};
use stage::Stage;
use story::Story;
use teller::Teller;

/// The arguments.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Ends after the story; the exit code is 0 only if every step was observed.
    #[arg(long)]
    once: bool,
    /// The port that the server listens on [default: a free one]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
}

/// Tells the story; then, without `--once`, keeps everything running until asked to stop.
///
/// # Errors
/// [`Failure`] that names the step which was not observed.
pub(crate) fn run(args: &Args, format: Format) -> Result<(), Failure> {
    logging::start(&LogConfig { level: tracing::Level::WARN, format: LogFormat::Text });
    server::runtime()?.block_on(async {
        let mut stop = server::stop_signal()?;
        let stage = Stage::set(args.port)?;
        let mut server = Server::start(&stage.config).await?;
        let performed = perform(&stage, &mut server, &mut stop, args.once, format).await;
        let stopped = server.stop().await;
        performed.and(stopped)
    })
}

async fn perform(
    stage: &Stage,
    server: &mut Server,
    stop: &mut StopSignal,
    once: bool,
    format: Format,
) -> Result<(), Failure> {
    let (address, telemetry) = (server.address(), server.parts().telemetry.clone());
    let teller = Teller::new(format, server.parts().clock.clone());
    let story = async { Story::begin(stage, address, &teller).await?.tell(&telemetry).await };
    let item = tokio::select! {
        item = story => item?,
        failure = server.failure() => return Err(failure),
        _ = stop.given() => {
            return Err(Failure::new(Kind::Failed, "stopped before the end of the story"));
        }
    };
    if once {
        return Ok(());
    }
    let changes = Changes::of(stage);
    teller.invite(&invocation(), address, &item)?;
    tokio::select! {
        failed = linger(changes, &teller) => failed,
        failure = server.failure() => Err(failure),
        _ = stop.given() => Ok(()),
    }
}

/// Tells whatever else happens on the devices.
async fn linger(mut changes: Changes, teller: &Teller) -> Result<(), Failure> {
    loop {
        match changes.next().await {
            Ok(Seen { device, what }) => {
                let device = device.map_or("a device", |device| device.name);
                match what {
                    What::Rings(title) => teller.live(device, &format!("rings: {title}"))?,
                    What::Clears => teller.live(device, "clears")?,
                    What::Else => {}
                }
            }
            Err(RecvError::Lagged(missed)) => {
                teller.live("devices", &format!("did more than can be told: {missed} changes"))?;
            }
            Err(RecvError::Closed) => {
                return Err(Failure::new(Kind::Bug, "a simulator stopped"));
            }
        }
    }
}
