//! Addresses that change hands: the last registration of an address has it.

use campanile_core::{
    Address, AddressClaim, AgendaChange, AgendaEntry, AppId, Displaced, Due, Environment, Event,
    FcmTarget, FcmToken, IdentityKey, Limits, RetireReason, Timestamp, UserRef, found_under,
};
use campanile_testkit::scenario::{given, lapsed, registered, retired};
use campanile_testkit::strategy::recorded;
use campanile_testkit::vocabulary::{Device, START, app, laptop, phone, user};
use campanile_testkit::world::World;
use proptest::prelude::*;

/// Under what the claims are recorded.
const ADDRESS: UserRef = UserRef::from_bytes([0xad; 16]);

fn of(whose: UserRef, device: Device, number: u8) -> Displaced {
    let (endpoint, registration) = (device.endpoint(whose), device.registration(whose, number));
    Displaced { user: whose, endpoint, registration }
}

fn claim(by: Displaced, renews: bool) -> Event {
    let lease_until = START.after(Limits::LONGEST_LEASE);
    Event::AddressClaimed(AddressClaim { by, lease_until, renews })
}

/// Who holds the address in the end, and who was displaced on the way.
fn after(claims: &[Event]) -> (Option<Displaced>, Vec<Displaced>) {
    let (mut world, mut displaced) = (World::default(), Vec::new());
    for (offset, claim) in (1..).zip(claims) {
        let changes = world.apply(&recorded(offset, START, ADDRESS, claim.clone()));
        displaced.extend(changes.agenda.into_iter().filter_map(|change| match change {
            AgendaChange::Add(AgendaEntry { due: Due::Displace(who), .. }) => Some(who),
            _ => None,
        }));
    }
    (world.holder(ADDRESS).map(|holder| holder.by), displaced)
}

#[test]
fn the_last_registration_of_an_address_has_it() {
    let (alice, bob) = (of(user(1), phone(1), 1), of(user(2), phone(1), 1));
    assert_eq!(after(&[claim(alice, false)]), (Some(alice), vec![]));
    let handed = [claim(alice, false), claim(bob, false)];
    assert_eq!(after(&handed), (Some(bob), vec![alice]));
    let returned = [&handed[..], &[claim(of(user(1), phone(1), 2), false)]].concat();
    assert_eq!(after(&returned), (Some(of(user(1), phone(1), 2)), vec![alice, bob]));
}

#[test]
fn an_endpoint_does_not_displace_itself() {
    let twice = [1, 2].map(|number| claim(of(user(1), phone(1), number), false));
    assert_eq!(after(&twice), (Some(of(user(1), phone(1), 2)), vec![]));
    // Installed again: another endpoint of the same user, with the address of the first.
    let (first, again) = (of(user(1), phone(1), 1), of(user(1), laptop(1), 1));
    assert_eq!(after(&[claim(first, false), claim(again, false)]), (Some(again), vec![first]));
}

#[test]
fn a_renewal_takes_the_address_from_nobody() {
    let (alice, bob) = (of(user(1), phone(1), 1), of(user(2), phone(1), 1));
    let late = [claim(alice, false), claim(bob, false), claim(alice, true)];
    assert_eq!(after(&late), (Some(bob), vec![alice, alice]));
    let old = [claim(of(user(1), phone(1), 2), false), claim(alice, true)];
    assert_eq!(after(&old), (Some(of(user(1), phone(1), 2)), vec![]));
    assert_eq!(after(&[claim(alice, true)]), (Some(alice), vec![]), "the holder was forgotten");
}

#[test]
fn a_claim_lasts_as_long_as_the_lease_and_longer() {
    let alice = of(user(1), phone(1), 1);
    let until = |lease_until, renews| {
        Event::AddressClaimed(AddressClaim { by: alice, lease_until, renews })
    };
    let mut world = World::default();
    let mut lease = |offset, event| {
        world.apply(&recorded(offset, START, ADDRESS, event));
        world.holder(ADDRESS).map(|holder| (holder.lease_until, holder.keep_until()))
    };
    let (day, month) = (START.after(Limits::REMEMBERED_AFTER), Limits::LONGEST_LEASE);
    assert_eq!(lease(1, until(day, false)), Some((day, day.after(month))));
    let most = START.after(month);
    assert_eq!(lease(2, until(Timestamp::from_millis(u64::MAX), true)).map(|it| it.0), Some(most));
}

