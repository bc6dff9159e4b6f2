//! The providers of all platforms and the devices behind them. A push reaches the device at the
//! moment the attempt starts, or never; only answers take time. So what a device shows is what the
//! workers did, in the order they did it.

mod attempt;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use campanile_core::port::{EventLog, Push, PushBody, Pusher, RouteDown, Slot, SyncState};
use campanile_core::{
    Address, DeliveryId, FcmTarget, HoldReason, NotificationId, Offset, Outcome, Partition,
    Platform, Route, Tick, Timestamp,
};
use campanile_engine::tasks::sleep;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::faults::Fault;
use super::fuse::Fuse;
use super::held;
use super::log::Logs;
use super::roles::Role;
use super::stage::Stage;

pub(crate) use attempt::{Attempt, Said};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One installation of the app on one device, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DeviceNo(pub(crate) usize);

/// What a device shows of an item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) delivery: DeliveryId,
    /// The event it was shown for.
    cause: u64,
    /// When.
    since: Tick,
}

/// The provider. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Provider {
    stage: Arc<Stage>,
    logs: Logs,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    tokens: BTreeMap<String, Token>,
    screens: BTreeMap<DeviceNo, BTreeMap<NotificationId, Shown>>,
    attempts: Vec<Attempt>,
    in_flight: usize,
    /// On which platforms every attempt is one too many, and why.
    forbidden: BTreeMap<Platform, &'static str>,
    troubled: BTreeMap<Route, Tick>,
}

#[derive(Clone, Copy)]
struct Token {
    device: DeviceNo,
    dead_since: Option<Timestamp>,
}

impl Provider {
    pub(crate) fn new(stage: Arc<Stage>, logs: Logs) -> Self {
        Self { stage, logs, state: Arc::default() }
    }

    /// A worker's way to the provider, with `room` for that many pushes at once on each route.
    pub(crate) fn client(&self, who: &'static str, room: usize, fuse: &Arc<Fuse>) -> Client {
        let (provider, fuse) = (self.clone(), fuse.clone());
        let (rooms, seen) = (Arc::default(), Arc::default());
        Client { provider, who, room, fuse, rooms, seen }
    }

    /// A token leads to a device from now on.
    pub(crate) fn install(&self, token: &str, device: DeviceNo) {
        held(&self.state).tokens.insert(token.to_owned(), Token { device, dead_since: None });
    }

    /// A token leads nowhere from now on.
    pub(crate) fn kill(&self, token: &str) {
        let now = self.stage.now();
        if let Some(token) = held(&self.state).tokens.get_mut(token) {
            token.dead_since.get_or_insert(now);
        }
    }

    /// Whether a token leads to a device.
    pub(crate) fn is_alive(&self, token: &str) -> bool {
        held(&self.state).tokens.get(token).is_some_and(|token| token.dead_since.is_none())
    }

    /// An app takes an item off its own screen.
    pub(crate) fn clear(&self, device: DeviceNo, item: NotificationId) {
        held(&self.state).screens.entry(device).or_default().remove(&item);
    }

    /// An app is gone from a device, and what it showed with it.
    pub(crate) fn clear_all(&self, device: DeviceNo) {
        held(&self.state).screens.remove(&device);
    }

