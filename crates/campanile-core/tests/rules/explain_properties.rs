//! Whatever the log says, the account of it adds up.

use std::collections::BTreeSet;

use campanile_core::{
    Account, DeliveryId, DeliveryKind, End, Event, Explanation, NotificationId, Receipt, Recorded,
    Settled, Suppression, Timestamp, UserRef, What, plan,
};
use campanile_testkit::strategy::{ITEMS, USERS, logs, some_user};
use campanile_testkit::vocabulary::{app, item};
use campanile_testkit::world::World;
use proptest::collection::vec;
use proptest::prelude::*;

/// The account of an item, and the deliveries that its events name.
fn explained(
    log: &[Recorded],
    user: UserRef,
    id: NotificationId,
    ends: &[u8],
) -> (Explanation, BTreeSet<DeliveryId>) {
    let (mut world, mut account) = (World::default(), Account::new(id));
    let (mut named, mut receipts) = (BTreeSet::new(), Vec::new());
    for record in log {
        let changes = world.apply(record);
        let state = world.state(record.fact.user, &record.fact.event);
        account.event(&state, record, &changes);
        if record.fact.event.item() != Some(id) {
            continue;
        }
        for delivery in plan(&state, record) {
            named.insert(delivery.id);
            let (at, cause) = (record.time, delivery.cause);
            let end = ends.get(receipts.len() % ends.len().max(1)).and_then(|end| some_end(*end));
            receipts.push(end.map(|end| {
                let (endpoint, kind) = (delivery.endpoint, delivery.kind);
                let delivery = (delivery.id, delivery.platform);
                let settled =
                    Settled { delivery: delivery.0, endpoint, kind, attempts: 1, at, end };
                let (app, platform, settled) = (app(), delivery.1, vec![settled]);
                Receipt { app, user, cause, item: id, platform, settled }
            }));
        }
        if let Event::DeliveriesParked(parked) = &record.fact.event {
            named.extend(parked.deliveries.iter().map(|it| it.delivery));
        }
    }
    receipts.iter().flatten().for_each(|receipt| account.receipt(receipt));
    let now = log.last().map_or(Timestamp::ZERO, |last| last.time);
    let state = world.state(user, &Event::NotificationRecalled { id, revision: None });
    (account.explain(&state, now), named)
}

fn some_end(number: u8) -> Option<End> {
    let reason = String::new;
    match number % 7 {
        0 => Some(End::Accepted { provider_id: String::new() }),
        1 => Some(End::Suppressed(Suppression::Handled)),
        2 => Some(End::Rejected { status: 400, reason: reason() }),
        3 => Some(End::AddressGone { status: 410, reason: reason() }),
        4 => Some(End::GaveUp { reason: reason() }),
        _ => None,
    }
}

fn items() -> impl Iterator<Item = (UserRef, NotificationId)> {
    let users = (0..USERS).map(some_user);
    users.flat_map(|user| ITEMS.map(|name| (user, item(user, name))))
}

proptest! {
    #[test]
    fn the_counts_add_up_to_what_was_planned(log in logs(60), ends in vec(any::<u8>(), 0..12)) {
        for (user, id) in items() {
            let (found, named) = explained(&log, user, id, &ends);
            let counted: BTreeSet<_> = found.deliveries.iter().map(|it| it.delivery.id).collect();
            prop_assert_eq!(counted.len(), found.deliveries.len(), "a delivery is counted twice");
            prop_assert_eq!(&counted, &named);
            let mut planned = 0;
            for counts in found.counts().values() {
                let parts = [
                    counts.accepted,
                    counts.rejected,
                    counts.gave_up,
                    counts.address_gone,
                    counts.suppressed,
                    counts.parked,
                    counts.deferred,
                    counts.open,
                ];
                prop_assert_eq!(counts.planned, parts.iter().sum::<u64>());
                planned += counts.planned;
            }
            prop_assert_eq!(planned, named.len() as u64);
            if let Some(it) = found.convergence {
                let rest = it.parked + it.deferred + it.open + it.failed;
                prop_assert_eq!(it.total, it.reached + rest);
            }
        }
    }

    #[test]
    fn every_endpoint_is_planned_or_told_why_not(log in logs(60)) {
        for (user, id) in items() {
            let (found, _) = explained(&log, user, id, &[]);
            prop_assert!(found.steps.is_sorted_by_key(|step| step.time));
            let world = World::of(&log);
            for record in log.iter().filter(|it| it.fact.event.item() == Some(id)) {
                if !matches!(record.fact.event, Event::NotificationPosted(_)) {
                    continue;
                }
                for endpoint in world.reach(user).endpoints.keys() {
                    // A fallback that came due has its post for a cause, and is an answer of its own.
                    let is_answer = |what: &What| match what {
                        What::Planned(kind) => !matches!(kind, DeliveryKind::Fallback { .. }),
                        What::NotPlanned(_) => true,
                        _ => false,
                    };
                    let answers = found.steps.iter().filter(|step| {
                        step.cause == record.position.offset
                            && step.endpoint == Some(*endpoint)
                            && is_answer(&step.what)
                    });
                    prop_assert_eq!(answers.count(), 1);
                }
            }
        }
    }
}
