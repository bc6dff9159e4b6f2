//! How a user's reach follows from events.

use std::time::Duration;

use campanile_core::{AgendaEntry, Due, Limits, Offset, PushStyle, RetireReason};
use campanile_testkit::scenario::{dismissed, given, lapsed, posted, registered, renewed, retired};
use campanile_testkit::vocabulary::{START, laptop, phone, user};

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

fn lapse(number: u8, at: Duration) -> AgendaEntry {
    let endpoint = phone(1).endpoint(user(1));
    let registration = phone(1).registration(user(1), number);
    AgendaEntry { at: START.after(at), due: Due::Lapse { endpoint, registration } }
}

#[test]
fn a_registration_makes_an_endpoint() {
    given([])
        .when(registered(phone(1)).leased_for(HOUR))
        .then_reach(|reach| {
            let endpoint = &reach.endpoints[&phone(1).endpoint(user(1))];
            assert_eq!(endpoint.since, Offset(1));
            assert_eq!(endpoint.registered_at, START.after(SECOND));
            assert_eq!(endpoint.address, phone(1).address(user(1), 1));
            assert_eq!(endpoint.lease_until, START.after(SECOND).after(HOUR));
        })
        .then_agenda(|agenda| assert_eq!(agenda, [lapse(1, HOUR + SECOND)]))
        .then_plans_nothing();
}

#[test]
fn reach_is_each_users_own() {
    given([registered(phone(1)).of(user(2))])
        .when(registered(laptop(1)))
        .then_reach(|reach| assert_eq!(reach.endpoints.len(), 1));
}

#[test]
fn an_address_rotates_without_a_new_endpoint() {
    given([registered(phone(1)).leased_for(HOUR), posted("a")])
        .when(registered(phone(1)).registration(2).leased_for(HOUR))
        .then_reach(|reach| {
            let endpoint = &reach.endpoints[&phone(1).endpoint(user(1))];
            assert_eq!(endpoint.since, Offset(1), "it lives since its first registration");
            assert_eq!(endpoint.registration, phone(1).registration(user(1), 2));
            assert_eq!(endpoint.address, phone(1).address(user(1), 2));
        })
        .then_agenda(|agenda| assert_eq!(agenda[0], lapse(2, HOUR + 3 * SECOND)));
}

#[test]
fn a_lease_is_thirty_days_at_most() {
    let years = Duration::from_secs(1_000_000_000);
    let most = Limits::LONGEST_LEASE;
    let endpoint = phone(1).endpoint(user(1));
    given([])
        .when(registered(phone(1)).leased_for(years))
        .then_reach(|reach| {
            assert_eq!(reach.endpoints[&endpoint].lease_until, START.after(SECOND).after(most));
        })
        .and_when(renewed(phone(1)).leased_for(years))
        .then_reach(|reach| {
            assert_eq!(reach.endpoints[&endpoint].lease_until, START.after(2 * SECOND).after(most));
        });
}

#[test]
fn a_renewal_moves_the_end_of_the_lease() {
    given([registered(phone(1)).leased_for(HOUR)])
        .when(renewed(phone(1)).leased_for(2 * HOUR))
        .then_agenda(|agenda| assert_eq!(agenda, [lapse(1, 2 * HOUR + 2 * SECOND)]))
        .and_when(lapsed(phone(1)).after(HOUR))
        .then_changes_nothing();
}

#[test]
fn a_renewal_of_another_registration_changes_nothing() {
    given([registered(phone(1)).registration(2)]).when(renewed(phone(1))).then_changes_nothing();
    given([]).when(renewed(phone(1))).then_changes_nothing();
}

#[test]
fn a_lease_that_is_over_lapses() {
    given([registered(phone(1)).leased_for(HOUR)])
        .when(lapsed(phone(1)).after(HOUR))
        .then_reach(|reach| {
            assert!(reach.endpoints.is_empty());
            let tombstone = &reach.tombstones[&phone(1).endpoint(user(1))];
            assert_eq!((tombstone.reason, tombstone.at), (RetireReason::Lapsed, Offset(2)));
        })
        .then_agenda(|agenda| assert_eq!(agenda, []));
}

