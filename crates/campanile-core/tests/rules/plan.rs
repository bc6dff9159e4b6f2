//! Who must hear of an event.

use std::time::Duration;

use campanile_core::{
    AgendaEntry, Delivery, DeliveryId, DeliveryKind, Due, Event, HoldReason, Offset, Parked,
    ParkedDelivery, Platform, PutOff, Urgency,
};
use campanile_testkit::scenario::{
    activated, deleted, dismissed, expired, given, happened, lapsed, posted, read, recalled,
    registered, renewed, retired, show, snoozed, sync, unread,
};
use campanile_testkit::strategy::recorded;
use campanile_testkit::vocabulary::{START, item, laptop, phone, tablet, user};
use campanile_testkit::world::World;

#[test]
fn a_post_is_for_every_endpoint() {
    given([registered(phone(1)), registered(laptop(1))])
        .when(posted("a"))
        .then_plans([show("a").to(phone(1)), show("a").to(laptop(1))]);
}

#[test]
fn a_later_revision_is_for_every_endpoint_too() {
    given([registered(phone(1)), posted("a"), registered(laptop(1))])
        .when(posted("a"))
        .then_plans([show("a").revision(2).to(phone(1)), show("a").revision(2).to(laptop(1))]);
}

#[test]
fn a_user_without_endpoints_hears_nothing() {
    given([]).when(posted("a")).then_plans_nothing();
}

#[test]
fn a_post_is_not_for_other_users() {
    given([registered(phone(1)), registered(phone(1)).of(user(2))])
        .when(posted("a").of(user(2)))
        .then_plans([show("a").of(user(2)).to(phone(1))]);
}

#[test]
fn a_post_is_for_its_platforms_only() {
    given([registered(phone(1))]).when(posted("a").only_for(&[Platform::Fcm])).then_plans_nothing();
    given([registered(phone(1))])
        .when(posted("a").only_for(&[Platform::Apns]))
        .then_plans([show("a").to(phone(1))]);
}

#[test]
fn a_retired_endpoint_hears_nothing() {
    given([registered(phone(1)), registered(laptop(1)), retired(laptop(1))])
        .when(posted("a"))
        .then_plans([show("a").to(phone(1))]);
}

#[test]
fn a_change_is_for_every_other_endpoint_that_may_show_the_item() {
    for change in [read("a"), dismissed("a"), activated("a"), snoozed("a"), deleted("a")] {
        given([registered(phone(1)), registered(laptop(1)), registered(tablet(1)), posted("a")])
            .when(change.on(phone(1)))
            .then_plans([sync("a").to(laptop(1)), sync("a").to(tablet(1))]);
    }
}

#[test]
fn a_change_made_on_no_endpoint_is_for_every_endpoint() {
    for change in [read("a"), dismissed("a"), deleted("a"), recalled("a")] {
        given([registered(phone(1)), registered(laptop(1)), posted("a")])
            .when(change)
            .then_plans([sync("a").to(phone(1)), sync("a").to(laptop(1))]);
    }
}

#[test]
fn an_endpoint_that_came_later_shows_nothing_and_hears_nothing() {
    given([registered(phone(1)), posted("a"), registered(laptop(1))])
        .when(dismissed("a").on(phone(1)))
        .then_plans_nothing()
        .and_when(recalled("a"))
        .then_plans([sync("a").to(phone(1))]);
}

#[test]
fn an_endpoint_that_came_between_two_revisions_shows_the_second() {
    given([registered(phone(1)), posted("a"), registered(laptop(1)), posted("a")])
        .when(dismissed("a").on(phone(1)))
        .then_plans([sync("a").to(laptop(1))]);
}

#[test]
fn a_platform_that_never_got_the_item_hears_no_change() {
    given([registered(phone(1)), posted("a").only_for(&[Platform::Fcm])])
        .when(dismissed("a"))
        .then_plans_nothing();
    given([registered(phone(1)), posted("a"), posted("a").only_for(&[Platform::Fcm])])
        .when(dismissed("a"))
        .then_plans([sync("a").to(phone(1))]);
}