    pub(crate) fn screens(&self) -> BTreeMap<DeviceNo, BTreeMap<NotificationId, Shown>> {
        held(&self.state).screens.clone()
    }

    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        held(&self.state).attempts.clone()
    }

    pub(crate) fn in_flight(&self) -> usize {
        held(&self.state).in_flight
    }

    /// From now on every attempt on a platform breaks a promise.
    pub(crate) fn forbid(&self, platform: Platform, why: &'static str) {
        held(&self.state).forbidden.insert(platform, why);
    }

    /// Attempts on a platform are right again.
    pub(crate) fn allow(&self, platform: Platform) {
        held(&self.state).forbidden.remove(&platform);
    }

    /// When a route first had trouble of its own, as opposed to a push.
    pub(crate) fn troubled(&self) -> BTreeMap<Route, Tick> {
        held(&self.state).troubled.clone()
    }

    fn trouble(&self, route: &Route) {
        held(&self.state).troubled.entry(route.clone()).or_insert(self.stage.tick());
    }

    fn token(&self, push: &Push) -> Option<Token> {
        let token = match &*push.address {
            Address::Apns { token, .. } => token.as_str(),
            Address::Fcm { target: FcmTarget::Token(it) | FcmTarget::Installation(it), .. } => {
                it.as_str()
            }
        };
        held(&self.state).tokens.get(token).copied()
    }

    /// The device gets the push.
    fn show(&self, push: &Push, device: DeviceNo) {
        let mut state = held(&self.state);
        let screen = state.screens.entry(device).or_default();
        match &push.body {
            PushBody::Show { .. } => {
                let (cause, since) = (push.sequence, self.stage.tick());
                screen.insert(push.item, Shown { delivery: push.delivery, cause, since });
            }
            PushBody::Sync(state) => self.sync(screen, push, push.sequence, state),
            // The app fetches how all items stand, and shows them by itself if at all.
            PushBody::Signal => screen.clear(),
        }
        for told in &push.along {
            self.stage.reach(match &push.body {
                PushBody::Show { .. } => "told along with a post",
                PushBody::Sync(_) | PushBody::Signal => "told along with a change",
            });
            self.sync(screen, push, told.sequence, &told.state);
        }
    }

    /// The device hears in a push how an item stands, as of an event.
    fn sync(
        &self,
        screen: &mut BTreeMap<NotificationId, Shown>,
        push: &Push,
        sequence: u64,
        state: &SyncState,
    ) {
        let Some(shown) = screen.get(&state.id).copied().filter(|_| state.clear) else { return };
        screen.remove(&state.id);
        self.check_order(push, sequence, shown);
        self.stage.reach(match push.address.platform() {
            Platform::Fcm => "cleared on fcm",
            _ => "cleared on apns",
        });
    }

    /// G7: what an earlier event calls for does not take off the screen what a later one put there,
    /// unless a worker was replaced in between.
    fn check_order(&self, clear: &Push, sequence: u64, shown: Shown) {
        let is_older = sequence < shown.cause;
        if is_older && !self.stage.was_disturbed(shown.since, self.stage.tick()) {
            let (later, earlier) = (shown.delivery, clear.delivery);
            self.stage.broken("G7", format!("{later} was cleared by {earlier}, which is older"));
        }
    }

    /// What becomes of a push: whether it reaches the device, how long the answer takes, and what
    /// it says.
    fn fate(&self, push: &Push) -> (bool, Duration, Outcome) {
        let (stage, random) = (&self.stage, self.stage.faults.random());
        let reason = || "simulated".to_owned();
        let soon = random.millis(0, 120);
        if stage.is_open(Fault::CredentialRefused) {
            let hold = HoldReason::Credential;
            let (status, reason) = (403, reason());
            let refused = Outcome::RouteRefused { hold, status, reason, retry_after: None };
            return (false, soon, refused);
        }
        let asked = [None, Some(2), Some(30), Some(900)];
        let retry_after = random.pick(&asked).copied().flatten().map(Duration::from_secs);
        let indefinite = Outcome::Indefinite { reason: reason() };
        let fates = [
            (Fault::AnswerLate, true, PATIENCE, indefinite.clone()),
            (Fault::Stall, false, PATIENCE, indefinite.clone()),
            (Fault::ResetShown, true, soon, indefinite.clone()),
            (Fault::ResetLost, false, soon, indefinite),
            (Fault::RefusedStream, false, soon, Outcome::Unprocessed { reason: reason() }),
            (Fault::CredentialStale, false, soon, Outcome::CredentialStale { reason: reason() }),
            (Fault::Rejected, false, soon, Outcome::Rejected { status: 400, reason: reason() }),
            (
                Fault::Throttled,
                false,
                soon,
                Outcome::Throttled { status: 429, reason: reason(), retry_after },
            ),
            (
                Fault::ServerError,
                false,
                soon,
                Outcome::Unavailable { status: 503, reason: reason(), retry_after },
            ),
        ];
        for (fault, is_shown, wait, outcome) in fates {
            if stage.strikes(fault) {
                return (is_shown, wait, outcome);
            }
        }
        let since = self.token(push).map(|token| token.dead_since);
        match since {
            Some(None) => {
                let provider_id = push.delivery.to_string();
                (true, soon, Outcome::Accepted { provider_id })
            }
            _ => {
                let tells = random.chance(500);
                let name = if tells { "410 with a timestamp" } else { "410 without a timestamp" };
                stage.reach(name);
                let since = since.flatten().filter(|_| tells);
                let reason = "Unregistered".to_owned();
                // Slow, so that a new registration may come between.
                let wait = random.millis(0, 4000);
                (false, wait, Outcome::AddressGone { status: 410, reason, since })
            }
        }
    }

    async fn receive(&self, client: &Client, route: &Route, push: &Push) -> usize {
        let log = &self.logs.events;
        let prefix = Partition(push.item.prefix());
        let partition = Partition(prefix.0 % log.identity().partitions.max(1));
        let cause = Offset(push.sequence);
        let (group, stream) = Role::of(route.platform).group();
        let progress = self.logs.progress(stream, &group).await;
        let progress = progress.into_iter().find(|it| it.partition == partition);
        let tail = log.bounds(partition).await.map_or(Offset(0), |kept| kept.end);
        let stage = &self.stage;
        if cause >= tail {
            stage.broken("G4", format!("{} was sent before its event was durable", push.delivery));
        }
        if let Some(why) = held(&self.state).forbidden.get(&route.platform) {
            stage.broken("G6", format!("{} was sent: {why}", push.delivery));
        }
        let seen = held(&client.seen).get(&partition).copied();
        held(&client.seen)
            .entry(partition)
            .and_modify(|known| *known = (*known).max(cause))
            .or_insert(cause);
        let said = Said::of(&push.body);
        let token = self.token(push);
        let attempt = Attempt {
            delivery: push.delivery,
            item: push.item,
            partition,
            said,
            cause,
            route: route.clone(),
            expires_at: push.expires_at,
            at: stage.now(),
            latest: stage.latest(),
            started: stage.tick(),
            answered: None,
            is_accepted: false,
            progress,
            seen,
        };
        let (who, verb) = (client.who, said.verb());
        let (delivery, device) = (push.delivery, token.map(|token| token.device.0));
        stage.note(format_args!("{who} {verb} {partition}/{cause} {delivery} on {device:?}"));
        let mut state = held(&self.state);
        state.in_flight += 1;
        state.attempts.push(attempt);
        state.attempts.len() - 1
    }
}

