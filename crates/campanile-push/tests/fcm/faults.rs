//! What the sender makes of trouble on the wire and at Google.

use std::time::Duration;

use campanile_core::{HoldReason, Outcome};
use campanile_push::PoolConfig;
use campanile_simulate::fcm::{
    Action, Code, Config, ErrorCode, Fate, Fault, Quotas, Rejection, When,
};
use http::StatusCode;

use crate::stage::{SOON, Stage, Time, alert, assert_accepted};

async fn outcome(stage: &Stage, rejection: Rejection) -> Outcome {
    stage.simulator.inject(Fault::new(Action::Reject(rejection), When::Next(1)));
    stage.send(alert(0)).await
}

const fn secs(secs: u64) -> Option<Duration> {
    Some(Duration::from_secs(secs))
}

#[tokio::test]
async fn retry_after_is_read_as_seconds_and_as_a_date() {
    let stage = Stage::new(1);
    let busy = || Rejection::from(Code::Unavailable);
    let date = "Thu, 31 Dec 2099 23:59:59 GMT";
    for (rejection, expected) in [
        (busy(), secs(10)..=secs(10)),
        (busy().retry_after(120), secs(120)..=secs(120)),
        (busy().retry_after(date), secs(365 * 86_400)..=secs(100 * 365 * 86_400)),
    ] {
        let outcome = outcome(&stage, rejection).await;
        let Outcome::Unavailable { status: 503, retry_after, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert!(expected.contains(&retry_after), "{retry_after:?}");
    }
}

#[tokio::test]
async fn too_much_for_the_project_pauses_the_route() {
    let quotas = Quotas { project_per_minute: Some(2), ..Quotas::NONE };
    let config = Config { quotas, ..Config::default() };
    let stage = Stage::with(config, PoolConfig::default(), 1, Time::Real);
    for _ in 0..2 {
        assert_accepted(&stage.send(alert(0)).await);
    }
    let outcome = stage.send(alert(0)).await;
    let Outcome::RouteRefused { hold: HoldReason::Throttled, status: 429, retry_after, .. } =
        outcome
    else {
        panic!("{outcome:?}");
    };
    assert!((secs(1)..=secs(30)).contains(&retry_after), "{retry_after:?}");
}

#[tokio::test]
async fn too_much_for_a_device_delays_that_device() {
    let quotas = Quotas { device_per_minute: Some(1), ..Quotas::NONE };
    let config = Config { quotas, ..Config::default() };
    let stage = Stage::with(config, PoolConfig::default(), 2, Time::Real);
    assert_accepted(&stage.send(alert(0)).await);
    let reason = "QUOTA_EXCEEDED".to_owned();
    let throttled = Outcome::Throttled { status: 429, reason, retry_after: secs(60) };
    assert_eq!(stage.send(alert(0)).await, throttled);
    assert_accepted(&stage.send(alert(1)).await);
}

#[tokio::test]
async fn a_wrong_project_holds_the_route_and_retires_nobody() {
    let stage = Stage::new(1);
    for (status, word) in
        [(StatusCode::NOT_FOUND, "NOT_FOUND"), (StatusCode::FORBIDDEN, "PERMISSION_DENIED")]
    {
        let outcome = outcome(&stage, Rejection::api(status, word, "no")).await;
        let held = matches!(outcome, Outcome::RouteRefused { hold: HoldReason::Credential, .. });
        assert!(held, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_refused_stream_was_not_processed() {
    let stage = Stage::new(1);
    assert_accepted(&stage.send(alert(0)).await);
    let refuse = Action::Reset(ErrorCode::REFUSED_STREAM, Fate::Lost);
    stage.simulator.inject(Fault::new(refuse, When::Next(1)));
    let outcome = stage.send(alert(0)).await;
    assert!(matches!(outcome, Outcome::Unprocessed { .. }), "{outcome:?}");
    assert_accepted(&stage.send(alert(0)).await);
}

#[tokio::test]
async fn a_lost_connection_leaves_it_open_and_the_second_push_replaces_the_first() {
    let stage = Stage::new(1);
    stage.simulator.inject(Fault::new(Action::Disconnect(Fate::Taken), When::Next(1)));
    let outcome = stage.send(alert(0)).await;
    assert!(matches!(outcome, Outcome::Indefinite { .. }), "{outcome:?}");
    assert_accepted(&stage.send(alert(0)).await);
    let device = stage.device(0);
    assert_eq!((device.tray().len(), device.duplicates()), (1, 1));
}

#[tokio::test]
async fn an_answer_that_never_comes_is_not_waited_for() {
    let pool = PoolConfig { request_timeout: Duration::from_millis(100), ..PoolConfig::default() };
    let stage = Stage::with(Config::default(), pool, 1, Time::Real);
    stage.simulator.inject(Fault::new(Action::Stall(Fate::Taken), When::Next(1)));
    let outcome = tokio::time::timeout(SOON, stage.send(alert(0))).await.unwrap();
    assert!(matches!(outcome, Outcome::Indefinite { .. }), "{outcome:?}");
}

#[tokio::test]
async fn goaway_moves_on_to_another_connection() {
    let stage = Stage::new(1);
    assert_accepted(&stage.send(alert(0)).await);
    let (code, reason, fate) = (ErrorCode::NO_ERROR, "max_age".to_owned(), Fate::Taken);
    stage.simulator.inject(Fault::new(Action::GoAway { code, reason, fate }, When::Next(1)));
    assert_accepted(&stage.send(alert(0)).await);
    assert_accepted(&stage.send(alert(0)).await);
    assert_eq!(stage.counters().connected, 2);
}
