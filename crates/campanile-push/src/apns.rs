//! Apple Push Notification service.
//!
//! Source of the protocol facts here, unless said otherwise: Apple, "Sending notification requests
//! to APNs" and "Establishing a token-based connection to APNs".

mod client;
mod config;
mod payloads;
mod request;
mod response;
mod token;

pub use client::{ApnsError, ApnsPusher};
pub use config::{ApnsConfig, ApnsKey, ApnsRoute, InvalidKey, server};
pub use request::{PAYLOAD_LIMIT, fit};
