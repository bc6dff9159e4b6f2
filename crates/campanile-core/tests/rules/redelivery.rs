//! What failed is made again when somebody asks for it: once, and only if it still matters.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use campanile_core::Suppression::{self, EndpointGone, Expired, Handled, Recalled, Superseded};
use campanile_core::port::PushBody;
use campanile_core::{
    Account, Address, DeadReason, DeliveryId, DeliveryKind, End, EndpointId, Event, Explanation,
    FcmTarget, FcmToken, NotificationId, Offset, OutcomeCounts, Platform, PostVerdict, PushStyle,
    Receipt, Redelivery, RetireReason, Settled, Standing, Urgency, What, WhyNot, compose, plan,
    still_due,
};
use campanile_testkit::scenario::{
    Step, dismissed, given, happened, posted, recalled, registered, retired, show, sync, unread,
};
use campanile_testkit::strategy::logs;
use campanile_testkit::vocabulary::{Device, START, app, item, laptop, phone, user};
use campanile_testkit::world::World;
use proptest::prelude::*;

const SHOW: DeliveryKind = DeliveryKind::Show { revision: 1 };
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Item `a` is to be told once more to `device`, after the delivery of event `failed` failed.
fn again(device: Device, kind: DeliveryKind, failed: u64, tells_of: u64) -> Redelivery {
    let (item, endpoint) = (item(user(1), "a"), device.endpoint(user(1)));
    let (failed, tells_of, platform) = (Offset(failed), Offset(tells_of), Platform::Apns);
    let urgency = Urgency::Urgent;
    Redelivery { item, endpoint, platform, kind, failed, tells_of, urgency }
}

fn asked(again: Redelivery) -> Step {
    happened(Event::RedeliveryRequested(again))
}

/// The phone's show of event 2, again.
fn shown_again() -> Step {
    asked(again(phone(1), SHOW, 2, 2))
}

fn rung(post: Step) -> [Step; 2] {
    [registered(phone(1)), post]
}

#[test]
fn a_failure_is_delivered_again_when_it_is_asked_for() {
    let on_phone = show("a").to(phone(1));
    given(rung(posted("a")))
        .when(shown_again())
        .then_plans([on_phone])
        .then_still_due(&on_phone)
        .then_the_post_is(PostVerdict::Accepted)
        .then_item("a", |item| assert_eq!(item.as_of, Offset(3), "only the post changed it"));
}

#[test]
fn asking_twice_for_the_same_failure_is_asking_once() {
    given(rung(posted("a")).into_iter().chain([shown_again()]))
        .when(shown_again())
        .then_plans_nothing()
        .then_the_post_is(PostVerdict::Repeated)
        .then_changes_nothing()
        // That one may have failed, too.
        .and_when(asked(again(phone(1), SHOW, 3, 2)))
        .then_plans([show("a").to(phone(1))]);
}

#[test]
fn each_failure_is_another() {
    let steps = [registered(phone(1)), registered(laptop(1)), posted("a")];
    given(steps.into_iter().chain([asked(again(phone(1), SHOW, 3, 3))]))
        .when(asked(again(laptop(1), SHOW, 3, 3)))
        .then_plans([show("a").to(laptop(1))]);
}

#[test]
fn what_stopped_mattering_meanwhile_is_not_sent_again() {
    let on_phone = show("a").to(phone(1));
    let cases = [
        (dismissed("a"), Handled),
        (recalled("a"), Recalled),
        (posted("a"), Superseded),
        (retired(phone(1)), EndpointGone),
    ];
    for (step, why) in cases {
        given(rung(posted("a")).into_iter().chain([step]))
            .when(shown_again())
            .then_plans([on_phone])
            .then_suppressed(&on_phone, why);
    }
}

#[test]
fn what_stops_mattering_after_it_was_asked_for_is_not_sent_either() {
    given(rung(posted("a")).into_iter().chain([shown_again()]))
        .when(dismissed("a"))
        .then_suppressed(&show("a").to(phone(1)), Handled);
}

#[test]
fn a_clear_is_delivered_again_while_nothing_says_more() {
    let to_phone = sync("a").to(phone(1));
    let failed = || rung(posted("a")).into_iter().chain([dismissed("a")]);
    let sync_again = || asked(again(phone(1), DeliveryKind::Sync, 3, 3));
    given(failed()).when(sync_again()).then_plans([to_phone]).then_still_due(&to_phone);
    given(failed().chain([unread("a"), posted("a")]))
        .when(sync_again())
        .then_suppressed(&to_phone, Superseded);
}

