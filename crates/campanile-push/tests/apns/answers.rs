//! Answers that no provider gives, and how much of them is read.

use bytes::Bytes;
use campanile_core::Outcome;
use campanile_core::port::Pusher;
use campanile_push::PoolConfig;
use campanile_simulate::apns::Config;

use crate::gate::Gate;
use crate::odd_server::OddServer;
use crate::stage::{Stage, Time, alert, count, pusher, route, simulator};

async fn outcome_of(status: u16, body: Vec<u8>) -> Outcome {
    let server = OddServer::answering(status, Bytes::from(body)).await;
    let (_, key) = simulator(Config::default(), 0);
    let pool = PoolConfig::default();
    let pusher = pusher(server.address, &server.ca_pem, &key, pool, Time::Real);
    pusher.slot(&route()).await.unwrap().send(alert(0)).await
}

/// A JSON refusal of `bytes` bytes.
fn padded(bytes: usize) -> Vec<u8> {
    let mut body = br#"{"reason":"BadTopic"}"#.to_vec();
    body.resize(bytes, b' ');
    body
}

#[tokio::test]
async fn a_body_of_64_kib_is_read() {
    let outcome = outcome_of(400, padded(64 * 1024)).await;
    assert_eq!(outcome.reason(), "BadTopic");
}

#[tokio::test]
async fn of_a_longer_body_only_the_status_counts() {
    for bytes in [64 * 1024 + 1, 8 * 1024 * 1024] {
        let outcome = outcome_of(400, padded(bytes)).await;
        assert_eq!(outcome.reason(), "400 without a reason", "{bytes}");
        assert!(matches!(outcome, Outcome::Rejected { status: 400, .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn of_garbage_only_the_status_counts() {
    let outcome = outcome_of(503, vec![0xff; 100]).await;
    assert!(matches!(outcome, Outcome::Unavailable { status: 503, .. }), "{outcome:?}");
}

#[tokio::test]
async fn an_accepted_push_is_accepted_whatever_else_is_said() {
    let outcome = outcome_of(200, vec![0xff; 100_000]).await;
    assert_eq!(outcome, Outcome::Accepted { provider_id: String::new() });
}

#[tokio::test]
async fn a_thousand_refusals_that_arrive_together_do_no_harm() {
    let body = Bytes::from_static(br#"{"reason":"ServiceUnavailable"}"#);
    let mut server = OddServer::answering(400, body).await;
    let (simulator, key) = simulator(Config::default(), 0);
    let gate = Gate::before(server.address).await;
    let pool = PoolConfig { connections: 1, ..PoolConfig::default() };
    let pusher = pusher(gate.address, &server.ca_pem, &key, pool, Time::Real);
    let stage = Stage { simulator, pusher: pusher.into(), route: route() };
    stage.send(alert(0)).await;
    gate.hold();
    let let_go = async {
        server.answered.wait_for(|count| *count == 1001).await.unwrap();
        gate.let_go();
    };
    let (outcomes, ()) = futures::join!(stage.send_all(0..1000), let_go);
    let busy = |outcome: &Outcome| matches!(outcome, Outcome::Unavailable { status: 400, .. });
    assert_eq!(count(&outcomes, busy), 1000);
    assert_eq!(stage.counters().connected, 1);
}
