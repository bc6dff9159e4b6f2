//! Runs the simulator for clients in any language.
//!
//! ```text
//! cargo run -p campanile-simulate --example fcm_serve -- [directory] [address]
//! ```
//!
//! It writes `ca.pem` (to trust) and `account.json` (to sign in with, mode 600) into the directory,
//! shows what arrives on its one device, and ends with Ctrl-C. It goes by the names of Google's servers,
//! so a client must be made to find those at its address: `curl --http2 --cacert ca.pem
//! --connect-to ::127.0.0.1:PORT https://fcm.googleapis.com/…`.

#![allow(clippy::expect_used, reason = "an example stops at the first surprise")]

#[path = "shared/private.rs"]
mod private;

use std::io::Write as _;
use std::path::PathBuf;

use campanile_simulate::fcm::{Config, Simulator};
use tokio::sync::broadcast::error::RecvError;

const PROJECT: &str = "bells-0815";
const DEVICE: &str = "fid-phone:APA91b";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let directory = PathBuf::from(args.next().unwrap_or_else(|| ".".to_owned()));
    let mut config = Config::default();
    if let Some(address) = args.next() {
        config.address = address.parse()?;
    }

    let fcm = Simulator::start(config)?;
    let account = fcm.generate_account(PROJECT)?;
    fcm.register_device(PROJECT, DEVICE)?;
    std::fs::write(directory.join("ca.pem"), fcm.ca_pem())?;
    private::write(&directory.join("account.json"), &account.json())?;

    let mut out = std::io::stdout();
    writeln!(out, "listening on {}", fcm.addr())?;
    writeln!(out, "project {PROJECT}, device {DEVICE}")?;
    let mut changes = fcm.subscribe();
    loop {
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => break stopped?,
            change = changes.recv() => match change {
                Ok(change) => writeln!(out, "{:?}", change.change)?,
                Err(RecvError::Lagged(missed)) => writeln!(out, "({missed} changes missed)")?,
                Err(RecvError::Closed) => break,
            }
        }
    }
    writeln!(out, "{:#?}", fcm.observe(|world| world.totals().clone()))?;
    fcm.stop().await;
    Ok(())
}
