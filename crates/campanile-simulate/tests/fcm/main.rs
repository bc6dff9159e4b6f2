//! The FCM simulator seen from outside: real TLS, real HTTP/2, an `h2` client.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "test code"
)]

mod checks;
#[path = "../shared/client.rs"]
#[allow(dead_code, reason = "the APNs tests need more of it")]
mod client;
mod devices;
mod faults;
mod fixture;
mod sign_in;
#[path = "../shared/tap.rs"]
#[allow(dead_code, reason = "the APNs tests need more of it")]
mod tap;
