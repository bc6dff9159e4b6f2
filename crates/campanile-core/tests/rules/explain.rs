//! Why an item rang where it did, and why not elsewhere.

use std::time::Duration;

use campanile_core::{
    Account, AgendaEntry, Convergence, DeliveryId, DeliveryKind, Due, End, Event, Explanation,
    Goal, HoldReason, Offset, OutcomeCounts, Parked, ParkedDelivery, Platform, PushStyle, PutOff,
    Receipt, RequestStamp, RetireReason, Settled, Standing, Suppression, Urgency, What, WhyNot,
};
use campanile_testkit::scenario::{
    Step, deleted, dismissed, given, happened, posted, registered, retired,
};
use campanile_testkit::vocabulary::{
    Device, START, app, item, laptop, phone, request, tablet, user,
};
use campanile_testkit::world::World;

/// What is said about item `a` of user 1, after `steps` and `receipts`.
fn explained(
    steps: impl IntoIterator<Item = Step>,
    receipts: impl IntoIterator<Item = Receipt>,
) -> Explanation {
    let scenario = given(steps);
    let (whose, mut world) = (user(1), World::default());
    let mut account = Account::new(item(whose, "a"));
    for record in scenario.log() {
        let changes = world.apply(record);
        account.event(&world.state(whose, &record.fact.event), record, &changes);
    }
    receipts.into_iter().for_each(|receipt| account.receipt(&receipt));
    let now = Event::NotificationRecalled { id: item(whose, "a"), revision: None };
    account.explain(&world.state(whose, &now), scenario.now())
}

/// What came of the delivery to `device` that the event number `cause` called for.
fn receipt(cause: u64, device: Device, kind: DeliveryKind, end: End) -> Receipt {
    let (whose, cause) = (user(1), Offset(cause));
    let (id, endpoint) = (item(whose, "a"), device.endpoint(whose));
    let delivery = DeliveryId::new(id, cause, endpoint);
    let settled = Settled { delivery, endpoint, kind, attempts: 1, at: START, end };
    let (platform, settled) = (Platform::Apns, vec![settled]);
    Receipt { app: app(), user: whose, cause, item: id, platform, settled }
}

const SHOW: DeliveryKind = DeliveryKind::Show { revision: 1 };

fn accepted() -> End {
    End::Accepted { provider_id: "x".into() }
}

fn parked(cause: u64, device: Device, kind: DeliveryKind) -> ParkedDelivery {
    let (whose, cause) = (user(1), Offset(cause));
    let (item, endpoint) = (item(whose, "a"), device.endpoint(whose));
    let delivery = DeliveryId::new(item, cause, endpoint);
    ParkedDelivery {
        delivery,
        item,
        cause,
        tells_of: cause,
        endpoint,
        platform: Platform::Apns,
        kind,
        attempts: 5,
        urgency: Urgency::Urgent,
        trace: None,
    }
}

fn put_off(delivery: ParkedDelivery) -> Step {
    put_off_because(delivery, PutOff::Held(HoldReason::Throttled))
}

fn put_off_because(delivery: ParkedDelivery, why: PutOff) -> Step {
    let until = START.after(Duration::from_secs(90));
    let (item, reason) = (delivery.item, "busy".into());
    let deliveries = vec![delivery];
    happened(Event::DeliveriesParked(Parked { item, until, reason, why, deliveries }))
}

fn came_due(delivery: ParkedDelivery) -> Step {
    let at = START.after(Duration::from_secs(90));
    happened(Event::CameDue(AgendaEntry { at, due: Due::Retry(delivery) }))
}

fn why_not(found: &Explanation, cause: u64, device: Device) -> Vec<WhyNot> {
    let of = |step: &&campanile_core::Step| {
        step.cause == Offset(cause) && step.endpoint == Some(device.endpoint(user(1)))
    };
    let why = |step: &campanile_core::Step| match step.what {
        What::NotPlanned(why) => Some(why),
        _ => None,
    };
    found.steps.iter().filter(of).filter_map(why).collect()
}

fn standing(found: &Explanation, cause: u64, device: Device) -> Standing {
    let id = DeliveryId::new(item(user(1), "a"), Offset(cause), device.endpoint(user(1)));
    found.deliveries.iter().find(|it| it.delivery.id == id).unwrap().standing.clone()
}

