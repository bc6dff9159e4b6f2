//! The fold that explains an item.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Convergence, Explanation, PlannedDelivery, Standing, Step, What, WhyNot};
use crate::{
    AgendaEntry, Changes, Delivery, DeliveryId, Due, End, EndpointId, Event, Item, NotificationId,
    Offset, Parked, ParkedDelivery, PlatformMask, PostVerdict, PushStyle, Reach, Receipt, Recorded,
    Settled, State, Timestamp, plan, still_due,
};

/// What the log says about an item, as far as it is read.
#[derive(Clone, Debug)]
pub struct Account {
    item: NotificationId,
    steps: Vec<Step>,
    deliveries: BTreeMap<DeliveryId, PlannedDelivery>,
    posts: Vec<Post>,
}

/// A post, and whom it found.
#[derive(Clone, Debug)]
struct Post {
    at: Offset,
    time: Timestamp,
    platforms: PlatformMask,
    verdict: PostVerdict,
    reach: Arc<Reach>,
    planned: BTreeSet<EndpointId>,
}

impl Account {
    /// An account of `item`.
    #[must_use]
    pub const fn new(item: NotificationId) -> Self {
        Self { item, steps: Vec::new(), deliveries: BTreeMap::new(), posts: Vec::new() }
    }

    /// Takes an event in, in the order of the log. `state` is what the event touches, and the
    /// user's reach, right after it; `changes` is what it changed. Events that are not about the
    /// item say nothing here, and need not be given.
    pub fn event(&mut self, state: &State, record: &Recorded, changes: &Changes) {
        let event = &record.fact.event;
        if event.item() != Some(self.item) {
            return;
        }
        match event {
            Event::DeliveriesParked(parked) => return self.parked(record.time, parked),
            Event::CameDue(AgendaEntry { due: Due::Retry(parked), .. }) => {
                return self.came_due(record.time, parked);
            }
            _ => {}
        }
        let (time, cause) = (record.time, record.position.offset);
        let verdict = changes.verdict;
        let happened =
            What::Happened { event: Box::new(event.clone()), verdict, changed: changes.item };
        self.steps.push(Step { time, cause, endpoint: None, what: happened });
        let planned = plan(state, record);
        let named: BTreeSet<_> = planned.iter().map(|delivery| delivery.endpoint).collect();
        if let (Event::RedeliveryRequested(redelivery), true) = (event, planned.is_empty()) {
            let (endpoint, what) = (Some(redelivery.endpoint), What::NotPlanned(WhyNot::Repeated));
            self.steps.push(Step { time, cause, endpoint, what });
        }
        planned.into_iter().for_each(|delivery| self.planned(time, delivery));
        if let Event::NotificationPosted(posted) = event {
            self.posts.push(Post {
                at: cause,
                time,
                platforms: posted.platforms,
                verdict: verdict.unwrap_or(PostVerdict::Accepted),
                reach: state.reach.clone(),
                planned: named,
            });
        } else {
            let left_out: Vec<_> = match event {
                Event::CameDue(AgendaEntry { due: Due::Fallback { .. }, .. }) => {
                    let fetched = state.item.as_ref().map(|item| item.fetched_by.iter());
                    fetched.into_iter().flatten().map(|id| (*id, WhyNot::Fetched)).collect()
                }
                _ if changes.item && calls_for_clears(event) => {
                    left_out_of_change(state, record, &named).collect()
                }
                _ => Vec::new(),
            };
            self.leave_out(time, cause, left_out);
        }
    }

    fn leave_out(&mut self, time: Timestamp, cause: Offset, whom: Vec<(EndpointId, WhyNot)>) {
        let step = |(id, why)| {
            let (endpoint, what) = (Some(id), What::NotPlanned(why));
            Step { time, cause, endpoint, what }
        };
        self.steps.extend(whom.into_iter().map(step));
    }

    /// Takes a receipt in, after all events, in the order of the receipts.
    pub fn receipt(&mut self, receipt: &Receipt) {
        if receipt.item == self.item {
            receipt.settled.iter().for_each(|settled| self.settled(receipt, settled));
        }
    }

    /// What follows. `state` has the user's reach and the item as they are at `now`.
    #[must_use]
    pub fn explain(mut self, state: &State, now: Timestamp) -> Explanation {
        self.leave_out_of_posts(&state.reach);
        self.steps.sort_by_key(|step| step.time);
        let item = state.item.as_deref();
        for planned in self.deliveries.values_mut() {
            if let Standing::Open { not_due } = &mut planned.standing {
                *not_due = still_due(&state.reach, item, &planned.delivery, now).err();
            }
        }
        let mut deliveries: Vec<_> = self.deliveries.into_values().collect();
        deliveries.sort_by_key(|planned| (planned.delivery.cause, planned.delivery.endpoint));
        let convergence = item.and_then(|it| Convergence::of(it, &state.reach, &deliveries));
        Explanation { steps: self.steps, deliveries, convergence }
    }

    fn planned(&mut self, time: Timestamp, delivery: Delivery) {
        let (cause, endpoint, kind) = (delivery.cause, Some(delivery.endpoint), delivery.kind);
        self.steps.push(Step { time, cause, endpoint, what: What::Planned(kind) });
        self.find(delivery).planned_at = Some(time);
    }

    fn parked(&mut self, time: Timestamp, parked: &Parked) {
        let Parked { until, reason, why, .. } = parked;
        for delivery in &parked.deliveries {
            let (until, reason, why) = (*until, reason.clone(), *why);
            let planned = self.find(delivered(delivery));
            planned.standing = Standing::Parked { until, reason: reason.clone(), why };
            planned.delivery.attempts = planned.delivery.attempts.max(delivery.attempts);
            let what = What::Parked { until, reason, why, attempts: delivery.attempts };
            let (cause, endpoint) = (delivery.cause, Some(delivery.endpoint));
            self.steps.push(Step { time, cause, endpoint, what });
        }
    }

