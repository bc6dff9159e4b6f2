//! How a simulator is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::environment::Environment;
use crate::{Clock, Recording, StreamLimits, SystemClock, Tap};

/// The settings of a simulator. Start from `Config::default()`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; by default a free port of 127.0.0.1.
    pub address: SocketAddr,
    /// The names the server certificate is for, each with the environment that a client asking for
    /// it (SNI) gets. A client that names none gets the environment of the first. By default
    /// Apple's two hosts and, for production, `localhost`.
    pub hosts: Vec<(String, Environment)>,
    /// How many streams a client may have open.
    pub streams: StreamLimits,
    /// How much is kept of each push.
    pub recording: Recording,
    /// Called with every push that is accepted.
    pub tap: Option<Tap>,
    /// Decides every random choice: which pushes a fault with a probability hits, and made-up ids.
    pub seed: u64,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

impl Default for Config {
    fn default() -> Self {
        let hosts = [
            ("api.push.apple.com", Environment::Production),
            ("api.sandbox.push.apple.com", Environment::Sandbox),
            ("localhost", Environment::Production),
        ];
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            hosts: hosts.map(|(name, environment)| (name.to_owned(), environment)).into(),
            streams: StreamLimits::default(),
            recording: Recording::Full,
            tap: None,
            seed: 0,
            clock: Arc::new(SystemClock),
        }
    }
}
