//! How far a user's endpoints agree with an item.

use std::collections::{BTreeMap, BTreeSet};

use super::{PlannedDelivery, Standing};
use crate::{DeliveryKind, End, EndpointId, Item, Offset, PutOff, Reach};

/// What the endpoints are to agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// To show this revision.
    Show {
        /// Which.
        revision: u32,
    },
    /// To show the item no more: it is handled, deleted or taken back.
    Clear,
}

/// How many endpoints got where the item is: `total` is the sum of the others. A platform's
/// acceptance counts; whether the device heard it, no platform tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convergence {
    /// Where to.
    pub goal: Goal,
    /// The endpoints that count. To show: those that the revision was for. To clear: the living
    /// ones to which a platform accepted any revision.
    pub total: u32,
    /// They are there.
    pub reached: u32,
    /// They are put off.
    pub parked: u32,
    /// They are told later, because their device was sent enough silent pushes for now.
    pub deferred: u32,
    /// Nothing is recorded yet.
    pub open: u32,
    /// Not sent, refused or given up: nothing more is tried.
    pub failed: u32,
}

impl Convergence {
    pub(super) fn of(item: &Item, reach: &Reach, planned: &[PlannedDelivery]) -> Option<Self> {
        use crate::Ended::{Deleted, Expired, Recalled};
        let posted = item.posted_at?;
        match item.ended {
            Some(Expired) => None,
            Some(Deleted | Recalled) => Some(Self::clear(item, reach, planned)),
            None if item.is_handled() => Some(Self::clear(item, reach, planned)),
            None => Some(Self::show(item.revision, posted, planned)),
        }
    }

    fn show(revision: u32, posted: Offset, planned: &[PlannedDelivery]) -> Self {
        let mut found = Self::new(Goal::Show { revision });
        let of_revision = |it: &&PlannedDelivery| {
            it.delivery.tells_of == posted && matches!(it.delivery.kind, DeliveryKind::Show { .. })
        };
        let mut told = BTreeMap::<EndpointId, Vec<&Standing>>::new();
        for it in planned.iter().filter(of_revision) {
            told.entry(it.delivery.endpoint).or_default().push(&it.standing);
        }
        told.values().for_each(|told| found.count(best(told)));
        found
    }

    fn clear(item: &Item, reach: &Reach, planned: &[PlannedDelivery]) -> Self {
        let mut found = Self::new(Goal::Clear);
        // What was shown to an earlier life of an endpoint is not taken back from this one.
        let lives = |it: &PlannedDelivery| {
            let found = reach.endpoints.get(&it.delivery.endpoint);
            found.is_some_and(|found| found.since < it.delivery.cause)
        };
        let shows = |it: &&PlannedDelivery| {
            it.delivery.kind.shows() && is_accepted(&it.standing) && lives(it)
        };
        let showing: BTreeSet<EndpointId> =
            planned.iter().filter(shows).map(|it| it.delivery.endpoint).collect();
        for id in showing {
            let Some(news) = item.last_change_not_from(id) else {
                found.reach();
                continue;
            };
            let told = |it: &&PlannedDelivery| {
                it.delivery.endpoint == id
                    && it.delivery.kind == DeliveryKind::Sync
                    && it.delivery.tells_of >= news
            };
            let told: Vec<_> = planned.iter().filter(told).map(|it| &it.standing).collect();
            found.count(best(&told));
        }
        found
    }

    const fn new(goal: Goal) -> Self {
        Self { goal, total: 0, reached: 0, parked: 0, deferred: 0, open: 0, failed: 0 }
    }

    const fn reach(&mut self) {
        self.total = self.total.saturating_add(1);
        self.reached = self.reached.saturating_add(1);
    }

    const fn count(&mut self, standing: Option<&Standing>) {
        let which = match standing {
            Some(Standing::Ended { end: End::Accepted { .. }, .. }) => return self.reach(),
            Some(Standing::Ended { .. }) => &mut self.failed,
            Some(Standing::Parked { why: PutOff::Deferred, .. }) => &mut self.deferred,
            Some(Standing::Parked { .. }) => &mut self.parked,
            Some(Standing::Open { .. }) | None => &mut self.open,
        };
        *which = which.saturating_add(1);
        self.total = self.total.saturating_add(1);
    }
}

/// What counts of all that an endpoint was told, in the order of the log.
fn best<'told>(told: &[&'told Standing]) -> Option<&'told Standing> {
    told.iter().find(|it| is_accepted(it)).or_else(|| told.last()).copied()
}

const fn is_accepted(standing: &Standing) -> bool {
    matches!(standing, Standing::Ended { end: End::Accepted { .. }, .. })
}