/// It may ring late: whoever asks knows that it is late. But never after the end.
#[test]
fn a_redelivery_may_ring_after_the_last_moment_for_a_push_and_not_after_the_end() {
    let on_phone = show("a").to(phone(1));
    given(rung(posted("a").living(2 * DAY).delivered_within(HOUR)))
        .when(shown_again().after(3 * HOUR))
        .then_still_due(&on_phone)
        .then_suppressed_after(2 * DAY, &on_phone, Expired);
    let log = given(rung(posted("a").living(2 * DAY).delivered_within(HOUR)));
    let world = World::of(log.log());
    let (reach, item) = (world.reach(user(1)), world.item(user(1), item(user(1), "a")).unwrap());
    let delivery = again(phone(1), SHOW, 2, 2).delivery(Offset(3));
    let late = log.now().after(3 * HOUR);
    let endpoint = still_due(&reach, Some(&item), &delivery, late).unwrap();
    let push = compose(&item, &delivery, endpoint);
    assert_eq!((push.expires_at, push.sequence), (item.expires_at, 3));
    assert!(matches!(push.body, PushBody::Show { .. }));
}

/// Its address was gone, and the app registered a new one since: that is what was mended.
#[test]
fn an_endpoint_that_came_back_since_is_meant() {
    let gone = retired(phone(1)).because(RetireReason::AddressGone);
    let on_phone = show("a").to(phone(1));
    let came_back = rung(posted("a")).into_iter().chain([gone, registered(phone(1))]);
    given(came_back.clone()).when(shown_again()).then_still_due(&on_phone);
    given(came_back.chain([shown_again(), retired(phone(1))]))
        .when(registered(phone(1)))
        .then_suppressed(&on_phone, EndpointGone);
}

#[test]
fn an_endpoint_that_wants_no_pushes_any_more_gets_none() {
    let quiet = registered(phone(1)).asking_for(PushStyle::None);
    given(rung(posted("a")).into_iter().chain([quiet]))
        .when(shown_again())
        .then_suppressed(&show("a").to(phone(1)), EndpointGone);
}

/// What was put off for its former platform is not sent on the route of another, which nobody has.
#[test]
fn an_endpoint_that_moved_to_another_platform_is_gone() {
    let on_phone = show("a").to(phone(1));
    let target = FcmTarget::Token(FcmToken::new("token").unwrap());
    let moved = happened(Event::EndpointRegistered {
        endpoint: phone(1).endpoint(user(1)),
        registration: phone(1).registration(user(1), 2),
        address: Arc::new(Address::Fcm { target, project: "shop".into() }),
        style: PushStyle::Payload,
        lease_until: START.after(30 * DAY),
    });
    given(rung(posted("a"))).when(moved.clone()).then_suppressed(&on_phone, EndpointGone);
    given(rung(posted("a")).into_iter().chain([moved]))
        .when(shown_again())
        .then_suppressed(&on_phone, EndpointGone);
}

#[test]
fn what_failed_is_named_by_its_id() {
    let (id, endpoint) = (item(user(1), "a"), phone(1).endpoint(user(1)));
    let fallback = DeliveryKind::Fallback { revision: 1 };
    let named = |kind, failed| again(phone(1), kind, failed, 2).failed_delivery();
    assert_eq!(named(SHOW, 2), DeliveryId::new(id, Offset(2), endpoint));
    assert_eq!(named(fallback, 2), DeliveryId::of_fallback(id, Offset(2), endpoint));
    // A redelivery of a fallback has the id of any redelivery.
    assert_eq!(named(fallback, 3), DeliveryId::new(id, Offset(3), endpoint));
}

#[test]
fn what_tells_of_the_future_is_nothing() {
    for (failed, tells_of) in [(3, 2), (2, 4), (1, 2)] {
        given(rung(posted("a")))
            .when(asked(again(phone(1), SHOW, failed, tells_of)))
            .then_plans_nothing();
    }
}

fn settled(kind: DeliveryKind, end: End) -> Settled {
    let (id, endpoint) = (item(user(1), "a"), phone(1).endpoint(user(1)));
    let delivery = DeliveryId::new(id, Offset(2), endpoint);
    Settled { delivery, endpoint, kind, attempts: 1, at: START, end }
}

