//! Runs the simulator for clients in any language.
//!
//! ```text
//! cargo run -p campanile-simulate --example apns_serve -- [directory] [address]
//! ```
//!
//! It writes `ca.pem` (to trust) and `key.p8` (to sign with, mode 600) into the directory, shows what arrives
//! on its one device, and ends with Ctrl-C.

#![allow(clippy::expect_used, reason = "an example stops at the first surprise")]

#[path = "shared/private.rs"]
mod private;

use std::io::Write as _;
use std::path::PathBuf;

use campanile_simulate::apns::{Config, Environment, Simulator};
use tokio::sync::broadcast::error::RecvError;

const TEAM: &str = "TEAM123456";
const KEY: &str = "KEY1234567";
const APP: &str = "org.example.app";
const DEVICE: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let directory = PathBuf::from(args.next().unwrap_or_else(|| ".".to_owned()));
    let mut config = Config::default();
    if let Some(address) = args.next() {
        config.address = address.parse()?;
    }

    let apns = Simulator::start(config)?;
    let key = apns.generate_key(TEAM, KEY)?;
    apns.register_topic(TEAM, APP);
    apns.register_device(DEVICE, APP, Environment::Production)?;
    std::fs::write(directory.join("ca.pem"), apns.ca_pem())?;
    private::write(&directory.join("key.p8"), &key.private_pem())?;

    let mut out = std::io::stdout();
    writeln!(out, "listening on {}", apns.addr())?;
    writeln!(out, "team {TEAM}, key {KEY}, topic {APP}, device {DEVICE}")?;
    let mut changes = apns.subscribe();
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
    writeln!(out, "{:#?}", apns.observe(|world| world.totals().clone()))?;
    apns.stop().await;
    Ok(())
}