#[test]
fn what_changes_nothing_is_told_to_nobody() {
    let start = || [registered(phone(1)), registered(laptop(1)), posted("a"), dismissed("a")];
    given(start()).when(dismissed("a").on(phone(1))).then_plans_nothing();
    given(start()).when(activated("a").on(phone(1))).then_plans_nothing();
    given([registered(phone(1)), posted("a")]).when(unread("a")).then_plans_nothing();
    given([registered(phone(1)), posted("a"), posted("a")])
        .when(dismissed("a").seeing(1))
        .then_plans_nothing();
}

#[test]
fn a_change_before_the_post_is_told_to_nobody() {
    given([registered(phone(1))]).when(dismissed("a")).then_plans_nothing();
    given([registered(phone(1))]).when(deleted("a")).then_plans_nothing();
    given([registered(phone(1))]).when(recalled("a")).then_plans_nothing();
}

#[test]
fn what_ends_by_itself_is_told_to_nobody() {
    given([registered(phone(1)), posted("a").living(Duration::from_secs(10))])
        .when(expired("a", 1).after(Duration::from_secs(10)))
        .then_plans_nothing();
}

#[test]
fn news_of_endpoints_are_told_to_nobody() {
    let start = || [registered(phone(1)), registered(laptop(1)), posted("a")];
    for event in [
        registered(tablet(1)),
        registered(phone(1)).registration(2),
        renewed(phone(1)),
        retired(phone(1)),
        lapsed(phone(1)).after(Duration::from_secs(90 * 86_400)),
    ] {
        given(start()).when(event).then_plans_nothing();
    }
}

#[test]
fn what_changed_nothing_is_told_to_nobody_by_a_worker_that_is_behind_either() {
    let nothing = unread("a").on(laptop(1));
    let steps = [registered(phone(1)), registered(laptop(1)), posted("a"), nothing];
    let scenario = given(steps.into_iter().chain([read("a").on(phone(1))]));
    let world = World::of(scenario.log());
    let (reach, item) = (world.reach(user(1)), world.item(user(1), item(user(1), "a")).unwrap());
    let late = &scenario.log()[3];
    let planned = campanile_core::plan(&world.state(user(1), &late.fact.event), late);
    let now = scenario.now();
    let due: Vec<_> = planned
        .iter()
        .filter(|it| campanile_core::still_due(&reach, Some(&item), it, now).is_ok())
        .collect();
    assert!(due.is_empty(), "the phone made the only change, and is told of it: {due:?}");
}

fn parked() -> ParkedDelivery {
    let (id, endpoint) = (item(user(1), "a"), phone(1).endpoint(user(1)));
    ParkedDelivery {
        delivery: DeliveryId::new(id, Offset(2), endpoint),
        item: id,
        cause: Offset(2),
        tells_of: Offset(2),
        endpoint,
        platform: Platform::Apns,
        kind: DeliveryKind::Show { revision: 1 },
        attempts: 5,
        urgency: Urgency::Urgent,
        trace: None,
    }
}

#[test]
fn a_parked_delivery_waits_on_the_agenda_and_comes_back_once() {
    let until = START.after(Duration::from_secs(60));
    let entry = AgendaEntry { at: until, due: Due::Retry(parked()) };
    let park = Event::DeliveriesParked(Parked {
        item: parked().item,
        until,
        reason: "busy".into(),
        why: PutOff::Held(HoldReason::Throttled),
        deliveries: vec![parked()],
    });
    given([registered(phone(1)), registered(laptop(1)), posted("a")])
        .when(happened(park))
        .then_plans_nothing()
        .then_agenda(|agenda| assert!(agenda.contains(&entry)))
        .and_when(happened(Event::CameDue(entry)))
        .then_plans([show("a").to(phone(1))])
        .then_agenda(|agenda| assert!(!agenda.contains(&entry)));
}

#[test]
fn a_parked_delivery_is_the_same_delivery() {
    let log = given([registered(phone(1)), posted("a")]);
    let world = World::of(log.log());
    let first = &log.log()[1];
    let planned = campanile_core::plan(&world.state(user(1), &first.fact.event), first);
    let due = Event::CameDue(AgendaEntry { at: START, due: Due::Retry(parked()) });
    let due = recorded(3, START, user(1), due);
    let again = campanile_core::plan(&world.state(user(1), &due.fact.event), &due);
    let expected: Vec<_> = planned.into_iter().map(|it| Delivery { attempts: 5, ..it }).collect();
    assert_eq!(again, expected);
}
