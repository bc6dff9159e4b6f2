//! `campanile demo`: the story of one notification, told while it happens.
//!
//! Everything is real but Apple and the devices: the roles, the log on a disk, the public API over
//! a socket, HTTP/2 over TLS. What the story says happened was observed; with `--once` the exit
//! code says whether all of it was.

mod stage;
mod story;
mod teller;

use std::net::SocketAddr;

use campanile_engine::telemetry::Telemetry;
use campanile_simulate::apns::Change;
use tokio::sync::broadcast::error::RecvError;

use crate::config::{LogConfig, LogFormat};
use crate::exit::{Failure, Kind};
use crate::logging;
use crate::output::Format;
use crate::server::{self, Server};
use crate::signal;
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
        let stage = Stage::set(args.port)?;
        let mut server = Server::start(&stage.config).await?;
        let (address, clock) = (server.address(), server.parts().clock.clone());
        let telemetry = server.parts().telemetry.clone();
        let mut teller = Teller::new(format, clock);
        let told = tokio::select! {
            told = tell(&stage, address, &telemetry, args.once, &mut teller) => told,
            failure = server.failure() => Err(failure),
        };
        let stopped = server.stop().await;
        told.and(stopped)
    })
}

async fn tell(
    stage: &Stage,
    address: SocketAddr,
    telemetry: &Telemetry,
    once: bool,
    teller: &mut Teller,
) -> Result<(), Failure> {
    let item = Story::begin(stage, address, teller).await?.tell(telemetry).await?;
    if once {
        return Ok(());
    }
    teller.invite(address, &item)?;
    tokio::select! {
        asked = signal::asked_to_stop() => match asked {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::new(Kind::Bug, error)),
        },
        failed = linger(stage, teller) => failed,
    }
}

/// Tells whatever else happens on the devices.
async fn linger(stage: &Stage, teller: &mut Teller) -> Result<(), Failure> {
    let mut changes = stage.apns.subscribe();
    loop {
        match changes.recv().await {
            Ok(change) => {
                let device = stage.device(&change.token);
                match change.change {
                    Change::Shown(shown) | Change::Replaced(shown) => {
                        let title = shown.push.title().unwrap_or_default();
                        teller.live(device, &format!("rings: {title}"))?;
                    }
                    Change::Removed(_) => teller.live(device, "clears")?,
                    Change::Badge(_) | Change::Woken(_) => {}
                }
            }
            Err(RecvError::Lagged(missed)) => {
                teller.live("devices", &format!("did more than can be told: {missed} changes"))?;
            }
            Err(RecvError::Closed) => {
                return Err(Failure::new(Kind::Bug, "the simulator stopped"));
            }
        }
    }
}
