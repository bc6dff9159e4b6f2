//! How routes fare, for whoever asks.

use std::sync::{Mutex, PoisonError};

use campanile_core::{HoldReason, Route, Timestamp};

/// How a route fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteReading {
    /// Which.
    pub route: Route,
    /// Why it does not send, if it does not.
    pub hold: Option<HoldReading>,
    /// Records of the log that are read again when it works, whatever they hold.
    pub backlog_events: u64,
    /// The partitions they are in.
    pub backlog_partitions: u32,
}

/// Why a route does not send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldReading {
    /// In a word.
    pub why: HoldReason,
    /// What the platform or the transport said last.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// When one delivery tries it.
    pub next_try: Timestamp,
}

/// What a worker last said about its routes.
#[derive(Debug, Default)]
pub struct RouteBoard(Mutex<Vec<RouteReading>>);

impl RouteBoard {
    /// Says how the routes fare now.
    pub fn set(&self, routes: Vec<RouteReading>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = routes;
    }

    /// What was said last.
    #[must_use]
    pub fn get(&self) -> Vec<RouteReading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
