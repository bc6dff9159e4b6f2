//! What a due delivery becomes.

use std::time::Duration;

use campanile_core::port::{PushBody, SyncState};
use campanile_core::{Offset, Priority, PushStyle, UserAction, compose, plan, still_due};
use campanile_testkit::scenario::{
    Step, activated, deleted, dismissed, given, posted, read, recalled, registered, unread,
};
use campanile_testkit::vocabulary::{START, item, phone, user};
use campanile_testkit::world::World;

/// The push that the last of `steps` makes for the phone.
fn push_of(steps: impl IntoIterator<Item = Step>) -> campanile_core::port::Push {
    let scenario = given(steps);
    let world = World::of(scenario.log());
    let last = scenario.log().last().unwrap();
    let reach = world.reach(user(1));
    let item = world.item(user(1), last.fact.event.item().unwrap()).unwrap();
    let planned = plan(&world.state(user(1), &last.fact.event), last);
    let [delivery] = planned.as_slice() else { panic!("planned {planned:?}") };
    let endpoint = still_due(&reach, Some(&item), delivery, scenario.now()).unwrap();
    let push = compose(&item, delivery, endpoint);
    assert_eq!((push.delivery, push.item), (delivery.id, item.id));
    assert_eq!(push.address, phone(1).address(user(1), 1));
    push
}

#[test]
fn a_revision_is_shown_with_its_content() {
    let push = push_of([registered(phone(1)), posted("a").saying("hello")]);
    let PushBody::Show { content, group } = push.body else { panic!("{:?}", push.body) };
    assert_eq!(content.visual.as_ref().map(|it| it.title.as_str()), Some("hello"));
    assert_eq!(group, None);
    assert_eq!((push.priority, push.sequence), (Priority::High, Offset(2).0));
}

#[test]
fn a_signal_has_no_content_and_goes_as_far_as_one_with_content() {
    let signalled = || registered(phone(1)).asking_for(PushStyle::Signal);
    let push = push_of([signalled(), posted("a").saying("hello")]);
    assert_eq!((push.body, push.priority, push.sequence), (PushBody::Signal, Priority::High, 2));
    let push = push_of([signalled(), posted("a"), dismissed("a")]);
    assert_eq!((push.body, push.priority, push.sequence), (PushBody::Signal, Priority::Normal, 3));
}

#[test]
fn a_platform_holds_a_revision_until_it_is_too_late_to_deliver() {
    let hour = Duration::from_secs(3600);
    let post = posted("a").living(9 * hour).delivered_within(hour);
    let push = push_of([registered(phone(1)), post]);
    assert_eq!(push.expires_at, START.after(Duration::from_secs(2)).after(hour));
}

#[test]
fn a_change_is_told_silently_and_does_not_wake_the_device() {
    let push = push_of([registered(phone(1)), posted("a"), dismissed("a")]);
    assert_eq!((push.priority, push.sequence), (Priority::Normal, 3));
    assert!(matches!(push.body, PushBody::Sync(_)));
}

#[test]
fn what_is_handled_or_over_is_cleared_from_the_screen() {
    let state = |steps: &[Step]| {
        let all = [registered(phone(1)), posted("a")].into_iter().chain(steps.iter().cloned());
        match push_of(all).body {
            PushBody::Sync(state) => state,
            other => panic!("{other:?}"),
        }
    };
    let id = item(user(1), "a");
    let expected = |read, action, clear| SyncState { id, read, action, clear };
    assert_eq!(state(&[read("a")]), expected(true, UserAction::None, true));
    assert_eq!(state(&[dismissed("a")]), expected(false, UserAction::Dismissed, true));
    assert_eq!(state(&[activated("a")]), expected(false, UserAction::Activated, true));
    assert_eq!(state(&[deleted("a")]), expected(false, UserAction::None, true));
    assert_eq!(state(&[recalled("a")]), expected(false, UserAction::None, true));
    assert_eq!(state(&[read("a"), unread("a")]), expected(false, UserAction::None, false));
}
