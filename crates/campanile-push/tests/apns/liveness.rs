//! Connections that are dead without having said so.

use std::time::Duration;

use campanile_push::PoolConfig;
use campanile_simulate::apns::Config;

use crate::gate::Gate;
use crate::stage::{Stage, Time, alert, is_accepted, is_indefinite, pusher, route, simulator};

/// A stage with a wire that can be held, and a connection that is proved.
async fn gated(devices: u32, pool: PoolConfig) -> (Stage, Gate) {
    let (simulator, key) = simulator(Config::default(), devices);
    let gate = Gate::before(simulator.addr()).await;
    let pusher = pusher(gate.address, simulator.ca_pem(), &key, pool, Time::Real);
    let stage = Stage { simulator, pusher: pusher.into(), route: route() };
    assert!(is_accepted(&stage.send(alert(0)).await));
    (stage, gate)
}

fn pool() -> PoolConfig {
    PoolConfig { connections: 1, ..PoolConfig::default() }
}

#[tokio::test]
async fn an_idle_connection_that_does_not_answer_a_ping_is_closed() {
    let ping_after = Duration::from_millis(30);
    let ping_timeout = Duration::from_millis(60);
    let (stage, gate) = gated(1, PoolConfig { ping_after, ping_timeout, ..pool() }).await;
    gate.hold();
    stage.wait_for("the silence to be noticed", |it| it.ping_lost == 1).await;
    stage.wait_for("the connection to be closed", |it| it.connections_open == 0).await;
    gate.let_go();
    assert!(is_accepted(&stage.send(alert(0)).await));
    assert_eq!(stage.counters().connected, 2);
}

#[tokio::test]
async fn an_idle_connection_that_answers_stays() {
    let ping_after = Duration::from_millis(10);
    let (stage, _gate) = gated(1, PoolConfig { ping_after, ..pool() }).await;
    // Time for a dozen of PINGs.
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(is_accepted(&stage.send(alert(0)).await));
    assert_eq!((stage.counters().connected, stage.counters().ping_lost), (1, 0));
}

#[tokio::test]
async fn an_unanswered_push_brings_the_question_forward() {
    let request_timeout = Duration::from_millis(100);
    let ping_timeout = Duration::from_millis(100);
    let (stage, gate) = gated(1, PoolConfig { request_timeout, ping_timeout, ..pool() }).await;
    gate.hold();
    let outcome = stage.send(alert(0)).await;
    assert!(is_indefinite(&outcome), "{outcome:?}");
    // The idle time is a minute; the doubt asks at once.
    stage.wait_for("the silence to be noticed", |it| it.ping_lost == 1).await;
    gate.let_go();
    assert!(is_accepted(&stage.send(alert(0)).await));
    assert_eq!((stage.counters().connected, stage.arrived(0)), (2, 3));
}

#[tokio::test]
async fn while_a_connection_is_doubted_others_carry_the_pushes() {
    let request_timeout = Duration::from_millis(100);
    let two = PoolConfig { connections: 2, request_timeout, ..pool() };
    let (stage, gate) = gated(1, two).await;
    gate.hold();
    assert!(is_indefinite(&stage.send(alert(0)).await));
    let slot = stage.slot();
    tokio::pin!(slot);
    // It waits for the second connection, whose handshake is held as well.
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut slot).await.is_err());
    gate.let_go();
    assert!(is_accepted(&slot.await.unwrap().send(alert(0)).await));
}

#[tokio::test]
async fn a_thousand_answers_after_we_gave_up_do_not_end_the_connection() {
    let request_timeout = Duration::from_millis(400);
    let (stage, gate) = gated(1200, PoolConfig { request_timeout, ..pool() }).await;
    for round in 1..=2 {
        gate.hold();
        let outcomes = stage.send_all(0..600).await;
        assert!(outcomes.iter().all(|(_, outcome)| is_indefinite(outcome)));
        gate.let_go();
        // The answers come before the one to this push, and the PING before both.
        assert!(is_accepted(&stage.send(alert(0)).await), "round {round}");
    }
    assert_eq!((stage.counters().connected, stage.counters().timed_out), (1, 1200));
}
