//! Every scripted fault as a client meets it.

use std::time::Duration;

use campanile_simulate::apns::{Action, ErrorCode, Fate, Fault, Reason, Rejection, When};
use http::StatusCode;
use serde_json::json;

use super::client::{Answer, Client, LIMIT};
use super::fixture::{Fixture, PHONE, TABLET};

async fn status(client: &mut Client, fixture: &Fixture) -> u16 {
    client.push(&fixture.alert("hi")).await.unwrap().status.as_u16()
}

fn taken(fixture: &Fixture) -> u64 {
    fixture.apns.device(PHONE).unwrap().accepted()
}

#[tokio::test]
async fn a_scripted_answer_strikes_the_next_pushes() {
    let fixture = Fixture::start();
    let mut client = fixture.connect_warm().await;
    let busy = Rejection::from(Reason::TooManyRequests).retry_after(7);
    let fault = fixture.apns.inject(Fault::new(Action::Reject(busy), When::Next(2)));
    let answer = client.push(&fixture.alert("hi")).await.unwrap();
    assert_eq!(answer.outcome(), (429, "TooManyRequests".into()));
    assert_eq!(answer.headers["retry-after"], "7");
    assert_eq!(status(&mut client, &fixture).await, 429);
    assert_eq!(status(&mut client, &fixture).await, 200);
    assert_eq!(fixture.apns.struck(fault), Some(2));
    assert_eq!(taken(&fixture), 1);
}

#[tokio::test]
async fn who_repeats_a_push_too_soon_is_noticed() {
    let fixture = Fixture::start();
    let mut client = fixture.connect_warm().await;
    let busy = Rejection::from(Reason::TooManyRequests).retry_after(7);
    fixture.apns.inject(Fault::new(Action::Reject(busy), When::Next(2)));
    for (wait, collapse, too_soon) in [(0, "a", 0), (6, "b", 0), (0, "a", 1), (7, "b", 1)] {
        fixture.clock.advance(Duration::from_secs(wait));
        client.push(&fixture.alert("hi").collapse(collapse)).await.unwrap();
        assert_eq!(fixture.apns.counts().too_soon, too_soon, "{collapse} after {wait} s");
    }
}

#[tokio::test]
async fn a_script_may_use_what_apple_does_not_document() {
    let fixture = Fixture::start();
    let odd = Rejection::new(StatusCode::IM_A_TEAPOT, "NewReason").timestamp_ms(5);
    fixture.apns.inject(Fault::new(Action::Reject(odd), When::Always));
    let answer = fixture.connect().await.push(&fixture.alert("hi")).await.unwrap();
    assert_eq!(answer.status, 418);
    assert_eq!(answer.json(), json!({ "reason": "NewReason", "timestamp": 5 }));
}

#[tokio::test]
async fn a_fault_of_one_device_leaves_the_others_alone() {
    let fixture = Fixture::start();
    let mut client = fixture.connect_warm().await;
    let reject = Action::Reject(Reason::InternalServerError.into());
    let fault = fixture.apns.inject(Fault::new(reject, When::Always).on_device(PHONE));
    assert_eq!(status(&mut client, &fixture).await, 500);
    assert_eq!(client.push(&fixture.alert("hi").to(TABLET)).await.unwrap().status, 200);
    assert!(fixture.apns.lift(fault));
    assert_eq!(status(&mut client, &fixture).await, 200);
}

#[tokio::test]
async fn every_third_push_and_all_lifted() {
    let fixture = Fixture::start();
    let mut client = fixture.connect_warm().await;
    let reject = Action::Reject(Reason::ServiceUnavailable.into());
    fixture.apns.inject(Fault::new(reject.clone(), When::Every(3)));
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(status(&mut client, &fixture).await);
    }
    assert_eq!(statuses, [200, 200, 503, 200, 200, 503]);
    fixture.apns.inject(Fault::new(reject, When::Always));
    fixture.apns.lift_all();
    assert_eq!(status(&mut client, &fixture).await, 200);
}

