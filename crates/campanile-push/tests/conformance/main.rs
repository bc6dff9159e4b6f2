//! The senders keep the contract of [`campanile_core::port::Pusher`], each against the simulated
//! service of its platform.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

mod apns;
mod fcm;
#[path = "../shared/time.rs"]
#[allow(dead_code, reason = "here the machine's time is good enough")]
mod time;

use std::time::Duration;

use campanile_push::PoolConfig;

/// Requests that fit into the one connection there is.
const ROOM: usize = 4;

/// One connection, and waits that a test can afford.
fn pool() -> PoolConfig {
    PoolConfig {
        connections: 1,
        streams_per_connection: ROOM,
        request_timeout: Duration::from_millis(500),
        room_timeout: Duration::from_millis(500),
        ..PoolConfig::default()
    }
}

/// Waits until something is as it must become.
async fn noticed(condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), poll).await.expect("noticed in time");
}
