//! What all connections and the observers of a simulator have in common.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use tokio::sync::{broadcast, watch};

use super::fault::{Action, Plan, Script};
use super::world::{Counts, World};
use super::{Recording, Serve, Service, Setup, StreamLimits, Subject, Tap};
use crate::Clock;
use crate::random::Random;

/// Changes a slow subscriber may lag behind before it misses some.
const CHANGES: usize = 4096;

/// A change on a device.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceChange<C> {
    /// The device's key: of an APNs device its token in lower case, of an FCM device its
    /// installation id.
    pub token: Arc<str>,
    /// What changed.
    pub change: C,
}

#[derive(Debug)]
pub(crate) struct Shared<S: Service> {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: StreamLimits,
    pub(crate) recording: Recording,
    pub(crate) tap: Option<Tap>,
    pub(super) version: watch::Sender<()>,
    pub(super) changes: broadcast::Sender<DeviceChange<S::Change>>,
    state: Mutex<State<S>>,
    /// Whether the script has any entry; spares the lock when it has none.
    scripted: AtomicBool,
}

/// Everything that the connections share and may change.
#[derive(Debug)]
pub(crate) struct State<S: Service> {
    pub(crate) world: World<S>,
    pub(crate) script: Script<S::Rejection>,
    pub(crate) random: Random,
    /// Until when refused pushes are not to be repeated, in milliseconds since the Unix epoch; by
    /// device and by what they have in common with their repetition.
    asked_to_wait: HashMap<(String, String), u64>,
    /// What only this kind of service knows.
    pub(crate) service: S,
}

impl<S: Service> Shared<S> {
    pub(super) fn new(setup: Setup<S>) -> Self {
        let state = State {
            world: World::new(),
            script: Script::new(),
            random: Random::new(setup.seed),
            asked_to_wait: HashMap::new(),
            service: setup.service,
        };
        Self {
            clock: setup.clock,
            limits: setup.streams,
            recording: setup.recording,
            tap: setup.tap,
            version: watch::Sender::new(()),
            changes: broadcast::Sender::new(CHANGES),
            state: Mutex::new(state),
            scripted: AtomicBool::new(false),
        }
    }

    /// Looks at the state.
    pub(crate) fn state(&self) -> MutexGuard<'_, State<S>> {
        // No code of ours panics with the lock held; a caller's condition may, and harms nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and tells those who wait for a change.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut State<S>) -> R) -> R {
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
        name: &str,
        change: impl FnOnce(&mut State<S>) -> (R, Vec<S::Change>),
    ) -> R {
        self.change(|state| {
            let (result, changes) = change(state);
            // Under the lock, so that subscribers get changes in the order in which they happened.
            if !changes.is_empty() && self.changes.receiver_count() > 0 {
                let token: Arc<str> = S::key(name).into();
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
    pub(super) fn rewrite<R>(&self, change: impl FnOnce(&mut Script<S::Rejection>) -> R) -> R {
        let mut state = self.state();
        let result = change(&mut state.script);
        self.scripted.store(!state.script.is_empty(), Ordering::Release);
        result
    }

    /// Counts for a connection and for the whole.
    pub(super) fn count(&self, connection: u64, add: impl Fn(&mut Counts)) {
        self.change(|state| state.world.count(connection, add));
    }
}

impl<S: Serve> Shared<S> {
    /// What the script says about a request of a connection. Notices a sender that was asked to
    /// wait and does not.
    pub(super) fn plan(&self, connection: u64, parts: &Parts, body: &Bytes) -> Plan<S::Rejection> {
        if !self.scripted.load(Ordering::Acquire) {
            return Plan::NONE;
        }
        let subject = match S::subject(parts, body) {
            Subject::Push(name) => Subject::Push(S::key(&name).into_owned().into()),
            Subject::SignIn => Subject::SignIn,
        };
        let state = &mut *self.state();
        let plan = state.script.plan(&subject, &mut state.random);
        if let (Subject::Push(device), Some(what)) = (&subject, S::repeated(parts, body)) {
            let push = (device.as_ref().to_owned(), what.into_owned());
            state.note_waits(connection, push, &plan, self.clock.now_ms());
        }
        plan
    }
}

impl<S: Serve> State<S> {
    fn note_waits(
        &mut self,
        connection: u64,
        push: (String, String),
        plan: &Plan<S::Rejection>,
        now_ms: u64,
    ) {
        if self.asked_to_wait.remove(&push).is_some_and(|until| now_ms < until) {
            self.world.count(connection, |counts| counts.too_soon += 1);
        }
        if let Some(Action::Reject(rejection)) = &plan.action
            && let Some(wait) = S::wait(rejection)
        {
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            self.asked_to_wait.insert(push, now_ms.saturating_add(wait));
        }
    }
}
