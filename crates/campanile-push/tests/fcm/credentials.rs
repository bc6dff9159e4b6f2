//! Signing in: once, again in time, and what happens when it fails.

use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{Pusher, RouteDown};
use campanile_core::{HoldReason, Outcome};
use campanile_push::PoolConfig;
use campanile_simulate::ManualClock;
use campanile_simulate::fcm::{Action, Code, Config, Fault, Quotas, Rejection, When};
use http::StatusCode;

use crate::stage::{Stage, Time, alert, assert_accepted, issued, route};

/// 2026-11-21T10:45:00Z.
const MORNING: u64 = 1_795_257_900_000;
const MINUTE: Duration = Duration::from_secs(60);

/// A service and a sender whose clocks go alike.
fn timed(clock: &ManualClock) -> Stage {
    let config =
        Config { clock: Arc::new(clock.clone()), quotas: Quotas::NONE, ..Config::default() };
    Stage::with(config, PoolConfig::default(), 1, Time::Manual(clock.clone()))
}

fn unauthenticated() -> Action {
    Action::Reject(Rejection::api(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "who?"))
}

fn is_stale(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::CredentialStale { .. })
}

fn is_refused(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::RouteRefused { hold: HoldReason::Credential, .. })
}

#[tokio::test]
async fn a_thousand_pushes_at_once_sign_in_once() {
    let config = Config { quotas: Quotas::NONE, ..Config::default() };
    let stage = Stage::with(config, PoolConfig::default(), 1000, Time::Real);
    stage.send_all(0..1000).await.iter().for_each(assert_accepted);
    assert_eq!(stage.simulator.sign_ins(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let clock = ManualClock::new(MORNING);
    let stage = timed(&clock);
    // Eleven hours, with a push each minute.
    for minute in 0..660 {
        let outcome = stage.send(alert(0)).await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "minute {minute}: {outcome:?}");
        clock.advance(MINUTE);
    }
    // At minutes 0, 55, 110, … 605.
    assert_eq!(stage.simulator.sign_ins(), 12);
}

#[tokio::test]
async fn while_it_is_good_a_token_outlives_trouble_with_its_renewal() {
    let clock = ManualClock::new(MORNING);
    let stage = timed(&clock);
    assert_accepted(&stage.send(alert(0)).await);
    let down = stage
        .simulator
        .inject(Fault::new(Action::Reject(Code::Unavailable.into()), When::Always).on_sign_in());
    clock.advance(56 * MINUTE);
    for _ in 0..3 {
        assert_accepted(&stage.send(alert(0)).await);
    }
    assert_eq!(stage.simulator.struck(down), Some(1), "not asked by every push");
    clock.advance(3 * MINUTE);
    assert_accepted(&stage.send(alert(0)).await);
    assert_eq!(stage.simulator.struck(down), Some(2));
    clock.advance(2 * MINUTE);
    let down = stage.slot().await.err();
    assert!(matches!(down, Some(RouteDown::Unreachable { .. })), "{down:?}");
}

#[tokio::test]
async fn a_token_that_google_calls_bad_is_replaced() {
    let stage = Stage::new(1);
    assert_accepted(&stage.send(alert(0)).await);
    stage.simulator.revoke_tokens();
    let outcome = stage.send(alert(0)).await;
    assert!(is_stale(&outcome), "{outcome:?}");
    assert_accepted(&stage.send(alert(0)).await);
    assert_eq!(stage.simulator.sign_ins(), 2);
}

#[tokio::test]
async fn many_pushes_with_a_bad_token_replace_it_once() {
    let stage = Stage::new(200);
    assert_accepted(&stage.send(alert(0)).await);
    stage.simulator.revoke_tokens();
    // All slots are given before the first answer.
    let mut slots = Vec::new();
    for _ in 0..50 {
        slots.push(stage.slot().await.unwrap());
    }
    let sends = slots.into_iter().enumerate();
    let sends = sends.map(|(at, slot)| slot.send(alert(u32::try_from(at).unwrap())));
    let outcomes = futures::future::join_all(sends).await;
    assert!(outcomes.iter().all(is_stale), "{outcomes:?}");
    stage.send_all(0..50).await.iter().for_each(assert_accepted);
    assert_eq!(stage.simulator.sign_ins(), 2);
}

#[tokio::test]
async fn when_a_new_token_is_refused_too_the_route_is() {
    let stage = Stage::new(1);
    assert_accepted(&stage.send(alert(0)).await);
    let refuse = stage.simulator.inject(Fault::new(unauthenticated(), When::Always));
    let first = stage.send(alert(0)).await;
    assert!(is_stale(&first), "{first:?}");
    let second = stage.send(alert(0)).await;
    assert!(is_refused(&second), "{second:?}");
    stage.simulator.lift(refuse);
    assert_accepted(&stage.send(alert(0)).await);
    // Mended: the next refusal is the first again.
    stage.simulator.revoke_tokens();
    let again = stage.send(alert(0)).await;
    assert!(is_stale(&again), "{again:?}");
}

#[tokio::test]
async fn a_revoked_account_holds_the_route_and_is_not_asked_for_by_every_push() {
    let clock = ManualClock::new(MORNING);
    let stage = timed(&clock);
    stage.simulator.revoke_account(issued().email());
    for _ in 0..5 {
        assert_eq!(stage.slot().await.err(), Some(RouteDown::Held(HoldReason::Credential)));
    }
    let asked = |world: &campanile_simulate::fcm::World| world.counts().rejected;
    assert_eq!(stage.simulator.observe(asked), 1);
    stage.simulator.register_account(issued().public()).unwrap();
    clock.advance(MINUTE);
    assert_accepted(&stage.send(alert(0)).await);
}

#[tokio::test]
async fn trouble_at_the_sign_in_is_waited_out_longer_each_time() {
    let clock = ManualClock::new(MORNING);
    let stage = timed(&clock);
    let fault = Fault::new(Action::Reject(Code::Internal.into()), When::Always).on_sign_in();
    let down = stage.simulator.inject(fault);
    // Ten minutes, asked each second: after 1, 2, 4, … 32, and then every 60 seconds.
    for _ in 0..600 {
        let error = stage.slot().await.err();
        assert!(matches!(error, Some(RouteDown::Unreachable { .. })), "{error:?}");
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(stage.simulator.struck(down), Some(15));
    stage.simulator.lift(down);
    clock.advance(MINUTE);
    assert_accepted(&stage.send(alert(0)).await);
}

#[tokio::test]
async fn a_sign_in_that_asks_for_a_longer_wait_gets_it() {
    let clock = ManualClock::new(MORNING);
    let stage = timed(&clock);
    let busy = Rejection::from(Code::Unavailable).retry_after(300);
    stage.simulator.inject(Fault::new(Action::Reject(busy), When::Next(1)).on_sign_in());
    assert!(stage.slot().await.is_err());
    clock.advance(Duration::from_secs(299));
    assert!(stage.slot().await.is_err());
    clock.advance(Duration::from_secs(1));
    assert_accepted(&stage.send(alert(0)).await);
}

#[tokio::test]
async fn a_route_without_an_account_is_held() {
    let stage = Stage::new(1);
    let held = stage.pusher.slot(&route("other")).await;
    assert_eq!(held.err(), Some(RouteDown::Held(HoldReason::Credential)));
}