    fn came_due(&mut self, time: Timestamp, parked: &ParkedDelivery) {
        self.find(delivered(parked)).standing = Standing::Open { not_due: None };
        let (cause, endpoint) = (parked.cause, Some(parked.endpoint));
        self.steps.push(Step { time, cause, endpoint, what: What::CameDue(parked.kind) });
    }

    fn settled(&mut self, receipt: &Receipt, settled: &Settled) {
        let Settled { delivery: id, endpoint, kind, attempts, at, ref end } = *settled;
        let (cause, item, platform) = (receipt.cause, receipt.item, receipt.platform);
        // A redelivery is known by its event, if the log still has that.
        let tells_of = cause;
        let delivery = Delivery { id, cause, tells_of, item, endpoint, platform, kind, attempts };
        let planned = self.find(delivery);
        planned.delivery.attempts = planned.delivery.attempts.max(attempts);
        if !matches!(planned.standing, Standing::Ended { end: End::Accepted { .. }, .. }) {
            planned.standing = Standing::Ended { at, end: end.clone() };
        }
        let what = What::Ended { delivery: id, kind, attempts, end: end.clone() };
        self.steps.push(Step { time: at, cause, endpoint: Some(endpoint), what });
    }

    fn find(&mut self, delivery: Delivery) -> &mut PlannedDelivery {
        let standing = Standing::Open { not_due: None };
        let new = |delivery| PlannedDelivery { delivery, planned_at: None, standing };
        self.deliveries.entry(delivery.id).or_insert_with(|| new(delivery))
    }

    /// Says of every endpoint that was ever there why a post was not for it. Whether one that is
    /// neither living nor remembered came later is only known at the end.
    fn leave_out_of_posts(&mut self, last: &Reach) {
        let known = |reach: &Reach| -> Vec<EndpointId> {
            reach.endpoints.keys().chain(reach.tombstones.keys()).copied().collect()
        };
        let reaches = self.posts.iter().map(|post| &*post.reach).chain([last]);
        let all: BTreeSet<EndpointId> = reaches.flat_map(known).collect();
        let mut before = BTreeSet::new();
        for post in &self.posts {
            before.extend(known(&post.reach));
            for id in all.difference(&post.planned) {
                let what = What::NotPlanned(post.why_not(*id, before.contains(id)));
                let endpoint = Some(*id);
                self.steps.push(Step { time: post.time, cause: post.at, endpoint, what });
            }
        }
    }
}

impl Post {
    fn why_not(&self, id: EndpointId, was_known: bool) -> WhyNot {
        match self.verdict {
            PostVerdict::Repeated => return WhyNot::Repeated,
            PostVerdict::Conflicted => return WhyNot::Conflicted,
            PostVerdict::Accepted => {}
        }
        match self.reach.endpoints.get(&id) {
            Some(found) if found.since >= self.at => WhyNot::RegisteredLater,
            Some(found) if found.style == PushStyle::None => WhyNot::NoPush,
            Some(found) if !self.platforms.contains(found.address.platform()) => {
                WhyNot::OtherPlatform
            }
            Some(_) => WhyNot::NothingNew,
            None => match self.reach.tombstones.get(&id) {
                Some(tombstone) => WhyNot::Retired(Some(tombstone.reason)),
                None if was_known => WhyNot::Retired(None),
                None => WhyNot::RegisteredLater,
            },
        }
    }
}

const fn calls_for_clears(event: &Event) -> bool {
    matches!(
        event,
        Event::StateChanged(_)
            | Event::NotificationDeleted { .. }
            | Event::NotificationRecalled { .. }
    )
}

/// The living endpoints that a change is not for, and why: of others there is nothing to clear.
fn left_out_of_change<'a>(
    state: &'a State,
    record: &'a Recorded,
    named: &'a BTreeSet<EndpointId>,
) -> impl Iterator<Item = (EndpointId, WhyNot)> + 'a {
    let at = record.position.offset;
    let origin = match &record.fact.event {
        Event::StateChanged(change) => change.origin,
        Event::NotificationDeleted { origin, .. } => *origin,
        _ => None,
    };
    let item = state.item.as_deref();
    let shown = |item: &Item| item.revisions.iter().rev().find(|posted| **posted < at).copied();
    let shown = item.and_then(shown);
    let left_out = state.reach.endpoints.iter().filter(|(id, _)| !named.contains(id));
    left_out.map(move |(id, endpoint)| {
        let platform = endpoint.address.platform();
        let why = match shown {
            _ if Some(*id) == origin => WhyNot::Origin,
            _ if endpoint.style == PushStyle::None => WhyNot::NoPush,
            None => WhyNot::NeverShown,
            Some(shown) if endpoint.since >= shown => WhyNot::RegisteredLater,
            Some(_) if item.is_some_and(|item| !item.shown_on.contains(platform)) => {
                WhyNot::OtherPlatform
            }
            Some(_) => WhyNot::NothingNew,
        };
        (*id, why)
    })
}

const fn delivered(parked: &ParkedDelivery) -> Delivery {
    let ParkedDelivery { delivery: id, item, cause, tells_of, .. } = *parked;
    let ParkedDelivery { endpoint, platform, kind, attempts, .. } = *parked;
    Delivery { id, cause, tells_of, item, endpoint, platform, kind, attempts }
}