#[tokio::test]
async fn a_chance_is_repeatable() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let fixture = Fixture::start();
        let mut client = fixture.connect_warm().await;
        let reject = Action::Reject(Reason::ServiceUnavailable.into());
        fixture.apns.inject(Fault::new(reject, When::Chance(0.5)));
        let mut run = Vec::new();
        for n in 0..32 {
            // A chosen id: made-up ids draw from the same seed, the same number in both runs.
            let id = format!("00000000-0000-4000-8000-{n:012x}");
            let push = fixture.alert("hi").set("apns-id", &id);
            run.push(client.push(&push).await.unwrap().status.as_u16());
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&200) && runs[0].contains(&503), "{:?}", runs[0]);
}

#[tokio::test]
async fn latency_takes_the_push_at_once_and_answers_later() {
    let fixture = Fixture::start();
    let mut client = fixture.connect_warm().await;
    let delay = Duration::from_millis(50);
    fixture.apns.inject(Fault::delay(delay, When::Next(1)));
    let start = std::time::Instant::now();
    let response = client.open(&fixture.alert("hi")).await.unwrap();
    fixture.apns.wait_until(LIMIT, |world| world.counts().accepted == 2).await.unwrap();
    assert_eq!(Answer::read(response).await.unwrap().status, 200);
    assert!(start.elapsed() >= delay, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_client_that_gives_up_before_the_answer_has_been_heard() {
    let fixture = Fixture::start();
    let mut client = fixture.connect_warm().await;
    fixture.apns.inject(Fault::delay(Duration::from_secs(3600), When::Next(1)));
    let response = client.open(&fixture.alert("hi")).await.unwrap();
    fixture.apns.wait_until(LIMIT, |world| world.counts().accepted == 2).await.unwrap();
    drop(response);
    fixture.apns.wait_until(LIMIT, |world| world.counts().abandoned == 1).await.unwrap();
    assert_eq!(taken(&fixture), 1, "the device rang although the client does not know");
    assert_eq!(status(&mut client, &fixture).await, 200);
}

#[tokio::test]
async fn a_stalled_push_is_never_answered() {
    let fixture = Fixture::start();
    let mut client = fixture.connect_warm().await;
    for (fate, expected) in [(Fate::Lost, 0), (Fate::Taken, 1)] {
        fixture.apns.inject(Fault::new(Action::Stall(fate), When::Next(1)));
        let abandoned = fixture.apns.counts().abandoned;
        let response = client.open(&fixture.alert("hi")).await.unwrap();
        // Answers come in order, so a later one shows that this one is not coming.
        let later = client.push(&fixture.alert("later").to(TABLET)).await.unwrap();
        assert_eq!(later.status, 200);
        drop(response);
        let left = |world: &campanile_simulate::apns::World| world.counts().abandoned > abandoned;
        fixture.apns.wait_until(LIMIT, left).await.unwrap();
        assert_eq!(taken(&fixture), expected, "{fate:?}");
    }
}

#[tokio::test]
async fn a_stream_is_reset_with_any_code() {
    let fixture = Fixture::start();
    let mut client = fixture.connect_warm().await;
    for (code, fate, expected) in [
        (ErrorCode::REFUSED_STREAM, Fate::Lost, 0),
        (ErrorCode::INTERNAL_ERROR, Fate::Lost, 0),
        (ErrorCode::INTERNAL_ERROR, Fate::Taken, 1),
    ] {
        fixture.apns.inject(Fault::new(Action::Reset(code, fate), When::Next(1)));
        let error = client.push(&fixture.alert("hi")).await.unwrap_err();
        assert!(error.is_reset() && error.is_remote(), "{error}");
        assert_eq!(error.reason(), Some(code));
        assert_eq!(taken(&fixture), expected, "{code:?} {fate:?}");
    }
    assert_eq!(status(&mut client, &fixture).await, 200, "the connection survives");
}

#[tokio::test]
async fn a_disconnect_is_a_tcp_reset() {
    let fixture = Fixture::start();
    for (fate, expected) in [(Fate::Lost, 0), (Fate::Taken, 1)] {
        let mut client = fixture.connect_warm().await;
        fixture.apns.inject(Fault::new(Action::Disconnect(fate), When::Next(1)));
        let error = client.push(&fixture.alert("hi")).await.unwrap_err();
        let io = error.get_io().map(std::io::Error::kind);
        assert_eq!(io, Some(std::io::ErrorKind::ConnectionReset), "{error}");
        assert_eq!(taken(&fixture), expected, "{fate:?}");
    }
}
