//! Measures the sender: pushes per second to a simulated APNs, over TLS on loopback.
//!
//! ```text
//! cargo run --release -p campanile-push --example apns_load -- [pushes] [in flight] [threads]
//! ```
//!
//! The simulator has one thread; the sender has `threads`, or shares the caller's with 0. Each
//! latency is measured on a simulator of its own, after a tenth of the pushes to warm up. CPU time
//! per push (read from `/proc`, Linux only) is the number to compare between machines.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measurement reads the clock, and stops at the first surprise"
)]

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use campanile_core::port::{Clock, Push, PushBody, Pusher};
use campanile_core::{
    Address, ApnsToken, AppId, Content, DeliveryId, Environment, NotificationId, Outcome, Platform,
    Priority, Route, Tick, Timestamp, Visual,
};
use campanile_push::apns::{ApnsConfig, ApnsKey, ApnsPusher, ApnsRoute};
use campanile_push::{PoolConfig, Roots, Target};
use campanile_simulate::apns::{Config, Fault, Recording, Simulator, When};
use campanile_simulate::{Clock as _, SystemClock};
use futures::stream::{FuturesUnordered, StreamExt as _};

const TOPIC: &str = "org.example.app";
const DEVICES: u128 = 10_000;

struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now_ms())
    }

    fn tick(&self) -> Tick {
        Tick::from_start(Duration::from_millis(SystemClock.now_ms()))
    }
}

#[derive(Clone, Copy)]
struct Load {
    pushes: u128,
    in_flight: usize,
    threads: usize,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = |default: usize| args.next().map_or(default, |arg| arg.parse().unwrap());
    let pushes = number(400_000) as u128;
    let load = Load { pushes, in_flight: number(4000), threads: number(0) };
    for latency in [0, 50] {
        measure(load, Duration::from_millis(latency));
    }
}

fn measure(load: Load, latency: Duration) {
    let simulator = simulator(latency);
    let (pusher, route) = sender(&simulator);
    let mut runtime = match load.threads {
        0 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    let runtime = runtime.enable_all().build().unwrap();
    let pushes: Arc<[Push]> = (0..DEVICES).map(push).collect();
    let work = move |count: u128| {
        let (pusher, route, pushes) = (pusher.clone(), route.clone(), pushes.clone());
        async move { drive(&pusher, &route, &pushes, count, load.in_flight).await }
    };
    let run = |count| {
        let work = work(count);
        runtime.block_on(async { tokio::spawn(work).await.unwrap() })
    };
    run(load.pushes / 10);
    let (start, cpu) = (Instant::now(), cpu_time());
    run(load.pushes);
    let (elapsed, after) = (start.elapsed(), cpu_time());
    let rate = load.pushes as f64 / elapsed.as_secs_f64();
    let each = |at: usize| (after[at] - cpu[at]).as_secs_f64() * 1e6 / load.pushes as f64;
    let (ours, theirs) = (each(0), each(1));
    let connections = simulator.observe(|world| world.totals().connections_opened);
    let latency = latency.as_millis();
    let mut out = std::io::stdout();
    writeln!(
        out,
        "latency {latency:>2} ms: {rate:>7.0} pushes/s over {connections} connections; CPU per \
         push: sender {ours:.1} us, simulator {theirs:.1} us",
    )
    .unwrap();
}

fn simulator(latency: Duration) -> Simulator {
    let config = Config { recording: Recording::CountsOnly, ..Config::default() };
    let simulator = Simulator::spawn_thread(config).unwrap();
    simulator.register_topic("TEAM000001", TOPIC);
    let environment = campanile_simulate::apns::Environment::Production;
    for device in 0..DEVICES {
        simulator.register_device(&token(device), TOPIC, environment).unwrap();
    }
    if !latency.is_zero() {
        simulator.inject(Fault::delay(latency, When::Always));
    }
    simulator
}

fn sender(simulator: &Simulator) -> (Arc<ApnsPusher>, Route) {
    let key = simulator.generate_key("TEAM000001", "KEY0000001").unwrap();
    let key = ApnsKey::new("TEAM000001", "KEY0000001", &key.private_pem()).unwrap();
    let route = Route {
        app: AppId::new("bells").unwrap(),
        platform: Platform::Apns,
        environment: Environment::Production,
        credential: TOPIC.into(),
    };
    let server = Target {
        address: Some(simulator.addr()),
        roots: Roots::Pem(simulator.ca_pem().to_owned()),
        ..campanile_push::apns::server(Environment::Production)
    };
    let routes = vec![ApnsRoute { route: route.clone(), key: Arc::new(key), server }];
    let config = ApnsConfig { routes, pool: PoolConfig::default() };
    (Arc::new(ApnsPusher::new(config, Arc::new(MachineClock)).unwrap()), route)
}

fn token(device: u128) -> String {
    format!("{device:064x}")
}

fn push(device: u128) -> Push {
    let visual = Visual {
        title: "Your order is on its way".to_owned(),
        body: Some("It should ring your bell between ten and eleven.".to_owned()),
        sound: Some("default".to_owned()),
        badge: Some(1),
    };
    let content = Arc::new(Content { visual: Some(visual), raw: None });
    Push {
        delivery: DeliveryId::from_bytes(device.to_be_bytes()),
        address: Arc::new(Address::Apns {
            token: ApnsToken::new(&token(device)).unwrap(),
            topic: TOPIC.into(),
            environment: Environment::Production,
        }),
        item: NotificationId::from_bytes((device + 1).to_be_bytes()),
        sequence: 4711,
        priority: Priority::High,
        expires_at: Timestamp::from_millis(SystemClock.now_ms() + 3_600_000),
        body: PushBody::Show { content, group: None },
    }
}

/// One task, with many pushes in flight: the way a delivery worker sends.
async fn drive(pusher: &ApnsPusher, route: &Route, pushes: &[Push], count: u128, limit: usize) {
    let mut in_flight = FuturesUnordered::new();
    let mut next = pushes.iter().cycle();
    for _ in 0..count {
        if in_flight.len() >= limit {
            in_flight.next().await;
        }
        let push = next.next().unwrap().clone();
        in_flight.push(async move {
            let outcome = pusher.slot(route).await.unwrap().send(push).await;
            assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
        });
    }
    while in_flight.next().await.is_some() {}
}

/// The CPU time of the sender's threads and of the simulator's.
fn cpu_time() -> [Duration; 2] {
    let mut times = [Duration::ZERO; 2];
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |file| std::fs::read_to_string(thread.path().join(file)).unwrap_or_default();
        let nanos = read("schedstat").split(' ').next().and_then(|it| it.parse().ok());
        let of_simulator = read("comm").starts_with("apns-simulator");
        times[usize::from(of_simulator)] += Duration::from_nanos(nanos.unwrap_or_default());
    }
    times
}
