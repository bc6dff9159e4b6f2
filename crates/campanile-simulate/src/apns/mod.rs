//! A simulator of Apple Push Notification service.
//!
//! [`Simulator`] listens with real TLS and speaks real HTTP/2. A push must pass every documented
//! check, as strictly as Apple may make it; see [`Reason`] for the answers. Behind it are
//! [`Device`]s, whose screens can be looked at, waited for and subscribed to. A script of
//! [`Fault`]s makes it behave as badly as the real one can.
//!
//! ```
//! use campanile_simulate::apns::{Config, Environment, Simulator};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let apns = Simulator::spawn_thread(Config::default())?;
//! let key = apns.generate_key("TEAM123456", "KEY1234567")?;
//! apns.register_topic("TEAM123456", "org.example.app");
//! apns.register_device("00fc13adff785122", "org.example.app", Environment::Production)?;
//! println!("connect to {} trusting\n{}", apns.addr(), apns.ca_pem());
//! println!("and sign with\n{}", key.private_pem());
//! # Ok(())
//! # }
//! ```
//!
//! What is Apple's choice and not documented is chosen here: a body that is not a JSON object with
//! an `aps` dictionary is answered with `PayloadEmpty`, another team on a bound connection with
//! `InvalidProviderToken`.

mod answer;
pub mod check;
mod config;
mod device;
mod environment;
mod id;
mod key;
mod payload;
mod push;
mod push_type;
mod reason;
mod serve;
mod session;
mod simulator;
mod state;
mod token;

pub use crate::service::{
    CLOSED_CONNECTIONS, ConnectionStats, Counts, Fate, FaultId, Recording, StartError,
    StreamLimits, TimedOut, TlsError, Totals, When,
};
pub use config::Config;
pub use device::{
    Change, DUPLICATE_MEMORY, Device, HISTORY, Registration, Removed, Remover, Shown, SilentLimit,
};
pub use environment::Environment;
pub use h2::Reason as ErrorCode;
pub use id::ApnsId;
pub use key::{KeyError, ProviderKey, SigningKey};
pub use payload::{Aps, payload};
pub use push::{Kind, Received};
pub use push_type::PushType;
pub use reason::{Reason, Rejection};
pub use simulator::InvalidToken;
pub use state::Apns;

/// A running simulator of APNs.
pub type Simulator = crate::Simulator<Apns>;
/// Everything of it that can be observed, at one instant.
pub type World = crate::World<Apns>;
/// What can be scripted to go wrong.
pub type Fault = crate::Fault<Rejection>;
/// How it goes wrong.
pub type Action = crate::Action<Rejection>;
/// A change on a device.
pub type DeviceChange = crate::DeviceChange<Change>;
