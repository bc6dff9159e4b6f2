//! A simulated Android device: what its user sees, and what reached it.
//!
//! The app on it behaves like an app of ours: a notification message is shown under its tag, and a
//! data message whose `campanile` is `{"items":[{"id":…,"clear":true}]}` takes those notifications
//! out of the tray.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::quota::Bucket;
use super::received::{Kind, Received};
use crate::random::Random;

/// Received messages and removals remembered per device; the oldest go first.
pub const HISTORY: usize = 1000;
/// A message counts as a duplicate if it is the same as one of so many accepted last.
pub const DUPLICATE_MEMORY: usize = 32;
/// Messages with different collapse keys that are stored for a device that is away; of more, four
/// are kept, no matter which (Firebase, "Non-collapsible and collapsible messages").
pub const MAX_COLLAPSE_KEYS: usize = 4;
/// Messages without collapse key that are stored; one more, and all of them are thrown away, of
/// which the app is told (the same page).
pub const MAX_STORED: usize = 100;

/// Whether messages to the device are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// They are.
    Active,
    /// 404 `UNREGISTERED`: the app is gone.
    Unregistered,
}

/// A notification in the tray.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its tag, or one that the system made up because it has none.
    pub id: String,
    /// The message that it comes from.
    pub push: Received,
    /// How often it was replaced by a later message.
    pub replaced: u32,
}

/// A notification that left the tray.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// What [`Shown::id`] was.
    pub id: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who took it away.
    pub by: Remover,
}

/// Who took a notification out of the tray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remover {
    /// The app, because a data message said so.
    App,
    /// The user of the device.
    User,
}

/// A change of what a device shows or knows.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A notification appeared.
    Shown(Shown),
    /// A notification took the place of an earlier one with the same tag.
    Replaced(Shown),
    /// A notification left the tray.
    Removed(Removed),
    /// The app was woken by a data message.
    Woken(Received),
    /// The app was told that messages were thrown away while the device was offline.
    MessagesDeleted,
}

/// One app installation.
#[derive(Clone, Debug)]
pub struct Device {
    project: Arc<str>,
    token: Option<String>,
    registration: Registration,
    online: bool,
    stored: VecDeque<Received>,
    overflowed: bool,
    tray: BTreeMap<String, Shown>,
    history: VecDeque<Received>,
    removed: VecDeque<Removed>,
    recent: VecDeque<u64>,
    untagged: u64,
    accepted: u64,
    duplicates: u64,
    discarded: u64,
    pub(crate) quota: Option<Bucket>,
}

impl Device {
    pub(crate) fn new(project: Arc<str>, token: Option<String>) -> Self {
        Self {
            project,
            token,
            registration: Registration::Active,
            online: true,
            stored: VecDeque::new(),
            overflowed: false,
            tray: BTreeMap::new(),
            history: VecDeque::new(),
            removed: VecDeque::new(),
            recent: VecDeque::new(),
            untagged: 0,
            accepted: 0,
            duplicates: 0,
            discarded: 0,
            quota: None,
        }
    }

    /// The project that the app belongs to.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The registration token, if it has one besides its installation id.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Whether messages are accepted.
    pub fn registration(&self) -> Registration {
        self.registration
    }

    /// Whether accepted messages reach the device now.
    pub fn is_online(&self) -> bool {
        self.online
    }

    /// The messages that wait for the device to come online, oldest first.
    pub fn stored(&self) -> impl ExactSizeIterator<Item = &Received> {
        self.stored.iter()
    }

    /// The notifications in the tray, by id.
    pub fn tray(&self) -> &BTreeMap<String, Shown> {
        &self.tray
    }

    /// The notification of the given id, if it is in the tray.
    pub fn shown(&self, id: &str) -> Option<&Shown> {
        self.tray.get(id)
    }

    /// The messages that reached the device, oldest first, at most [`HISTORY`].
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &Received> + ExactSizeIterator {
        self.history.iter()
    }

    /// What left the tray, oldest first, at most [`HISTORY`].
    pub fn removed(&self) -> impl DoubleEndedIterator<Item = &Removed> + ExactSizeIterator {
        self.removed.iter()
    }

