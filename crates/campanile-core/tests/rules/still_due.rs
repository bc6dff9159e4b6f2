//! Whether a planned delivery still matters.

use std::time::Duration;

use campanile_core::Platform;
use campanile_core::Suppression::{Deleted, EndpointGone, Expired, Handled, Recalled, Superseded};
use campanile_testkit::scenario::{
    Step, activated, deleted, dismissed, expired, given, lapsed, posted, read, recalled,
    registered, renewed, retired, show, snoozed, sync,
};
use campanile_testkit::vocabulary::{laptop, phone, user};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn rung(post: Step) -> [Step; 3] {
    [registered(phone(1)), registered(laptop(1)), post]
}

#[test]
fn a_post_is_due_while_nothing_happens() {
    let on_phone = show("a").to(phone(1));
    given(rung(posted("b"))).when(posted("a")).then_still_due(&on_phone);
    given(rung(posted("a"))).when(posted("b")).then_still_due(&on_phone);
    given(rung(posted("a"))).when(dismissed("a").of(user(2))).then_still_due(&on_phone);
}

#[test]
fn what_is_handled_elsewhere_is_not_shown() {
    for change in [read("a"), dismissed("a"), activated("a"), snoozed("a")] {
        given(rung(posted("a")))
            .when(change.on(laptop(1)))
            .then_suppressed(&show("a").to(phone(1)), Handled);
    }
}

#[test]
fn what_is_over_is_not_shown() {
    let on_phone = show("a").to(phone(1));
    given(rung(posted("a"))).when(deleted("a")).then_suppressed(&on_phone, Deleted);
    given(rung(posted("a"))).when(recalled("a")).then_suppressed(&on_phone, Recalled);
    given(rung(posted("a").living(HOUR)))
        .when(expired("a", 1).after(HOUR))
        .then_suppressed(&on_phone, Expired);
}

#[test]
fn a_former_revision_is_not_shown() {
    given(rung(posted("a")))
        .when(posted("a"))
        .then_suppressed(&show("a").to(phone(1)), Superseded)
        .then_still_due(&show("a").revision(2).to(phone(1)));
}

#[test]
fn nobody_is_rung_for_the_day_before_yesterday() {
    let on_phone = show("a").to(phone(1));
    given(rung(posted("b")))
        .when(posted("a").living(7 * DAY))
        .then_still_due_after(DAY - SECOND, &on_phone)
        .then_suppressed_after(DAY, &on_phone, Expired);
    given(rung(posted("b")))
        .when(posted("a").living(HOUR).delivered_within(DAY))
        .then_suppressed_after(HOUR, &on_phone, Expired);
}

#[test]
fn a_retired_endpoint_gets_nothing() {
    let on_phone = show("a").to(phone(1));
    given(rung(posted("a"))).when(retired(phone(1))).then_suppressed(&on_phone, EndpointGone);
    let lease = registered(phone(1)).leased_for(HOUR);
    given([lease.clone(), posted("a")])
        .when(lapsed(phone(1)).after(HOUR))
        .then_suppressed(&on_phone, EndpointGone);
    given([lease])
        .when(posted("a"))
        .then_still_due_after(HOUR - 2 * SECOND, &on_phone)
        .then_suppressed_after(HOUR - SECOND, &on_phone, EndpointGone);
}

#[test]
fn a_renewed_lease_and_a_new_address_keep_a_delivery_due() {
    let on_phone = show("a").to(phone(1));
    given([registered(phone(1)).leased_for(HOUR), posted("a")])
        .when(renewed(phone(1)).leased_for(2 * HOUR))
        .then_still_due_after(HOUR, &on_phone)
        .and_when(registered(phone(1)).registration(2))
        .then_still_due_after(3 * HOUR, &on_phone);
}

#[test]
fn an_endpoint_that_came_back_has_missed_what_was_before() {
    let steps = [registered(phone(1)), posted("a"), retired(phone(1))];
    given(steps).when(registered(phone(1))).then_suppressed(&show("a").to(phone(1)), EndpointGone);
}

#[test]
fn what_was_handled_or_ended_before_its_post_is_not_shown() {
    let on_phone = show("a").to(phone(1));
    let phone_only = || registered(phone(1));
    given([phone_only(), dismissed("a")]).when(posted("a")).then_suppressed(&on_phone, Handled);
    given([phone_only(), deleted("a")]).when(posted("a")).then_suppressed(&on_phone, Deleted);
    given([phone_only(), recalled("a")]).when(posted("a")).then_suppressed(&on_phone, Recalled);
}

#[test]
fn a_change_is_told_while_it_is_the_latest() {
    let to_laptop = sync("a").to(laptop(1));
    given(rung(posted("a"))).when(dismissed("a").on(phone(1))).then_still_due(&to_laptop);
    given(rung(posted("a"))).when(recalled("a")).then_still_due(&to_laptop);
    given(rung(posted("a"))).when(deleted("a").on(phone(1))).then_still_due(&to_laptop);
}

#[test]
fn only_the_latest_of_several_changes_is_told() {
    let log: Vec<_> =
        rung(posted("a")).into_iter().chain([read("a").on(phone(1)), snoozed("a")]).collect();
    let scenario = given(log);
    let world = campanile_testkit::world::World::of(scenario.log());
    let (reach, id) = (world.reach(user(1)), campanile_testkit::vocabulary::item(user(1), "a"));
    let item = world.item(user(1), id).unwrap();
    let told = |index: usize| {
        let record = &scenario.log()[index];
        let planned = campanile_core::plan(&world.state(user(1), &record.fact.event), record);
        let now = scenario.now();
        let due = planned
            .iter()
            .map(|it| campanile_core::still_due(&reach, Some(&item), it, now).map(|_| ()).err());
        due.collect::<Vec<_>>()
    };
    assert_eq!(told(3), [Some(Superseded)]);
    assert_eq!(told(4), [None, None]);
}

#[test]
fn a_change_made_on_the_endpoint_itself_does_not_hide_one_made_elsewhere() {
    given(rung(posted("a")).into_iter().chain([read("a").on(phone(1))]))
        .when(snoozed("a").on(laptop(1)))
        .then_still_due(&sync("a").to(laptop(1)));
}

#[test]
fn a_new_revision_says_more_than_a_change_of_the_former() {
    given(rung(posted("a")).into_iter().chain([dismissed("a").on(phone(1))]))
        .when(posted("a"))
        .then_suppressed(&sync("a").to(laptop(1)), Superseded);
}

#[test]
fn a_new_revision_for_other_platforms_does_not_silence_a_change() {
    given(rung(posted("a")).into_iter().chain([dismissed("a").on(phone(1))]))
        .when(posted("a").only_for(&[Platform::Fcm]))
        .then_still_due(&sync("a").to(laptop(1)));
}

#[test]
fn a_change_of_what_has_expired_is_not_told() {
    let to_laptop = sync("a").to(laptop(1));
    given(rung(posted("a").living(2 * DAY)))
        .when(dismissed("a").on(phone(1)))
        .then_still_due_after(2 * DAY - 2 * SECOND, &to_laptop)
        .then_suppressed_after(2 * DAY - SECOND, &to_laptop, Expired);
}

#[test]
fn a_change_is_not_told_to_an_endpoint_that_is_gone() {
    given(rung(posted("a")).into_iter().chain([dismissed("a").on(phone(1))]))
        .when(retired(laptop(1)))
        .then_suppressed(&sync("a").to(laptop(1)), EndpointGone);
}
