//! What a worker makes of an event about an item that the projection has forgotten.

use std::time::Duration;

use campanile_core::Suppression::{Expired, Superseded};
use campanile_core::{
    AgendaEntry, Delivery, DeliveryKind, Due, Event, ParkedDelivery, Suppression, Timestamp,
    Urgency, plan, still_due,
};
use campanile_testkit::scenario::{Scenario, Step, dismissed, given, posted, registered};
use campanile_testkit::strategy::recorded;
use campanile_testkit::vocabulary::{START, item, phone, user};
use campanile_testkit::world::World;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The state after the whole log, without what is forgotten once nothing was heard for `quiet`.
fn after(scenario: &Scenario, quiet: Duration) -> World {
    let mut world = World::default();
    for record in scenario.log() {
        world.forget(record.time);
        world.apply(record);
    }
    world.forget(scenario.now().after(quiet));
    world
}

/// What the record at `index` calls for with that state, and whether it is due by a clock that
/// says it is the very time of the record.
fn late(
    scenario: &Scenario,
    world: &World,
    index: usize,
) -> Vec<(Delivery, Result<(), Suppression>)> {
    let record = &scenario.log()[index];
    let state = world.state(user(1), &record.fact.event);
    let due = |delivery: &Delivery, now: Timestamp| {
        still_due(&state.reach, state.item.as_deref(), delivery, now).map(|_| ())
    };
    let planned = plan(&state, record).into_iter();
    planned.map(|it| (it.clone(), due(&it, record.time))).collect()
}

fn brief(post: Step) -> Step {
    post.living(HOUR)
}

#[test]
fn a_post_whose_item_is_forgotten_ends_as_expired() {
    let scenario = given([registered(phone(1)), brief(posted("a"))]);
    let (before, forgotten) = (after(&scenario, HOUR), after(&scenario, 3 * DAY));
    let (before, late) = (late(&scenario, &before, 1), late(&scenario, &forgotten, 1));
    assert!(forgotten.item(user(1), item(user(1), "a")).is_none());
    let [(first, Ok(()))] = before.as_slice() else { panic!("{before:?}") };
    let [(again, Err(Expired))] = late.as_slice() else { panic!("{late:?}") };
    assert_eq!((first.id, first.cause), (again.id, again.cause));
    assert_eq!(again.kind, DeliveryKind::Show { revision: 0 });
}

#[test]
fn an_item_that_began_anew_does_not_ring_for_its_former_life() {
    let anew = brief(posted("a")).after(3 * DAY);
    let scenario = given([registered(phone(1)), brief(posted("a")), anew]);
    let world = after(&scenario, Duration::ZERO);
    let (former, present) = (late(&scenario, &world, 1), late(&scenario, &world, 2));
    let [(former, Err(Superseded))] = former.as_slice() else { panic!("{former:?}") };
    let [(present, Ok(()))] = present.as_slice() else { panic!("{present:?}") };
    assert_eq!(present.kind, DeliveryKind::Show { revision: 1 });
    assert_ne!(former.id, present.id, "two posts, two deliveries");
}

#[test]
fn an_item_that_began_anew_with_a_change_rings_for_nothing() {
    let change = dismissed("a").after(3 * DAY);
    let scenario = given([registered(phone(1)), brief(posted("a")), change]);
    let late = late(&scenario, &after(&scenario, Duration::ZERO), 1);
    assert!(matches!(late.as_slice(), [(_, Err(Expired))]), "{late:?}");
}

#[test]
fn a_request_that_lost_calls_for_nothing_also_later() {
    let lasting = posted("b").with_key("k").living(7 * DAY);
    let lost = brief(posted("a").with_key("k").saying("two"));
    let scenario = given([registered(phone(1)), lasting, lost]);
    assert_eq!(late(&scenario, &after(&scenario, 3 * DAY), 2), []);
}

#[test]
fn a_repetition_calls_for_nothing_while_its_item_is_known() {
    let key = || posted("a").with_key("k");
    let later = dismissed("a").after(HOUR);
    let scenario = given([registered(phone(1)), key(), key(), later]);
    let (world, record) = (World::of(scenario.log()), &scenario.log()[2]);
    let mut state = world.state(user(1), &record.fact.event);
    // The request is forgotten, the item is not.
    state.request = None;
    assert_eq!(plan(&state, record), []);
}

#[test]
fn a_parked_delivery_of_a_forgotten_item_ends_as_expired() {
    let scenario = given([registered(phone(1)), brief(posted("a"))]);
    let first = &scenario.log()[1];
    let known = World::of(scenario.log()).state(user(1), &first.fact.event);
    let planned = plan(&known, first);
    let [delivery] = planned.as_slice() else { panic!("{planned:?}") };
    let parked = ParkedDelivery {
        delivery: delivery.id,
        item: delivery.item,
        cause: delivery.cause,
        tells_of: delivery.tells_of,
        endpoint: delivery.endpoint,
        platform: delivery.platform,
        kind: delivery.kind,
        attempts: 3,
        urgency: Urgency::Urgent,
        trace: None,
    };
    let due = Event::CameDue(AgendaEntry { at: START, due: Due::Retry(parked) });
    let due = recorded(3, START.after(3 * DAY), user(1), due);
    let forgotten = after(&scenario, 3 * DAY).state(user(1), &due.fact.event);
    let again = plan(&forgotten, &due);
    assert_eq!(again, [Delivery { attempts: 3, ..delivery.clone() }]);
    let due = still_due(&forgotten.reach, forgotten.item.as_deref(), delivery, START);
    assert_eq!(due.map(|_| ()), Err(Expired));
}
