//! Measures the sender: pushes per second to a simulated FCM, over TLS on loopback.
//!
//! ```text
//! cargo run --release -p campanile-push --example fcm_load -- [pushes] [in flight] [threads]
//! ```
//!
//! As `apns_load`; Google's quotas are lifted. The 100 streams of a connection, as Google has
//! them, are the limit as soon as answers take time.

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

use campanile_core::{Address, AppId, Environment, FcmTarget, FcmToken, Platform, Route};
use campanile_push::fcm::{FcmConfig, FcmPusher, FcmRoute, ServiceAccount, server};
use campanile_push::{Roots, Target};
use campanile_simulate::fcm::{Config, Fault, Quotas, Recording, Simulator, When};

use load::{DEVICES, Load, MachineClock, Rig, measure, push};

const PROJECT: &str = "bells-0815";

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
    Rig { pusher, route, pushes, thread: "fcm-simulator", connections }
}

fn simulator(latency: Duration) -> Simulator {
    let (recording, quotas) = (Recording::CountsOnly, Quotas::NONE);
    let simulator = Simulator::spawn_thread(Config { recording, quotas, ..Config::default() });
    let simulator = simulator.unwrap();
    for device in 0..DEVICES {
        simulator.register_device(PROJECT, &token(device)).unwrap();
    }
    if !latency.is_zero() {
        simulator.inject(Fault::delay(latency, When::Always));
    }
    simulator
}

fn sender(simulator: &Simulator) -> (Arc<FcmPusher>, Route) {
    let account = simulator.generate_account(PROJECT).unwrap();
    let account = Arc::new(ServiceAccount::from_json(&account.json()).unwrap());
    let route = Route {
        app: AppId::new("bells").unwrap(),
        platform: Platform::Fcm,
        environment: Environment::Production,
        credential: PROJECT.into(),
    };
    let here = |target: Target| Target {
        address: Some(simulator.addr()),
        roots: Roots::Pem(simulator.ca_pem().to_owned()),
        ..target
    };
    let (server, sign_in) = (here(server()), here(account.sign_in_server()));
    let routes = vec![FcmRoute { route: route.clone(), account, server, sign_in }];
    let config = FcmConfig { routes, ..FcmConfig::default() };
    (Arc::new(FcmPusher::new(config, Arc::new(MachineClock)).unwrap()), route)
}

fn token(device: u128) -> String {
    format!("fid{device:019}:{}", "APA91b".repeat(20))
}

fn address(device: u128) -> Address {
    let target = FcmTarget::Token(FcmToken::new(&token(device)).unwrap());
    Address::Fcm { target, project: PROJECT.into() }
}
