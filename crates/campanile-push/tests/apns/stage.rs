//! A simulated service with one app, and a sender pointed at it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{Push, PushBody, Pusher, RouteDown, Slot};
use campanile_core::{
    Address, ApnsToken, AppId, Content, DeliveryId, Environment, NotificationId, Outcome, Platform,
    Priority, Route, Timestamp, Visual,
};
use campanile_push::apns::{ApnsConfig, ApnsKey, ApnsPusher, ApnsRoute};
use campanile_push::{PoolConfig, PoolCounters, Roots, Target};
use campanile_simulate::Clock as _;
use campanile_simulate::SystemClock;
use campanile_simulate::apns::{Config, Simulator};
use futures::stream::{FuturesUnordered, StreamExt};

pub(crate) use crate::time::Time;

pub(crate) const TEAM: &str = "TEAM000001";
pub(crate) const KEY: &str = "KEY0000001";
pub(crate) const TOPIC: &str = "org.example.app";

/// A limit for whatever a test waits for; nothing takes as long unless it is broken.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) pusher: Arc<ApnsPusher>,
    pub(crate) route: Route,
}

/// The only route.
pub(crate) fn route() -> Route {
    Route {
        app: AppId::new("bells").unwrap(),
        platform: Platform::Apns,
        environment: Environment::Production,
        credential: TOPIC.into(),
    }
}

/// A service with the app and `devices` devices.
pub(crate) fn simulator(config: Config, devices: u32) -> (Simulator, String) {
    let simulator = Simulator::start(config).unwrap();
    let key = simulator.generate_key(TEAM, KEY).unwrap();
    simulator.register_topic(TEAM, TOPIC);
    let environment = campanile_simulate::apns::Environment::Production;
    for device in 0..devices {
        simulator.register_device(&token(device), TOPIC, environment).unwrap();
    }
    (simulator, key.private_pem())
}

/// A sender that takes whoever listens at `address` for Apple.
pub(crate) fn pusher(
    address: SocketAddr,
    ca: &str,
    key: &str,
    pool: PoolConfig,
    time: Time,
) -> ApnsPusher {
    let key = Arc::new(ApnsKey::new(TEAM, KEY, key).unwrap());
    let server = Target {
        address: Some(address),
        roots: Roots::Pem(ca.to_owned()),
        ..campanile_push::apns::server(Environment::Production)
    };
    let routes = vec![ApnsRoute { route: route(), key, server }];
    ApnsPusher::new(ApnsConfig { routes, pool }, Arc::new(time)).unwrap()
}

impl Stage {
    pub(crate) fn new(config: Config, pool: PoolConfig, devices: u32) -> Self {
        Self::timed(config, pool, devices, Time::Real)
    }

    pub(crate) fn timed(config: Config, pool: PoolConfig, devices: u32, time: Time) -> Self {
        let (simulator, key) = simulator(config, devices);
        let pusher = pusher(simulator.addr(), simulator.ca_pem(), &key, pool, time);
        Self { simulator, pusher: Arc::new(pusher), route: route() }
    }

    pub(crate) async fn slot(&self) -> Result<Box<dyn Slot>, RouteDown> {
        self.pusher.slot(&self.route).await
    }

    /// One attempt.
    pub(crate) async fn send(&self, push: Push) -> Outcome {
        self.slot().await.unwrap().send(push).await
    }

    /// An alert to each of the devices, all at once; the outcomes by device.
    pub(crate) async fn send_all(&self, devices: std::ops::Range<u32>) -> Vec<(u32, Outcome)> {
        let sends = devices.map(|device| async move { (device, self.send(alert(device)).await) });
        sends.collect::<FuturesUnordered<_>>().collect().await
    }

    pub(crate) fn counters(&self) -> PoolCounters {
        self.pusher.counters().next().unwrap().1
    }

    /// Waits until the counters are as they should be.
    pub(crate) async fn wait_for(&self, what: &str, condition: impl Fn(PoolCounters) -> bool) {
        let poll = async {
            while !condition(self.counters()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(SOON, poll).await;
        waited.unwrap_or_else(|_| panic!("{what}: {:?}", self.counters()));
    }

    /// What the service kept of the pushes to a device.
    pub(crate) fn arrived(&self, device: u32) -> u64 {
        self.simulator.device(&token(device)).unwrap().accepted()
    }
}

pub(crate) fn token(device: u32) -> String {
    format!("{device:064x}")
}

pub(crate) fn item(device: u32) -> NotificationId {
    NotificationId::from_bytes((u128::from(device) + 1).to_be_bytes())
}

pub(crate) fn push(device: u32, body: PushBody) -> Push {
    Push {
        delivery: DeliveryId::from_bytes((u128::from(device) << 64).to_be_bytes()),
        address: Arc::new(Address::Apns {
            token: ApnsToken::new(&token(device)).unwrap(),
            topic: TOPIC.into(),
            environment: Environment::Production,
        }),
        item: item(device),
        sequence: u64::from(device),
        priority: Priority::High,
        expires_at: Timestamp::from_millis(SystemClock.now_ms() + 3_600_000),
        body,
        along: Vec::new(),
    }
}

pub(crate) fn show(device: u32, content: Content) -> Push {
    push(device, PushBody::Show { content: Arc::new(content), group: None })
}

pub(crate) fn alert(device: u32) -> Push {
    let visual = Visual { title: format!("Bell {device}"), ..Visual::default() };
    show(device, Content { visual: Some(visual), raw: None })
}

pub(crate) fn is_accepted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Accepted { .. })
}

pub(crate) fn is_unprocessed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unprocessed { .. })
}

pub(crate) fn is_indefinite(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Indefinite { .. })
}

/// How many of the outcomes are of a kind.
pub(crate) fn count(outcomes: &[(u32, Outcome)], kind: impl Fn(&Outcome) -> bool) -> usize {
    outcomes.iter().filter(|(_, outcome)| kind(outcome)).count()
}
