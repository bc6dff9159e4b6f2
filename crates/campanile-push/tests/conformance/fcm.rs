//! Google.

use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use campanile_core::port::{Push, PushBody, Pusher};
use campanile_core::{
    Address, AppId, Content, DeliveryId, Environment, FcmTarget, FcmToken, NotificationId, Outcome,
    Platform, Priority, Route, Timestamp, Visual,
};
use campanile_push::fcm::{FcmConfig, FcmPusher, FcmRoute, ServiceAccount, server};
use campanile_push::{Roots, Target};
use campanile_simulate::fcm::{
    Action, Config, ErrorCode, Fate, Fault, Kind, Received, ServiceAccount as Issued, Simulator,
    When,
};
use campanile_testkit::conformance::{OpenPusher, PusherFactory, Trouble};

use crate::time::Time;
use crate::{ROOM, noticed, pool};

const PROJECT: &str = "bells-0815";
const PHONE: &str = "fid-phone:token";
/// Gets the push that proves the connection: until then the sender uses one stream.
const PROVING: &str = "fid-first:token";

struct Google;

struct Open {
    /// Taken away when it goes down.
    simulator: Mutex<Option<Simulator>>,
    pusher: FcmPusher,
}

/// The account of all tests: making its key takes long.
fn issued() -> &'static Issued {
    static ISSUED: OnceLock<Issued> = OnceLock::new();
    ISSUED.get_or_init(|| Issued::generate(PROJECT).unwrap())
}

fn route(project: &str) -> Route {
    Route {
        app: AppId::new("bells").unwrap(),
        platform: Platform::Fcm,
        environment: Environment::Production,
        credential: project.into(),
    }
}

fn address(token: &str) -> Arc<Address> {
    let target = FcmTarget::Token(FcmToken::new(token).unwrap());
    Arc::new(Address::Fcm { target, project: PROJECT.into() })
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
impl PusherFactory for Google {
    type Open = Open;

    async fn create(&self) -> Open {
        let simulator = Simulator::start(Config::default()).unwrap();
        simulator.register_account(issued().public()).unwrap();
        for token in [PHONE, PROVING] {
            simulator.register_device(PROJECT, token).unwrap();
        }
        let account = Arc::new(ServiceAccount::from_json(&issued().json()).unwrap());
        let here = |target: Target| Target {
            address: Some(simulator.addr()),
            roots: Roots::Pem(simulator.ca_pem().to_owned()),
            ..target
        };
        let (server, sign_in) = (here(server()), here(account.sign_in_server()));
        let routes = vec![FcmRoute { route: route(PROJECT), account, server, sign_in }];
        let config = FcmConfig { routes, pool: pool() };
        let pusher = FcmPusher::new(config, Arc::new(Time::Real)).unwrap();
        let slot = pusher.slot(&route(PROJECT)).await.unwrap();
        let outcome = slot.send(proving()).await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
        Open { simulator: Mutex::new(Some(simulator)), pusher }
    }
}

/// A notification is replaced by its tag; a state by a later one of the same item.
fn name(push: &Received) -> String {
    match push.kind {
        Kind::Notification => push.tag.clone().unwrap(),
        Kind::Sync | Kind::Raw => {
            push.campanile().unwrap()["items"][0]["id"].as_str().unwrap().to_owned()
        }
    }
}

#[async_trait]
impl OpenPusher for Open {
    fn pusher(&self) -> &dyn Pusher {
        &self.pusher
    }

    fn route(&self) -> Route {
        route(PROJECT)
    }

    fn route_without_credential(&self) -> Route {
        route("other")
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
        device.history().map(name).collect()
    }

    async fn go_down(&self) {
        let simulator = self.simulator.lock().unwrap().take();
        simulator.unwrap().stop().await;
        // A connection is usable until its end is noticed.
        noticed(|| self.pusher.counters().all(|(_, it)| it.connections_open == 0)).await;
    }
}

campanile_testkit::pusher_conformance!(Google);
