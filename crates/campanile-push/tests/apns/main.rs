//! The APNs sender against the simulated service, over TLS on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

mod answers;
mod credentials;
mod delivery;
mod faults;
mod gate;
mod limits;
mod liveness;
mod odd_server;
mod reach;
mod soak;
mod stage;
#[path = "../shared/time.rs"]
mod time;
