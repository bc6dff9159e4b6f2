//! Starting, stopping, TLS, and connections as the observer sees them.

use campanile_simulate::apns::{Config, Environment, Simulator, StartError};

use super::client::{Client, LIMIT, Target, tls};
use super::fixture::{APP, Fixture, PHONE};

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_with_h2_only() {
    let fixture = Fixture::start();
    let target = fixture.target();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = tls(&target, &[version], &[b"h2"]).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    }
    let error = tls(&target, rustls::ALL_VERSIONS, &[b"http/1.1"]).await.unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    // Without ALPN the handshake succeeds, but nothing is served.
    let _silent = tls(&target, rustls::ALL_VERSIONS, &[]).await;
    let failed = |world: &campanile_simulate::apns::World| world.totals().handshakes_failed == 2;
    fixture.apns.wait_until(LIMIT, failed).await.unwrap();
}

#[tokio::test]
async fn every_host_is_certified_by_the_test_ca_alone() {
    let fixture = Fixture::start();
    for host in ["api.push.apple.com", "api.sandbox.push.apple.com", "localhost"] {
        Client::connect(&fixture.target_at(host)).await.barrier().await;
    }
    let stranger = fixture.target_at("push.example.org");
    assert!(tls(&stranger, rustls::ALL_VERSIONS, &[b"h2"]).await.is_err());
    let other = Fixture::start();
    let wrong_ca = Target { ca_pem: other.apns.ca_pem().to_owned(), ..fixture.target() };
    assert!(tls(&wrong_ca, rustls::ALL_VERSIONS, &[b"h2"]).await.is_err());
}

#[tokio::test]
async fn connections_are_numbered_counted_and_seen_to_close() {
    let fixture = Fixture::start();
    let mut first = fixture.connect_warm().await;
    let mut sandbox = Client::connect(&fixture.target_at("api.sandbox.push.apple.com")).await;
    assert_eq!(first.push(&fixture.alert("hi")).await.unwrap().status, 200);
    assert_eq!(sandbox.push(&fixture.alert("hi")).await.unwrap().status, 400);
    let (counts, hosts): (Vec<_>, Vec<std::sync::Arc<str>>) = fixture.apns.observe(|world| {
        world
            .connections()
            .map(|one| ((one.number, one.counts.accepted, one.counts.rejected), one.host.clone()))
            .unzip()
    });
    assert_eq!(counts, [(1, 2, 0), (2, 0, 1)]);
    let hosts: Vec<&str> = hosts.iter().map(|host| &**host).collect();
    assert_eq!(hosts, ["api.push.apple.com", "api.sandbox.push.apple.com"]);
    drop(first.send);
    first.driver.abort();
    fixture.apns.wait_until(LIMIT, |world| world.totals().connections_closed == 1).await.unwrap();
    assert!(fixture.apns.observe(|world| world.connection(2).unwrap().open));
}

#[tokio::test]
async fn it_also_runs_on_the_callers_runtime_and_stops_when_told() {
    let apns = Simulator::start(Config::default()).unwrap();
    let target = Target { addr: apns.addr(), ca_pem: apns.ca_pem().to_owned(), host: "localhost" };
    let mut client = Client::connect(&target).await;
    client.barrier().await;
    apns.stop().await;
    tokio::time::timeout(LIMIT, client.driver).await.unwrap().unwrap().ok();
    assert!(tokio::net::TcpStream::connect(target.addr).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn dropping_it_stops_it() {
    let fixture = Fixture::start();
    let client = fixture.connect_warm().await;
    drop(fixture);
    tokio::time::timeout(LIMIT, client.driver).await.unwrap().unwrap().ok();
}

#[test]
fn what_cannot_start_says_why() {
    assert!(matches!(Simulator::start(Config::default()), Err(StartError::NoRuntime)));
    let nobody = Config { hosts: Vec::new(), ..Config::default() };
    assert!(matches!(Simulator::spawn_thread(nobody), Err(StartError::NoHost)));
    let running = Simulator::spawn_thread(Config::default()).unwrap();
    let taken = Config { address: running.addr(), ..Config::default() };
    assert!(matches!(Simulator::spawn_thread(taken), Err(StartError::Listen { .. })));
}

#[test]
fn a_device_token_must_be_hexadecimal() {
    let apns = Simulator::spawn_thread(Config::default()).unwrap();
    for token in ["", "abc", "wxyz", &"ab".repeat(257)] {
        let error = apns.register_device(token, APP, Environment::Production).unwrap_err();
        assert!(error.to_string().contains("hexadecimal"), "{error}");
    }
    assert!(apns.register_device(PHONE, APP, Environment::Production).is_ok());
    assert!(apns.device(&PHONE.to_uppercase()).is_some());
    assert!(!apns.set_online("0123", true));
}