    /// Messages accepted for the device, duplicates included.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Accepted messages that the device had before; see [`DUPLICATE_MEMORY`].
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Accepted messages that never reached the device: it was offline, and they were replaced,
    /// evicted, expired, or not to be stored.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    pub(crate) fn set_registration(&mut self, registration: Registration) {
        self.registration = registration;
    }

    pub(crate) fn set_token(&mut self, token: Option<String>) {
        self.token = token;
    }

    /// Counts an accepted message and tells whether it is a duplicate.
    pub(crate) fn count(&mut self, identity: u64) -> bool {
        self.accepted += 1;
        let duplicate = self.recent.contains(&identity);
        if duplicate {
            self.duplicates += 1;
        } else {
            bounded_push(&mut self.recent, identity, DUPLICATE_MEMORY);
        }
        duplicate
    }

    /// Takes an accepted message: delivers it, or keeps it for later.
    pub(crate) fn take(&mut self, push: Received, random: &mut Random) -> Vec<Change> {
        if self.online {
            return self.deliver(push);
        }
        self.store(push, random);
        Vec::new()
    }

    fn store(&mut self, push: Received, random: &mut Random) {
        if push.ttl_s == 0 {
            self.discarded += 1;
            return;
        }
        let key = storage_key(&push).map(str::to_owned);
        let before = self.stored.len();
        if key.is_some() {
            self.stored.retain(|it| storage_key(it) != key.as_deref());
            self.discarded += u64::from(self.stored.len() < before);
        }
        self.stored.push_back(push);
        let of_kind = |it: &&Received| storage_key(it).is_some() == key.is_some();
        let (count, limit) = match key {
            Some(_) => (self.stored.iter().filter(of_kind).count(), MAX_COLLAPSE_KEYS),
            None => (self.stored.iter().filter(of_kind).count(), MAX_STORED),
        };
        if count <= limit {
            return;
        }
        if key.is_some() {
            let collapsible = self.stored.iter().enumerate();
            let places: Vec<usize> = collapsible
                .filter_map(|(at, it)| storage_key(it).is_some().then_some(at))
                .collect();
            let drawn = usize::try_from(random.next_u64()).unwrap_or(usize::MAX);
            if let Some(at) = drawn.checked_rem(places.len()).and_then(|at| places.get(at)) {
                self.stored.remove(*at);
                self.discarded += 1;
            }
        } else {
            self.stored.retain(|it| storage_key(it).is_some());
            self.overflowed = true;
            self.discarded += u64::try_from(count).unwrap_or(u64::MAX);
        }
    }

    /// Connects or disconnects the device; on connecting the stored messages arrive, unless they
    /// have expired.
    pub(crate) fn set_online(&mut self, online: bool, now_ms: u64) -> Vec<Change> {
        self.online = online;
        let mut changes = Vec::new();
        if !online {
            return changes;
        }
        if std::mem::take(&mut self.overflowed) {
            changes.push(Change::MessagesDeleted);
        }
        for push in std::mem::take(&mut self.stored) {
            if push.at_ms.saturating_add(push.ttl_s * 1000) <= now_ms {
                self.discarded += 1;
            } else {
                changes.extend(self.deliver(push));
            }
        }
        changes
    }

    /// Takes a notification out of the tray.
    pub(crate) fn remove(&mut self, id: &str, by: Remover, at_ms: u64) -> Option<Change> {
        let (id, _) = self.tray.remove_entry(id)?;
        let removed = Removed { id, at_ms, by };
        bounded_push(&mut self.removed, removed.clone(), HISTORY);
        Some(Change::Removed(removed))
    }

    fn deliver(&mut self, push: Received) -> Vec<Change> {
        let changes = match push.kind {
            Kind::Notification => vec![self.show(&push)],
            Kind::Sync | Kind::Raw => {
                let mut changes = vec![Change::Woken(push.clone())];
                let cleared = push.cleared().into_iter();
                changes.extend(cleared.filter_map(|id| self.remove(&id, Remover::App, push.at_ms)));
                changes
            }
        };
        bounded_push(&mut self.history, push, HISTORY);
        changes
    }

    fn show(&mut self, push: &Received) -> Change {
        let id = push.tag.clone().unwrap_or_else(|| {
            self.untagged += 1;
            format!("FCM-Notification:{}", self.untagged)
        });
        let before = self.tray.get(&id).map(|shown| shown.replaced);
        let replaced = before.map_or(0, |count| count + 1);
        let shown = Shown { id: id.clone(), push: push.clone(), replaced };
        self.tray.insert(id, shown.clone());
        match before {
            None => Change::Shown(shown),
            Some(_) => Change::Replaced(shown),
        }
    }
}

/// What a stored message gives way for: of the notification messages of an app one is kept.
fn storage_key(push: &Received) -> Option<&str> {
    match push.kind {
        Kind::Notification => Some(""),
        Kind::Sync | Kind::Raw => push.collapse_key.as_deref(),
    }
}

/// Appends, and drops the oldest beyond the limit.
fn bounded_push<T>(queue: &mut VecDeque<T>, value: T, limit: usize) {
    if queue.len() >= limit {
        queue.pop_front();
    }
    queue.push_back(value);
}
