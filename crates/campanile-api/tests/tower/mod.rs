//! A running server: the real roles on adapters in memory, behind a socket on loopback.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code; every test uses a part"
)]

pub(crate) mod raw;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use campanile_api::{Client, ServeError, ServerConfig, Services, serve};
use campanile_core::port::{EventLog, GroupName, LogAdmin, Projection, StartAt, Stream, Untraced};
use campanile_core::{AppId, Generation, LogIdentity, Quota, Timestamp};
use campanile_engine::edge::{Edge, Names};
use campanile_engine::gateway::Gateway;
use campanile_engine::ingest::{Ingest, Quotas};
use campanile_engine::planted::Planted;
use campanile_engine::projector::{Parts, Projector};
use campanile_engine::seal::Seal;
use campanile_engine::tasks::{Shutdown, ShutdownHandle, Task, sleep, spawn};
use campanile_engine::telemetry::Telemetry;
use campanile_proto::v1;
use campanile_testkit::memory::{ManualClock, MemoryLog, MemoryProjection, SeededEntropy};
use tokio::net::TcpListener;

pub(crate) const APP: &str = "shop";
pub(crate) const OTHER_APP: &str = "bank";
pub(crate) const USER: &str = "ada@example.org";
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// Notifications a second that a user may get.
pub(crate) const USER_RATE: u32 = 200;
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Tower {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    pub(crate) clock: ManualClock,
    pub(crate) shutdown: ShutdownHandle,
    pub(crate) server: Task<Result<(), ServeError>>,
    pub(crate) events: MemoryLog,
    pub(crate) receipts: MemoryLog,
    projectors: Vec<Task<()>>,
}

impl Tower {
    pub(crate) async fn start() -> Self {
        Self::with(ServerConfig::default()).await
    }

    pub(crate) async fn with(config: ServerConfig) -> Self {
        let clock = ManualClock::new(NOW);
        let identity = LogIdentity { id: [1; 16], generation: Generation(0), partitions: 4 };
        let events = MemoryLog::new(identity, Arc::new(clock.clone()));
        let receipts = MemoryLog::new(identity, Arc::new(clock.clone()));
        let projection: Arc<dyn Projection> = Arc::new(MemoryProjection::new(identity));
        let entropy = Arc::new(SeededEntropy::new(7));
        let telemetry = Arc::new(Telemetry::default());
        let edge = Edge {
            events: Arc::new(events.clone()),
            receipts: Arc::new(receipts.clone()),
            projection: projection.clone(),
            names: Names::new([2; 32]),
            seal: Arc::new(Seal::new(&[3; 32], entropy.clone()).unwrap()),
            clock: Arc::new(clock.clone()),
            entropy: entropy.clone(),
            telemetry: telemetry.clone(),
            tracer: Arc::new(Untraced),
        };
        let (shutdown, begun) = Shutdown::new();
        let mut projectors = Vec::new();
        for (stream, log) in [(Stream::Events, &events), (Stream::Receipts, &receipts)] {
            let group = GroupName(format!("projector-{}", stream.name()));
            log.create_group(&group, StartAt::Beginning).await.unwrap();
            let log: Arc<dyn EventLog> = Arc::new(log.clone());
            let (projection, telemetry) = (projection.clone(), telemetry.clone());
            let planted = Planted::default();
            let (carried, clock) = (None, Arc::new(clock.clone()));
            let parts =
                Parts { log, stream, projection, carried, group, clock, telemetry, planted };
            let run = Projector::new(parts).run(begun.clone());
            projectors.push(spawn(async move { run.await.unwrap() }));
        }
        let services = Services {
            ingest: Some(Arc::new(Ingest::new(
                edge.clone(),
                BTreeMap::new(),
                Quotas { user: Quota::per_second(USER_RATE), app: None },
                Planted::default(),
            ))),
            gateway: Some(Arc::new(Gateway::new(edge))),
            routes: Arc::new(Vec::new),
            apps: Arc::new([APP, OTHER_APP].map(|app| AppId::new(app).unwrap()).into()),
            entropy,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(serve(config, services, listener, begun));
        let client = Client::connect(&format!("http://{address}")).await.unwrap();
        let tower = Self { client, address, clock, shutdown, server, events, receipts, projectors };
        tower.until_built().await;
        tower
    }

    /// The projection answers once every partition is claimed.
    async fn until_built(&self) {
        for user in ["a", "b", "c", "d", "e", "f", "g", "h", USER] {
            eventually(|| async {
                self.client.list_notifications(list(user)).await.ok().map(|_| ())
            })
            .await;
        }
    }

    /// Posts a notification for [`USER`] and waits until the inbox has it.
    pub(crate) async fn post(&self, notification: v1::Notification) -> v1::PublishResponse {
        let posted = self.client.publish(publish(notification)).await.unwrap();
        self.until_listed(&posted.notification_id).await;
        posted
    }

    pub(crate) async fn until_listed(&self, id: &str) -> v1::InboxItem {
        eventually(|| async {
            let page = self.client.list_notifications(list(USER)).await.unwrap();
            page.items.into_iter().find(|item| item.notification_id == id)
        })
        .await
    }

    pub(crate) async fn register(&self, installation: &str) -> v1::RegisterEndpointResponse {
        self.client.register_endpoint(register(installation)).await.unwrap()
    }
}

/// What `event` tells, at most ten seconds from now.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.expect("it did not happen in time")
}

/// Asks again until there is an answer, at most ten seconds.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let wait = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    soon(wait).await
}

pub(crate) fn user(id: &str) -> Option<v1::Target> {
    Some(v1::Target { target: Some(v1::target::Target::UserId(id.into())) })
}

pub(crate) fn unsid(unsid: &str) -> Option<v1::Target> {
    Some(v1::Target { target: Some(v1::target::Target::Unsid(unsid.into())) })
}

pub(crate) fn titled(title: &str) -> v1::Notification {
    let visual = v1::Visual { title: title.into(), ..Default::default() };
    let content = v1::Content { visual: Some(visual), raw: None };
    v1::Notification { target: user(USER), content: Some(content), ..Default::default() }
}

pub(crate) fn publish(notification: v1::Notification) -> v1::PublishRequest {
    v1::PublishRequest { app: APP.into(), notification: Some(notification) }
}

pub(crate) fn list(id: &str) -> v1::ListNotificationsRequest {
    v1::ListNotificationsRequest { app: APP.into(), target: user(id), ..Default::default() }
}

pub(crate) fn apns(token: &str) -> Option<v1::Address> {
    let apns = v1::ApnsAddress {
        token: token.into(),
        topic: "com.example.shop".into(),
        environment: v1::Environment::Sandbox.into(),
    };
    Some(v1::Address { platform: Some(v1::address::Platform::Apns(apns)) })
}

/// The device token of an installation: no two have the same.
pub(crate) fn token(installation: &str) -> String {
    installation.bytes().take(100).map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn register(installation: &str) -> v1::RegisterEndpointRequest {
    v1::RegisterEndpointRequest {
        app: APP.into(),
        user_id: USER.into(),
        installation_id: installation.into(),
        address: apns(&token(installation)),
        ..v1::RegisterEndpointRequest::default()
    }
}
