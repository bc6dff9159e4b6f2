//! A simulator of Firebase Cloud Messaging (HTTP v1).
//!
//! [`Simulator`] listens with real TLS and speaks real HTTP/2. It is two servers in one: Google's
//! sign-in (`POST /token`, OAuth 2.0 with a service account's signed assertion, RFC 7523) and FCM
//! itself (`POST /v1/projects/{project}/messages:send`). A message must pass every documented
//! check, as strictly as Google may make it; see [`Rejection`] for the answers. Behind it are
//! Android [`Device`]s, whose trays can be looked at, waited for and subscribed to. A script of
//! [`Fault`]s makes it behave as badly as the real one can.
//!
//! ```
//! use campanile_simulate::fcm::{Config, Simulator};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let fcm = Simulator::spawn_thread(Config::default())?;
//! let account = fcm.generate_account("bells-0815")?;
//! fcm.register_device("bells-0815", "fid-1:APA91b")?;
//! println!("connect to {} trusting\n{}", fcm.addr(), fcm.ca_pem());
//! println!("and sign in with\n{}", account.json());
//! # Ok(())
//! # }
//! ```
//!
//! What is Google's choice and not documented is chosen here: a registration token is the
//! installation id, a colon and something that changes, as those in the field are; which limit was
//! exceeded is told by the `subject` of a `QuotaFailure`; an offline device keeps one notification
//! per app, because notification messages "are always collapsible and will ignore the
//! collapse_key".

mod account;
mod answer;
mod assertion;
mod check;
mod config;
mod device;
mod form;
mod message;
mod quota;
mod received;
mod rejection;
mod schema;
mod serve;
mod sign_in;
mod simulator;
mod state;

pub use crate::service::{
    CLOSED_CONNECTIONS, ConnectionStats, Counts, Fate, FaultId, Recording, StartError,
    StreamLimits, TimedOut, TlsError, Totals, When,
};
pub use account::{Account, AccountError, SCOPE, ServiceAccount, TOKEN_URI};
pub use config::{Config, Quotas};
pub use device::{
    Change, DUPLICATE_MEMORY, Device, HISTORY, MAX_COLLAPSE_KEYS, MAX_STORED, Registration,
    Removed, Remover, Shown,
};
pub use h2::Reason as ErrorCode;
pub use message::{MAX_PAYLOAD, MAX_TOPIC_PAYLOAD, MAX_TTL_S};
pub use received::{Kind, Priority, Received};
pub use rejection::{Code, Rejection};
pub use simulator::InvalidToken;
pub use state::Fcm;

/// A running simulator of FCM.
pub type Simulator = crate::Simulator<Fcm>;
/// Everything of it that can be observed, at one instant.
pub type World = crate::World<Fcm>;
/// What can be scripted to go wrong.
pub type Fault = crate::Fault<Rejection>;
/// How it goes wrong.
pub type Action = crate::Action<Rejection>;
/// A change on a device.
pub type DeviceChange = crate::DeviceChange<Change>;
