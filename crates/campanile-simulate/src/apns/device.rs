//! A simulated device: what its user sees, and what reached it.
//!
//! The app on it behaves like an app of ours: an alert is shown under its collapse id, and a
//! background push whose root key `campanile` is `{"items":[{"id":…,"clear":true}]}` takes those
//! notifications off the screen. So does an alert with `mutable-content`, for which the system runs
//! the app's service extension.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::environment::Environment;
use super::id::ApnsId;
use super::push::{Kind, Received};

/// Received pushes and removals remembered per device; the oldest go first.
pub const HISTORY: usize = 1000;
/// A push counts as a duplicate if its `apns-id` is among so many accepted last by the device.
pub const DUPLICATE_MEMORY: usize = 32;

/// Whether pushes to the device token are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// They are.
    Active,
    /// 410 `Unregistered`: the app is gone since this time (milliseconds since the Unix epoch).
    Unregistered(u64),
    /// 410 `ExpiredToken` since this time (milliseconds since the Unix epoch).
    Expired(u64),
}

/// A notification on the screen.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its collapse id, or its `apns-id` if it has none.
    pub id: String,
    /// The push that it comes from.
    pub push: Received,
    /// How often it was replaced by a later push.
    pub replaced: u32,
}

/// A notification that left the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// What [`Shown::id`] was.
    pub id: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who took it away.
    pub by: Remover,
}

/// Who took a notification off the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remover {
    /// The app, because a background push said so.
    App,
    /// The user of the device.
    User,
}

/// A change of what a device shows or knows.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A notification appeared.
    Shown(Shown),
    /// A notification took the place of an earlier one with the same id.
    Replaced(Shown),
    /// A notification left the screen.
    Removed(Removed),
    /// The app's badge was set.
    Badge(u64),
    /// The app was woken by a background push.
    Woken(Received),
}

/// One app installation with a device token.
#[derive(Clone, Debug)]
pub struct Device {
    bundle_id: Arc<str>,
    environment: Environment,
    registration: Registration,
    online: bool,
    stored: Option<Box<Received>>,
    screen: BTreeMap<String, Shown>,
    badge: Option<u64>,
    history: VecDeque<Received>,
    removed: VecDeque<Removed>,
    recent: VecDeque<ApnsId>,
    silent_limit: Option<SilentLimit>,
    /// When the last background pushes came, as many as the limit allows.
    silent: VecDeque<u64>,
    accepted: u64,
    duplicates: u64,
    discarded: u64,
    throttled: u64,
}

/// How many background pushes a device is given; others are dropped without a word, as Apple does
/// with more than "two or three per hour" ("Pushing background updates to your App").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilentLimit {
    /// So many
    pub pushes: usize,
    /// within so many milliseconds.
    pub window_ms: u64,
}

impl Device {
    pub(crate) fn new(bundle_id: Arc<str>, environment: Environment) -> Self {
        Self {
            bundle_id,
            environment,
            registration: Registration::Active,
            online: true,
            stored: None,
            screen: BTreeMap::new(),
            badge: None,
            history: VecDeque::new(),
            removed: VecDeque::new(),
            recent: VecDeque::new(),
            silent_limit: None,
            silent: VecDeque::new(),
            accepted: 0,
            duplicates: 0,
            discarded: 0,
            throttled: 0,
        }
    }

    /// The app's bundle id.
    pub fn bundle_id(&self) -> &str {
        &self.bundle_id
    }

    /// The environment that the token belongs to.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// Whether pushes are accepted.
    pub fn registration(&self) -> Registration {
        self.registration
    }

    /// Whether accepted pushes reach the device now.
    pub fn is_online(&self) -> bool {
        self.online
    }

    /// The one push that waits for the device to come online.
    pub fn stored(&self) -> Option<&Received> {
        self.stored.as_deref()
    }

    /// The notifications on the screen, by id.
    pub fn screen(&self) -> &BTreeMap<String, Shown> {
        &self.screen
    }

    /// The notification of the given id, if it is on the screen.
    pub fn shown(&self, id: &str) -> Option<&Shown> {
        self.screen.get(id)
    }

    /// The number on the app's icon, if a push ever set it.
    pub fn badge(&self) -> Option<u64> {
        self.badge
    }

    /// The pushes that reached the device, oldest first, at most [`HISTORY`].
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &Received> + ExactSizeIterator {
        self.history.iter()
    }

    /// What left the screen, oldest first, at most [`HISTORY`].
    pub fn removed(&self) -> impl DoubleEndedIterator<Item = &Removed> + ExactSizeIterator {
        self.removed.iter()
    }

