//! Changes for devices that get few silent pushes.

use std::time::Duration;

use campanile_core::port::PushBody;
use campanile_core::{End, NotificationId, Outcome, PushStyle, Suppression};
use campanile_engine::tasks::sleep;
use campanile_testkit::memory::{Reply, Sent};
use campanile_testkit::scenario::{dismissed, posted, registered};
use campanile_testkit::vocabulary::{item, phone, user};

use crate::ground::{Ground, LONG};

const HOUR: Duration = Duration::from_secs(3600);

fn names(count: usize) -> Vec<&'static str> {
    (0..count).map(|number| &*format!("item {number}").leak()).collect()
}

fn accepted() -> Outcome {
    Outcome::Accepted { provider_id: String::new() }
}

fn is_sync(sent: &Sent) -> bool {
    matches!(sent.push.body, PushBody::Sync(_))
}

/// What a push tells to be cleared.
fn cleared(sent: &Sent) -> Vec<NotificationId> {
    let own = match &sent.push.body {
        PushBody::Sync(state) => Some(state),
        _ => None,
    };
    let along = sent.push.along.iter().map(|told| &told.state);
    own.into_iter().chain(along).filter(|state| state.clear).map(|state| state.id).collect()
}

/// The silent pushes so far.
fn silent(ground: &Ground) -> Vec<Sent> {
    ground.pusher.sent().into_iter().filter(is_sync).collect()
}

async fn ended(ground: &Ground, is_it: impl Fn(&End) -> bool) -> usize {
    ground.ends().await.into_iter().filter(is_it).count()
}

const fn is_accepted(end: &End) -> bool {
    matches!(end, End::Accepted { .. })
}

