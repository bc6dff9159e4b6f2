//! The FCM sender against the simulated service, over TLS on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

mod credentials;
mod delivery;
mod faults;
mod stage;
#[path = "../shared/time.rs"]
mod time;
