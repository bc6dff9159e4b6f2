//! How a simulator is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::{Clock, Recording, StreamLimits, SystemClock, Tap};

/// The settings of a simulator. Start from `Config::default()`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; by default a free port of 127.0.0.1.
    pub address: SocketAddr,
    /// The names under which messages are taken. A client that names none gets the first. By
    /// default Google's and `localhost`.
    pub send_hosts: Vec<String>,
    /// The names under which senders sign in. By default Google's and `localhost`.
    pub token_hosts: Vec<String>,
    /// How many streams a client may have open. Google publishes nothing; by default 100.
    pub streams: StreamLimits,
    /// How many messages are taken.
    pub quotas: Quotas,
    /// How long an access token is good, in seconds; Google's 3600 by default.
    pub token_life_s: u64,
    /// How much is kept of each message.
    pub recording: Recording,
    /// Called with every message that is accepted.
    pub tap: Option<Tap>,
    /// Decides every random choice: which requests a fault with a probability hits, made-up names
    /// and tokens, which stored message gives way.
    pub seed: u64,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

impl Default for Config {
    fn default() -> Self {
        let hosts = |google: &str| vec![google.to_owned(), "localhost".to_owned()];
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            send_hosts: hosts("fcm.googleapis.com"),
            token_hosts: hosts("oauth2.googleapis.com"),
            streams: StreamLimits { initial: 100, open: 100, narrow_on_rejection: false },
            quotas: Quotas::default(),
            token_life_s: 3600,
            recording: Recording::Full,
            tap: None,
            seed: 0,
            clock: Arc::new(SystemClock),
        }
    }
}

/// How many messages are taken per minute; `None` is without limit (Firebase, "Understanding
/// message throttling and quotas").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// For a project; 600,000 by default.
    pub project_per_minute: Option<u32>,
    /// For a device; 240 by default.
    pub device_per_minute: Option<u32>,
}

impl Quotas {
    /// No limit, for load.
    pub const NONE: Self = Self { project_per_minute: None, device_per_minute: None };
}

impl Default for Quotas {
    fn default() -> Self {
        Self { project_per_minute: Some(600_000), device_per_minute: Some(240) }
    }
}