/// A phone shows these.
async fn showing(ground: &Ground, names: &[&'static str]) {
    ground.happens(1, registered(phone(1))).await;
    for name in names {
        ground.happens(1, posted(name)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn forty_changes_are_two_pushes_within_a_minute() {
    let (ground, names) = (Ground::new().await, names(40));
    showing(&ground, &names).await;
    let _running = (ground.deliverer(), ground.scheduler());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(ground.pusher.sent().len(), 40);
    for name in &names {
        ground.happens(1, dismissed(name)).await;
    }
    sleep(Duration::from_secs(60)).await;
    let silent = silent(&ground);
    assert!((1..=2).contains(&silent.len()), "{}", silent.len());
    let mut told: Vec<_> = silent.iter().flat_map(cleared).collect();
    told.sort();
    let mut all: Vec<_> = names.iter().map(|name| item(user(1), name)).collect();
    all.sort();
    assert_eq!(told, all, "each once");
    assert_eq!(ended(&ground, is_accepted).await, 80);
    assert_eq!(ground.telemetry.deliverer_jobs.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_told_along_with_a_push_that_failed_is_tried_again() {
    let (ground, names) = (Ground::new().await, names(8));
    showing(&ground, &names).await;
    let mut failures = 2;
    ground.pusher.answer_with(move |sent| match !sent.push.along.is_empty() && failures > 0 {
        true => {
            failures -= 1;
            let retry_after = Some(Duration::from_secs(60));
            Outcome::Throttled { status: 429, reason: "device".into(), retry_after }.into()
        }
        false => accepted().into(),
    });
    let _running = (ground.deliverer(), ground.scheduler());
    sleep(Duration::from_secs(1)).await;
    for name in &names {
        ground.happens(1, dismissed(name)).await;
    }
    sleep(HOUR).await;
    assert_eq!(ended(&ground, is_accepted).await, 16);
    let silent = silent(&ground);
    let told: Vec<_> = silent.iter().map(|sent| cleared(sent).len()).collect();
    let (refused, last) = (told[told.len() - 2], told[told.len() - 1]);
    assert!(refused == last && last > 1, "they stay together: {told:?}");
    assert!(silent.len() <= 4, "two refused, one before and one that was taken: {told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_leaves_what_it_told_along_to_the_next() {
    let (ground, names) = (Ground::new().await, names(8));
    showing(&ground, &names).await;
    let first = ground.deliverer();
    sleep(Duration::from_secs(1)).await;
    ground.pusher.answer_with(|_| Reply::After(Duration::from_secs(60), accepted()));
    for name in &names {
        ground.happens(1, dismissed(name)).await;
    }
    sleep(Duration::from_secs(40)).await;
    drop(first);
    ground.pusher.answer_with(|_| accepted().into());
    let _running = (ground.deliverer(), ground.scheduler());
    sleep(HOUR).await;
    let told: std::collections::BTreeSet<_> = silent(&ground).iter().flat_map(cleared).collect();
    assert_eq!(told.len(), 8);
    assert_eq!(ended(&ground, is_accepted).await, 16);
}

#[tokio::test(start_paused = true)]
async fn who_comes_just_in_time_takes_along_what_waits() {
    let ground = Ground::new().await;
    showing(&ground, &["a", "b", "c"]).await;
    let _running = (ground.deliverer(), ground.scheduler());
    sleep(Duration::from_millis(1300)).await;
    ground.happens(1, dismissed("a")).await;
    sleep(Duration::from_millis(100)).await;
    ground.happens(1, dismissed("b")).await;
    // It waits on the agenda until a whole second after half a minute.
    sleep(Duration::from_millis(29_950)).await;
    ground.happens(1, dismissed("c")).await;
    sleep(LONG).await;
    let told: Vec<_> = silent(&ground).iter().map(cleared).collect();
    let [a, b, c] = ["a", "b", "c"].map(|name| item(user(1), name));
    assert_eq!(told, [vec![a], vec![c, b]], "the second one needs no push of its own");
    assert_eq!(ended(&ground, is_accepted).await, 6);
}

#[tokio::test(start_paused = true)]
async fn changes_that_matter_no_more_leave_room_for_those_that_wait() {
    let (ground, names) = (Ground::new().await, names(40));
    showing(&ground, &names).await;
    let _running = (ground.deliverer(), ground.scheduler());
    sleep(Duration::from_secs(1)).await;
    ground.happens(1, dismissed(names[0])).await;
    sleep(Duration::from_secs(1)).await;
    for name in &names[1..] {
        ground.happens(1, dismissed(name)).await;
        ground.happens(1, posted(name)).await;
        sleep(Duration::from_millis(10)).await;
    }
    ground.happens(1, dismissed(names[1])).await;
    sleep(Duration::from_millis(10)).await;
    ground.happens(1, posted("new")).await;
    sleep(Duration::from_secs(1)).await;
    let last = ground.pusher.sent().into_iter().next_back().unwrap();
    assert_eq!(cleared(&last), [item(user(1), names[1])]);
}

#[tokio::test(start_paused = true)]
async fn a_signal_counts_and_tells_of_all() {
    let ground = Ground::new().await;
    ground.happens(1, registered(phone(1)).asking_for(PushStyle::Signal)).await;
    for name in ["a", "b", "c"] {
        ground.happens(1, posted(name)).await;
    }
    let _running = (ground.deliverer(), ground.scheduler());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(ground.pusher.sent().len(), 3, "of posts it is told at once");
    for name in ["a", "b"] {
        ground.happens(1, dismissed(name)).await;
    }
    sleep(Duration::from_secs(600)).await;
    assert_eq!(ground.pusher.sent().len(), 3, "the changes wait");
    ground.happens(1, posted("d")).await;
    sleep(2 * HOUR).await;
    let sent = ground.pusher.sent();
    assert_eq!(sent.len(), 4, "with the signal of a post the app fetched everything");
    assert!(sent.iter().all(|sent| sent.push.body == PushBody::Signal && cleared(sent).is_empty()));
    assert_eq!(ended(&ground, is_accepted).await, 6);
}

#[tokio::test(start_paused = true)]
async fn what_is_posted_anew_while_its_clear_waits_stays() {
    let ground = Ground::new().await;
    showing(&ground, &["a", "b", "c"]).await;
    let _running = (ground.deliverer(), ground.scheduler());
    sleep(Duration::from_secs(1)).await;
    ground.happens(1, dismissed("a")).await;
    sleep(Duration::from_secs(1)).await;
    for name in ["b", "c"] {
        ground.happens(1, dismissed(name)).await;
    }
    sleep(Duration::from_secs(1)).await;
    ground.happens(1, posted("b")).await;
    sleep(Duration::from_secs(1)).await;
    let shown = ground.pusher.sent().into_iter().next_back().unwrap();
    assert_eq!(shown.push.item, item(user(1), "b"));
    assert_eq!(cleared(&shown), [item(user(1), "c")], "of itself it says no such thing");
    sleep(LONG).await;
    let last: Vec<_> = silent(&ground).iter().map(cleared).collect();
    assert_eq!(last, [[item(user(1), "a")], [item(user(1), "c")]]);
    let superseded = |end: &End| *end == End::Suppressed(Suppression::Superseded);
    assert_eq!((ended(&ground, superseded).await, ended(&ground, is_accepted).await), (1, 6));
}
