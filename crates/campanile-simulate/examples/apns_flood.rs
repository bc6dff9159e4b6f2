//! Measures the simulator: pushes per second, and CPU time per push on both sides.
//!
//! ```text
//! cargo run --release -p campanile-simulate --example apns_flood -- [pushes] [connections] [streams] [counts|full]
//! ```
//!
//! The simulator has one thread, the client another one, so on two free cores the smaller of the
//! two is measured. The CPU time of each thread (read from `/proc`, Linux only) tells which.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement reads the clock, prints, and stops at the first surprise"
)]

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use campanile_simulate::apns::{Config, Environment, Recording, Simulator};
use campanile_simulate::{Clock as _, SystemClock};
use futures::stream::{FuturesUnordered, StreamExt as _};
use h2::client::SendRequest;
use http::{HeaderValue, Request};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const APP: &str = "org.example.app";
const DEVICES: u64 = 10_000;

struct Load {
    pushes: u64,
    connections: u64,
    streams: usize,
    recording: Recording,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| args.next().map_or(default, |arg| arg.parse().unwrap());
    let (pushes, connections, streams) = (number(500_000), number(4), number(100));
    let full = args.next().is_some_and(|arg| arg == "full");
    let load = Load {
        pushes,
        connections,
        streams: usize::try_from(streams).unwrap(),
        recording: if full { Recording::Full } else { Recording::CountsOnly },
    };
    run(&load);
}

fn run(load: &Load) {
    let config = Config { recording: load.recording, ..Config::default() };
    let apns = Simulator::spawn_thread(config).unwrap();
    let key = apns.generate_key("TEAM123456", "KEY1234567").unwrap();
    apns.register_topic("TEAM123456", APP);
    for n in 0..DEVICES {
        apns.register_device(&token(n), APP, Environment::Production).unwrap();
    }
    let now = SystemClock.now_ms() / 1000;
    let bearer = format!("bearer {}", key.provider_token(now).unwrap());

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (elapsed, client_cpu, server_cpu) = runtime.block_on(async {
        let mut clients = Vec::new();
        for _ in 0..load.connections {
            clients.push(connect(&apns, &bearer).await);
        }
        let cpu = (cpu_ns("apns_flood"), cpu_ns("apns-simulator"));
        let start = Instant::now();
        let share = load.pushes / load.connections;
        let work = clients.into_iter().zip(0_u64..).map(|(client, n)| {
            tokio::spawn(send(client, bearer.clone(), n * share..(n + 1) * share, load.streams))
        });
        let tasks: Vec<_> = work.collect();
        for task in tasks {
            task.await.unwrap();
        }
        (
            start.elapsed().as_secs_f64(),
            cpu_ns("apns_flood") - cpu.0,
            cpu_ns("apns-simulator") - cpu.1,
        )
    });
    let counts = apns.counts();
    assert_eq!(counts.accepted, counts.requests, "{counts:?}");
    let pushes = (load.pushes / load.connections * load.connections) as f64;
    println!(
        "{:?}: {:.0} pushes/s; CPU per push: simulator {:.2} us, client {:.2} us; {counts:?}",
        load.recording,
        pushes / elapsed,
        server_cpu as f64 / 1000.0 / pushes,
        client_cpu as f64 / 1000.0 / pushes,
    );
}

fn token(n: u64) -> String {
    format!("{:064x}", n % DEVICES)
}

/// Opens a connection and has one push accepted, which widens the stream limit.
async fn connect(apns: &Simulator, bearer: &str) -> SendRequest<Bytes> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(apns.ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(apns.addr()).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from("api.push.apple.com").unwrap();
    let io = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let (client, mut connection) =
        h2::client::Builder::new().initial_max_send_streams(1).handshake(io).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    tokio::spawn(connection);
    send(client.clone(), bearer.to_owned(), 0..1, 1).await;
    pings.ping(h2::Ping::opaque()).await.unwrap();
    client
}

/// Sends pushes, at most `streams` at a time.
async fn send(
    mut client: SendRequest<Bytes>,
    bearer: String,
    pushes: std::ops::Range<u64>,
    streams: usize,
) {
    let text = "x".repeat(180);
    let body = format!(
        r#"{{"aps":{{"alert":{{"title":"Hi","body":"{text}"}}}},"campanile":{{"id":"n","seq":1}}}}"#
    );
    let body = Bytes::from(body);
    let bearer = HeaderValue::from_str(&bearer).unwrap();
    let mut flying = FuturesUnordered::new();
    for n in pushes {
        if flying.len() >= streams {
            let status: http::StatusCode = flying.next().await.unwrap();
            assert_eq!(status, 200);
        }
        client = client.ready().await.unwrap();
        let request = Request::post(format!("https://api.push.apple.com/3/device/{}", token(n)))
            .header("authorization", bearer.clone())
            .header("apns-topic", APP)
            .header("apns-push-type", "alert")
            .header("apns-priority", "10")
            .header("apns-expiration", literal("1900000000"))
            .header("apns-collapse-id", literal(&format!("n{n}")))
            .header("apns-id", literal(&format!("00000000-0000-4000-8000-{n:012x}")))
            .body(())
            .unwrap();
        let (response, mut stream) = client.send_request(request, false).unwrap();
        stream.send_data(body.clone(), true).unwrap();
        flying.push(async move { response.await.unwrap().status() });
    }
    while let Some(status) = flying.next().await {
        assert_eq!(status, 200);
    }
}

/// A value that HPACK does not index, as Apple asks for changing values.
fn literal(value: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(value).unwrap();
    value.set_sensitive(true);
    value
}

/// The CPU time that a thread of this process has used, by its name; 0 where there is no `/proc`.
fn cpu_ns(thread: &str) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let named = tasks.map(|task| task.path()).find(|path| {
        std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == thread)
    });
    let stat = named.and_then(|path| std::fs::read_to_string(path.join("schedstat")).ok());
    stat.and_then(|stat| stat.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
