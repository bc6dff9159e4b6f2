//! What a pool did and is doing, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// The live counters of one pool.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections_open: AtomicU64,
    pub(super) streams_in_flight: AtomicU64,
    pub(super) connected: AtomicU64,
    pub(super) connect_failed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) going_away: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) ping_lost: AtomicU64,
    pub(super) no_room: AtomicU64,
}

/// The counters of one pool at one moment. All but the first two only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounters {
    /// Connections that are open now, also those that are being drained.
    pub connections_open: u64,
    /// Room that is taken now: requests in flight, and slots about to send one.
    pub streams_in_flight: u64,
    /// Connections made.
    pub connected: u64,
    /// Attempts to connect that failed, and connections that ended before they proved useful.
    pub connect_failed: u64,
    /// Requests that the server refused unprocessed: REFUSED_STREAM, above the last stream of a
    /// GOAWAY, or on a connection that was already closing.
    pub refused: u64,
    /// GOAWAY frames received.
    pub going_away: u64,
    /// Requests without an answer in time.
    pub timed_out: u64,
    /// Requests whose connection or stream broke before the answer.
    pub lost: u64,
    /// Connections closed because nobody answered a PING.
    pub ping_lost: u64,
    /// Callers who waited for room in vain.
    pub no_room: u64,
}

impl Counters {
    pub(super) fn read(&self) -> PoolCounters {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PoolCounters {
            connections_open: of(&self.connections_open),
            streams_in_flight: of(&self.streams_in_flight),
            connected: of(&self.connected),
            connect_failed: of(&self.connect_failed),
            refused: of(&self.refused),
            going_away: of(&self.going_away),
            timed_out: of(&self.timed_out),
            lost: of(&self.lost),
            ping_lost: of(&self.ping_lost),
            no_room: of(&self.no_room),
        }
    }
}

pub(super) fn up(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn down(counter: &AtomicU64) {
    counter.fetch_sub(1, Ordering::Relaxed);
}
