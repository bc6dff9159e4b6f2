//! Getting a connection, and not getting one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use campanile_core::Environment;
use campanile_core::port::{Pusher, RouteDown};
use campanile_push::apns::{ApnsConfig, ApnsKey, ApnsPusher, ApnsRoute};
use campanile_push::{PoolConfig, Roots, Target};
use campanile_simulate::apns::{Config, Simulator};
use tokio::net::TcpListener;

use crate::gate::Gate;
use crate::stage::{
    KEY, SOON, Stage, TEAM, TOPIC, Time, alert, is_accepted, pusher, route, simulator, token,
};

fn quick() -> PoolConfig {
    PoolConfig {
        first_backoff: Duration::from_millis(10),
        longest_backoff: Duration::from_millis(40),
        room_timeout: Duration::from_millis(300),
        ..PoolConfig::default()
    }
}

/// The reason for which there is no slot.
async fn down(pusher: &ApnsPusher) -> String {
    match pusher.slot(&route()).await.err() {
        Some(RouteDown::Unreachable { reason }) => reason,
        other => panic!("expected an unreachable route, not {other:?}"),
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_tried_again_with_growing_waits() {
    let (simulator, key) = simulator(Config::default(), 0);
    let (address, ca) = (simulator.addr(), simulator.ca_pem().to_owned());
    simulator.stop().await;
    let pusher = pusher(address, &ca, &key, quick(), Time::Real);
    let reason = down(&pusher).await;
    assert!(reason.starts_with(&format!("cannot connect to {address}: ")), "{reason}");
    let failed = pusher.counters().next().unwrap().1.connect_failed;
    // After 0, 10, 30, 70, 110, … milliseconds, in 300.
    assert!((2..=10).contains(&failed), "{failed} attempts");
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_not_waited() {
    let (simulator, key) = simulator(Config::default(), 0);
    let (address, ca) = (simulator.addr(), simulator.ca_pem().to_owned());
    simulator.stop().await;
    let hour = Duration::from_secs(3600);
    let pool = PoolConfig { first_backoff: hour, longest_backoff: hour, ..PoolConfig::default() };
    let pusher = pusher(address, &ca, &key, pool, Time::Real);
    let answered = tokio::time::timeout(SOON / 4, down(&pusher)).await;
    assert!(answered.is_ok(), "the time for room is 10 s, but nothing can come in it");
    assert_eq!(pusher.counters().next().unwrap().1.connect_failed, 1);
}

#[tokio::test]
async fn a_server_that_comes_back_is_found() {
    let (simulator, key) = simulator(Config::default(), 1);
    let gate = Gate::before(simulator.addr()).await;
    let address = gate.address;
    let pusher = pusher(address, simulator.ca_pem(), &key, quick(), Time::Real);
    let stage = Stage { simulator, pusher: pusher.into(), route: route() };
    assert!(is_accepted(&stage.send(alert(0)).await));
    drop(gate);
    stage.wait_for("the connection to end", |it| it.connections_open == 0).await;
    let reason = down(&stage.pusher).await;
    assert!(reason.starts_with(&format!("cannot connect to {address}: ")), "{reason}");
    let _gate = Gate::at(address, stage.simulator.addr()).await;
    assert!(is_accepted(&stage.send(alert(0)).await));
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_not_trusted() {
    let (simulator, key) = simulator(Config::default(), 1);
    let other = Simulator::start(Config::default()).unwrap();
    let pusher = pusher(simulator.addr(), other.ca_pem(), &key, quick(), Time::Real);
    let reason = down(&pusher).await;
    assert!(reason.contains("certificate"), "{reason}");
    assert_eq!(simulator.counts().requests, 0);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let hosts =
        vec![("push.example".to_owned(), campanile_simulate::apns::Environment::Production)];
    let (simulator, key) = simulator(Config { hosts, ..Config::default() }, 1);
    let pusher = pusher(simulator.addr(), simulator.ca_pem(), &key, quick(), Time::Real);
    let reason = down(&pusher).await;
    assert!(reason.contains("certificate"), "{reason}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (simulator, key) = simulator(Config::default(), 1);
    let pool = PoolConfig { connect_timeout: Duration::from_millis(50), ..quick() };
    let address = silent.local_addr().unwrap();
    let pusher = pusher(address, simulator.ca_pem(), &key, pool, Time::Real);
    assert_eq!(down(&pusher).await, "no connection within 50ms");
}

#[tokio::test]
async fn a_host_is_resolved_and_each_of_its_addresses_tried() {
    // It listens on IPv4 only; where the name also has an IPv6 address, that one fails first.
    let (simulator, key) = simulator(Config::default(), 1);
    let SocketAddr::V4(address) = simulator.addr() else { panic!("IPv4 was asked for") };
    let server = Target {
        host: "localhost".to_owned(),
        port: address.port(),
        address: None,
        roots: Roots::Pem(simulator.ca_pem().to_owned()),
    };
    let key = Arc::new(ApnsKey::new(TEAM, KEY, &key).unwrap());
    let routes = vec![ApnsRoute { route: route(), key, server }];
    let config = ApnsConfig { routes, pool: PoolConfig { room_timeout: SOON, ..quick() } };
    let pusher = Arc::new(ApnsPusher::new(config, Arc::new(Time::Real)).unwrap());
    let stage = Stage { simulator, pusher, route: route() };
    assert!(is_accepted(&stage.send(alert(0)).await));
}

#[tokio::test]
async fn dropping_the_sender_closes_its_connections() {
    let stage = Stage::new(Config::default(), PoolConfig::default(), 1);
    assert!(is_accepted(&stage.send(alert(0)).await));
    let Stage { simulator, pusher, .. } = stage;
    drop(pusher);
    let all_closed = |world: &campanile_simulate::apns::World| {
        world.totals().connections_closed == world.totals().connections_opened
    };
    simulator.wait_until(SOON, all_closed).await.unwrap();
}

#[tokio::test]
async fn a_sender_that_is_dropped_still_ends_what_it_began() {
    let stage = Stage::new(Config::default(), PoolConfig::default(), 1);
    let slot = stage.slot().await.unwrap();
    let Stage { simulator, pusher, .. } = stage;
    drop(pusher);
    assert!(is_accepted(&slot.send(alert(0)).await));
    assert_eq!(simulator.device(&token(0)).unwrap().accepted(), 1);
}

#[tokio::test]
async fn a_route_or_key_configured_twice_is_refused() {
    let (_, pem) = simulator(Config::default(), 0);
    let key = || Arc::new(ApnsKey::new(TEAM, KEY, &pem).unwrap());
    let server = campanile_push::apns::server(Environment::Production);
    let of = |key, route| ApnsRoute { route, key, server: server.clone() };
    let new = |routes| {
        let config = ApnsConfig { routes, ..ApnsConfig::default() };
        ApnsPusher::new(config, Arc::new(Time::Real)).map(|_| ()).map_err(|it| it.to_string())
    };
    let one = key();
    let twice = new(vec![of(one.clone(), route()), of(one.clone(), route())]);
    let text = format!("route bells/apns/production/{TOPIC} is configured twice");
    assert_eq!(twice, Err(text));

    let other = campanile_core::Route { credential: "org.example.other".into(), ..route() };
    let text = format!("key {KEY} of team {TEAM} is configured twice");
    assert_eq!(new(vec![of(one.clone(), route()), of(key(), other.clone())]), Err(text));
    assert_eq!(new(vec![of(one.clone(), route()), of(one, other)]), Ok(()));
}
