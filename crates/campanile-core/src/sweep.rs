//! Sweeps: events that name many items at once, and are carried out item by item.
//!
//! Such an event is recorded once and says what is meant; nobody has looked for the items yet. It
//! puts itself on the agenda, and in steps the scheduler records for each item what follows for
//! it, so that state, deliveries and history of an item follow from events about that item alone.
//! Until then a worker that has read the sweep sends nothing that it makes needless ([`Sweeps`]).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::{
    AgendaEntry, AppId, Due, Event, Item, Offset, Recorded, Suppression, Timestamp, UserAction,
    UserRef,
};

/// A sweep that is not carried out to its end, by reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sweep {
    /// The event that says what is meant, in the same partition.
    pub event: Offset,
    /// Where to go on: an offset in the order in which the items are looked for.
    pub from: Offset,
}

/// A step of a sweep that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepStep {
    /// When the sweep is due, as the agenda has it.
    pub at: Timestamp,
    /// The sweep as it stood before.
    pub sweep: Sweep,
    /// Where to go on; absent: it is carried out.
    pub next: Option<Offset>,
}

impl SweepStep {
    /// The agenda entry that the step did, and the one that takes its place.
    pub(crate) fn entries(&self) -> (AgendaEntry, Option<AgendaEntry>) {
        let entry = |sweep| AgendaEntry { at: self.at, due: Due::Sweep(sweep) };
        let next = self.next.map(|from| entry(Sweep { from, ..self.sweep }));
        (entry(self.sweep), next)
    }
}

/// The agenda entry of a sweep recorded by `event` at `at`, if it is one.
pub(crate) fn begun(event: &Event, at: Offset) -> Option<AgendaEntry> {
    let is_sweep = matches!(event, Event::CampaignRecalled { .. } | Event::AllDismissed { .. });
    let sweep = Sweep { event: at, from: Offset(0) };
    is_sweep.then_some(AgendaEntry { at: AgendaEntry::AT_ONCE, due: Due::Sweep(sweep) })
}

/// The event that follows from the sweep recorded at `at` by `sweep` for `item`, as it stands now;
/// `None` if the item is not meant, or need not be told. It names the revision, so that one posted
/// in the meantime stays.
#[must_use]
pub fn swept(sweep: &Event, at: Offset, item: &Item) -> Option<Event> {
    let posted = item.posted_at.filter(|_| item.ended.is_none())?;
    let (id, revision) = (item.id, Some(item.revision));
    match sweep {
        Event::CampaignRecalled { campaign } => (posted < at
            && item.campaign.as_ref() == Some(campaign))
        .then_some(Event::NotificationRecalled { id, revision }),
        Event::AllDismissed { up_to, origin } => {
            let action = Some(UserAction::Dismissed);
            let change = crate::StateChange { id, revision, read: None, action, origin: *origin };
            (posted < (*up_to).min(at) && item.action != UserAction::Dismissed)
                .then_some(Event::StateChanged(change))
        }
        _ => None,
    }
}

/// The sweeps that a reader of a partition read lately. Whether or not one is carried out, what it
/// says of an item stays true, so to forget one only delays its effect.
#[derive(Clone, Debug, Default)]
pub struct Sweeps {
    read: BTreeMap<Scope, Offset>,
    order: VecDeque<Scope>,
}

/// What a sweep is about; the offset beside it is the first that it leaves alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Campaign(AppId, Arc<str>),
    User(UserRef),
}

impl Sweeps {
    /// How many are remembered; the oldest go first.
    pub const MOST: usize = 1024;

    /// Takes note of `record`, if it is a sweep.
    pub fn read(&mut self, record: &Recorded) {
        let at = record.position.offset;
        let (scope, end) = match &record.fact.event {
            Event::CampaignRecalled { campaign } => {
                (Scope::Campaign(record.fact.app.clone(), campaign.clone()), at)
            }
            Event::AllDismissed { up_to, .. } => (Scope::User(record.fact.user), (*up_to).min(at)),
            _ => return,
        };
        let known = self.read.insert(scope.clone(), end);
        match known {
            Some(before) if before > end => {
                self.read.insert(scope, before);
            }
            Some(_) => {}
            None => self.order.push_back(scope),
        }
        if self.order.len() > Self::MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.read.remove(&oldest);
        }
    }

    /// Why `item` of `user` is not to be shown any more, if one of them says so.
    #[must_use]
    pub fn suppression(&self, app: &AppId, user: UserRef, item: &Item) -> Option<Suppression> {
        if self.read.is_empty() {
            return None;
        }
        let posted = item.posted_at?;
        let is_meant = |scope| self.read.get(&scope).is_some_and(|end| posted < *end);
        let campaign = item.campaign.as_ref();
        let campaign = campaign.map(|name| Scope::Campaign(app.clone(), name.clone()));
        if campaign.is_some_and(is_meant) {
            return Some(Suppression::Recalled);
        }
        is_meant(Scope::User(user)).then_some(Suppression::Handled)
    }
}
