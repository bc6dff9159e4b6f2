//! What a worker leaves in the log, and reads again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

mod ground;
mod handover;
mod priority;
mod several;
mod silence;
mod storm;
mod trouble;
