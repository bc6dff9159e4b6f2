//! The APNs simulator seen from outside: real TLS, real HTTP/2, an `h2` client.

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
mod client;
mod devices;
mod faults;
mod fixture;
mod goaway;
mod identity;
mod keys;
mod lifecycle;
mod limits;
#[path = "../shared/tap.rs"]
mod tap;
