//! The server as such: limits, health, reflection, request ids, stopping.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

mod tower;

use std::sync::Arc;
use std::time::Duration;

use campanile_api::{ClientError, ServeError, ServerConfig, Services, serve};
use campanile_engine::tasks::Shutdown;
use campanile_proto::v1;
use campanile_testkit::memory::SeededEntropy;
use futures::stream;
use prost::Message;
use tokio::net::TcpListener;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use tower::raw::{Arrival, Raw, flood_with_resets, frame};
use tower::{APP, Tower, USER, eventually, list, publish, soon, titled, user};

async fn channel(tower: &Tower) -> Channel {
    Channel::from_shared(format!("http://{}", tower.address)).unwrap().connect().await.unwrap()
}

fn nothing() -> Services {
    let entropy = Arc::new(SeededEntropy::new(1));
    let routes = Arc::new(Vec::new);
    Services { ingest: None, gateway: None, routes, apps: Arc::default(), entropy }
}

#[tokio::test]
async fn without_authentication_it_stays_on_loopback() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_handle, shutdown) = Shutdown::new();
    let served = serve(ServerConfig::default(), nothing(), listener, shutdown).await;
    assert!(matches!(served, Err(ServeError::Exposed(_))), "{served:?}");
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", address.port())).await.is_err());
}

#[tokio::test]
async fn it_serves_only_the_roles_it_has() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (handle, shutdown) = Shutdown::new();
    let client = async {
        let client = campanile_api::Client::connect(&format!("http://{address}")).await.unwrap();
        let refused = client.publish(publish(titled("x"))).await;
        let unimplemented = Code::Unimplemented;
        assert!(matches!(refused, Err(ClientError::Refused { code, .. }) if code == unimplemented));
        handle.begin();
    };
    let (served, ()) =
        futures::join!(serve(ServerConfig::default(), nothing(), listener, shutdown), client);
    assert!(served.is_ok(), "{served:?}");
}

#[tokio::test]
async fn a_request_has_an_id() {
    let tower = Tower::start().await;
    let raw = Raw::connect(tower.address).await;
    let body = || frame(&list(USER).encode_to_vec());
    let path = "/campanile.v1.Inbox/ListNotifications";
    let answer = raw.call(path, &[("x-request-id", "mine")], body()).await.unwrap();
    assert_eq!(
        (answer.code(), &answer.headers["x-request-id"]),
        (Code::Ok, &"mine".parse().unwrap())
    );
    let fresh = raw.call(path, &[], body()).await.unwrap().headers["x-request-id"].clone();
    let other = raw.call(path, &[], body()).await.unwrap().headers["x-request-id"].clone();
    assert_eq!(fresh.len(), 32);
    assert_ne!(fresh, other);
}

#[tokio::test]
async fn headers_are_bounded() {
    let tower = Tower::with(ServerConfig { header_bytes: 4096, ..ServerConfig::default() }).await;
    let raw = Raw::connect(tower.address).await;
    let path = "/campanile.v1.Inbox/ListNotifications";
    for (size, is_served) in [(3000, true), (4096, false)] {
        let large = "x".repeat(size);
        let body = frame(&list(USER).encode_to_vec());
        let answer = raw.call(path, &[("x-large", &large)], body).await;
        let served = answer.as_ref().is_ok_and(|answer| answer.http == 200);
        assert_eq!(served, is_served, "{size} bytes: {answer:?}");
    }
}

/// CVE-2023-44487: each reset makes room for another call, and costs the server one.
#[tokio::test]
async fn a_flood_of_resets_ends_its_own_connection() {
    let tower = Tower::start().await;
    let why = flood_with_resets(tower.address, 10_000).await;
    assert_eq!(why, Some(u32::from(h2::Reason::ENHANCE_YOUR_CALM)));
    tower.client.list_notifications(list(USER)).await.unwrap();
}

#[tokio::test]
async fn a_trace_is_recorded_with_what_it_caused() {
    let tower = Tower::start().await;
    let raw = Raw::connect(tower.address).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let named = v1::Notification { app_notification_id: Some("traced".into()), ..titled("x") };
    let body = frame(&publish(named).encode_to_vec());
    let path = "/campanile.v1.Notifications/Publish";
    let answer = raw.call(path, &[("traceparent", trace)], body).await.unwrap();
    assert_eq!(answer.code(), Code::Ok);
    let item = eventually(|| async {
        let page = tower.client.list_notifications(list(USER)).await.unwrap();
        page.items.into_iter().next()
    })
    .await;
    let notification_id = item.notification_id;
    let request = v1::GetTimelineRequest { app: APP.into(), target: user(USER), notification_id };
    let timeline = tower.client.get_timeline(request).await.unwrap();
    assert_eq!(timeline.entries[0].trace, trace);
}

#[tokio::test]
async fn running_calls_are_bounded() {
    let tower = Tower::with(ServerConfig { calls: 2, ..ServerConfig::default() }).await;
    let watch = || v1::WatchRequest { app: APP.into(), target: user(USER), cursor: String::new() };
    let mut first = tower.client.watch(watch()).await.unwrap();
    let second = tower.client.watch(watch()).await.unwrap();
    soon(first.message()).await.unwrap();
    let refused = tower.client.list_notifications(list(USER)).await;
    match refused {
        Err(ClientError::Refused { code, kind, retry_after, .. }) => {
            assert_eq!((code, kind.as_str()), (Code::Unavailable, "OVERLOADED"));
            assert!(retry_after.is_some());
        }
        other => panic!("{other:?}"),
    }
    drop(second);
    eventually(|| async { tower.client.list_notifications(list(USER)).await.ok() }).await;
}

