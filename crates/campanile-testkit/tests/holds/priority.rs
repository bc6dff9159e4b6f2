//! What is urgent does not wait for what is not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use campanile_core::{
    AppId, DeliveryKind, End, Event, NotificationId, Offset, Outcome, Platform, Priority,
    Redelivery, Urgency,
};
use campanile_engine::tasks::sleep;
use campanile_testkit::memory::{Reply, Sent};
use campanile_testkit::scenario::{dismissed, happened, posted, registered};
use campanile_testkit::vocabulary::{item, phone, tablet, user};

use crate::ground::Ground;

const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
/// Pushes at once on the route.
const ROOM: usize = 8;

/// A worker of two partitions, on a platform that takes [`ROOM`] pushes at once, for a second each.
async fn slow() -> Ground {
    let ground = Ground::with_room(2, ROOM).await;
    let accepted = Outcome::Accepted { provider_id: "1".into() };
    ground.pusher.answer_with(move |_| Reply::After(Duration::from_secs(1), accepted.clone()));
    ground
}

/// Ten posts below high priority for each of `users`.
async fn bulk(ground: &Ground, users: u16) {
    for whose in 0..users {
        ground.happens(whose, registered(phone(1))).await;
    }
    for (name, whose) in NAMES.iter().flat_map(|name| (0..users).map(move |whose| (name, whose))) {
        let priority = if whose % 4 < 2 { Priority::Low } else { Priority::Normal };
        ground.happens(whose, posted(name).of_priority(priority)).await;
    }
}

fn items(sent: &[Sent]) -> Vec<NotificationId> {
    sent.iter().map(|sent| sent.push.item).collect()
}

#[tokio::test(start_paused = true)]
async fn urgent_posts_and_changes_go_out_before_a_bulk_run_that_was_posted_before() {
    let ground = slow().await;
    for whose in 5000..5004 {
        ground.happens(whose, registered(phone(1))).await;
        ground.happens(whose, registered(tablet(1))).await;
        ground.happens(whose, posted("a")).await;
    }
    let _deliverer = ground.deliverer();
    sleep(Duration::from_secs(10)).await;
    bulk(&ground, 2000).await;
    sleep(Duration::from_secs(60)).await;
    let before = ground.pusher.sent().len();
    assert!((200..1000).contains(&before), "the run has just begun: {before}");
    for whose in 5000..5004 {
        ground.happens(whose, dismissed("a").on(phone(1))).await;
        ground.happens(whose, posted("b")).await;
    }
    sleep(Duration::from_secs(10)).await;
    let sent = items(&ground.pusher.sent()[before..]);
    assert!(sent.len() < 100, "the platform is slow: {}", sent.len());
    let at = |id| sent.iter().position(|sent| *sent == id).expect("it was sent");
    for whose in 5000..5004 {
        let (change, post) = (at(item(user(whose), "a")), at(item(user(whose), "b")));
        assert!(change.max(post) < 20, "behind {change} and {post} of the run");
    }
    assert_eq!(ground.progress().await.holds.len(), 1, "the run waits in the log");
}

