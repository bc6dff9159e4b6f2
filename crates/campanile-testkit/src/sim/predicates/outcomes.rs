//! G4: what came of every delivery, and that it can be found again.

use std::collections::{BTreeMap, BTreeSet};

use campanile_core::port::{PieceKey, RecordRef, Stream};
use campanile_core::{DeliveryId, DeliveryKind, End, Event, Item, Offset, Suppression};
use campanile_engine::edge::Target;
use campanile_engine::gateway::TimelineEntry;

use crate::sim::clients::Clients;
use crate::sim::director::Skipped;
use crate::sim::past::{Past, Planned};
use crate::sim::roles::Ground;

/// Every delivery that an event calls for ended, one way or the other, with a receipt.
///
/// A worker plans with the state it has, which may be newer than the event: if the endpoint went
/// away, or a change is of an item that was forgotten, there is nothing to plan, unless it was
/// planned before and parked. And what came while the group's positions were lost is nobody's business any more.
pub(super) fn settled(ground: &Ground, past: &Past, skipped: &[Skipped]) {
    let mut ends: BTreeMap<DeliveryId, usize> = BTreeMap::new();
    for (_, _, receipt) in &past.receipts {
        for settled in &receipt.settled {
            *ends.entry(settled.delivery).or_default() += 1;
            ground.stage.reach(name_of(&settled.end));
            let planned = past.planned.get(&settled.delivery);
            match &settled.end {
                _ if planned.is_none_or(|planned| !planned.delivery.is_redelivery()) => {}
                End::Accepted { .. } => ground.stage.reach("redelivery accepted"),
                End::Suppressed(_) => ground.stage.reach("redelivery suppressed"),
                _ => {}
            }
        }
    }
    for (id, planned) in &past.planned {
        let missing = !ends.contains_key(id);
        if missing && !is_excused(past, planned, skipped) {
            let cause = planned.delivery.cause;
            let what = format!("{id} of {}/{cause} has no outcome", planned.partition);
            ground.stage.broken("G4", what);
        }
    }
}

const fn name_of(end: &End) -> &'static str {
    match end {
        End::Accepted { .. } => "delivery accepted",
        End::Rejected { .. } => "delivery rejected",
        End::AddressGone { .. } => "address gone",
        End::GaveUp { .. } => "delivery given up",
        End::Suppressed(why) => match why {
            Suppression::Handled => "suppressed: handled",
            Suppression::Expired => "suppressed: expired",
            Suppression::Recalled => "suppressed: recalled",
            Suppression::Deleted => "suppressed: deleted",
            Suppression::Superseded => "suppressed: superseded",
            Suppression::EndpointGone => "suppressed: endpoint gone",
            Suppression::Fetched => "suppressed: fetched",
        },
    }
}

/// Whether the group's positions were lost before a worker got to a delivery, or got to it again.
pub(super) fn was_skipped(past: &Past, planned: &Planned, skipped: &[Skipped]) -> bool {
    let delivery = &planned.delivery;
    let covers = |it: &Skipped, at| it.covers(delivery.platform, planned.partition, at);
    skipped.iter().any(|it| {
        covers(it, delivery.cause)
            || past
                .came_due
                .get(&delivery.id)
                .is_some_and(|due| due.iter().any(|at| covers(it, *at)))
    })
}

fn is_excused(past: &Past, planned: &Planned, skipped: &[Skipped]) -> bool {
    let (user, delivery) = (planned.user, &planned.delivery);
    let later = past.reaches(user).iter().filter(|(at, _)| *at > delivery.cause);
    let endpoint_went = later
        .map(|(_, reach)| reach.endpoints.get(&delivery.endpoint))
        .any(|endpoint| endpoint.is_none_or(|endpoint| endpoint.since > delivery.cause));
    let end = past.events.values().map(|it| it.time).max().unwrap_or_default();
    let states = past.states(user, delivery.item);
    let forgotten = states.iter().any(|(_, item)| item.keep_until() < end);
    let is_first = !past.parked.contains(&delivery.id);
    let unknown = forgotten && is_first && delivery.kind == DeliveryKind::Sync;
    was_skipped(past, planned, skipped)
        || endpoint_went
        || unknown
        || no_longer_falls_back(past, planned)
}

/// Whether a worker that was behind had nothing to show any more: the item was fetched, posted anew
/// or over by then, or its endpoint asked for something else.
fn no_longer_falls_back(past: &Past, planned: &Planned) -> bool {
    let (user, delivery) = (planned.user, &planned.delivery);
    let DeliveryKind::Fallback { revision } = delivery.kind else { return false };
    let due = past.came_due.get(&delivery.id).and_then(|due| due.first());
    let Some(due) = due.copied() else { return false };
    let came_due = past.events.get(&(planned.partition, due)).map(|it| it.time);
    let came_due = came_due.unwrap_or_default();
    let since = |at: &Offset| *at > due;
    let waits = |item: &Item| {
        item.revision == revision
            && item.fallback.is_some()
            && !item.fetched_by.contains(&delivery.endpoint)
    };
    let states = past.states(user, delivery.item).iter().filter(|(at, _)| since(at));
    let reaches = past.reaches(user).iter().filter(|(at, _)| since(at));
    let mut endpoints = reaches.filter_map(|(_, reach)| reach.endpoints.get(&delivery.endpoint));
    states.map(|(_, item)| item).any(|item| !waits(item))
        || endpoints.any(|endpoint| !endpoint.falls_back() || came_due <= endpoint.registered_at)
}

