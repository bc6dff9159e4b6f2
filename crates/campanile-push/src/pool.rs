//! Several HTTP/2 connections (RFC 9113) to one server, as one place with room for requests.
//!
//! - Room first: [`Pool::room`] waits, bounded, for a [`Room`] on a live connection, within the
//!   limit that the server set last. [`Room::send`] then makes one attempt.
//! - Three ends, never mixed up: the server answered; it certainly did nothing; or nobody knows.
//! - Connections are made on demand, one at a time, and each is driven by one task. Requests cost
//!   no task: whoever sends awaits the answer.
//! - Dropping the pool and all room ends everything.

mod config;
mod connection;
mod counters;
mod dial;
mod driver;
mod exchange;
mod link;
mod shared;
mod wire;

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use campanile_core::Tick;
use http::HeaderValue;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use config::{PoolConfig, Roots, Target, ZeroLimit};
pub use counters::PoolCounters;
pub use dial::TargetError;
pub(crate) use exchange::Lost;
pub(crate) use link::Exchange;

use connection::Connection;
use counters::{down, up};
use dial::Dialer;
use shared::{Shared, State};

/// No connection has room, and none will have soon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct NoRoom {
    /// What keeps it from having room.
    pub(crate) reason: String,
}

/// The connections to one server. They live on the runtime of whoever first asks for room.
pub(crate) struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    dialer: Arc<Dialer>,
    /// The connections' tasks; they are aborted with it.
    tasks: Mutex<JoinSet<()>>,
}

impl Pool {
    /// A pool that connects to `target` once somebody wants room.
    ///
    /// # Errors
    /// [`TargetError`] if the target's host or roots, or a limit, are unusable.
    pub(crate) fn new(target: Target, config: PoolConfig) -> Result<Self, TargetError> {
        let shared = Arc::new(Shared::new(target.host.clone(), config));
        let dialer = Arc::new(Dialer::new(target, &shared.config)?);
        Ok(Self { inner: Arc::new(Inner { shared, dialer, tasks: Mutex::default() }) })
    }

    /// Waits for room for one request.
    ///
    /// # Errors
    /// [`NoRoom`] if there is none within the configured time, or will not be: there is no
    /// connection, and the wait before the next attempt is longer than that time.
    pub(crate) async fn room(&self) -> Result<Room, NoRoom> {
        if let Attempt::Taken(room) = self.attempt() {
            return Ok(room);
        }
        let shared = &self.inner.shared;
        let waited = match timeout(shared.config.room_timeout, self.wait()).await {
            Ok(waited) => waited,
            Err(_) => Err(NoRoom { reason: self.why_no_room() }),
        };
        waited.inspect_err(|_| up(&shared.counters.no_room))
    }

    /// What the pool did and is doing.
    pub(crate) fn counters(&self) -> PoolCounters {
        self.inner.shared.counters.read()
    }

    async fn wait(&self) -> Result<Room, NoRoom> {
        loop {
            let mut changed = pin!(self.inner.shared.room.notified());
            // In line before looking, or what changes in between goes unnoticed.
            changed.as_mut().enable();
            match self.attempt() {
                Attempt::Taken(room) => return Ok(room),
                Attempt::Hopeless => return Err(NoRoom { reason: self.why_no_room() }),
                Attempt::Later => changed.await,
            }
        }
    }

    fn attempt(&self) -> Attempt {
        let shared = &self.inner.shared;
        let mut state = shared.state();
        if let Some(connection) = take(&state) {
            drop(state);
            up(&shared.counters.streams_in_flight);
            return Attempt::Taken(Room { connection, pool: self.inner.clone() });
        }
        if state.cooling.is_some_and(|wait| wait > shared.config.room_timeout) {
            return if state.open.is_empty() { Attempt::Hopeless } else { Attempt::Later };
        }
        if state.open.len() < shared.config.connections
            && !state.dialling
            && state.cooling.is_none()
        {
            state.dialling = true;
            let turn = state.turn;
            state.turn = turn.wrapping_add(1);
            drop(state);
            let mut tasks = self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            driver::start(&mut tasks, Arc::downgrade(shared), self.inner.dialer.clone(), turn);
        }
        Attempt::Later
    }

    fn why_no_room(&self) -> String {
        let state = self.inner.shared.state();
        match (&state.last_error, state.open.len()) {
            (Some(error), _) => error.clone(),
            (None, 0) => "no connection yet".to_owned(),
            (None, open) => format!("no room on {open} connections"),
        }
    }
}

enum Attempt {
    Taken(Room),
    Later,
    Hopeless,
}

/// Takes room on the connection that has the most.
fn take(state: &State) -> Option<Arc<Connection>> {
    let most = state.open.iter().max_by_key(|connection| connection.gauge.free())?;
    most.gauge.take().then(|| most.clone())
}

/// Room for one request on a live connection, given back when it is dropped.
pub(crate) struct Room {
    connection: Arc<Connection>,
    pool: Arc<Inner>,
}

impl Room {
    /// The `authorization` to send with: `newest`, or the one that the connection had before if it
    /// has not had it for `shortest_use` yet, as of `now`. Some servers suffer no quick changes.
    pub(crate) fn authorization(
        &self,
        newest: HeaderValue,
        now: impl FnOnce() -> Tick,
        shortest_use: Duration,
    ) -> HeaderValue {
        self.connection.authorization(newest, now, shortest_use)
    }

    /// Ends the connection once everybody on it is done; nobody new gets room on it.
    pub(crate) fn close_connection(&self) {
        self.pool.shared.close(&self.connection.gauge);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.connection.gauge.give_back();
        down(&self.pool.shared.counters.streams_in_flight);
        self.pool.shared.room.notify_one();
    }
}