/// Every item of a bulk run for `users` is accepted, `at_most` that many of them twice.
async fn ends_in_order(ground: &Ground, users: u16, at_most: usize) {
    let all = usize::from(users) * NAMES.len();
    sleep(Duration::from_secs(1 + all as u64 / ROOM as u64 * 2)).await;
    let sent = ground.pusher.sent();
    let mut known = BTreeSet::new();
    let first: Vec<_> = sent.iter().filter(|sent| known.insert(sent.push.delivery)).collect();
    assert_eq!(first.len(), all, "all were sent");
    let again = sent.len() - first.len();
    assert!(again <= at_most, "{again} were sent again");
    let mut last: BTreeMap<_, u64> = BTreeMap::new();
    for sent in first {
        let before = last.insert(sent.push.item.prefix(), sent.push.sequence);
        assert!(before < Some(sent.push.sequence), "in the order of the log");
    }
    let ends = ground.ends().await;
    assert!(ends.iter().all(|end| matches!(end, End::Accepted { .. })));
    let progress = ground.progress().await;
    assert_eq!((progress.holds, progress.finished), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_bulk_run_is_sent_once_and_in_order() {
    let ground = slow().await;
    let _deliverer = ground.deliverer();
    bulk(&ground, 200).await;
    ends_in_order(&ground, 200, 0).await;
    assert!(ground.telemetry.deliverer_deferred.get() > 1000);
    assert_eq!(ground.telemetry.deliverer_held.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_crash_in_a_bulk_run_repeats_what_was_under_way() {
    let ground = slow().await;
    let first = ground.deliverer();
    bulk(&ground, 200).await;
    sleep(Duration::from_secs(30)).await;
    assert!(ground.telemetry.deliverer_deferred.get() > 1000);
    drop(first);
    let _second = ground.deliverer();
    ends_in_order(&ground, 200, 2 * ROOM).await;
}

#[tokio::test(start_paused = true)]
async fn with_little_room_the_more_urgent_goes_first() {
    let ground = Ground::with_room(1, 1).await;
    let accepted = Outcome::Accepted { provider_id: "1".into() };
    ground.pusher.answer_with(move |_| Reply::After(Duration::from_secs(1), accepted.clone()));
    ground.happens(1, registered(phone(1))).await;
    let order = [Priority::Low, Priority::Low, Priority::Normal, Priority::High];
    for (name, priority) in NAMES.iter().zip(order) {
        ground.happens(1, posted(name).of_priority(priority)).await;
    }
    let _deliverer = ground.deliverer();
    sleep(Duration::from_secs(10)).await;
    let expected = ["d", "c", "a", "b"].map(|name| item(user(1), name));
    assert_eq!(items(&ground.pusher.sent()), expected);
}

/// More posts than a slow route sends in the test, over two partitions of three; and a memory of which
/// all that these may have open is a little more than half.
const SLOW: (u16, usize) = (2400, 900);

#[tokio::test(start_paused = true)]
async fn a_route_with_nothing_to_do_sends_its_bulk_beside_a_slow_one() {
    let ground = Ground::with_room(3, ROOM).await;
    let other = AppId::new("other").unwrap();
    let (accepted, idle) = (Outcome::Accepted { provider_id: "1".into() }, other.clone());
    ground.pusher.answer_with(move |sent| {
        let wait = Duration::from_secs(if sent.route.app == idle { 0 } else { 1 });
        Reply::After(wait, accepted.clone())
    });
    let (users, in_memory) = SLOW;
    for whose in (0..users).filter(|whose| whose % 3 < 2) {
        ground.happens(whose, registered(phone(1))).await;
        ground.happens(whose, posted("a")).await;
    }
    let _deliverer = ground.deliverer_with(in_memory);
    sleep(Duration::from_secs(10)).await;
    let is_half_full = || ground.telemetry.deliverer_jobs.get() >= in_memory as u64 / 2;
    assert!(is_half_full(), "{} jobs", ground.telemetry.deliverer_jobs.get());

    let bulk: Vec<u16> = (0..200).map(|number| 3 * number + 2).collect();
    for whose in &bulk {
        ground.happens_in(other.clone(), *whose, registered(phone(1))).await;
        let low = posted("b").of_priority(Priority::Low);
        ground.happens_in(other.clone(), *whose, low).await;
    }
    sleep(Duration::from_secs(60)).await;
    assert!(is_half_full(), "the slow route is as slow as before");
    assert_eq!(ground.telemetry.deliverer_deferred.get(), 200, "none went out as it came");
    let sent = ground.pusher.sent();
    let sent = sent.iter().filter(|sent| sent.route.app == other).count();
    assert_eq!(sent, bulk.len(), "within a minute");
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_again_of_a_bulk_run_is_bulk_too() {
    let ground = Ground::with_room(1, ROOM).await;
    let (run, urgent) = (0..600, 5000);
    ground.happens(urgent, registered(phone(1))).await;
    for whose in run.clone() {
        ground.happens(whose, registered(phone(1))).await;
        ground.happens(whose, posted("a").of_priority(Priority::Low)).await;
    }
    let _deliverer = ground.deliverer();
    ground.pusher.wait_for(run.len()).await;
    let accepted = Outcome::Accepted { provider_id: "1".into() };
    ground.pusher.answer_with(move |_| Reply::After(Duration::from_secs(1), accepted.clone()));
    for whose in run {
        let failed = Offset(2 + 2 * u64::from(whose));
        let asked = Redelivery {
            item: item(user(whose), "a"),
            endpoint: phone(1).endpoint(user(whose)),
            platform: Platform::Apns,
            kind: DeliveryKind::Show { revision: 1 },
            failed,
            tells_of: failed,
            urgency: Urgency::Bulk,
        };
        ground.happens(whose, happened(Event::RedeliveryRequested(asked))).await;
    }
    sleep(Duration::from_secs(5)).await;
    let before = ground.pusher.sent().len();
    assert!((620..700).contains(&before), "they are delivered again, slowly: {before}");
    ground.happens(urgent, posted("b")).await;
    sleep(Duration::from_secs(3)).await;
    let sent = items(&ground.pusher.sent()[before..]);
    assert!(sent.contains(&item(user(urgent), "b")), "it waits for the others: {}", sent.len());
    sleep(Duration::from_secs(200)).await;
    assert_eq!(ground.pusher.sent().len(), 1201, "each once more");
}