#[test]
fn a_lease_does_not_lapse_early_or_for_another_registration() {
    let lease = registered(phone(1)).leased_for(HOUR);
    given([lease.clone()]).when(lapsed(phone(1)).after(HOUR - SECOND)).then_changes_nothing();
    given([lease]).when(lapsed(phone(1)).registration(2).after(HOUR)).then_changes_nothing();
    given([]).when(lapsed(phone(1))).then_changes_nothing();
}

#[test]
fn a_retired_endpoint_is_gone() {
    given([registered(phone(1)), registered(laptop(1))])
        .when(retired(phone(1)).because(RetireReason::Unregistered))
        .then_reach(|reach| {
            let only: Vec<_> = reach.endpoints.keys().copied().collect();
            assert_eq!(only, [laptop(1).endpoint(user(1))]);
            let tombstone = &reach.tombstones[&phone(1).endpoint(user(1))];
            assert_eq!(tombstone.reason, RetireReason::Unregistered);
            assert_eq!(tombstone.registration, phone(1).registration(user(1), 1));
        })
        .then_agenda(|agenda| assert_eq!(agenda.len(), 1))
        .then_plans_nothing();
}

#[test]
fn a_late_verdict_on_an_old_address_is_nothing() {
    given([registered(phone(1)), registered(phone(1)).registration(2)])
        .when(retired(phone(1)).registration(1).because(RetireReason::AddressGone))
        .then_changes_nothing()
        .and_when(retired(phone(1)).registration(2).because(RetireReason::AddressGone))
        .then_reach(|reach| assert!(reach.endpoints.is_empty()));
}

#[test]
fn retiring_twice_or_nobody_is_nothing() {
    given([]).when(retired(phone(1))).then_changes_nothing();
    given([registered(phone(1)), retired(phone(1))]).when(retired(phone(1))).then_changes_nothing();
}

#[test]
fn a_life_that_was_broken_begins_again() {
    given([registered(phone(1)), retired(phone(1))]).when(registered(phone(1))).then_reach(
        |reach| {
            assert_eq!(reach.endpoints[&phone(1).endpoint(user(1))].since, Offset(3));
            assert!(reach.tombstones.is_empty());
        },
    );
}

#[test]
fn a_user_has_twenty_endpoints_at_most() {
    let twenty = || (0..20).map(|number| registered(phone(number)));
    given(twenty()).when(registered(laptop(1))).then_changes_nothing();
    given(twenty())
        .when(registered(phone(7)).registration(2))
        .then_reach(|reach| {
            assert_eq!(reach.endpoints.len(), Limits::ENDPOINTS_PER_USER);
            let rotated = &reach.endpoints[&phone(7).endpoint(user(1))];
            assert_eq!(rotated.registration, phone(7).registration(user(1), 2));
        })
        .and_when(retired(phone(3)))
        .and_when(registered(laptop(1)))
        .then_reach(|reach| assert!(reach.endpoints.contains_key(&laptop(1).endpoint(user(1)))));
}

#[test]
fn the_latest_retired_endpoints_are_remembered() {
    let steps = (0..64).flat_map(|number| [registered(phone(number)), retired(phone(number))]);
    given(steps).when(registered(laptop(1))).and_when(retired(laptop(1))).then_reach(|reach| {
        assert_eq!(reach.tombstones.len(), Limits::TOMBSTONES_PER_USER);
        assert!(!reach.tombstones.contains_key(&phone(0).endpoint(user(1))), "not the oldest");
        assert!(reach.tombstones.contains_key(&laptop(1).endpoint(user(1))));
    });
}

#[test]
fn who_asks_for_no_pushes_begins_a_life_and_so_does_who_asks_for_them_again() {
    let asking = |style| registered(phone(1)).asking_for(style);
    let lives = |steps: &[PushStyle]| {
        let scenario = given(steps.iter().map(|style| asking(*style)));
        let reach = campanile_testkit::world::World::of(scenario.log()).reach(user(1));
        reach.endpoints[&phone(1).endpoint(user(1))].since.0
    };
    use PushStyle::{None, Payload, Signal};
    assert_eq!(lives(&[Payload, Signal, Payload]), 1, "it is pushed to all along");
    assert_eq!(lives(&[Payload, None]), 2);
    assert_eq!(lives(&[Payload, None, None]), 2);
    assert_eq!(lives(&[Payload, None, Signal]), 3);
    given([asking(None)]).when(posted("a")).then_plans_nothing();
    given([asking(None), posted("a"), asking(Payload)]).when(dismissed("a")).then_plans_nothing();
}
