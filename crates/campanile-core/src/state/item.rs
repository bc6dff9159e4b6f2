//! One notification: its latest revision, and what the user did with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::{
    AgendaChange, AgendaEntry, Content, Due, EndpointId, Event, Limits, NotificationId, Offset,
    PlatformMask, Posted, Priority, StateChange, Suppression, Timestamp, UserAction,
};

/// How an item ended before its time, or at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// Its time came.
    Expired,
    /// The user deleted it.
    Deleted,
    /// The producer took it back.
    Recalled,
}

impl Ended {
    /// Why its deliveries are not sent any more.
    #[must_use]
    pub const fn suppression(self) -> Suppression {
        match self {
            Self::Expired => Suppression::Expired,
            Self::Deleted => Suppression::Deleted,
            Self::Recalled => Suppression::Recalled,
        }
    }
}

/// A notification as its user has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Folded up to here: the offset after the last event that changed it.
    pub as_of: Offset,
    /// The id.
    pub id: NotificationId,
    /// The latest revision; 0 if nothing was posted yet (handled before its post arrived).
    pub revision: u32,
    /// Where the latest revision was posted.
    pub posted_at: Option<Offset>,
    /// Where the latest revisions were posted, oldest first, at most
    /// [`Limits::REVISIONS_REMEMBERED`].
    pub revisions: Vec<Offset>,
    /// The producer's own name for it.
    pub app_notification_id: Option<Arc<str>>,
    /// The producer's label for grouping.
    pub group: Option<Arc<str>>,
    /// What the latest revision can be recalled by.
    pub campaign: Option<Arc<str>>,
    /// What devices get; empty once ended.
    pub content: Arc<Content>,
    /// The platforms the latest revision is meant for.
    pub platforms: PlatformMask,
    /// The platforms any revision was meant for: where it may be on a screen.
    pub shown_on: PlatformMask,
    /// How urgent it is.
    pub priority: Priority,
    /// When it was first posted.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
    /// When it vanishes.
    pub expires_at: Timestamp,
    /// The end that an earlier revision had, if it is later than this one's: whoever has not heard
    /// of this revision goes by it.
    pub earlier_end: Option<Timestamp>,
    /// The last moment for a push.
    pub deliver_by: Timestamp,
    /// Whether it is read.
    pub read: bool,
    /// What the user did with the latest revision.
    pub action: UserAction,
    /// The latest revision that is dismissed, and all before it; a later one is not. 0: none.
    pub dismissed_through: u32,
    /// How it ended, if it did.
    pub ended: Option<Ended>,
    /// The latest change of its state.
    pub change: Option<Change>,
    /// What is shown of the latest revision where it was signalled and not fetched.
    pub fallback: Option<ItemFallback>,
    /// The installations that fetched the latest revision, as far as its fallback depends on it; at
    /// most [`Limits::ENDPOINTS_PER_USER`].
    pub fetched_by: BTreeSet<EndpointId>,
}

/// The fallback of an item's latest revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemFallback {
    /// When it is shown.
    pub due: Timestamp,
    /// What is shown.
    pub content: Arc<Content>,
}

/// Where an item's state last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The event.
    pub at: Offset,
    /// On which endpoint, if on one.
    pub origin: Option<EndpointId>,
    /// The latest change that was made elsewhere than on `origin`.
    pub elsewhere: Option<Offset>,
}

impl Item {
    /// Whether the user need not be told of it any more.
    #[must_use]
    pub fn is_handled(&self) -> bool {
        self.read || self.action != UserAction::None
    }

    /// Whether it still shows in the user's list at `now`.
    #[must_use]
    pub fn is_listed(&self, now: Timestamp) -> bool {
        self.revision > 0 && self.ended.is_none() && now < self.expires_at
    }

    /// The offset of its latest change of any kind.
    #[must_use]
    pub fn changed_at(&self) -> Offset {
        Offset(self.as_of.0.saturating_sub(1))
    }

    /// Until when it must be remembered: later readers learn of its end, a late change finds it,
    /// and nobody still has an earlier revision that has not ended.
    #[must_use]
    pub fn keep_until(&self) -> Timestamp {
        let end = self.earlier_end.unwrap_or(self.expires_at);
        end.max(self.expires_at).max(self.modified).after(Limits::REMEMBERED_AFTER)
    }

    /// The revision that the post at `at` made, if it made one that is remembered.
    #[must_use]
    pub fn revision_posted_at(&self, at: Offset) -> Option<u32> {
        let newer = self.revisions.iter().rev().position(|posted| *posted == at)?;
        self.revision.checked_sub(u32::try_from(newer).ok()?)
    }

