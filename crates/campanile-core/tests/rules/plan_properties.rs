//! Who is never told, and what is never told again.

use std::collections::BTreeSet;

use campanile_core::{
    Delivery, DeliveryKind, EndpointId, Event, Platform, PlatformMask, Reach, Recorded,
    StateChange, Timestamp, UserAction, UserRef, plan, plan_on, still_due,
};
use campanile_testkit::strategy::logs;
use campanile_testkit::world::World;
use proptest::prelude::*;
use proptest::sample::Index;

fn planned(world: &World, record: &Recorded) -> Vec<Delivery> {
    plan(&world.state(record.fact.user, &record.fact.event), record)
}

fn is_due(world: &World, user: UserRef, delivery: &Delivery, now: Timestamp) -> bool {
    let item = world.item(user, delivery.item);
    still_due(&world.reach(user), item.as_deref(), delivery, now).is_ok()
}

fn origin(event: &Event) -> Option<EndpointId> {
    match event {
        Event::StateChanged(change) => change.origin,
        Event::NotificationDeleted { origin, .. } => *origin,
        _ => None,
    }
}

const fn is_retry(event: &Event) -> bool {
    matches!(event, Event::CameDue(_))
}

/// Planned whatever the endpoint; whether it is there is asked before it is sent.
const fn is_asked_for(event: &Event) -> bool {
    matches!(event, Event::RedeliveryRequested(_))
}

/// Every record with the world right after it.
fn worlds(log: &[Recorded]) -> Vec<(&Recorded, World)> {
    let mut world = World::default();
    let after = |record| {
        world.apply(record);
        (record, world.clone())
    };
    log.iter().map(after).collect()
}

proptest! {
    #[test]
    fn each_delivery_is_planned_by_the_worker_of_its_platform(log in logs(40)) {
        for (record, at) in worlds(&log) {
            let state = at.state(record.fact.user, &record.fact.event);
            let all = plan(&state, record);
            for platform in Platform::ALL {
                let mut own = all.clone();
                own.retain(|delivery| delivery.platform == platform);
                prop_assert_eq!(plan_on(PlatformMask::of(&[platform]), &state, record), own);
            }
        }
    }

    #[test]
    fn only_the_users_own_live_endpoints_are_named(log in logs(40), later in any::<Index>()) {
        let worlds = worlds(&log);
        for (index, (record, at)) in worlds.iter().enumerate() {
            let reach: &Reach = &at.reach(record.fact.user);
            let (_, later) = &worlds[index + later.index(worlds.len() - index)];
            for delivery in planned(at, record).into_iter().chain(planned(later, record)) {
                if is_retry(&record.fact.event) || is_asked_for(&record.fact.event) {
                    continue;
                }
                let endpoint = reach.endpoints.get(&delivery.endpoint);
                prop_assert!(endpoint.is_some(), "registered later, retired before, or a stranger");
                let endpoint = endpoint.unwrap();
                prop_assert!(endpoint.since < record.position.offset);
                prop_assert_eq!(delivery.platform, endpoint.address.platform());
                prop_assert_ne!(Some(delivery.endpoint), origin(&record.fact.event));
                prop_assert_eq!(Some(delivery.item), record.fact.event.item());
                prop_assert_eq!(delivery.cause, record.position.offset);
            }
        }
    }

    #[test]
    fn no_delivery_is_planned_twice(log in logs(40)) {
        let mut seen = BTreeSet::new();
        for (record, world) in worlds(&log) {
            if is_retry(&record.fact.event) {
                continue;
            }
            for delivery in planned(&world, record) {
                prop_assert!(seen.insert(delivery.id), "{delivery:?} again");
            }
        }
    }

    #[test]
    fn what_happened_since_makes_nothing_necessary(log in logs(40), later in any::<Index>()) {
        // A later revision for other platforms leaves the former one's devices to be told.
        let log = everywhere(log);
        let worlds = worlds(&log);
        for (index, (record, at)) in worlds.iter().enumerate() {
            if is_retry(&record.fact.event) {
                continue;
            }
            let now: BTreeSet<_> = planned(at, record).into_iter().map(|it| it.id).collect();
            let (last, later) = &worlds[index + later.index(worlds.len() - index)];
            for delivery in planned(later, record) {
                let due = is_due(later, record.fact.user, &delivery, last.time);
                prop_assert!(!due || now.contains(&delivery.id), "{delivery:?} came to be due");
            }
        }
    }

    #[test]
    fn a_worker_that_is_behind_leaves_nothing_out(log in logs(40), later in any::<Index>()) {
        let worlds = worlds(&log);
        for (index, (record, at)) in worlds.iter().enumerate() {
            let (last, later) = &worlds[index + later.index(worlds.len() - index)];
            let found: BTreeSet<_> = planned(later, record).into_iter().map(|it| it.id).collect();
            for delivery in planned(at, record) {
                let due = is_due(later, record.fact.user, &delivery, last.time);
                prop_assert!(!due || found.contains(&delivery.id), "{delivery:?} is left out");
            }
        }
    }

    #[test]
    fn what_is_dismissed_is_never_shown(log in logs(60)) {
        for (record, world) in worlds(&log) {
            for earlier in log.iter().take_while(|it| it.position <= record.position) {
                for delivery in planned(&world, earlier) {
                    let DeliveryKind::Show { revision } = delivery.kind else { continue };
                    let item = world.item(earlier.fact.user, delivery.item);
                    // The log may say another number than the fold; the fold counts.
                    let told = item.as_ref().and_then(|it| it.revision_posted_at(delivery.tells_of));
                    let revision = told.unwrap_or(revision);
                    let dismissed = item.is_none_or(|item| item.dismissed_through >= revision);
                    let due = is_due(&world, earlier.fact.user, &delivery, record.time);
                    prop_assert!(!(dismissed && due), "{delivery:?} was dismissed");
                }
            }
        }
    }

    #[test]
    fn what_is_not_due_does_not_come_to_be_due(log in logs(40)) {
        let log = only_onwards(everywhere(log));
        let worlds = worlds(&log);
        for (index, (record, at)) in worlds.iter().enumerate() {
            let user = record.fact.user;
            if is_retry(&record.fact.event) {
                continue;
            }
            for delivery in planned(at, record) {
                let mut was_due = true;
                for (later, world) in &worlds[index..] {
                    let due = is_due(world, user, &delivery, later.time);
                    prop_assert!(was_due || !due, "{delivery:?} came to be due again");
                    was_due = due;
                }
            }
        }
    }
}

/// The log with every post for every platform.
fn everywhere(mut log: Vec<Recorded>) -> Vec<Recorded> {
    for record in &mut log {
        if let Event::NotificationPosted(posted) = &mut record.fact.event {
            posted.platforms = PlatformMask::ALL;
        }
    }
    log
}

/// The log without what makes a delivery due again by intent: a lease that is prolonged, or an item
/// marked as unread or unhandled again.
fn only_onwards(log: Vec<Recorded>) -> Vec<Recorded> {
    let mut world = World::default();
    let mut onwards = Vec::new();
    for mut record in log {
        match &mut record.fact.event {
            Event::EndpointRenewed { .. } => continue,
            Event::EndpointRegistered { endpoint, .. }
                if world.reach(record.fact.user).endpoints.contains_key(endpoint) =>
            {
                continue;
            }
            Event::StateChanged(StateChange { read, action, .. }) => {
                *read = read.filter(|read| *read);
                *action = action.filter(|action| *action != UserAction::None);
            }
            _ => {}
        }
        world.apply(&record);
        onwards.push(record);
    }
    onwards
}
