//! A platform that fails much of what it gets.

use std::collections::BTreeSet;
use std::time::Duration;

use campanile_core::{End, Outcome};
use campanile_engine::tasks::sleep;
use campanile_testkit::memory::{Reply, Sent};
use campanile_testkit::scenario::{posted, registered};
use campanile_testkit::vocabulary::phone;

use crate::ground::{Ground, LONG};

const USERS: u16 = 1000;

/// How many pushes repeat one before.
fn repeated(sent: &[Sent]) -> usize {
    let mut known = BTreeSet::new();
    sent.iter().filter(|sent| !known.insert(sent.push.delivery)).count()
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_often_fails_is_not_sent_much_more_than_is_new() {
    let ground = Ground::new().await;
    for whose in 0..USERS {
        ground.happens(whose, registered(phone(1))).await;
        ground.happens(whose, posted("a")).await;
    }
    // Eight of twenty fail, never many in a row, and are answered after a while.
    let mut number = 0;
    ground.pusher.answer_with(move |_| {
        number += 1;
        let outcome = match number * 7 % 20 {
            0..8 => {
                let reason = "busy".to_owned();
                Outcome::Unavailable { status: 503, reason, retry_after: None }
            }
            _ => Outcome::Accepted { provider_id: "1".into() },
        };
        Reply::After(Duration::from_millis(100), outcome)
    });
    let _deliverer = ground.deliverer();
    // As long as nothing comes back from the agenda.
    sleep(Duration::from_secs(10)).await;
    let sent = ground.pusher.sent();
    let (accepted, again) = (ground.telemetry.deliverer_accepted.get(), repeated(&sent));
    assert!(sent.len() > usize::from(USERS), "all were sent: {}", sent.len());
    let most = usize::try_from(accepted / 5).unwrap() + 2 * 20;
    assert!((50..=most).contains(&again), "{again} repeated, {accepted} accepted");
    assert!(ground.telemetry.deliverer_over_budget.get() > 100);
    assert_eq!(ground.telemetry.deliverer_holds.get(), 0);

    let _scheduler = ground.scheduler();
    sleep(LONG).await;
    let ends = ground.ends().await;
    assert!(ends.iter().all(|end| matches!(end, End::Accepted { .. })), "{ends:?}");
    assert_eq!(ends.len(), usize::from(USERS), "none is lost");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_a_busy_route_is_held_and_hardly_written_down() {
    let ground = Ground::new().await;
    for whose in 0..2 * USERS {
        ground.happens(whose, registered(phone(1))).await;
        ground.happens(whose, posted("a")).await;
    }
    let slow = Duration::from_millis(100);
    let accepted = Outcome::Accepted { provider_id: "1".into() };
    let works = accepted.clone();
    ground.pusher.answer_with(move |_| Reply::After(slow, works.clone()));
    let (_deliverer, _scheduler) = (ground.deliverer(), ground.scheduler());
    let busy = 2 * usize::from(USERS);
    ground.pusher.wait_for(busy).await;

    let away = Outcome::Unavailable { status: 503, reason: "away".to_owned(), retry_after: None };
    ground.pusher.answer_with(move |_| Reply::After(slow, away.clone()));
    for whose in 0..2 * USERS {
        ground.happens(whose, posted("b")).await;
    }
    let before = ground.events().await;
    // As long as what was accepted before is remembered.
    sleep(Duration::from_secs(40)).await;
    let written = ground.events().await - before;
    assert!(ground.telemetry.deliverer_holds.get() > 0);
    assert!(written < 64, "{written} events of an outage");
    let tries = ground.pusher.sent().len() - busy;
    assert!((100..500).contains(&tries), "{tries} pushes to a platform that is away");

    ground.pusher.answer_with(move |_| Reply::After(slow, accepted.clone()));
    sleep(LONG).await;
    let ends = ground.ends().await;
    assert!(ends.iter().all(|end| matches!(end, End::Accepted { .. })));
    assert_eq!(ends.len(), 2 * busy, "none is lost");
}
