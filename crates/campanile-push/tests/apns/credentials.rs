//! Provider tokens: accepted, renewed, refused.

use std::time::Duration;

use campanile_core::port::RouteDown;
use campanile_core::{HoldReason, Outcome};
use campanile_push::PoolConfig;
use campanile_simulate::ManualClock;
use campanile_simulate::apns::{Action, Config, Fault, Reason, When};

use crate::stage::{KEY, Stage, TEAM, Time, alert, is_accepted};

/// 2026-11-21T10:45:00Z.
const QUARTER_TO: u64 = 1_795_257_900_000;
const MINUTE: Duration = Duration::from_secs(60);

/// A service and a sender whose clocks go alike.
fn timed(clock: &ManualClock) -> Stage {
    let config = Config { clock: std::sync::Arc::new(clock.clone()), ..Config::default() };
    Stage::timed(config, PoolConfig::default(), 1, Time::Manual(clock.clone()))
}

fn is_credential_refused(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::RouteRefused { hold: HoldReason::Credential, status: 403, .. })
}

#[tokio::test]
async fn a_connection_changes_its_token_as_rarely_as_apple_wants() {
    let clock = ManualClock::new(QUARTER_TO);
    let stage = timed(&clock);
    // Eleven hours, across the half hours, with a push each minute.
    for minute in 0..660 {
        let outcome = stage.send(alert(0)).await;
        assert!(is_accepted(&outcome), "minute {minute}: {outcome:?}");
        clock.advance(MINUTE);
    }
    assert_eq!(stage.counters().connected, 1);
    // 10:30, 11:00, … 21:30.
    assert_eq!(stage.simulator.signatures_checked(), 23);
}

#[tokio::test]
async fn an_old_token_called_expired_is_replaced() {
    let clock = ManualClock::new(QUARTER_TO + 10 * 60_000);
    let stage = timed(&clock);
    assert!(is_accepted(&stage.send(alert(0)).await));
    let expired = Action::Reject(Reason::ExpiredProviderToken.into());
    stage.simulator.inject(Fault::new(expired, When::Next(1)));
    let outcome = stage.send(alert(0)).await;
    assert!(matches!(outcome, Outcome::CredentialStale { .. }), "{outcome:?}");
    assert!(is_accepted(&stage.send(alert(0)).await));
    assert_eq!(stage.simulator.signatures_checked(), 2);
}

#[tokio::test]
async fn a_young_token_called_expired_is_kept() {
    let stage = timed(&ManualClock::new(QUARTER_TO));
    assert!(is_accepted(&stage.send(alert(0)).await));
    let expired = Action::Reject(Reason::ExpiredProviderToken.into());
    stage.simulator.inject(Fault::new(expired, When::Next(1)));
    stage.send(alert(0)).await;
    assert!(is_accepted(&stage.send(alert(0)).await));
    assert_eq!(stage.simulator.signatures_checked(), 1);
}

#[tokio::test]
async fn a_revoked_key_refuses_the_route_and_a_restored_one_opens_it() {
    let stage = Stage::new(Config::default(), PoolConfig::default(), 1);
    assert!(is_accepted(&stage.send(alert(0)).await));
    let key = stage.simulator.generate_key(TEAM, KEY).unwrap();
    let outcome = stage.send(alert(0)).await;
    assert!(is_credential_refused(&outcome), "{outcome:?}");

    let pool = PoolConfig::default();
    let (address, ca) = (stage.simulator.addr(), stage.simulator.ca_pem());
    let mended = crate::stage::pusher(address, ca, &key.private_pem(), pool, Time::Real);
    let mended = Stage { pusher: mended.into(), ..stage };
    assert!(is_accepted(&mended.send(alert(0)).await));
}

#[tokio::test]
async fn a_refused_credential_ends_the_connection_made_with_it() {
    let stage = Stage::new(Config::default(), PoolConfig::default(), 1);
    stage.send(alert(0)).await;
    let refuse = Action::Reject(Reason::InvalidProviderToken.into());
    stage.simulator.inject(Fault::new(refuse, When::Next(1)));
    assert!(is_credential_refused(&stage.send(alert(0)).await));
    assert!(is_accepted(&stage.send(alert(0)).await));
    assert_eq!(stage.counters().connected, 2);
}

#[tokio::test]
async fn too_many_token_updates_pause_the_route_with_the_token_kept() {
    let stage = Stage::new(Config::default(), PoolConfig::default(), 1);
    let refuse = Action::Reject(Reason::TooManyProviderTokenUpdates.into());
    stage.simulator.inject(Fault::new(refuse, When::Next(1)));
    let outcome = stage.send(alert(0)).await;
    let hold = HoldReason::Throttled;
    assert!(matches!(outcome, Outcome::RouteRefused { hold: it, .. } if it == hold), "{outcome:?}");
    assert!(is_accepted(&stage.send(alert(0)).await));
    assert_eq!((stage.simulator.signatures_checked(), stage.counters().connected), (1, 1));
}

#[tokio::test]
async fn a_route_without_a_credential_is_held() {
    let stage = Stage::new(Config::default(), PoolConfig::default(), 1);
    let mut other = stage.route.clone();
    other.credential = "org.example.other".into();
    let held = campanile_core::port::Pusher::slot(&*stage.pusher, &other).await;
    assert_eq!(held.err(), Some(RouteDown::Held(HoldReason::Credential)));
}