#[tokio::test]
async fn a_message_that_does_not_come_is_not_waited_for() {
    let arrive_within = Duration::from_millis(200);
    let tower = Tower::with(ServerConfig { arrive_within, ..ServerConfig::default() }).await;
    let raw = Raw::connect(tower.address).await;
    let whole = frame(&v1::PublishRequest::default().encode_to_vec());
    let path = "/campanile.v1.Notifications/Publish";
    // Nothing, a part of it, and all of it without an end.
    let beginnings = [Vec::new(), vec![0, 0], whole.clone()];
    for beginning in beginnings {
        let answer = raw.call_as(path, &[], beginning, Arrival::Endless).await.unwrap();
        assert_eq!(answer.code(), Code::DeadlineExceeded, "{answer:?}");
    }
    let stream = "/campanile.v1.Notifications/PublishStream";
    let quiet = raw.call_as(stream, &[], Vec::new(), Arrival::Endless);
    let quiet = tokio::time::timeout(5 * arrive_within, quiet).await;
    assert!(quiet.is_err(), "a stream may be quiet: {quiet:?}");
    assert_eq!(raw.call(path, &[], whole).await.unwrap().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn streams_of_a_user_are_bounded() {
    let tower = Tower::start().await;
    let watch =
        |who| v1::WatchRequest { app: APP.into(), target: user(who), cursor: String::new() };
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = tower.client.watch(watch(USER)).await.unwrap();
        soon(stream.message()).await.unwrap();
        streams.push(stream);
    }
    match tower.client.watch(watch(USER)).await {
        Err(ClientError::Refused { code, .. }) => assert_eq!(code, Code::ResourceExhausted),
        other => panic!("{:?}", other.map(drop)),
    }
    tower.client.watch(watch("somebody.else")).await.unwrap();
    streams.pop();
    eventually(|| async { tower.client.watch(watch(USER)).await.ok() }).await;
}

#[tokio::test]
async fn further_connections_wait_until_one_closes() {
    let tower = Tower::with(ServerConfig { connections: 2, ..ServerConfig::default() }).await;
    let second = channel(&tower).await;
    let mut health = HealthClient::new(second);
    health.check(HealthCheckRequest::default()).await.unwrap();
    let address = format!("http://{}", tower.address);
    let third = Channel::from_shared(address).unwrap().connect_lazy();
    let mut waiting = HealthClient::new(third);
    let mut answer = std::pin::pin!(waiting.check(HealthCheckRequest::default()));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut answer).await;
    assert!(early.is_err(), "a third connection was served: {early:?}");
    drop(health);
    soon(answer).await.unwrap();
}

#[tokio::test]
async fn health_follows_the_server() {
    let tower = Tower::start().await;
    let mut health = HealthClient::new(channel(&tower).await);
    for service in ["", "campanile.v1.Notifications", "campanile.v1.Inbox"] {
        let request = HealthCheckRequest { service: service.into() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let request = HealthCheckRequest::default();
    let mut watch = health.watch(request).await.unwrap().into_inner();
    assert_eq!(soon(watch.message()).await.unwrap().unwrap().status(), ServingStatus::Serving);
    tower.shutdown.begin();
    // It may be let go before it is told; either way it does not hold up the draining.
    while let Ok(Some(_)) = soon(watch.message()).await {}
    assert!(soon(tower.server.join()).await.unwrap().is_ok(), "it drained");
}

#[tokio::test]
async fn reflection_describes_the_public_api_alone() {
    let tower = Tower::start().await;
    let mut client = ServerReflectionClient::new(channel(&tower).await);
    let ask = |message_request| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let questions = vec![
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("campanile.v1.Notifications".into())),
        ask(MessageRequest::FileContainingSymbol("campanile.v1.Envelope".into())),
    ];
    let mut answers =
        client.server_reflection_info(stream::iter(questions)).await.unwrap().into_inner();
    let services = soon(answers.message()).await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(services)) = services else { panic!() };
    let names: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
    for service in ["Notifications", "Endpoints", "Inbox", "History", "Operations"] {
        assert!(names.contains(&format!("campanile.v1.{service}")), "{names:?}");
    }
    let found = soon(answers.message()).await.unwrap().unwrap().message_response;
    assert!(matches!(found, Some(MessageResponse::FileDescriptorResponse(_))));
    let stored = soon(answers.message()).await;
    let is_hidden = match stored {
        Err(status) => status.code() == Code::NotFound,
        Ok(answer) => {
            matches!(answer.unwrap().message_response, Some(MessageResponse::ErrorResponse(_)))
        }
    };
    assert!(is_hidden, "the stored format is nobody's interface");
}

#[tokio::test]
async fn a_watch_is_told_that_the_server_stops() {
    let tower = Tower::start().await;
    let request = v1::WatchRequest { app: APP.into(), target: user(USER), cursor: String::new() };
    let mut watch = tower.client.watch(request).await.unwrap();
    soon(watch.message()).await.unwrap();
    tower.shutdown.begin();
    assert_eq!(soon(watch.message()).await.unwrap_err().code(), Code::Unavailable);
    assert!(soon(tower.server.join()).await.unwrap().is_ok(), "it drained");
}

#[tokio::test]
async fn draining_has_an_end() {
    let drain = Duration::from_millis(100);
    let tower = Tower::with(ServerConfig { drain, ..ServerConfig::default() }).await;
    // A reflection stream that its client keeps open, which nobody tells to end.
    let mut client = ServerReflectionClient::new(channel(&tower).await);
    let mut open = client.server_reflection_info(stream::pending()).await.unwrap().into_inner();
    tower.shutdown.begin();
    let ended = soon(tower.server.join()).await.unwrap();
    assert!(matches!(ended, Err(ServeError::NotDrained(_))), "{ended:?}");
    drop(open.message());
}
