//! Faithful fakes of the push services, and the devices behind them.
//!
//! A simulator speaks the provider's real wire protocol over real TLS, refuses whatever the
//! provider documents that it refuses, breaks in the ways providers break, and keeps for every
//! simulated device what its user would see. Nothing here knows the rest of the engine: anybody
//! can point a push client at it.
//!
//! - [`apns`]: Apple Push Notification service.
//! - [`fcm`]: Firebase Cloud Messaging.
//! - [`Clock`]: where a simulator reads the time from, so that a test can move it.
//!
//! Passing here does not prove real credentials, undocumented limits, throttling, or what a
//! device renders.

pub mod apns;
mod clock;
pub mod fcm;
mod pem;
mod random;
mod service;

pub use clock::{Clock, ManualClock, SystemClock};
pub use service::{
    Accepted, Action, CLOSED_CONNECTIONS, ConnectionStats, Counts, DeviceChange, Fate, Fault,
    FaultId, Recording, Service, Simulator, StartError, StreamLimits, Tap, TimedOut, TlsError,
    Totals, When, World,
};
