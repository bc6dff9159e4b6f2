//! One trace from the request to the platform's answer, at a collector that speaks OTLP.

use std::time::Duration;

use campanile_engine::tasks::{Task, spawn};
use campanile_proto::v1;
use campanile_proto::v1::notifications_client::NotificationsClient;
use campanile_simulate::apns::{Action, Fault, Reason, Rejection, When};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use crate::calls::{dismiss, notification, publish, register, settled, unsid};
use crate::process::{SOON, Server};
use crate::tower::{APP, Tower};

const TOKEN: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";
const OTHER: &str = "beef0000beef0000beef0000beef0000beef0000beef0000beef0000beef0000";
const TITLE: &str = "Your test result is positive";
/// As a caller sends it, who records the trace.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Takes what is sent to it.
struct Collector(mpsc::Sender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let taken = self.0.send(request.into_inner()).await;
        taken.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// What was collected.
struct Collected {
    address: String,
    _server: Task,
    requests: mpsc::Receiver<ExportTraceServiceRequest>,
    spans: Vec<Span>,
    /// All of it as it came, to be searched.
    bytes: Vec<u8>,
}

impl Collected {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (tell, requests) = mpsc::channel(64);
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let service = TraceServiceServer::new(Collector(tell));
        let server = tonic::transport::Server::builder().add_service(service);
        let _server = spawn(async move {
            server.serve_with_incoming(incoming).await.unwrap();
        });
        Self { address, _server, requests, spans: Vec::new(), bytes: Vec::new() }
    }

    /// Waits until `count` spans have come.
    async fn wait_for(&mut self, count: usize) {
        while self.spans.len() < count {
            let next = timeout(SOON, self.requests.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("only {:#?}", self.spans)).unwrap();
            self.bytes.extend(prost::Message::encode_to_vec(&next));
            let scopes = next.resource_spans.into_iter().flat_map(|it| it.scope_spans);
            self.spans.extend(scopes.flat_map(|scope| scope.spans));
        }
    }

    /// The spans with this name, in the order they began.
    fn named(&self, name: &str) -> Vec<&Span> {
        let mut spans: Vec<_> = self.spans.iter().filter(|span| span.name == name).collect();
        spans.sort_by_key(|span| span.start_time_unix_nano);
        spans
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|it| it.key == key);
    match found.and_then(|it| it.value.as_ref()).and_then(|it| it.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{key} is {other:?} in {span:#?}"),
    }
}

fn start(tower: &Tower, collector: &str, one_in: &str) -> Server {
    let mut command = tower.command(&["serve"]);
    command.env("CAMPANILE__OBSERVE__TRACES", collector);
    command.env("CAMPANILE__OBSERVE__TRACE_ONE_IN", one_in);
    Server::start(command)
}

/// Tells Alice something, in a trace of the caller's; answers the notification's id.
async fn traced(server: &Server) -> String {
    let mut traced = NotificationsClient::connect(server.address().await).await.unwrap();
    let notification = Some(notification("alice", TITLE, None));
    let mut request = Request::new(v1::PublishRequest { app: APP.to_owned(), notification });
    let header = format!("00-{TRACE}-{CALLER}-01");
    request.metadata_mut().insert("traceparent", header.parse().unwrap());
    traced.publish(request).await.unwrap().into_inner().notification_id
}

#[tokio::test]
async fn a_trace_leads_from_the_request_to_the_platforms_answer() {
    let mut collected = Collected::start().await;
    let tower = Tower::new();
    [TOKEN, OTHER].iter().for_each(|token| tower.device(token));
    let server = start(&tower, &collected.address, "0");
    let client = server.client().await;
    let handle = register(&client, "alice", TOKEN).await.unwrap().unsid;
    register(&client, "alice", OTHER).await.unwrap();
    let trouble = Action::Reject(Reason::InternalServerError.into());
    tower.apns.inject(Fault::new(trouble, When::Next(1)));

    let id = traced(&server).await;
    settled(&client, "alice", &id, 2).await;
    // Nobody records this one.
    dismiss(&client, unsid(&handle), &id).await.unwrap();
    // A post, two deliveries, and three attempts, of which one failed.
    collected.wait_for(6).await;
    assert!(server.terminate().await.success());

    assert!(collected.spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    let [posted] = collected.named("NotificationPosted")[..] else { panic!("one post") };
    assert_eq!(hex(&posted.parent_span_id), CALLER);
    assert_eq!(text(posted, "campanile.notification_id"), id);
    let deliveries = collected.named("deliver apns");
    assert_eq!(deliveries.len(), 2);
    for delivery in &deliveries {
        assert_eq!(delivery.parent_span_id, posted.span_id);
        assert_eq!(text(delivery, "campanile.outcome"), "accepted");
        assert!(delivery.start_time_unix_nano >= posted.start_time_unix_nano);
    }
    let attempts = collected.named("push apns");
    let failed = StatusCode::Error as i32;
    let is_failed = |span: &&&Span| span.status.as_ref().is_some_and(|it| it.code == failed);
    let (bad, good): (Vec<&Span>, Vec<&Span>) =
        attempts.iter().copied().partition(|span| is_failed(&span));
    let [bad] = bad[..] else { panic!("one failed attempt in {attempts:#?}") };
    assert_eq!(text(bad, "http.response.status_code"), "500");
    assert_eq!(good.len(), 2);
    for attempt in good {
        assert!(deliveries.iter().any(|it| it.span_id == attempt.parent_span_id));
        assert_eq!(text(attempt, "campanile.provider_id").len(), 36, "Apple's id");
        assert!(attempt.end_time_unix_nano >= attempt.start_time_unix_nano);
    }
    assert_eq!(collected.spans.len(), 6, "and nothing that nobody asked for");
    for secret in [TOKEN, OTHER, TITLE, handle.as_str(), "alice"] {
        let found = collected.bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
        assert!(!found, "{secret:?} is in a trace");
    }
}

/// Apple asks to be left alone for longer than anything waits in memory.
#[tokio::test]
async fn what_is_put_off_goes_on_in_its_trace() {
    let mut collected = Collected::start().await;
    let tower = Tower::new();
    tower.device(TOKEN);
    let server = start(&tower, &collected.address, "0");
    let client = server.client().await;
    register(&client, "alice", TOKEN).await.unwrap();
    let busy = Rejection::from(Reason::TooManyRequests).retry_after(11);
    tower.apns.inject(Fault::new(Action::Reject(busy), When::Next(1)));
    let id = traced(&server).await;
    // A post, and twice a delivery and an attempt.
    collected.wait_for(5).await;
    assert_eq!(settled(&client, "alice", &id, 1).await.len(), 1);
    assert!(server.terminate().await.success());

    assert!(collected.spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    let [posted] = collected.named("NotificationPosted")[..] else { panic!("one post") };
    let [first, second] = collected.named("deliver apns")[..] else { panic!("put off once") };
    let outcomes = [first, second].map(|it| text(it, "campanile.outcome"));
    assert_eq!(outcomes, ["parked", "accepted"]);
    assert_eq!(first.parent_span_id, posted.span_id);
    assert_eq!(second.parent_span_id, first.span_id, "what follows is below what was put off");
    let ids = [first, second].map(|it| text(it, "campanile.delivery_id"));
    assert_eq!(ids[0], ids[1], "it is the same delivery");
    let [refused, taken] = collected.named("push apns")[..] else { panic!("two attempts") };
    assert_eq!(text(refused, "http.response.status_code"), "429");
    assert_eq!([&refused.parent_span_id, &taken.parent_span_id], [&first.span_id, &second.span_id]);
    assert_eq!(text(taken, "campanile.attempt"), "2");
    assert_eq!(collected.spans.len(), 5);
}

#[tokio::test]
async fn a_request_without_a_trace_begins_one_and_a_stop_sends_what_is_left() {
    let mut collected = Collected::start().await;
    let tower = Tower::new();
    tower.device(TOKEN);
    let server = start(&tower, &collected.address, "1");
    let client = server.client().await;
    register(&client, "alice", TOKEN).await.unwrap();
    let posted = publish(&client, notification("alice", TITLE, None)).await.unwrap();
    settled(&client, "alice", &posted.notification_id, 1).await;
    assert!(server.terminate().await.success());
    // A registration, the claim of its address, a post, a delivery, an attempt.
    collected.wait_for(5).await;
    let [posted] = collected.named("NotificationPosted")[..] else { panic!("one post") };
    assert!(posted.parent_span_id.is_empty());
    let [delivery] = collected.named("deliver apns")[..] else { panic!("one delivery") };
    assert_eq!((&delivery.trace_id, &delivery.parent_span_id), (&posted.trace_id, &posted.span_id));
}

#[tokio::test]
async fn a_collector_that_is_away_delays_nobody() {
    let tower = Tower::new();
    tower.device(TOKEN);
    // Nobody listens on the discard port.
    let server = start(&tower, "http://127.0.0.1:9", "1");
    let client = server.client().await;
    register(&client, "alice", TOKEN).await.unwrap();
    let posted = publish(&client, notification("alice", TITLE, None)).await.unwrap();
    settled(&client, "alice", &posted.notification_id, 1).await;
    let log = timeout(Duration::from_secs(20), server.log_with("takes no traces")).await.unwrap();
    assert!(log.contains("Unavailable"), "{log}");
    assert!(server.terminate().await.success());
}
