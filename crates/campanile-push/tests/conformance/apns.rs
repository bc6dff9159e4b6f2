//! Apple.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use campanile_core::port::{Push, PushBody, Pusher};
use campanile_core::{
    Address, ApnsToken, AppId, Content, DeliveryId, Environment, NotificationId, Outcome, Platform,
    Priority, Route, Timestamp, Visual,
};
use campanile_push::apns::{ApnsConfig, ApnsKey, ApnsPusher, ApnsRoute, server};
use campanile_push::{Roots, Target};
use campanile_simulate::apns::{Action, Config, ErrorCode, Fate, Fault, Simulator, When};
use campanile_testkit::conformance::{OpenPusher, PusherFactory, Trouble};

use crate::time::Time;
use crate::{ROOM, noticed, pool};

const TEAM: &str = "TEAM000001";
const KEY: &str = "KEY0000001";
const TOPIC: &str = "org.example.app";
const PHONE: &str = "00ff";
/// Gets the push that proves the connection: until then Apple allows one stream.
const PROVING: &str = "aa11";

struct Apple;

struct Open {
    /// Taken away when it goes down.
    simulator: Mutex<Option<Simulator>>,
    pusher: ApnsPusher,
}

fn route(topic: &str) -> Route {
    Route {
        app: AppId::new("bells").unwrap(),
        platform: Platform::Apns,
        environment: Environment::Production,
        credential: topic.into(),
    }
}

fn address(token: &str) -> Arc<Address> {
    let token = ApnsToken::new(token).unwrap();
    let environment = Environment::Production;
    Arc::new(Address::Apns { token, topic: TOPIC.into(), environment })
}

fn proving() -> Push {
    let visual = Some(Visual { title: "first".to_owned(), ..Visual::default() });
    let content = Arc::new(Content { visual, raw: None });
    Push {
        delivery: DeliveryId::from_bytes([9; 16]),
        address: address(PROVING),
        item: NotificationId::from_bytes([9; 16]),
        sequence: 0,
        priority: Priority::High,
        expires_at: Timestamp::from_millis(4_102_444_800_000),
        body: PushBody::Show { content, group: None },
        along: Vec::new(),
    }
}

#[async_trait]
impl PusherFactory for Apple {
    type Open = Open;

    async fn create(&self) -> Open {
        let simulator = Simulator::start(Config::default()).unwrap();
        let key = simulator.generate_key(TEAM, KEY).unwrap();
        simulator.register_topic(TEAM, TOPIC);
        let environment = campanile_simulate::apns::Environment::Production;
        for token in [PHONE, PROVING] {
            simulator.register_device(token, TOPIC, environment).unwrap();
        }
        let key = Arc::new(ApnsKey::new(TEAM, KEY, &key.private_pem()).unwrap());
        let server = Target {
            address: Some(simulator.addr()),
            roots: Roots::Pem(simulator.ca_pem().to_owned()),
            ..server(Environment::Production)
        };
        let routes = vec![ApnsRoute { route: route(TOPIC), key, server }];
        let config = ApnsConfig { routes, pool: pool() };
        let pusher = ApnsPusher::new(config, Arc::new(Time::Real)).unwrap();
        let slot = pusher.slot(&route(TOPIC)).await.unwrap();
        let outcome = slot.send(proving()).await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
        Open { simulator: Mutex::new(Some(simulator)), pusher }
    }
}

#[async_trait]
impl OpenPusher for Open {
    fn pusher(&self) -> &dyn Pusher {
        &self.pusher
    }

    fn route(&self) -> Route {
        route(TOPIC)
    }

    fn route_without_credential(&self) -> Route {
        route("org.example.other")
    }

    fn address(&self) -> Arc<Address> {
        address(PHONE)
    }

    fn room(&self) -> usize {
        ROOM
    }

    async fn trouble(&self, next: Trouble) {
        let action = match next {
            Trouble::Refuse => Action::Reset(ErrorCode::REFUSED_STREAM, Fate::Lost),
            Trouble::Cut => Action::Disconnect(Fate::Taken),
            Trouble::Silence => Action::Stall(Fate::Taken),
        };
        let simulator = self.simulator.lock().unwrap();
        simulator.as_ref().unwrap().inject(Fault::new(action, When::Next(1)));
    }

    async fn taken(&self) -> Vec<String> {
        let simulator = self.simulator.lock().unwrap();
        let device = simulator.as_ref().unwrap().device(PHONE).unwrap();
        device.history().map(|push| push.collapse_id.clone().unwrap()).collect()
    }

    async fn go_down(&self) {
        let simulator = self.simulator.lock().unwrap().take();
        simulator.unwrap().stop().await;
        // A connection is usable until its end is noticed.
        noticed(|| self.pusher.counters().all(|(_, it)| it.connections_open == 0)).await;
    }
}

campanile_testkit::pusher_conformance!(Apple);
