//! GOAWAY as a client meets it: what it may conclude must be true.

use std::time::Duration;

use campanile_simulate::apns::{Action, Config, ErrorCode, Fate, Fault, StreamLimits, When, World};
use h2::client::ResponseFuture;

use super::client::{Answer, LIMIT};
use super::fixture::{Fixture, PHONE, TABLET};

fn taken(fixture: &Fixture) -> u64 {
    fixture.apns.device(PHONE).unwrap().accepted()
}

/// Strikes the next push to the phone.
fn go_away(fate: Fate) -> Fault {
    let action = Action::GoAway { code: ErrorCode::NO_ERROR, reason: "Shutdown".into(), fate };
    Fault::new(action, When::Next(1)).on_device(PHONE)
}

async fn requests(fixture: &Fixture, count: u64) {
    let heard = |world: &World| world.counts().requests == count;
    fixture.apns.wait_until(LIMIT, heard).await.unwrap();
}

/// Waits for the end of the first connection: after it nothing is judged any more.
async fn closed(fixture: &Fixture) {
    let gone = |world: &World| !world.connection(1).unwrap().open;
    fixture.apns.wait_until(LIMIT, gone).await.unwrap();
}

/// Whether the client is told that its push was not processed.
async fn is_unprocessed(response: ResponseFuture) -> bool {
    Answer::read(response).await.is_err_and(|error| error.is_go_away() && error.is_remote())
}

#[tokio::test]
async fn goaway_says_why_and_that_the_push_was_not_processed() {
    let fixture = Fixture::start();
    let mut client = fixture.connect_warm().await;
    fixture.apns.inject(go_away(Fate::Lost));
    let error = client.push(&fixture.alert("hi")).await.unwrap_err();
    assert!(error.is_go_away() && error.is_remote(), "{error}");
    assert!(error.to_string().contains("Shutdown"), "debug data: {error}");
    assert_eq!(taken(&fixture), 0);
    // The client, not told to, closes nothing: the simulator closes the connection itself.
    tokio::time::timeout(LIMIT, client.driver).await.unwrap().unwrap().ok();
    closed(&fixture).await;
    let answer = fixture.connect().await.push(&fixture.alert("hi")).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn goaway_answers_the_streams_it_counts_as_processed() {
    let fixture = Fixture::start();
    let mut client = fixture.connect_warm().await;
    let delay = Duration::from_millis(50);
    fixture.apns.inject(Fault::delay(delay, When::Next(1)));
    let earlier = client.open(&fixture.alert("earlier")).await.unwrap();
    fixture.apns.wait_until(LIMIT, |world| world.counts().accepted == 2).await.unwrap();
    fixture.apns.inject(go_away(Fate::Taken));
    let last = client.open(&fixture.alert("last")).await.unwrap();
    assert_eq!(Answer::read(last).await.unwrap().status, 200);
    assert_eq!(Answer::read(earlier).await.unwrap().status, 200, "drained, not cut");
    assert_eq!(taken(&fixture), 2);
    closed(&fixture).await;
}

#[tokio::test]
async fn goaway_covers_every_stream_that_was_judged() {
    for fate in [Fate::Lost, Fate::Taken] {
        let fixture = Fixture::start();
        let mut client = fixture.connect_warm().await;
        let (phone, tablet) = (fixture.alert("hi"), fixture.alert("hi").to(TABLET));
        let (earlier, mut body) = client.open_without_body(&phone).await.unwrap();
        assert_eq!(client.push(&tablet).await.unwrap().status, 200, "it overtook the earlier one");
        let (later, _no_body) = client.open_without_body(&tablet).await.unwrap();
        requests(&fixture, 4).await;
        fixture.apns.inject(go_away(fate));
        let judged = u32::from(later.stream_id()) - 2;
        body.send_data(phone.body.clone(), true).unwrap();
        assert!(is_unprocessed(later).await);
        assert_eq!(client.heard.go_aways(), [judged], "{fate:?}");
        match fate {
            Fate::Lost => assert!(!Answer::read(earlier).await.unwrap_err().is_go_away()),
            Fate::Taken => assert_eq!(Answer::read(earlier).await.unwrap().status, 200),
        }
        closed(&fixture).await;
        let counts = fixture.apns.counts();
        let lost = 1 + u64::from(fate == Fate::Lost);
        assert_eq!((counts.requests, counts.accepted, counts.lost), (4, 4 - lost, lost));
    }
}

#[tokio::test]
async fn a_body_that_comes_after_goaway_is_judged_only_below_its_last_stream() {
    for fate in [Fate::Lost, Fate::Taken] {
        let fixture = Fixture::start();
        let mut client = fixture.connect_warm().await;
        let (phone, tablet) = (fixture.alert("hi"), fixture.alert("hi").to(TABLET));
        let (below, mut below_body) = client.open_without_body(&tablet).await.unwrap();
        let (strikes, mut body) = client.open_without_body(&phone).await.unwrap();
        let (above, mut above_body) = client.open_without_body(&tablet).await.unwrap();
        requests(&fixture, 4).await;
        fixture.apns.inject(go_away(fate));
        // Both are on their way before the client can know.
        body.send_data(phone.body.clone(), true).unwrap();
        above_body.send_data(tablet.body.clone(), true).unwrap();
        assert!(is_unprocessed(above).await);
        assert_eq!(is_unprocessed(strikes).await, fate == Fate::Lost);
        below_body.send_data(tablet.body.clone(), true).unwrap();
        assert_eq!(Answer::read(below).await.unwrap().status, 200);
        closed(&fixture).await;
        let counts = fixture.apns.counts();
        let lost = 1 + u64::from(fate == Fate::Lost);
        assert_eq!((counts.requests, counts.accepted, counts.lost), (4, 4 - lost, lost));
        assert_eq!(
            fixture.apns.device(TABLET).unwrap().accepted(),
            2,
            "the first and the one below"
        );
    }
}

#[tokio::test]
async fn a_stream_for_which_room_was_sought_does_not_outlive_the_goaway_found_meanwhile() {
    let streams = StreamLimits { initial: 2, ..StreamLimits::default() };
    let fixture = Fixture::with(Config { streams, ..Config::default() });
    let mut client = fixture.connect().await;
    client.barrier().await;
    let (phone, tablet) = (fixture.alert("hi"), fixture.alert("hi").to(TABLET));
    let (_strikes, mut body) = client.open_without_body(&phone).await.unwrap();
    let (given_up, given_up_body) = client.open_without_body(&tablet).await.unwrap();
    requests(&fixture, 2).await;
    fixture.apns.inject(go_away(Fate::Lost));
    // All in one breath: what strikes, what makes room, what takes it.
    body.send_data(phone.body.clone(), true).unwrap();
    drop((given_up, given_up_body));
    let above = client.open(&tablet).await.unwrap();
    assert!(is_unprocessed(above).await);
    closed(&fixture).await;
    assert_eq!(fixture.apns.counts().accepted, 0);
}