/// One incarnation of a worker, to the provider.
#[derive(Clone)]
pub(crate) struct Client {
    provider: Provider,
    who: &'static str,
    room: usize,
    fuse: Arc<Fuse>,
    rooms: Arc<Mutex<BTreeMap<Route, Arc<Semaphore>>>>,
    seen: Arc<Mutex<BTreeMap<Partition, Offset>>>,
}

#[async_trait]
impl Pusher for Client {
    async fn slot(&self, route: &Route) -> Result<Box<dyn Slot>, RouteDown> {
        self.fuse.step().await;
        let (provider, stage) = (&self.provider, &self.provider.stage);
        let unreachable = || RouteDown::Unreachable { reason: "simulated".to_owned() };
        if stage.is_open(Fault::RouteHeld) {
            provider.trouble(route);
            return Err(RouteDown::Held(HoldReason::Credential));
        }
        if stage.is_open(Fault::RouteDown) || stage.strikes(Fault::NoRoom) {
            provider.trouble(route);
            stage.dawdle(0, 50).await;
            return Err(unreachable());
        }
        let room = held(&self.rooms)
            .entry(route.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(self.room)))
            .clone();
        let Ok(Ok(permit)) = tokio::time::timeout(PATIENCE, room.acquire_owned()).await else {
            provider.trouble(route);
            stage.reach("no room in time");
            return Err(unreachable());
        };
        Ok(Box::new(SimSlot { client: self.clone(), route: route.clone(), _permit: permit }))
    }
}

struct SimSlot {
    client: Client,
    route: Route,
    _permit: OwnedSemaphorePermit,
}

/// Counts an attempt as in flight until it is answered or its sender is gone.
struct InFlight(Arc<Mutex<State>>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = held(&self.0);
        state.in_flight = state.in_flight.saturating_sub(1);
    }
}

#[async_trait]
impl Slot for SimSlot {
    async fn send(self: Box<Self>, push: Push) -> Outcome {
        let (client, provider) = (&self.client, &self.client.provider);
        client.fuse.step().await;
        let index = provider.receive(client, &self.route, &push).await;
        let _in_flight = InFlight(provider.state.clone());
        let (is_shown, wait, outcome) = provider.fate(&push);
        if matches!(outcome, Outcome::RouteRefused { .. }) {
            provider.trouble(&self.route);
        }
        let alive = provider.token(&push).filter(|token| token.dead_since.is_none());
        if let Some(token) = alive.filter(|_| is_shown) {
            provider.show(&push, token.device);
        }
        client.fuse.step().await;
        sleep(wait).await;
        let is_accepted = matches!(outcome, Outcome::Accepted { .. });
        let tick = provider.stage.tick();
        if let Some(attempt) = held(&provider.state).attempts.get_mut(index) {
            (attempt.answered, attempt.is_accepted) = (Some(tick), is_accepted);
        }
        let (who, delivery) = (client.who, push.delivery);
        provider.stage.note(format_args!("{who} hears of {delivery}: {outcome:?}"));
        outcome
    }
}
