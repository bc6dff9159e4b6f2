//! What a pool's callers and its connections' tasks share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::config::PoolConfig;
use super::connection::{Connection, Gauge};
use super::counters::{Counters, down, up};

/// The connections of a pool, and who waits for them.
pub(super) struct Shared {
    pub(super) host: String,
    pub(super) config: PoolConfig,
    pub(super) counters: Counters,
    /// Told whenever there may be room for somebody who waits.
    pub(super) room: Notify,
    state: Mutex<State>,
}

/// Which connections there are, and how making another one goes.
#[derive(Default)]
pub(super) struct State {
    /// Connections that take new requests.
    pub(super) open: Vec<Arc<Connection>>,
    /// Whether one is being made. One at a time: when a server comes back, it is not stormed.
    pub(super) dialling: bool,
    /// How long nobody connects, after a failure.
    pub(super) cooling: Option<Duration>,
    /// Attempts begun; chooses among the addresses of the host.
    pub(super) turn: usize,
    /// Failures since a connection last proved good.
    failures: u32,
    pub(super) last_error: Option<String>,
}

impl Shared {
    pub(super) fn new(host: String, config: PoolConfig) -> Self {
        let (counters, room, state) = (Counters::default(), Notify::new(), Mutex::default());
        Self { host, config, counters, room, state }
    }

    /// The state. A panic elsewhere leaves it as usable as it was: no step on it is half done.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everybody who waits: how much room there is changed by an unknown amount.
    pub(super) fn room_changed(&self) {
        self.room.notify_waiters();
    }

    /// A connection is there.
    pub(super) fn connected(&self, connection: Arc<Connection>) {
        up(&self.counters.connected);
        up(&self.counters.connections_open);
        let mut state = self.state();
        state.dialling = false;
        state.open.push(connection);
        drop(state);
        self.room_changed();
    }

    /// A connection proved good.
    pub(super) fn proved(&self) {
        let mut state = self.state();
        (state.failures, state.last_error) = (0, None);
        drop(state);
        self.room_changed();
    }

    /// Nothing new goes over a connection from now on.
    pub(super) fn close(&self, gauge: &Arc<Gauge>) {
        if gauge.close() {
            let closed = {
                let mut state = self.state();
                let at = state.open.iter().position(|it| Arc::ptr_eq(&it.gauge, gauge));
                at.map(|at| state.open.swap_remove(at))
            };
            // Outside of the lock: if nobody else holds it, this closes the connection.
            drop(closed);
            self.room_changed();
        }
    }

    /// A connection ended. Answers how long to wait before the next, if it never proved good.
    pub(super) fn ended(&self, gauge: &Arc<Gauge>, why: String) -> Option<Duration> {
        down(&self.counters.connections_open);
        self.close(gauge);
        (!gauge.is_proved()).then(|| self.failed(why))
    }

    /// No connection was made. Answers how long to wait before the next attempt.
    pub(super) fn dial_failed(&self, why: String) -> Duration {
        self.state().dialling = false;
        self.failed(why)
    }

    fn failed(&self, why: String) -> Duration {
        up(&self.counters.connect_failed);
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        state.last_error = Some(why);
        let backoff = self.config.backoff(state.failures);
        state.cooling = Some(backoff);
        drop(state);
        self.room_changed();
        backoff
    }

    /// The wait after a failure is over.
    pub(super) fn cooled_down(&self) {
        self.state().cooling = None;
        self.room_changed();
    }
}
