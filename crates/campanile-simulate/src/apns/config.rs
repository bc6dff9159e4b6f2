//! How a simulator is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::environment::Environment;
use crate::{Clock, SystemClock};

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
            seed: 0,
            clock: Arc::new(SystemClock),
        }
    }
}

/// `SETTINGS_MAX_CONCURRENT_STREAMS` over the life of a connection. Streams beyond the limit are
/// reset with `REFUSED_STREAM` (RFC 9113 §5.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Until the first accepted push; Apple allows one stream.
    pub initial: u32,
    /// From then on; Apple names no number, 1000 is what is met in the field.
    pub open: u32,
    /// Whether a rejected push takes the limit back to `initial`, refusing what is in flight,
    /// until the next accepted push. Met in the field, documented nowhere.
    pub narrow_on_rejection: bool,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self { initial: 1, open: 1000, narrow_on_rejection: false }
    }
}

/// How much is kept of each push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// Devices have a screen and a history.
    Full,
    /// Only counts, for load: every check is made, but devices show and store nothing.
    CountsOnly,
}
