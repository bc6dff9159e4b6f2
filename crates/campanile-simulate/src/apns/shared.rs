//! What all connections and the observers of a simulator have in common.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{broadcast, watch};

use super::config::{Config, Recording, StreamLimits};
use super::device::Change;
use super::fault::{Plan, Script};
use super::id::ApnsId;
use super::reason::{Reason, Rejection};
use super::session::Session;
use super::state::{Incoming, State};
use crate::Clock;

/// Changes a slow subscriber may lag behind before it misses some.
const CHANGES: usize = 4096;

/// A change on a device.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceChange {
    /// The device token, in lower case.
    pub token: Arc<str>,
    /// What changed.
    pub change: Change,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: StreamLimits,
    pub(crate) version: watch::Sender<()>,
    pub(crate) changes: broadcast::Sender<DeviceChange>,
    recording: Recording,
    state: Mutex<State>,
    /// Whether the script has any entry; spares the lock when it has none.
    scripted: AtomicBool,
}

impl Shared {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            clock: Arc::clone(&config.clock),
            limits: config.streams,
            version: watch::Sender::new(()),
            changes: broadcast::Sender::new(CHANGES),
            recording: config.recording,
            state: Mutex::new(State::new(config.seed)),
            scripted: AtomicBool::new(false),
        }
    }

    /// Looks at the state.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // No code of ours panics with the lock held; a caller's condition may, and harms nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and tells those who wait for a change.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.state());
        // A waiter subscribes before it looks, and it looks under the lock: either it sees this
        // change or it is counted here.
        if self.version.receiver_count() > 0 {
            self.version.send_replace(());
        }
        result
    }

    /// Changes a device's state and publishes what that did to it.
    pub(crate) fn change_device<R>(
        &self,
        token: &str,
        change: impl FnOnce(&mut State) -> (R, Vec<Change>),
    ) -> R {
        self.change(|state| {
            let (result, changes) = change(state);
            // Under the lock, so that subscribers get changes in the order in which they happened.
            if !changes.is_empty() && self.changes.receiver_count() > 0 {
                let token: Arc<str> = token.to_ascii_lowercase().into();
                for change in changes {
                    // It only fails if the last subscriber has just left.
                    let _nobody =
                        self.changes.send(DeviceChange { token: Arc::clone(&token), change });
                }
            }
            result
        })
    }

    /// Changes the script.
    pub(crate) fn rewrite<R>(&self, change: impl FnOnce(&mut Script) -> R) -> R {
        let mut state = self.state();
        let result = change(&mut state.script);
        self.scripted.store(!state.script.is_empty(), Ordering::Release);
        result
    }

    /// What the script says about the next push of a device.
    pub(crate) fn plan(&self, device: &str) -> Plan {
        if !self.scripted.load(Ordering::Acquire) {
            return Plan::default();
        }
        let state = &mut *self.state();
        state.script.plan(device, &mut state.random)
    }

    /// A fresh id for a request that has none.
    pub(crate) fn new_id(&self) -> ApnsId {
        ApnsId::random(&mut self.state().random)
    }

    /// Accepts and delivers a push, or refuses it; counts both.
    pub(crate) fn judge(
        &self,
        session: &mut Session,
        push: &Incoming<'_>,
        body: &Bytes,
    ) -> Result<(), Rejection> {
        let record = match self.recording {
            Recording::Full => serde_json::from_slice(body).map(Some),
            Recording::CountsOnly => Ok(None),
        };
        // The body was found to be JSON before; this reader is stricter about numbers and depth.
        let record = record.map_err(|_| Rejection::from(Reason::PayloadEmpty));
        self.change_device(push.head.device, |state| {
            match record.and_then(|record| state.judge(session, push, record)) {
                Ok(changes) => (Ok(()), changes),
                Err(rejection) => {
                    state.rejected(push.connection, &rejection);
                    (Err(rejection), Vec::new())
                }
            }
        })
    }
}