#[test]
fn a_displaced_registration_is_retired_and_no_later_one() {
    let moved = |number| retired(phone(1)).registration(number).because(RetireReason::Moved);
    given([registered(phone(1)), registered(phone(1)).registration(2)])
        .when(moved(1))
        .then_changes_nothing()
        .and_when(moved(2))
        .then_reach(|reach| {
            assert_eq!(reach.tombstones[&phone(1).endpoint(user(1))].reason, RetireReason::Moved);
        });
}

#[test]
fn an_address_is_an_apps_own() {
    let address = |token: &str, fid: bool| {
        let token = FcmToken::new(token).unwrap();
        let target = if fid { FcmTarget::Installation(token) } else { FcmTarget::Token(token) };
        Address::Fcm { target, project: "shop-4711".into() }
    };
    let key = |name| IdentityKey::of_app(&[7; 32], &AppId::new(name).unwrap());
    let shop = key("shop").address(&address("APA91b", false));
    assert_ne!(shop, key("bank").address(&address("APA91b", false)));
    assert_ne!(shop, key("shop").address(&address("APA91c", false)));
    assert_ne!(shop, key("shop").address(&address("APA91b", true)));
    let apns = |environment, topic: &str| {
        let token = campanile_core::ApnsToken::new("00ff").unwrap();
        key("shop").address(&Address::Apns { token, topic: topic.into(), environment })
    };
    let (production, sandbox) = (Environment::Production, Environment::Sandbox);
    assert_eq!(apns(production, "a"), apns(sandbox, "b"), "the same device, told differently");
}

#[test]
fn only_what_retired_an_endpoint_is_found_under_its_app() {
    let hour = std::time::Duration::from_secs(3600);
    let is_listed = |steps: Vec<campanile_testkit::scenario::Step>| {
        let scenario = given(steps);
        let (last, before) = scenario.log().split_last().unwrap();
        let changes = World::of(before).apply(last);
        let retired = UserRef::of_retired(&app(), last.position.partition);
        found_under(last, &changes).any(|(user, _)| user == retired)
    };
    let lease = || registered(phone(1)).leased_for(hour);
    assert!(is_listed(vec![lease(), retired(phone(1))]));
    assert!(is_listed(vec![lease(), lapsed(phone(1)).after(hour)]));
    assert!(!is_listed(vec![lease(), lapsed(phone(1))]), "too early");
    assert!(!is_listed(vec![lease(), retired(phone(1)).registration(2)]));
    assert!(!is_listed(vec![lease()]));
}

proptest! {
    /// Whoever claimed an address and neither has it nor claimed it again from the same endpoint is
    /// displaced: nobody keeps an address that is another's.
    #[test]
    fn everybody_who_loses_an_address_is_displaced(
        claims in prop::collection::vec((0..3_u16, 0..3_u8, any::<bool>()), 1..20),
    ) {
        let by = |(who, number, _): &(u16, u8, bool)| of(user(*who), phone(1), *number);
        let events: Vec<_> = claims.iter().map(|it| claim(by(it), it.2)).collect();
        let (holder, displaced) = after(&events);
        let holder = holder.unwrap();
        for claimed in claims.iter().map(by) {
            let is_same = (claimed.user, claimed.endpoint) == (holder.user, holder.endpoint);
            let is_out = displaced
                .iter()
                .any(|it| (it.user, it.endpoint) == (claimed.user, claimed.endpoint));
            prop_assert!(is_same || is_out, "{:?} of {:?}", claimed, events);
        }
        prop_assert!(claims.iter().map(by).any(|it| it == holder));
    }
}
