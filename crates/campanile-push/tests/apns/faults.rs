//! Exchanges that end badly, and what is then known of them.

use std::time::Duration;

use campanile_core::Outcome;
use campanile_push::PoolConfig;
use campanile_simulate::apns::{Action, Config, ErrorCode, Fate, Fault, Reason, When};

use crate::stage::{SOON, Stage, alert, count, is_accepted, is_indefinite, is_unprocessed, token};

/// A stage whose connection is proved, so that everything goes over it at once.
async fn stage(devices: u32, pool: PoolConfig) -> Stage {
    let stage = Stage::new(Config::default(), pool, devices);
    assert!(is_accepted(&stage.send(alert(0)).await));
    stage
}

fn quick() -> PoolConfig {
    let request_timeout = Duration::from_millis(200);
    PoolConfig { connections: 1, request_timeout, ..PoolConfig::default() }
}

async fn outcome_of(stage: &Stage, action: Action) -> Outcome {
    stage.simulator.inject(Fault::new(action, When::Next(1)));
    stage.send(alert(0)).await
}

#[tokio::test]
async fn a_refused_stream_is_unprocessed() {
    let stage = stage(1, PoolConfig::default()).await;
    let refuse = Action::Reset(ErrorCode::REFUSED_STREAM, Fate::Lost);
    let outcome = outcome_of(&stage, refuse).await;
    assert!(is_unprocessed(&outcome), "{outcome:?}");
    assert!(is_accepted(&stage.send(alert(0)).await));
    assert_eq!((stage.counters().refused, stage.counters().connected), (1, 1));
}

#[tokio::test]
async fn another_reset_is_indefinite() {
    let stage = stage(1, PoolConfig::default()).await;
    for code in [ErrorCode::INTERNAL_ERROR, ErrorCode::CANCEL, ErrorCode::NO_ERROR] {
        let outcome = outcome_of(&stage, Action::Reset(code, Fate::Taken)).await;
        assert!(is_indefinite(&outcome), "{code:?}: {outcome:?}");
    }
    assert_eq!((stage.counters().lost, stage.arrived(0)), (3, 4));
}

#[tokio::test]
async fn a_broken_connection_is_indefinite_and_replaced() {
    let stage = stage(1, PoolConfig::default()).await;
    let outcome = outcome_of(&stage, Action::Disconnect(Fate::Taken)).await;
    assert!(is_indefinite(&outcome), "{outcome:?}");
    assert!(is_accepted(&stage.send(alert(0)).await));
    assert_eq!((stage.counters().connected, stage.arrived(0)), (2, 3));
}

#[tokio::test]
async fn no_answer_is_indefinite_and_the_connection_stays() {
    let stage = stage(1, quick()).await;
    let outcome = outcome_of(&stage, Action::Stall(Fate::Taken)).await;
    assert!(is_indefinite(&outcome), "{outcome:?}");
    // Doubted until a PING is answered, then as good as before.
    assert!(is_accepted(&stage.send(alert(0)).await));
    let counters = stage.counters();
    assert_eq!((counters.timed_out, counters.connected, counters.ping_lost), (1, 1, 0));
}

#[tokio::test]
async fn an_answer_after_we_gave_up_does_no_harm() {
    let stage = stage(500, quick()).await;
    stage.simulator.inject(Fault::delay(Duration::from_millis(200), When::Always));
    // As many give up as get an answer in the last moment: nobody knows which.
    let outcomes = stage.send_all(0..500).await;
    assert_eq!(count(&outcomes, is_accepted) + count(&outcomes, is_indefinite), 500);
    stage.simulator.lift_all();
    assert!(is_accepted(&stage.send(alert(0)).await));
    assert_eq!(stage.counters().connected, 1);
}

#[tokio::test]
async fn goaway_lets_earlier_streams_end_and_returns_later_ones() {
    let stage = stage(21, PoolConfig { connections: 1, ..PoolConfig::default() }).await;
    let delay = Duration::from_millis(300);
    for device in 1..=10 {
        stage.simulator.inject(Fault::delay(delay, When::Always).on_device(&token(device)));
    }
    let reason = "ServiceUnavailable".to_owned();
    let leave = Action::GoAway { code: ErrorCode::NO_ERROR, reason, fate: Fate::Lost };
    stage.simulator.inject(Fault::new(leave, When::Next(1)).on_device(&token(11)));
    // All in flight before the server hears of the eleventh.
    let mut slots = Vec::new();
    for _ in 1..=20 {
        slots.push(stage.slot().await.unwrap());
    }
    let sends = slots.into_iter().zip(1..).map(|(slot, device)| slot.send(alert(device)));
    let outcomes = futures::future::join_all(sends).await;
    assert!(outcomes[..10].iter().all(is_accepted), "{outcomes:?}");
    assert!(outcomes[10..].iter().all(is_unprocessed), "{outcomes:?}");
    assert!(outcomes[10].reason().contains("ServiceUnavailable"), "{}", outcomes[10].reason());

    let again = stage.send_all(11..21).await;
    assert_eq!(count(&again, is_accepted), 10);
    assert_eq!((stage.counters().going_away, stage.counters().connected), (1, 2));
    let arrivals: Vec<u64> = (1..21).map(|device| stage.arrived(device)).collect();
    assert_eq!(arrivals, vec![1; 20]);
    stage.wait_for("the first connection to close", |it| it.connections_open == 1).await;
}

#[tokio::test]
async fn goaway_on_an_idle_connection_is_noticed_before_the_next_push() {
    let stage = stage(1, PoolConfig::default()).await;
    let reason = String::new();
    let leave = Action::GoAway { code: ErrorCode::NO_ERROR, reason, fate: Fate::Taken };
    assert!(is_accepted(&outcome_of(&stage, leave).await));
    stage.wait_for("the GOAWAY", |it| it.going_away == 1).await;
    assert!(is_accepted(&stage.send(alert(0)).await));
    assert_eq!((stage.counters().connected, stage.counters().refused), (2, 0));
}

#[tokio::test]
async fn a_reason_that_ends_the_connection_ends_it() {
    for (reason, unprocessed) in [
        (Reason::IdleTimeout, true),
        (Reason::UnrelatedKeyIdInToken, true),
        (Reason::Shutdown, false),
    ] {
        let stage = stage(1, PoolConfig::default()).await;
        let outcome = outcome_of(&stage, Action::Reject(reason.into())).await;
        assert_eq!(is_unprocessed(&outcome), unprocessed, "{outcome:?}");
        assert!(is_accepted(&stage.send(alert(0)).await));
        assert_eq!(stage.counters().connected, 2, "{reason}");
        let first_closed = |world: &campanile_simulate::apns::World| {
            world.connection(1).is_some_and(|connection| !connection.open)
        };
        stage.simulator.wait_until(SOON, first_closed).await.unwrap();
    }
}
