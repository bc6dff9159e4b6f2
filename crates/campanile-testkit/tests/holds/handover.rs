//! What a worker that takes over does with what another left: after a crash, or a rebalance.

use std::time::Duration;

use campanile_core::port::RouteDown;
use campanile_core::{
    AgendaEntry, DeliveryId, DeliveryKind, Due, End, Event, HoldReason, NotificationId, Offset,
    Outcome, Parked, ParkedDelivery, Platform, PutOff, Suppression, Urgency,
};
use campanile_engine::tasks::sleep;
use campanile_testkit::memory::{Reply, Sent};
use campanile_testkit::scenario::{happened, posted, registered};
use campanile_testkit::vocabulary::{START, item, phone, user};

use crate::ground::{Ground, LONG, route};

fn items(sent: &[Sent]) -> Vec<NotificationId> {
    sent.iter().map(|sent| sent.push.item).collect()
}

#[tokio::test(start_paused = true)]
async fn a_partition_is_not_passed_on_while_its_backlog_is_being_sent() {
    let ground = Ground::with_partitions(2).await;
    ground.pusher.take_down(&route(), RouteDown::Held(HoldReason::Credential));
    for whose in 0..40 {
        ground.happens(whose, registered(phone(1))).await;
        ground.happens(whose, posted("a")).await;
    }
    let _first = ground.deliverer();
    sleep(Duration::from_secs(60)).await;
    let accepted = Outcome::Accepted { provider_id: "1".into() };
    let (mut number, slow) = (0, Duration::from_secs(3));
    ground.pusher.answer_with(move |_| {
        number += 1;
        Reply::After(if number == 1 { Duration::ZERO } else { slow }, accepted.clone())
    });
    ground.pusher.bring_up(&route());
    ground.pusher.wait_for(30).await;
    let _second = ground.deliverer();
    sleep(LONG).await;
    let sent = items(&ground.pusher.sent());
    assert_eq!(sent.len(), 40, "each once: {sent:?}");
}

/// A delivery of item `name` of user 1, posted by the event at `cause`.
fn parked(name: &str, cause: Offset) -> ParkedDelivery {
    let (item, endpoint) = (item(user(1), name), phone(1).endpoint(user(1)));
    ParkedDelivery {
        delivery: DeliveryId::new(item, cause, endpoint),
        item,
        cause,
        tells_of: cause,
        endpoint,
        platform: Platform::Apns,
        kind: DeliveryKind::Show { revision: 1 },
        attempts: 5,
        urgency: Urgency::Urgent,
        trace: None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_worker_put_off_is_not_sent_from_its_backlog_too() {
    let ground = Ground::new().await;
    ground.pusher.take_down(&route(), RouteDown::Held(HoldReason::Credential));
    ground.happens(1, registered(phone(1))).await;
    let first = ground.deliverer();
    ground.happens(1, posted("a")).await;
    ground.happens(1, posted("b")).await;
    sleep(Duration::from_secs(60)).await;
    drop(first);
    // It wrote this, and did not come to commit it.
    let until = START.after(Duration::from_secs(9000));
    let parked = parked("a", Offset(1));
    let (reason, deliveries) = ("down".to_owned(), vec![parked]);
    let event = Parked { item: parked.item, until, reason, why: PutOff::Failed, deliveries };
    ground.happens(1, happened(Event::DeliveriesParked(event))).await;
    ground.pusher.bring_up(&route());
    let _second = ground.deliverer();
    sleep(LONG).await;
    assert_eq!(items(&ground.pusher.sent()), [item(user(1), "b")], "the agenda has the other");
    assert_eq!(ground.progress().await.holds, vec![]);
    let due = AgendaEntry { at: until, due: Due::Retry(parked) };
    ground.happens(1, happened(Event::CameDue(due))).await;
    sleep(LONG).await;
    assert_eq!(items(&ground.pusher.sent()), ["b", "a"].map(|name| item(user(1), name)));
}

#[tokio::test(start_paused = true)]
async fn what_a_sweep_takes_back_is_not_sent_by_a_worker_that_did_not_read_it() {
    let ground = Ground::new().await;
    ground.pusher.take_down(&route(), RouteDown::Held(HoldReason::Credential));
    ground.happens(1, registered(phone(1))).await;
    let first = ground.deliverer();
    ground.happens(1, posted("a")).await;
    let (up_to, origin) = (Offset(2), None);
    ground.happens(1, happened(Event::AllDismissed { up_to, origin })).await;
    ground.happens(1, posted("b")).await;
    // Before the first pause is over, so that it tries nothing.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(ground.progress().await.next, Offset(4), "it was read");
    drop(first);
    ground.pusher.bring_up(&route());
    let _second = ground.deliverer();
    sleep(LONG).await;
    assert_eq!(items(&ground.pusher.sent()), [item(user(1), "b")]);
    let suppressed = End::Suppressed(Suppression::Handled);
    assert!(ground.ends().await.contains(&suppressed));
}
