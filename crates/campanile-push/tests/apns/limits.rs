//! Room: what the server allows, and who waits for it.

use std::time::Duration;

use campanile_core::port::RouteDown;
use campanile_push::PoolConfig;
use campanile_simulate::apns::{Action, Config, Fault, Reason, StreamLimits, When};

use crate::stage::{SOON, Stage, alert, count, is_accepted, is_unprocessed, token};

fn one_connection() -> PoolConfig {
    PoolConfig { connections: 1, ..PoolConfig::default() }
}

#[tokio::test]
async fn a_thousand_pushes_wait_for_the_one_that_opens_the_connection() {
    let stage = Stage::new(Config::default(), one_connection(), 1000);
    stage.simulator.inject(Fault::delay(Duration::from_millis(50), When::Always));
    let outcomes = stage.send_all(0..1000).await;
    assert_eq!(count(&outcomes, is_accepted), 1000);
    let counts = stage.simulator.counts();
    assert_eq!((counts.requests, counts.refused), (1000, 0));
    assert_eq!(stage.counters().connected, 1);
}

#[tokio::test]
async fn a_full_connection_opens_another_up_to_the_limit() {
    let streams = StreamLimits { open: 10, ..StreamLimits::default() };
    let config = Config { streams, ..Config::default() };
    let pool = PoolConfig { connections: 3, ..PoolConfig::default() };
    let stage = Stage::new(config, pool, 300);
    stage.simulator.inject(Fault::delay(Duration::from_millis(20), When::Always));
    let outcomes = stage.send_all(0..300).await;
    assert_eq!(count(&outcomes, is_accepted), 300);
    assert_eq!(stage.counters().connected, 3);
    assert_eq!(stage.simulator.counts().refused, 0);
}

#[tokio::test]
async fn a_limit_of_our_own_is_kept_too() {
    let pool = PoolConfig { streams_per_connection: 5, ..one_connection() };
    let stage = Stage::new(Config::default(), pool, 6);
    assert!(is_accepted(&stage.send(alert(0)).await));
    let mut slots = Vec::new();
    for _ in 0..5 {
        slots.push(stage.slot().await.unwrap());
    }
    assert_eq!(stage.counters().streams_in_flight, 5);
    let sixth = tokio::time::timeout(Duration::from_millis(50), stage.slot());
    assert!(sixth.await.is_err(), "there is no sixth");
}

#[tokio::test]
async fn a_rejection_may_narrow_the_limit_and_what_it_refuses_is_unprocessed() {
    let streams = StreamLimits { narrow_on_rejection: true, ..StreamLimits::default() };
    let stage = Stage::new(Config { streams, ..Config::default() }, one_connection(), 400);
    assert!(is_accepted(&stage.send(alert(399)).await));
    // Rejected while hundreds are in flight.
    let refuse = Action::Reject(Reason::BadDeviceToken.into());
    stage.simulator.inject(Fault::new(refuse, When::Always).on_device(&token(0)));
    stage.simulator.inject(Fault::delay(Duration::from_millis(30), When::Always));
    let mut left: Vec<u32> = (1..399).collect();
    let mut unprocessed = 0;
    for _round in 0..50 {
        let bad = stage.send(alert(0));
        let sends = left.iter().map(|device| async { (*device, stage.send(alert(*device)).await) });
        let (_, outcomes) = futures::join!(bad, futures::future::join_all(sends));
        unprocessed += count(&outcomes, is_unprocessed);
        assert_eq!(count(&outcomes, is_accepted) + count(&outcomes, is_unprocessed), left.len());
        left = outcomes.iter().filter(|(_, it)| !is_accepted(it)).map(|(it, _)| *it).collect();
        if left.is_empty() {
            break;
        }
    }
    assert!(left.is_empty(), "{} pushes never got through", left.len());
    assert_eq!(unprocessed as u64, stage.counters().refused);
    let arrivals: Vec<u64> = (1..399).map(|device| stage.arrived(device)).collect();
    assert_eq!(arrivals, vec![1; 398], "refused means not processed");
}

#[tokio::test]
async fn a_dropped_slot_gives_its_room_to_who_waits() {
    // Whatever the server allows, a fresh connection has room for one.
    let streams = StreamLimits { initial: 1000, ..StreamLimits::default() };
    let stage = Stage::new(Config { streams, ..Config::default() }, one_connection(), 1);
    let held = stage.slot().await.unwrap();
    let mut next = Box::pin(stage.slot());
    let waiting = tokio::time::timeout(Duration::from_millis(50), &mut next).await;
    assert!(waiting.is_err(), "there is no room for two");
    drop(held);
    let slot = tokio::time::timeout(SOON, next).await.expect("room").unwrap();
    assert!(is_accepted(&slot.send(alert(0)).await));
    assert_eq!(stage.counters().streams_in_flight, 0);
}

#[tokio::test]
async fn waiting_for_room_ends() {
    let pool = PoolConfig { room_timeout: Duration::from_millis(50), ..one_connection() };
    let stage = Stage::new(Config::default(), pool, 1);
    let _held = stage.slot().await.unwrap();
    let down = stage.slot().await.err();
    let reason = "no room on 1 connections".to_owned();
    assert_eq!(down, Some(RouteDown::Unreachable { reason }));
    assert_eq!(stage.counters().no_room, 1);
}
