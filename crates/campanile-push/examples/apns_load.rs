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

#[path = "shared/load.rs"]
mod load;

use std::sync::Arc;
use std::time::Duration;

use campanile_core::{Address, ApnsToken, AppId, Environment, Platform, Route};
use campanile_push::apns::{ApnsConfig, ApnsKey, ApnsPusher, ApnsRoute};
use campanile_push::{PoolConfig, Roots, Target};
use campanile_simulate::apns::{Config, Fault, Recording, Simulator, When};

use load::{DEVICES, Load, MachineClock, Rig, measure, push};

const TOPIC: &str = "org.example.app";

fn main() {
    let load = Load::from_args();
    for latency in [0, 50].map(Duration::from_millis) {
        measure(load, latency, rig(latency));
    }
}

fn rig(latency: Duration) -> Rig {
    let simulator = simulator(latency);
    let (pusher, route) = sender(&simulator);
    let pushes = (0..DEVICES).map(|device| push(device, address(device))).collect();
    let connections = move || simulator.observe(|world| world.totals().connections_opened);
    let connections = Box::new(connections);
    Rig { pusher, route, pushes, thread: "apns-simulator", connections }
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

fn address(device: u128) -> Address {
    Address::Apns {
        token: ApnsToken::new(&token(device)).unwrap(),
        topic: TOPIC.into(),
        environment: Environment::Production,
    }
}
