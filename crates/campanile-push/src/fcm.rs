//! Firebase Cloud Messaging, HTTP v1.
//!
//! Source of the protocol facts here, unless said otherwise: Google, the reference of FCM HTTP v1
//! (`Message`, `AndroidConfig`, `ErrorCode`) and "Using OAuth 2.0 for Server to Server
//! Applications".

mod client;
mod config;
mod request;
mod response;
mod token;

pub use client::{FcmError, FcmPusher};
pub use config::{FcmConfig, FcmRoute, InvalidAccount, ServiceAccount, server};
pub use request::{PAYLOAD_LIMIT, fit};
