//! The rules of the core: one line per rule, and properties of every history.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

mod claims;
mod compose;
mod convergence;
mod endpoints;
mod explain;
mod explain_properties;
mod fallbacks;
mod forgotten;
mod ids;
mod items;
mod plan;
mod plan_properties;
mod quota;
mod redelivery;
mod requests;
mod still_due;
mod sweeps;
mod totality;