fn counts(found: &Explanation) -> OutcomeCounts {
    found.counts().get(&Platform::Apns).copied().unwrap_or_default()
}

#[test]
fn who_was_not_there_is_told_apart() {
    let steps = [
        registered(phone(1)),
        registered(tablet(1)),
        retired(tablet(1)),
        posted("a"),
        registered(laptop(1)),
    ];
    let found = explained(steps, []);
    assert_eq!(why_not(&found, 4, phone(1)), []);
    assert_eq!(why_not(&found, 4, laptop(1)), [WhyNot::RegisteredLater]);
    let unregistered = WhyNot::Retired(Some(RetireReason::Unregistered));
    assert_eq!(why_not(&found, 4, tablet(1)), [unregistered]);
    assert_eq!(counts(&found), OutcomeCounts { planned: 1, open: 1, ..Default::default() });
}

#[test]
fn another_platform_is_named() {
    let found = explained([registered(phone(1)), posted("a").only_for(&[Platform::Fcm])], []);
    assert_eq!(why_not(&found, 2, phone(1)), [WhyNot::OtherPlatform]);
    assert_eq!(found.counts().len(), 0);
}

#[test]
fn who_asked_for_no_pushes_is_told_apart_and_nobody_waits_for_it() {
    let none = || registered(laptop(1)).asking_for(PushStyle::None);
    let steps = [registered(phone(1)), none(), posted("a"), dismissed("a")];
    let found = explained(steps, []);
    assert_eq!(why_not(&found, 3, laptop(1)), [WhyNot::NoPush]);
    assert_eq!(why_not(&found, 4, laptop(1)), [WhyNot::NoPush]);
    assert_eq!(counts(&found).planned, 2, "the phone's");

    let accepted = receipt(2, laptop(1), SHOW, accepted());
    let steps = [registered(laptop(1)), posted("a"), none(), dismissed("a")];
    let cleared = explained(steps, [accepted]).convergence.unwrap();
    assert_eq!(cleared.total, 0, "what it shows is no more our business: {cleared:?}");
}

#[test]
fn a_repeated_and_a_contradicting_request_ring_nowhere() {
    let says = |what: &str| RequestStamp {
        key: request(user(1), "k"),
        fingerprint: campanile_core::Fingerprint::of(what.as_bytes()),
    };
    let post = |what: &str| {
        let step = posted("a");
        let Event::NotificationPosted(mut post) = given([step]).log()[0].fact.event.clone() else {
            panic!("not a post");
        };
        post.request = Some(says(what));
        happened(Event::NotificationPosted(post))
    };
    let found = explained([registered(phone(1)), post("x"), post("x"), post("y")], []);
    assert_eq!(why_not(&found, 2, phone(1)), []);
    assert_eq!(why_not(&found, 3, phone(1)), [WhyNot::Repeated]);
    assert_eq!(why_not(&found, 4, phone(1)), [WhyNot::Conflicted]);
    assert_eq!(counts(&found).planned, 1);
}

#[test]
fn a_change_is_not_told_where_it_was_made_nor_where_nothing_shows() {
    let steps = [
        registered(phone(1)),
        registered(laptop(1)),
        posted("a"),
        registered(tablet(1)),
        dismissed("a").on(phone(1)),
        dismissed("a"),
    ];
    let found = explained(steps, []);
    assert_eq!(why_not(&found, 5, phone(1)), [WhyNot::Origin]);
    assert_eq!(why_not(&found, 5, laptop(1)), []);
    assert_eq!(why_not(&found, 5, tablet(1)), [WhyNot::RegisteredLater]);
    assert_eq!(why_not(&found, 6, tablet(1)), [], "it changed nothing");
    let found = explained([registered(phone(1)), dismissed("a")], []);
    assert_eq!(why_not(&found, 2, phone(1)), [WhyNot::NeverShown]);
}

