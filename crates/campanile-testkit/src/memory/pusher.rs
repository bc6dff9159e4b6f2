//! A platform that answers by script and remembers what it was sent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use campanile_core::port::{Clock, Push, Pusher, RouteDown, Slot};
use campanile_core::{Outcome, Route, Tick, Timestamp};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::lock;

/// A push that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// On which route.
    pub route: Route,
    /// What.
    pub push: Push,
    /// When, by the wall clock.
    pub at: Timestamp,
    /// When, by the monotonic clock.
    pub tick: Tick,
}

/// How the platform answers a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// At once.
    Now(Outcome),
    /// After a while, on tokio's time.
    After(Duration, Outcome),
}

impl From<Outcome> for Reply {
    fn from(outcome: Outcome) -> Self {
        Self::Now(outcome)
    }
}

type Answer = Box<dyn FnMut(&Sent) -> Reply + Send>;

/// A platform in memory. Clones are the same platform.
///
/// It accepts everything, unless told otherwise: first the scripted replies are used up, then the
/// answering function is asked.
#[derive(Clone)]
pub struct ScriptedPusher {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    room: usize,
    patience: Duration,
    state: Mutex<State>,
    arrived: Notify,
}

struct State {
    sent: Vec<Sent>,
    script: VecDeque<Reply>,
    answer: Answer,
    rooms: BTreeMap<Route, Arc<Semaphore>>,
    down: BTreeMap<Route, RouteDown>,
}

impl ScriptedPusher {
    /// A platform with `room` for that many pushes at once on each route. A push that finds no
    /// room within `patience`, on tokio's time, is turned away.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, room: usize, patience: Duration) -> Self {
        let accept = |_: &Sent| Outcome::Accepted { provider_id: "scripted".into() }.into();
        let state = State {
            sent: Vec::new(),
            script: VecDeque::new(),
            answer: Box::new(accept),
            rooms: BTreeMap::new(),
            down: BTreeMap::new(),
        };
        let (state, arrived) = (Mutex::new(state), Notify::new());
        Self { shared: Arc::new(Shared { clock, room, patience, state, arrived }) }
    }

    /// Adds replies for the next pushes, in the order of their arrival.
    pub fn script<R: Into<Reply>>(&self, replies: impl IntoIterator<Item = R>) {
        lock(&self.shared.state).script.extend(replies.into_iter().map(Into::into));
    }

    /// Asks `answer` for every reply that is not scripted.
    pub fn answer_with(&self, answer: impl FnMut(&Sent) -> Reply + Send + 'static) {
        lock(&self.shared.state).answer = Box::new(answer);
    }

    /// Takes a route down: it has no room until [`Self::bring_up`].
    pub fn take_down(&self, route: &Route, why: RouteDown) {
        lock(&self.shared.state).down.insert(route.clone(), why);
    }

    /// Opens a route again.
    pub fn bring_up(&self, route: &Route) {
        lock(&self.shared.state).down.remove(route);
    }

    /// Every push so far, in the order of arrival.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        lock(&self.shared.state).sent.clone()
    }

    /// Waits until at least `count` pushes have arrived, and answers all there are.
    pub async fn wait_for(&self, count: usize) -> Vec<Sent> {
        loop {
            let arrived = self.shared.arrived.notified();
            let sent = self.sent();
            if sent.len() >= count {
                return sent;
            }
            arrived.await;
        }
    }
}

impl Shared {
    fn receive(&self, route: &Route, push: Push) -> Reply {
        let (at, tick) = (self.clock.now(), self.clock.tick());
        let sent = Sent { route: route.clone(), push, at, tick };
        let mut state = lock(&self.state);
        let scripted = state.script.pop_front();
        let reply = scripted.unwrap_or_else(|| (state.answer)(&sent));
        state.sent.push(sent);
        reply
    }
}

#[async_trait]
impl Pusher for ScriptedPusher {
    async fn slot(&self, route: &Route) -> Result<Box<dyn Slot>, RouteDown> {
        let room = {
            let mut state = lock(&self.shared.state);
            if let Some(why) = state.down.get(route) {
                return Err(why.clone());
            }
            let new = || Arc::new(Semaphore::new(self.shared.room));
            state.rooms.entry(route.clone()).or_insert_with(new).clone()
        };
        let waited = tokio::time::timeout(self.shared.patience, room.acquire_owned()).await;
        let Ok(Ok(permit)) = waited else {
            let reason = format!("no room within {:?}", self.shared.patience);
            return Err(RouteDown::Unreachable { reason });
        };
        let (shared, route) = (self.shared.clone(), route.clone());
        Ok(Box::new(ScriptedSlot { shared, route, _permit: permit }))
    }
}

struct ScriptedSlot {
    shared: Arc<Shared>,
    route: Route,
    _permit: OwnedSemaphorePermit,
}

#[async_trait]
impl Slot for ScriptedSlot {
    async fn send(self: Box<Self>, push: Push) -> Outcome {
        let reply = self.shared.receive(&self.route, push);
        self.shared.arrived.notify_waiters();
        match reply {
            Reply::Now(outcome) => outcome,
            Reply::After(wait, outcome) => {
                tokio::time::sleep(wait).await;
                outcome
            }
        }
    }
}
