//! A simulated service with one project, and a sender pointed at it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use campanile_core::port::{Push, PushBody, Pusher, RouteDown, Slot};
use campanile_core::{
    Address, AppId, Content, DeliveryId, Environment, FcmTarget, FcmToken, NotificationId, Outcome,
    Platform, Priority, Route, Timestamp, Visual,
};
use campanile_push::fcm::{FcmConfig, FcmPusher, FcmRoute, ServiceAccount, server};
use campanile_push::{PoolConfig, PoolCounters, Roots, Target};
use campanile_simulate::fcm::{Config, Device, ServiceAccount as Issued, Simulator};
use campanile_simulate::{Clock as _, SystemClock};
use futures::stream::{FuturesUnordered, StreamExt};

pub(crate) use crate::time::Time;

pub(crate) const PROJECT: &str = "bells-0815";

/// A limit for whatever a test waits for; nothing takes as long unless it is broken.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) pusher: Arc<FcmPusher>,
    pub(crate) route: Route,
}

pub(crate) fn route(project: &str) -> Route {
    Route {
        app: AppId::new("bells").unwrap(),
        platform: Platform::Fcm,
        environment: Environment::Production,
        credential: project.into(),
    }
}

/// The account of all tests: making its key takes long.
pub(crate) fn issued() -> &'static Issued {
    static ISSUED: OnceLock<Issued> = OnceLock::new();
    ISSUED.get_or_init(|| Issued::generate(PROJECT).unwrap())
}

pub(crate) fn account() -> Arc<ServiceAccount> {
    Arc::new(ServiceAccount::from_json(&issued().json()).unwrap())
}

/// A service with the project and `devices` devices, each with a token.
pub(crate) fn simulator(config: Config, devices: u32) -> Simulator {
    let simulator = Simulator::start(config).unwrap();
    simulator.register_account(issued().public()).unwrap();
    for device in 0..devices {
        simulator.register_device(PROJECT, &token(device)).unwrap();
    }
    simulator
}

/// A sender that takes the simulator for Google.
pub(crate) fn pusher(simulator: &Simulator, pool: PoolConfig, time: Time) -> FcmPusher {
    let account = account();
    let here = |target: Target| Target {
        address: Some(simulator.addr()),
        roots: Roots::Pem(simulator.ca_pem().to_owned()),
        ..target
    };
    let (server, sign_in) = (here(server()), here(account.sign_in_server()));
    let routes = vec![FcmRoute { route: route(PROJECT), account, server, sign_in }];
    FcmPusher::new(FcmConfig { routes, pool }, Arc::new(time)).unwrap()
}

impl Stage {
    pub(crate) fn new(devices: u32) -> Self {
        Self::with(Config::default(), PoolConfig::default(), devices, Time::Real)
    }

    pub(crate) fn with(config: Config, pool: PoolConfig, devices: u32, time: Time) -> Self {
        let simulator = simulator(config, devices);
        let pusher = Arc::new(pusher(&simulator, pool, time));
        Self { simulator, pusher, route: route(PROJECT) }
    }

    pub(crate) async fn slot(&self) -> Result<Box<dyn Slot>, RouteDown> {
        self.pusher.slot(&self.route).await
    }

    /// One attempt.
    pub(crate) async fn send(&self, push: Push) -> Outcome {
        self.slot().await.unwrap().send(push).await
    }

    /// An alert to each of the devices, all at once.
    pub(crate) async fn send_all(&self, devices: std::ops::Range<u32>) -> Vec<Outcome> {
        let sends = devices.map(|device| self.send(alert(device)));
        sends.collect::<FuturesUnordered<_>>().collect().await
    }

    pub(crate) fn counters(&self) -> PoolCounters {
        self.pusher.counters().next().unwrap().1
    }

    pub(crate) fn device(&self, device: u32) -> Device {
        self.simulator.device(&token(device)).unwrap()
    }
}

pub(crate) fn token(device: u32) -> String {
    format!("fid-{device}:APA91b-{device}")
}

pub(crate) fn item(device: u32) -> NotificationId {
    NotificationId::from_bytes((u128::from(device) + 1).to_be_bytes())
}

pub(crate) fn address(text: &str, target: fn(FcmToken) -> FcmTarget) -> Arc<Address> {
    let target = target(FcmToken::new(text).unwrap());
    Arc::new(Address::Fcm { target, project: PROJECT.into() })
}

pub(crate) fn push(device: u32, body: PushBody) -> Push {
    Push {
        delivery: DeliveryId::from_bytes((u128::from(device) << 64).to_be_bytes()),
        address: address(&token(device), FcmTarget::Token),
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

#[track_caller]
pub(crate) fn assert_accepted(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
}
