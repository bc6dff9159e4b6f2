//! The stream limit: one before the first accepted push, many afterwards.

use campanile_simulate::apns::{Action, Config, ErrorCode, Fate, Fault, StreamLimits, When};

use super::client::{Answer, Client, LIMIT};
use super::fixture::{Fixture, PHONE};

fn narrowing() -> Config {
    let streams = StreamLimits { narrow_on_rejection: true, ..StreamLimits::default() };
    Config { streams, ..Config::default() }
}

fn is_refused(error: &h2::Error) -> bool {
    error.is_reset() && error.is_remote() && error.reason() == Some(ErrorCode::REFUSED_STREAM)
}

/// The limit as the client knows it after everything sent so far was processed.
async fn limit(client: &mut Client) -> usize {
    client.barrier().await;
    client.send.current_max_send_streams()
}

#[tokio::test]
async fn one_stream_before_the_first_accepted_push_then_a_thousand() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    assert_eq!(limit(&mut client).await, 1);
    let rejected = client.push(&fixture.alert("hi").to("0123")).await.unwrap();
    assert_eq!(rejected.status, 400);
    assert_eq!(limit(&mut client).await, 1, "a rejected push does not widen the limit");
    assert_eq!(client.push(&fixture.alert("hi")).await.unwrap().status, 200);
    assert_eq!(limit(&mut client).await, 1000);
    let rejected = client.push(&fixture.alert("hi").to("0123")).await.unwrap();
    assert_eq!(rejected.status, 400);
    assert_eq!(limit(&mut client).await, 1000, "nor does it narrow it by default");
    let announced = fixture.apns.observe(|world| world.connection(1).unwrap().stream_limit);
    assert_eq!(announced, 1000);
}

#[tokio::test]
async fn the_limits_are_configurable() {
    let streams = StreamLimits { initial: 7, open: 500, narrow_on_rejection: false };
    let fixture = Fixture::with(Config { streams, ..Config::default() });
    let mut client = fixture.connect().await;
    assert_eq!(limit(&mut client).await, 7);
    assert_eq!(client.push(&fixture.alert("hi")).await.unwrap().status, 200);
    assert_eq!(limit(&mut client).await, 500);
}

#[tokio::test]
async fn a_client_that_assumes_more_streams_is_refused() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    let push = fixture.alert("hi");
    // The first stream stays open for want of a body; the client has not read SETTINGS yet.
    let (first, mut body) = client.open_without_body(&push).await.unwrap();
    let second = client.open(&push).await.unwrap();
    assert!(is_refused(&Answer::read(second).await.unwrap_err()));
    body.send_data(push.body.clone(), true).unwrap();
    assert_eq!(Answer::read(first).await.unwrap().status, 200);
    let counts = fixture.apns.counts();
    assert_eq!((counts.requests, counts.accepted, counts.refused), (2, 1, 1));
    assert_eq!(fixture.apns.device(PHONE).unwrap().accepted(), 1);
}

#[tokio::test]
async fn many_streams_are_served_once_the_limit_is_wide() {
    let fixture = Fixture::start();
    let mut client = fixture.connect_warm().await;
    let push = fixture.alert("hi");
    let mut answers = Vec::new();
    for _ in 0..1000 {
        answers.push(client.open(&push).await.unwrap());
    }
    for answer in answers {
        assert_eq!(Answer::read(answer).await.unwrap().status, 200);
    }
    let counts = fixture.apns.counts();
    assert_eq!((counts.accepted, counts.refused), (1001, 0));
}

#[tokio::test]
async fn a_rejection_narrows_the_limit_until_the_next_accepted_push() {
    let fixture = Fixture::with(narrowing());
    let mut client = fixture.connect_warm().await;
    assert_eq!(limit(&mut client).await, 1000);
    assert_eq!(client.push(&fixture.alert("hi").to("0123")).await.unwrap().status, 400);
    assert_eq!(limit(&mut client).await, 1);
    assert_eq!(client.push(&fixture.alert("hi")).await.unwrap().status, 200);
    assert_eq!(limit(&mut client).await, 1000);
}

#[tokio::test]
async fn a_rejection_refuses_what_is_in_flight() {
    let fixture = Fixture::with(narrowing());
    let mut client = fixture.connect_warm().await;
    let push = fixture.alert("hi");
    let (in_flight, mut body) = client.open_without_body(&push).await.unwrap();
    assert_eq!(client.push(&push.clone().to("0123")).await.unwrap().status, 400);
    body.send_data(push.body.clone(), true).unwrap();
    assert!(is_refused(&Answer::read(in_flight).await.unwrap_err()));
    assert_eq!(fixture.apns.device(PHONE).unwrap().accepted(), 0, "refused is not processed");
    assert_eq!(client.push(&push).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_stream_that_the_client_reset_makes_room_at_once() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    assert_eq!(limit(&mut client).await, 1);
    for lost in 1..=20 {
        fixture.apns.inject(Fault::new(Action::Stall(Fate::Lost), When::Next(1)));
        let stalled = client.open(&fixture.alert("hi").to("0123")).await.unwrap();
        fixture.apns.wait_until(LIMIT, |world| world.counts().lost == lost).await.unwrap();
        drop(stalled);
        // The reset and the next request travel together.
        let next = client.push(&fixture.alert("hi").to("0123")).await;
        assert_eq!(next.unwrap().status, 400, "round {lost}");
    }
    assert_eq!(fixture.apns.counts().refused, 0);
}

#[tokio::test]
async fn pings_are_answered_while_pushes_stall() {
    let fixture = Fixture::start();
    let mut client = fixture.connect_warm().await;
    fixture.apns.inject(Fault::new(Action::Stall(Fate::Lost), When::Always));
    let _stalled = client.open(&fixture.alert("hi")).await.unwrap();
    fixture.apns.wait_until(LIMIT, |world| world.counts().lost == 1).await.unwrap();
    client.barrier().await;
}