#[test]
fn a_dead_letter_is_what_somebody_may_have_mended() {
    let reason = || "why".to_owned();
    let expired = || End::Suppressed(Expired);
    let dead = [
        (SHOW, End::Rejected { status: 400, reason: reason() }, DeadReason::Rejected),
        (SHOW, End::AddressGone { status: 410, reason: reason() }, DeadReason::AddressGone),
        (DeliveryKind::Sync, End::GaveUp { reason: reason() }, DeadReason::GaveUp),
        (SHOW, expired(), DeadReason::Expired),
    ];
    for (kind, end, why) in dead {
        assert_eq!(settled(kind, end).dead(), Some(why));
    }
    let living = [
        (SHOW, End::Accepted { provider_id: reason() }),
        (SHOW, End::Suppressed(Handled)),
        (SHOW, End::Suppressed(EndpointGone)),
        (DeliveryKind::Sync, expired()),
    ];
    for (kind, end) in living {
        assert_eq!(settled(kind, end).dead(), None);
    }
}

fn receipt(cause: u64, end: End) -> Receipt {
    let (whose, cause) = (user(1), Offset(cause));
    let (id, endpoint) = (item(whose, "a"), phone(1).endpoint(whose));
    let delivery = DeliveryId::new(id, cause, endpoint);
    let settled = vec![Settled { delivery, ..settled(SHOW, end) }];
    Receipt { app: app(), user: whose, cause, item: id, platform: Platform::Apns, settled }
}

fn explained(steps: impl IntoIterator<Item = Step>, receipts: &[Receipt]) -> Explanation {
    let scenario = given(steps);
    let (whose, mut world) = (user(1), World::default());
    let mut account = Account::new(item(whose, "a"));
    for record in scenario.log() {
        let changes = world.apply(record);
        account.event(&world.state(whose, &record.fact.event), record, &changes);
    }
    receipts.iter().for_each(|receipt| account.receipt(receipt));
    let now = Event::NotificationRecalled { id: item(whose, "a"), revision: None };
    account.explain(&world.state(whose, &now), scenario.now())
}

#[test]
fn the_account_of_an_item_has_its_redeliveries() {
    let rejected = || receipt(2, End::Rejected { status: 400, reason: "BadTopic".into() });
    let accepted = || receipt(3, End::Accepted { provider_id: "x".into() });
    let steps = || rung(posted("a")).into_iter().chain([shown_again(), shown_again()]);
    let found = explained(steps(), &[rejected(), accepted()]);
    let counts = found.counts()[&Platform::Apns];
    let both = OutcomeCounts { planned: 2, rejected: 1, accepted: 1, ..OutcomeCounts::default() };
    assert_eq!(counts, both);
    let [first, second] = &found.deliveries[..] else { panic!("{found:?}") };
    assert!(!first.delivery.is_redelivery() && second.delivery.is_redelivery());
    assert_eq!((second.delivery.cause, second.delivery.tells_of), (Offset(3), Offset(2)));
    let agreed = found.convergence.unwrap();
    assert_eq!((agreed.total, agreed.reached), (1, 1), "one endpoint, told in the end");
    let repeated = found.steps.iter().find(|it| it.what == What::NotPlanned(WhyNot::Repeated));
    assert_eq!(repeated.map(|it| it.cause), Some(Offset(4)));

    let found = explained(steps(), &[rejected()]);
    assert_eq!(found.deliveries[1].standing, Standing::Open { not_due: None });
    assert_eq!(found.convergence.map(|it| (it.total, it.open)), Some((1, 1)));
    let gave_up = receipt(3, End::Suppressed(Suppression::EndpointGone));
    let found = explained(steps(), &[rejected(), gave_up]);
    assert_eq!(found.convergence.map(|it| (it.total, it.failed)), Some((1, 1)));
}

proptest! {
    /// Whatever else happens, and whoever asks.
    #[test]
    fn no_failure_is_delivered_again_twice(log in logs(60)) {
        let mut sent = BTreeSet::<(NotificationId, Offset, EndpointId)>::new();
        let mut world = World::default();
        for record in &log {
            world.apply(record);
            let Event::RedeliveryRequested(asked) = &record.fact.event else { continue };
            let state = world.state(record.fact.user, &record.fact.event);
            for delivery in plan(&state, record) {
                let item = state.item.as_deref();
                let due = still_due(&state.reach, item, &delivery, record.time).is_ok();
                let is_first = !due || sent.insert((asked.item, asked.failed, asked.endpoint));
                prop_assert!(is_first, "{asked:?} is sent again");
                let since = state.reach.endpoints.get(&delivery.endpoint).map(|it| it.since);
                prop_assert!(!due || since.is_some_and(|since| since < record.position.offset));
            }
        }
    }
}