    /// Whether the post at `at` certainly made no revision, because revisions from before it are
    /// remembered and it is not among them.
    pub(crate) fn has_refused(&self, at: Offset) -> bool {
        !self.revisions.contains(&at) && self.revisions.first().is_some_and(|first| *first < at)
    }

    /// The latest change that `endpoint` must hear of because it was made elsewhere.
    #[must_use]
    pub fn last_change_not_from(&self, endpoint: EndpointId) -> Option<Offset> {
        let change = self.change?;
        if change.origin == Some(endpoint) { change.elsewhere } else { Some(change.at) }
    }

    /// Whether it matters that `endpoint` fetches it at `now`: its fallback, shown, still to come or
    /// asked for again, depends on it, and nothing is recorded yet.
    #[must_use]
    pub fn awaits_fetch(&self, endpoint: EndpointId, now: Timestamp) -> bool {
        self.fallback.is_some()
            && now < self.expires_at
            && self.fetched_by.len() < Limits::ENDPOINTS_PER_USER
            && !self.fetched_by.contains(&endpoint)
    }

    fn unknown(id: NotificationId, time: Timestamp) -> Self {
        let end = time.after(Limits::LONGEST_LIFE);
        Self {
            as_of: Offset(0),
            id,
            revision: 0,
            posted_at: None,
            revisions: Vec::new(),
            app_notification_id: None,
            group: None,
            campaign: None,
            content: Arc::default(),
            platforms: PlatformMask::ALL,
            shown_on: PlatformMask::NONE,
            priority: Priority::default(),
            created: time,
            modified: time,
            expires_at: end,
            earlier_end: None,
            deliver_by: end,
            read: false,
            action: UserAction::None,
            dismissed_through: 0,
            ended: None,
            change: None,
            fallback: None,
            fetched_by: BTreeSet::new(),
        }
    }

    /// Folds the event at `at`, appended at `time`, into `item`, the item it is about. Posts come
    /// here only if they are accepted. Answers the agenda changes, or `None` if it changed
    /// nothing.
    pub(crate) fn apply(
        item: &mut Option<Arc<Self>>,
        at: Offset,
        time: Timestamp,
        event: &Event,
    ) -> Option<Vec<AgendaChange>> {
        if item.as_ref().is_some_and(|item| at < item.as_of) {
            return None;
        }
        if let Event::ItemFetched { revision, endpoint, .. } = event {
            return fetched(item, *revision, *endpoint).then(Vec::new);
        }
        let id = event.item()?;
        let shared = item.take();
        let known = shared.is_some();
        let mut now = match &shared {
            Some(shared) => Self::clone(shared),
            None => Self::unknown(id, time),
        };
        let agenda = match event {
            Event::NotificationPosted(posted) => Some(now.post(at, time, posted)),
            Event::StateChanged(change) => now.change_state(at, change),
            Event::NotificationRecalled { revision, .. } => {
                let is_meant = revision.is_none_or(|meant| meant == now.revision);
                is_meant.then(|| now.end(at, None, Ended::Recalled)).flatten()
            }
            Event::NotificationDeleted { origin, .. } => now.end(at, *origin, Ended::Deleted),
            Event::CameDue(AgendaEntry { due: Due::Expire { revision, .. }, .. }) if known => {
                now.expire(time, *revision)
            }
            _ => None,
        };
        if agenda.is_none() {
            *item = shared;
            return None;
        }
        now.as_of = at.next();
        now.modified = time;
        *item = Some(Arc::new(now));
        agenda
    }

