//! Who is shown a fallback: whoever was signalled, and has not fetched.

use std::time::Duration;

use campanile_core::port::PushBody;
use campanile_core::{
    Account, AgendaEntry, Due, Event, Item, PushStyle, Suppression, Timestamp, What, WhyNot,
    compose, plan,
};
use campanile_testkit::scenario::{
    Scenario, Step, deleted, dismissed, fallback, given, happened, posted, recalled, registered,
    retired,
};
use campanile_testkit::vocabulary::{Device, START, item, laptop, phone, tablet, user};
use campanile_testkit::world::World;

const TWO_MINUTES: Duration = Duration::from_secs(120);

fn signalled(device: Device) -> Step {
    registered(device).asking_for(PushStyle::Signal)
}

fn post() -> Step {
    posted("a").falling_back_after(TWO_MINUTES)
}

fn fetched(device: Device, revision: u32) -> Step {
    let (id, endpoint) = (item(user(1), "a"), device.endpoint(user(1)));
    happened(Event::ItemFetched { id, revision, endpoint })
}

fn entry(after: u64, revision: u32) -> AgendaEntry {
    let due = Due::Fallback { id: item(user(1), "a"), revision };
    AgendaEntry { at: START.after(Duration::from_secs(after)), due }
}

fn came_due(revision: u32) -> Step {
    happened(Event::CameDue(entry(122, revision)))
}

fn fallbacks(scenario: &Scenario) -> Vec<AgendaEntry> {
    let agenda = World::of(scenario.log()).agenda(user(1)).collect::<Vec<_>>();
    agenda.into_iter().filter(|it| matches!(it.due, Due::Fallback { .. })).collect()
}

#[test]
fn whoever_was_signalled_and_has_not_fetched_is_shown_it() {
    let begun = [signalled(phone(1)), signalled(laptop(1)), registered(tablet(1)), post()];
    let steps = begun.into_iter().chain([fetched(laptop(1), 1)]);
    given(steps).when(came_due(1)).then_plans([fallback("a").to(phone(1))]);
}

#[test]
fn nobody_else_is_shown_it() {
    let rows: [&[Step]; 5] = [
        &[registered(phone(1)), post()],
        &[post(), signalled(phone(1))],
        &[signalled(phone(1)), post(), post()],
        &[signalled(phone(1)), posted("a")],
        &[signalled(phone(1)), post().only_for(&[campanile_core::Platform::Fcm])],
    ];
    for steps in rows {
        given(steps.iter().cloned()).when(came_due(1)).then_plans_nothing();
    }
}

#[test]
fn what_an_endpoint_asked_for_afterwards_does_not_count() {
    let scenario = given([signalled(phone(1)), post(), came_due(1), signalled(phone(1))]);
    let came_due = &scenario.log()[2];
    let state = World::of(scenario.log()).state(user(1), &came_due.fact.event);
    assert_eq!(plan(&state, came_due), [], "a worker that is behind cannot tell");
}

#[test]
fn it_waits_on_the_agenda_as_long_as_it_is_meant() {
    assert_eq!(fallbacks(&given([post()])), [entry(121, 1)]);
    assert_eq!(fallbacks(&given([post(), post()])), [entry(122, 2)]);
    for over in [posted("a"), recalled("a"), deleted("a"), happened(Event::CameDue(entry(121, 1)))]
    {
        assert_eq!(fallbacks(&given([post(), over])), []);
    }
    let hours = posted("a").falling_back_after(Duration::from_secs(7200));
    assert_eq!(fallbacks(&given([hours])), [entry(601, 1)], "ten minutes at most");
}

#[test]
fn a_fetch_is_no_change_of_the_item_and_counts_for_its_revision() {
    let told = |item: &Item| (item.as_of, item.modified, item.is_handled());
    let of = |scenario: &Scenario| World::of(scenario.log()).item(user(1), item(user(1), "a"));
    let before = of(&given([signalled(phone(1)), post()])).unwrap();
    given([signalled(phone(1)), post()]).when(fetched(phone(1), 1)).then_item("a", |item| {
        assert_eq!(told(item), told(&before));
        assert!(!item.awaits_fetch(phone(1).endpoint(user(1)), START));
        assert!(item.awaits_fetch(laptop(1).endpoint(user(1)), START));
        assert!(!item.awaits_fetch(laptop(1).endpoint(user(1)), Timestamp::from_millis(u64::MAX)));
    });
    // Also later than it is delivered by, and where it is handled: it may be asked for again.
    given([signalled(phone(1)), post()]).when(dismissed("a")).then_item("a", |item| {
        assert!(item.awaits_fetch(laptop(1).endpoint(user(1)), item.deliver_by));
    });
    for other in [0, 2] {
        given([signalled(phone(1)), post(), fetched(phone(1), other)])
            .when(came_due(1))
            .then_plans([fallback("a").to(phone(1))]);
    }
    given([signalled(phone(1)), posted("a")]).when(fetched(phone(1), 1)).then_changes_nothing();
}

#[test]
fn what_happens_until_it_is_sent_makes_it_needless() {
    let rows = [
        (fetched(phone(1), 1), Suppression::Fetched),
        (dismissed("a"), Suppression::Handled),
        (recalled("a"), Suppression::Recalled),
        (deleted("a"), Suppression::Deleted),
        (posted("a"), Suppression::Superseded),
        (retired(phone(1)), Suppression::EndpointGone),
    ];
    let shown = fallback("a").to(phone(1));
    let begun = || given([signalled(phone(1)), post()]).when(came_due(1));
    for (step, why) in rows {
        begun().then_still_due(&shown).and_when(step).then_suppressed(&shown, why);
    }
    let week = Duration::from_secs(8 * 86_400);
    begun().then_suppressed_after(week, &shown, Suppression::Expired);
}

#[test]
fn it_has_the_content_of_the_fallback_and_nothing_of_the_items() {
    let scenario = given([signalled(phone(1)), post().saying("secret"), came_due(1)]);
    let world = World::of(scenario.log());
    let last = scenario.log().last().unwrap();
    let delivery = plan(&world.state(user(1), &last.fact.event), last).remove(0);
    let (reach, known) = (world.reach(user(1)), world.item(user(1), delivery.item).unwrap());
    let push = compose(&known, &delivery, &reach.endpoints[&delivery.endpoint]);
    let PushBody::Show { content, group } = push.body else { panic!("{:?}", push.body) };
    assert_eq!((&content, group), (&known.fallback.as_ref().unwrap().content, None));
    assert_ne!(content, known.content);
    assert_eq!(push.sequence, 2, "as of the post");
}

#[test]
fn who_fetched_is_told_apart() {
    let steps = [signalled(phone(1)), signalled(laptop(1)), post(), fetched(laptop(1), 1)];
    let scenario = given(steps.into_iter().chain([came_due(1)]));
    let (mut world, mut account) = (World::default(), Account::new(item(user(1), "a")));
    for record in scenario.log() {
        let changes = world.apply(record);
        account.event(&world.state(user(1), &record.fact.event), record, &changes);
    }
    let last = &scenario.log()[4];
    let found = account.explain(&world.state(user(1), &last.fact.event), scenario.now());
    let fetched = found.steps.iter().find(|it| it.what == What::NotPlanned(WhyNot::Fetched));
    assert_eq!(fetched.unwrap().endpoint, Some(laptop(1).endpoint(user(1))));
    let convergence = found.convergence.unwrap();
    assert_eq!((convergence.total, found.deliveries.len()), (2, 3), "shown to two, in three");
}