    /// Pushes accepted for the device, duplicates included.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Accepted pushes whose `apns-id` the device had before; see [`DUPLICATE_MEMORY`].
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Accepted pushes that never reached the device: it was offline, and they were replaced,
    /// expired, or not to be stored.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Background pushes that were dropped, because there were more than the limit.
    pub fn throttled(&self) -> u64 {
        self.throttled
    }

    pub(crate) fn set_silent_limit(&mut self, limit: Option<SilentLimit>) {
        self.silent_limit = limit;
        self.silent.clear();
    }

    /// Whether a background push that comes now is one too many.
    fn is_too_many(&mut self, now_ms: u64) -> bool {
        let Some(SilentLimit { pushes, window_ms }) = self.silent_limit else { return false };
        while self.silent.front().is_some_and(|at| at + window_ms <= now_ms) {
            self.silent.pop_front();
        }
        let is_full = self.silent.len() >= pushes;
        if !is_full {
            self.silent.push_back(now_ms);
        }
        is_full
    }

    pub(crate) fn set_registration(&mut self, registration: Registration) {
        self.registration = registration;
    }

    /// Counts an accepted push and tells whether it is a duplicate.
    pub(crate) fn count(&mut self, id: ApnsId) -> bool {
        self.accepted += 1;
        let duplicate = self.recent.contains(&id);
        if duplicate {
            self.duplicates += 1;
        } else {
            bounded_push(&mut self.recent, id, DUPLICATE_MEMORY);
        }
        duplicate
    }

    /// Takes an accepted push: delivers it, or keeps it as the only one for later.
    pub(crate) fn take(&mut self, push: Received) -> Vec<Change> {
        if self.online {
            return self.deliver(push);
        }
        let one_is_gone =
            push.expiration == Some(0) || self.stored.replace(Box::new(push)).is_some();
        self.discarded += u64::from(one_is_gone);
        Vec::new()
    }

    /// Connects or disconnects the device; on connecting the stored push arrives, unless it has
    /// expired.
    pub(crate) fn set_online(&mut self, online: bool, now_ms: u64) -> Vec<Change> {
        self.online = online;
        if !online {
            return Vec::new();
        }
        match self.stored.take() {
            None => Vec::new(),
            Some(push) if push.expiration.is_some_and(|at| at < now_ms / 1000) => {
                self.discarded += 1;
                Vec::new()
            }
            Some(push) => self.deliver(*push),
        }
    }

    /// Takes a notification off the screen.
    pub(crate) fn remove(&mut self, id: &str, by: Remover, at_ms: u64) -> Option<Change> {
        let (id, _) = self.screen.remove_entry(id)?;
        let removed = Removed { id, at_ms, by };
        bounded_push(&mut self.removed, removed.clone(), HISTORY);
        Some(Change::Removed(removed))
    }

    fn deliver(&mut self, push: Received) -> Vec<Change> {
        if matches!(push.kind, Kind::Sync | Kind::Raw) && self.is_too_many(push.at_ms) {
            self.throttled += 1;
            return Vec::new();
        }
        let mut changes = match push.kind {
            Kind::Alert => self.alert(&push),
            Kind::Sync | Kind::Raw => vec![Change::Woken(push.clone())],
            Kind::Other => Vec::new(),
        };
        for (id, seq) in push.cleared() {
            // What was shown by a later event stays.
            let shown = self.screen.get(id).and_then(|shown| shown.push.seq());
            let is_old = shown.zip(seq).is_some_and(|(shown, seq)| seq < shown);
            changes.extend((!is_old).then(|| self.remove(id, Remover::App, push.at_ms)).flatten());
        }
        bounded_push(&mut self.history, push, HISTORY);
        changes
    }

    fn alert(&mut self, push: &Received) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some(badge) = push.badge() {
            self.badge = Some(badge);
            changes.push(Change::Badge(badge));
        }
        if !push.is_visible() {
            return changes;
        }
        let id = push.collapse_id.clone().unwrap_or_else(|| push.apns_id.to_string());
        let before = self.screen.get(&id).map(|shown| shown.replaced);
        let replaced = before.map_or(0, |count| count + 1);
        let shown = Shown { id: id.clone(), push: push.clone(), replaced };
        self.screen.insert(id, shown.clone());
        changes.push(match before {
            None => Change::Shown(shown),
            Some(_) => Change::Replaced(shown),
        });
        changes
    }
}

/// Appends, and drops the oldest beyond the limit.
fn bounded_push<T>(queue: &mut VecDeque<T>, value: T, limit: usize) {
    if queue.len() >= limit {
        queue.pop_front();
    }
    queue.push_back(value);
}
