//! What the parts do alone, in the same run on the same machine.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use campanile_core::port::{Clock, Push, PushBody, Pusher};
use campanile_core::{
    Address, ApnsToken, AppId, Content, DeliveryId, EndpointId, Environment, NotificationId,
    Offset, Outcome, Platform, Priority, Route, Tick, Timestamp, Visual,
};
use campanile_push::apns::{ApnsConfig, ApnsKey, ApnsPusher, ApnsRoute};
use campanile_push::{PoolConfig, Roots, Target};
use futures::{StreamExt, stream};

use super::load::BATCH;
use super::tower::{APP, KEY, TEAM, TOPIC, Tower, token};
use super::{ENDPOINTS, USERS};

/// About what one notification of the load takes in the log.
const RECORD: usize = 320;
/// Pushes the client alone keeps in flight.
const IN_FLIGHT: usize = 4000;

/// Notifications per second, if appending were nothing but a write and a sync of the same bytes.
pub(crate) fn raw_append(count: usize) -> f64 {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut file: &File = file.as_file();
    let batch = vec![b'x'; RECORD * BATCH];
    let started = Instant::now();
    for _ in 0..count / BATCH {
        file.write_all(&batch).expect("a write");
        file.sync_data().expect("a sync");
    }
    count as f64 / started.elapsed().as_secs_f64()
}

/// Acknowledged pushes per second of the push client, without an engine around it.
pub(crate) async fn push_client(tower: &Tower, count: usize) -> f64 {
    let pusher = pusher(tower);
    let route = route();
    let started = Instant::now();
    let outcomes = stream::iter(0..count).map(|number| {
        let (pusher, route) = (&pusher, &route);
        async move {
            let slot = pusher.slot(route).await.expect("room");
            slot.send(push(number)).await
        }
    });
    let taken = outcomes
        .buffer_unordered(IN_FLIGHT)
        .filter(|outcome| std::future::ready(matches!(outcome, Outcome::Accepted { .. })))
        .count()
        .await;
    assert_eq!(taken, count, "every push is accepted");
    count as f64 / started.elapsed().as_secs_f64()
}

fn pusher(tower: &Tower) -> ApnsPusher {
    let key = ApnsKey::new(TEAM, KEY, &tower.key.private_pem()).expect("a key");
    let server = Target {
        address: Some(tower.simulator.addr()),
        roots: Roots::Pem(tower.simulator.ca_pem().to_owned()),
        ..Target::public("api.push.apple.com")
    };
    let routes = vec![ApnsRoute { route: route(), key: Arc::new(key), server }];
    let config = ApnsConfig { routes, pool: PoolConfig::default() };
    ApnsPusher::new(config, Arc::new(Wall(Instant::now()))).expect("a pusher")
}

fn route() -> Route {
    Route {
        app: AppId::new(APP).expect("an app id"),
        platform: Platform::Apns,
        environment: Environment::Production,
        credential: TOPIC.into(),
    }
}

fn push(number: usize) -> Push {
    let (user, endpoint) = (number / ENDPOINTS % USERS, number % ENDPOINTS);
    let mut id = [0; 16];
    id.iter_mut().zip((number as u64).to_be_bytes()).for_each(|(to, from)| *to = from);
    let item = NotificationId::from_bytes(id);
    let visual = Visual {
        title: "Order ready".to_owned(),
        body: Some("x".repeat(150)),
        ..Visual::default()
    };
    let content = Arc::new(Content { visual: Some(visual), raw: None });
    let address = Address::Apns {
        token: ApnsToken::new(&token(user, endpoint)).expect("a token"),
        topic: TOPIC.into(),
        environment: Environment::Production,
    };
    Push {
        delivery: DeliveryId::new(
            item,
            Offset(number as u64),
            EndpointId::from_bytes([endpoint as u8; 16]),
        ),
        address: Arc::new(address),
        item,
        sequence: number as u64,
        priority: Priority::High,
        expires_at: Wall(Instant::now()).now().after(Duration::from_secs(86_400)),
        body: PushBody::Show { content, group: None },
        along: Vec::new(),
    }
}

/// The machine's clock.
struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or_default())
    }

    fn tick(&self) -> Tick {
        Tick::from_start(self.0.elapsed())
    }
}