/// Only what failed is delivered again, and each failure once.
pub(super) fn failures_are_asked_for_once(ground: &Ground, past: &Past) {
    let settled = past.receipts.iter().flat_map(|(_, _, receipt)| &receipt.settled);
    let dead: BTreeSet<_> =
        settled.filter(|it| it.dead().is_some()).map(|settled| settled.delivery).collect();
    let mut asked_for = BTreeMap::<DeliveryId, DeliveryId>::new();
    for recorded in past.events.values() {
        let Event::RedeliveryRequested(again) = &recorded.fact.event else { continue };
        let failed = again.failed_delivery();
        let delivery = DeliveryId::new(again.item, recorded.position.offset, again.endpoint);
        if !dead.contains(&failed) {
            ground.stage.broken("G4", format!("{failed} did not fail and is asked for again"));
        }
        if !past.planned.contains_key(&delivery) {
            ground.stage.reach("redelivery asked for twice");
        } else if let Some(first) = asked_for.insert(failed, delivery) {
            let what = format!("{failed} is delivered again as {first} and as {delivery}");
            ground.stage.broken("G4", what);
        }
    }
}

/// A delivery ends once; more than once only if something was repeated. And it was called for, or
/// nothing was sent for it: to a worker whose state is newer than an event, a change that had no
/// effect looks like one that is superseded.
pub(super) fn told_once(ground: &Ground, past: &Past) {
    let mut ends: BTreeMap<DeliveryId, usize> = BTreeMap::new();
    for (_, _, receipt) in &past.receipts {
        for settled in &receipt.settled {
            *ends.entry(settled.delivery).or_default() += 1;
            let is_sent = !matches!(settled.end, End::Suppressed(_));
            if is_sent && !past.planned.contains_key(&settled.delivery) {
                let what = format!("{} ended and was never called for", settled.delivery);
                ground.stage.broken("G4", what);
            }
        }
    }
    let (start, end) = (campanile_core::Tick::default(), campanile_core::Tick::NEVER);
    let undisturbed = !ground.stage.was_disturbed(start, end);
    for (delivery, count) in ends {
        if count > 1 && undisturbed {
            ground.stage.broken("G4", format!("{delivery} ended {count} times"));
        }
    }
}

/// The timeline of an item holds every event and receipt about it, and its state now is what the
/// whole log says.
pub(super) async fn found_in_timelines(ground: &Ground, clients: &Clients, past: &Past) {
    let Some(front) = clients.front() else { return };
    for user in 0..ground.setup.users {
        let whose = clients.user_ref(user);
        for (_, id) in past.items().filter(|(owner, _)| *owner == whose) {
            let context = clients.context_at_rest();
            let target = Target::User(Clients::id_of(user));
            let timeline = front.gateway.timeline(&context, &target, id).await;
            let Ok(timeline) = timeline else {
                ground.stage.broken("timeline", format!("{id} has none"));
                continue;
            };
            let found = timeline.entries.iter().map(|entry| match entry {
                TimelineEntry::Event { recorded, .. } => {
                    RecordRef { stream: Stream::Events, offset: recorded.position.offset }
                }
                TimelineEntry::Receipt { position, .. } => {
                    RecordRef { stream: Stream::Receipts, offset: position.offset }
                }
            });
            let found: std::collections::BTreeSet<_> = found.collect();
            let events = past
                .events
                .values()
                .filter(|it| it.fact.user == whose && it.fact.event.item() == Some(id));
            let events =
                events.map(|it| RecordRef { stream: Stream::Events, offset: it.position.offset });
            let receipts =
                past.receipts.iter().filter(|(_, _, it)| it.user == whose && it.item == id);
            let receipts = receipts
                .map(|(_, offset, _)| RecordRef { stream: Stream::Receipts, offset: *offset });
            let expected: std::collections::BTreeSet<_> = events.chain(receipts).collect();
            if found != expected || found.len() != timeline.entries.len() {
                let what = format!("{id} has {found:?}, not {expected:?}");
                ground.stage.broken("timeline", what);
            }
            let at = ground.stage.now();
            let newest = past.events.values().map(|it| it.time).max().unwrap_or_default();
            let state = front.gateway.state_at(&context, &target, id, at).await;
            // The past remembers what the present may have forgotten.
            let state = state.ok().and_then(|state| state.item);
            let state = state.filter(|item| newest <= item.keep_until());
            let expected = past.world.item(whose, id);
            let expected = expected.filter(|item| newest <= item.keep_until());
            if newest <= at && state != expected {
                let name = Past::name(&PieceKey::Item(whose, id));
                ground.stage.broken("timeline", format!("the state of {name} is {state:?}"));
            }
        }
    }
    if past.events.values().any(|it| matches!(it.fact.event, Event::ItemFetched { .. })) {
        ground.stage.reach("fetched before its fallback");
    }
    if past.events.values().any(|it| matches!(it.fact.event, Event::DeliveriesParked(_))) {
        ground.stage.reach("delivery parked");
    }
}