    fn post(&mut self, at: Offset, time: Timestamp, posted: &Posted) -> Vec<AgendaChange> {
        let mut agenda = self.leave_agenda();
        let mut before = None;
        if self.revision == 0 {
            self.created = time;
        } else {
            before = self.earlier_end.max(Some(self.expires_at));
        }
        self.revision = self.revision.saturating_add(1);
        self.posted_at = Some(at);
        if self.revisions.len() >= Limits::REVISIONS_REMEMBERED {
            self.revisions.remove(0);
        }
        self.revisions.push(at);
        self.app_notification_id.clone_from(&posted.app_notification_id);
        self.group.clone_from(&posted.group);
        self.campaign.clone_from(&posted.campaign);
        self.platforms = posted.platforms;
        self.shown_on = self.shown_on.with(posted.platforms);
        self.priority = posted.priority;
        self.expires_at = posted.expires_at.min(time.after(Limits::LONGEST_LIFE));
        self.earlier_end = before.filter(|end| *end > self.expires_at);
        self.deliver_by = posted.deliver_by.min(self.expires_at);
        if self.revision == 1 && self.ended.is_some() {
            return agenda;
        }
        self.content = posted.content.clone();
        self.ended = None;
        if self.revision > self.dismissed_through {
            let first = self.revision == 1;
            self.action = if first { self.action } else { UserAction::None };
            self.read = first && self.read;
        }
        let fallback = posted.fallback.as_ref().map(|fallback| ItemFallback {
            due: time.after(fallback.after.min(Limits::LONGEST_FALLBACK)),
            content: fallback.content.clone(),
        });
        self.fallback = fallback;
        agenda.extend(self.expiry().map(AgendaChange::Add));
        agenda.extend(self.falling_back().map(AgendaChange::Add));
        agenda
    }

    fn change_state(&mut self, at: Offset, change: &StateChange) -> Option<Vec<AgendaChange>> {
        let seen = change.revision.unwrap_or(self.revision.max(1));
        if self.ended.is_some() || seen < self.revision {
            return None;
        }
        let (read, action) = (self.read, self.action);
        self.read = change.read.unwrap_or(read);
        let is_dismissed = self.dismissed_through >= self.revision.max(1);
        match change.action {
            Some(UserAction::Dismissed) => {
                self.dismissed_through = self.revision.max(1);
                self.action = UserAction::Dismissed;
            }
            Some(action) if !is_dismissed => self.action = action,
            _ => {}
        }
        if (self.read, self.action) == (read, action) {
            return None;
        }
        self.changed(at, change.origin);
        Some(Vec::new())
    }

    fn end(
        &mut self,
        at: Offset,
        origin: Option<EndpointId>,
        ended: Ended,
    ) -> Option<Vec<AgendaChange>> {
        if self.ended.is_some() {
            return None;
        }
        let agenda = self.leave_agenda();
        self.ended = Some(ended);
        self.content = Arc::default();
        self.changed(at, origin);
        Some(agenda)
    }

    /// A later revision moved the end, so the entry of an earlier one says nothing.
    fn expire(&mut self, time: Timestamp, revision: u32) -> Option<Vec<AgendaChange>> {
        if revision != self.revision || self.ended.is_some() || time < self.expires_at {
            return None;
        }
        let agenda = self.leave_agenda();
        self.ended = Some(Ended::Expired);
        self.content = Arc::default();
        Some(agenda)
    }

    fn changed(&mut self, at: Offset, origin: Option<EndpointId>) {
        let elsewhere = match self.change {
            Some(before) if before.origin == origin => before.elsewhere,
            Some(before) => Some(before.at),
            None => None,
        };
        self.change = Some(Change { at, origin, elsewhere });
    }

    /// Its entry on the agenda, while it has one.
    pub(crate) fn expiry(&self) -> Option<AgendaEntry> {
        let due = Due::Expire { id: self.id, revision: self.revision };
        (self.revision > 0 && self.ended.is_none())
            .then_some(AgendaEntry { at: self.expires_at, due })
    }

    /// The entry of its fallback on the agenda, while it has one: a later revision, or the end of
    /// the item, takes it off.
    fn falling_back(&self) -> Option<AgendaEntry> {
        let due = Due::Fallback { id: self.id, revision: self.revision };
        self.fallback.as_ref().map(|fallback| AgendaEntry { at: fallback.due, due })
    }

    /// Takes its entries off the agenda, and its fallback with them.
    fn leave_agenda(&mut self) -> Vec<AgendaChange> {
        let entries = self.expiry().into_iter().chain(self.falling_back());
        let agenda = entries.map(AgendaChange::Remove).collect();
        self.fallback = None;
        self.fetched_by.clear();
        agenda
    }
}

/// Takes note that an installation fetched a revision. To its user the item is the same as before,
/// so it does not count as changed: neither is it told again, nor does it move in lists.
fn fetched(item: &mut Option<Arc<Item>>, revision: u32, endpoint: EndpointId) -> bool {
    let Some(item) = item else { return false };
    let matters = item.revision == revision
        && item.fallback.is_some()
        && item.fetched_by.len() < Limits::ENDPOINTS_PER_USER
        && !item.fetched_by.contains(&endpoint);
    if matters {
        Arc::make_mut(item).fetched_by.insert(endpoint);
    }
    matters
}