#[test]
fn a_delivery_is_put_off_comes_due_and_ends() {
    let delivery = parked(2, phone(1), SHOW);
    let begun = [registered(phone(1)), posted("a"), put_off(delivery)];
    let found = explained(begun.clone(), []);
    let until = START.after(Duration::from_secs(90));
    let why = PutOff::Held(HoldReason::Throttled);
    assert_eq!(
        standing(&found, 2, phone(1)),
        Standing::Parked { until, reason: "busy".into(), why }
    );
    assert_eq!(found.deliveries[0].delivery.attempts, 5);
    assert_eq!(counts(&found), OutcomeCounts { planned: 1, parked: 1, ..Default::default() });
    let due = || begun.clone().into_iter().chain([came_due(delivery)]);
    let found = explained(due(), []);
    assert_eq!(standing(&found, 2, phone(1)), Standing::Open { not_due: None });
    let gone = End::Rejected { status: 400, reason: "BadPriority".into() };
    let found = explained(due(), [receipt(2, phone(1), SHOW, gone.clone())]);
    assert_eq!(standing(&found, 2, phone(1)), Standing::Ended { at: START, end: gone });
    assert_eq!(counts(&found), OutcomeCounts { planned: 1, rejected: 1, ..Default::default() });
}

#[test]
fn an_acceptance_counts_before_any_other_end() {
    let suppressed = || End::Suppressed(Suppression::Handled);
    for ends in [[accepted(), suppressed()], [suppressed(), accepted()]] {
        let receipts = ends.map(|end| receipt(2, phone(1), SHOW, end));
        let found = explained([registered(phone(1)), posted("a")], receipts);
        assert_eq!(counts(&found), OutcomeCounts { planned: 1, accepted: 1, ..Default::default() });
    }
}

#[test]
fn what_no_worker_will_name_says_why() {
    let found = explained([registered(phone(1)), posted("a"), retired(phone(1))], []);
    let not_due = Some(Suppression::EndpointGone);
    assert_eq!(standing(&found, 2, phone(1)), Standing::Open { not_due });
}

#[test]
fn a_clear_converges_endpoint_by_endpoint() {
    let devices = [phone(1), phone(2), laptop(1), tablet(1)];
    let shown = devices.map(|device| receipt(5, device, SHOW, accepted()));
    let steps = devices.map(registered).into_iter().chain([posted("a")]);
    let found = explained(steps.clone(), shown.clone());
    let goal = Goal::Show { revision: 1 };
    let all =
        Convergence { goal, total: 4, reached: 4, parked: 0, deferred: 0, open: 0, failed: 0 };
    assert_eq!(found.convergence, Some(all));

    let late = parked(6, tablet(1), DeliveryKind::Sync);
    let steps = steps.chain([dismissed("a").on(phone(1)), put_off(late)]);
    let told = [phone(2), laptop(1)].map(|it| receipt(6, it, DeliveryKind::Sync, accepted()));
    let found = explained(steps.clone(), shown.clone().into_iter().chain(told.clone()));
    let most = Convergence { goal: Goal::Clear, reached: 3, parked: 1, ..all };
    assert_eq!(found.convergence, Some(most));

    let silent = parked(6, tablet(1), DeliveryKind::Sync);
    let silent = steps.clone().chain([put_off_because(silent, PutOff::Deferred)]);
    let found = explained(silent, shown.clone().into_iter().chain(told.clone()));
    let most = Convergence { parked: 0, deferred: 1, ..most };
    assert_eq!(found.convergence, Some(most));
    assert_eq!((counts(&found).planned, counts(&found).deferred), (7, 1));

    let found = explained(steps.chain([retired(tablet(1))]), shown.into_iter().chain(told));
    let rest = Convergence { total: 3, deferred: 0, ..most };
    assert_eq!(found.convergence, Some(rest), "a retired endpoint shows nothing");
}

#[test]
fn one_endpoint_can_be_asked_about() {
    let steps = [registered(phone(1)), registered(laptop(1)), posted("a"), deleted("a")];
    let found = explained(steps, []);
    let one = found.clone().only(phone(1).endpoint(user(1))).unwrap();
    assert_eq!((found.deliveries.len(), one.deliveries.len()), (4, 2));
    assert!(one.steps.iter().all(|it| it.endpoint != Some(laptop(1).endpoint(user(1)))));
    assert_eq!(found.only(tablet(1).endpoint(user(1))), None, "it is not known");
}
