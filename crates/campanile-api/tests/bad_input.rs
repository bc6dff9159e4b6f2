//! What is wrong is refused over a real socket, with the code it should have and the field at
//! fault, and never as a mistake of the server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

mod tower;

use campanile_api::ClientError;
use campanile_proto::rpc::{BadRequest, ErrorInfo};
use campanile_proto::v1;
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::Code;

use tower::raw::{Raw, frame, framed};
use tower::{APP, OTHER_APP, Tower, USER, apns, list, publish, register, titled, unsid, user};

const PUBLISH: &str = "/campanile.v1.Notifications/Publish";

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, ClientError>, code: Code, field: Option<&str>) {
    match answer {
        Err(ClientError::Refused { code: found, field: at, message, kind, .. }) => {
            assert_eq!((found, at.as_deref()), (code, field), "{message}");
            assert!(!kind.is_empty(), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn invalid<T: std::fmt::Debug>(answer: Result<T, ClientError>, field: &str) {
    refused(answer, Code::InvalidArgument, Some(field));
}

#[tokio::test]
async fn frames_and_messages_that_are_none() {
    let tower = Tower::start().await;
    let raw = Raw::connect(tower.address).await;
    let good = publish(titled("x")).encode_to_vec();
    let cut = &good[..good.len() - 3];
    let bad_text = b"\x0a\x02\xff\xfe".as_slice();
    let cases: [(&str, Vec<u8>, Code); 8] = [
        ("no message", Vec::new(), Code::InvalidArgument),
        ("zero-length message", frame(b""), Code::InvalidArgument),
        ("message cut mid-field", frame(cut), Code::InvalidArgument),
        ("frame cut", framed(0, good.len(), cut), Code::InvalidArgument),
        ("frame header cut", vec![0, 0], Code::InvalidArgument),
        ("bad compression flag", framed(2, good.len(), &good), Code::InvalidArgument),
        ("text that is not UTF-8", frame(bad_text), Code::InvalidArgument),
        ("too large", framed(0, (1 << 20) + 1, b""), Code::ResourceExhausted),
    ];
    for (name, body, code) in cases {
        let answer = raw.call(PUBLISH, &[], body).await.unwrap();
        assert_eq!(answer.code(), code, "{name}: {answer:?}");
        assert!(answer.details().detail::<ErrorInfo>().is_some(), "{name}");
    }
    let answer = raw.call(PUBLISH, &[], frame(&good)).await.unwrap();
    assert_eq!(answer.code(), Code::Ok, "the good one: {answer:?}");
}

#[tokio::test]
async fn headers_that_ask_for_what_there_is_not() {
    let tower = Tower::start().await;
    let raw = Raw::connect(tower.address).await;
    let good = || frame(&publish(titled("x")).encode_to_vec());
    let json = raw.call(PUBLISH, &[("content-type", "application/json")], good()).await.unwrap();
    assert_eq!(json.http, 415);
    for encoding in ["gzip", "deflate", "x-unknown"] {
        let answer = raw.call(PUBLISH, &[("grpc-encoding", encoding)], good()).await.unwrap();
        assert_eq!(answer.code(), Code::Unimplemented, "{encoding}");
    }
    let answer = raw.call("/campanile.v1.Notifications/Nothing", &[], good()).await.unwrap();
    assert_eq!(answer.code(), Code::Unimplemented);
    let answer = raw.call("/nowhere.Service/Nothing", &[], good()).await.unwrap();
    assert_eq!(answer.code(), Code::Unimplemented);
    for (timeout, code) in [
        ("abc", Code::InvalidArgument),
        ("5", Code::InvalidArgument),
        ("0n", Code::DeadlineExceeded),
        ("1n", Code::DeadlineExceeded),
        ("99999999H", Code::Ok),
    ] {
        let answer = raw.call(PUBLISH, &[("grpc-timeout", timeout)], good()).await.unwrap();
        assert_eq!(answer.code(), code, "{timeout}");
    }
}

#[tokio::test]
async fn notifications_that_break_the_rules() {
    let tower = Tower::start().await;
    let with = |change: fn(&mut v1::Notification)| {
        let mut notification = titled("x");
        change(&mut notification);
        notification
    };
    let title = |title: &str| titled(title);
    let end = v1::notification::End::TtlSeconds;
    let seconds = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
    let at = |at| v1::notification::End::ExpiresAt(seconds(at));
    let ends = |end| v1::Notification { end: Some(end), ..titled("x") };
    let target = |id: &str| v1::Notification { target: user(id), ..titled("x") };
    let long = "u".repeat(513);
    let cases: Vec<(v1::Notification, &str)> = vec![
        (with(|n| n.content = None), "content"),
        (title(""), "content.visual.title"),
        (title(&"t".repeat(257)), "content.visual.title"),
        (title("a\0b"), "content.visual.title"),
        (title("\u{85}"), "content.visual.title"),
        (title("\u{202e}evil"), "content.visual.title"),
        (with(|n| n.content.as_mut().unwrap().raw = Some(vec![0; 4097].into())), "content.raw"),
        (ends(end(0)), "ttl_seconds"),
        (ends(end(-1)), "ttl_seconds"),
        (ends(end(30 * 86_400 + 1)), "ttl_seconds"),
        (ends(at(1_799_999_999)), "expires_at"),
        (ends(at(253_370_764_800)), "expires_at"),
        (with(|n| n.deliver_within_seconds = Some(0)), "deliver_within_seconds"),
        (with(|n| n.priority = 9), "priority"),
        (with(|n| n.platforms = vec![77]), "platforms"),
        (with(|n| n.target = None), "target"),
        (target(""), "target.user_id"),
        (target(&long), "target.user_id"),
        (target("../"), "target.user_id"),
        (target("*"), "target.user_id"),
        (target("{p1}"), "target.user_id"),
        (target("a\r\nb"), "target.user_id"),
        (with(|n| n.target = unsid("made-up")), "unsid"),
        (with(|n| n.idempotency_key = Some(String::new())), "idempotency_key"),
        (with(|n| n.idempotency_key = Some("k".repeat(256))), "idempotency_key"),
        (with(|n| n.app_notification_id = Some("a\nb".into())), "app_notification_id"),
        (with(|n| n.group = Some("g".repeat(256))), "group"),
    ];
    for (notification, field) in cases {
        invalid(tower.client.publish(publish(notification)).await, field);
    }
    let nothing = v1::PublishRequest { app: APP.into(), notification: None };
    invalid(tower.client.publish(nothing).await, "notification");
}

#[tokio::test]
async fn calls_for_an_app_that_is_none_or_is_unknown() {
    let tower = Tower::start().await;
    let raw = Raw::connect(tower.address).await;
    let apps = [
        ("", Code::InvalidArgument),
        ("No App", Code::InvalidArgument),
        ("nobody", Code::NotFound),
    ];
    for method in methods() {
        for (app, code) in apps {
            // In every request the app is the first field, and it is looked at first.
            let request = v1::WatchRequest { app: app.into(), ..Default::default() };
            let body = frame(&request.encode_to_vec());
            let answer = raw.call(&method, &[], body).await.unwrap();
            assert_eq!(answer.code(), code, "{method} for {app:?}: {answer:?}");
            let bad = answer.details().detail::<BadRequest>().unwrap();
            assert_eq!(bad.field_violations[0].field, "app", "{method} for {app:?}");
        }
    }
}

#[tokio::test]
async fn a_key_used_for_something_else() {
    let tower = Tower::start().await;
    let keyed = |title: &str| v1::Notification {
        idempotency_key: Some("order-42".into()),
        ..titled(title)
    };
    let first = tower.client.publish(publish(keyed("one"))).await.unwrap();
    let again = tower.client.publish(publish(keyed("one"))).await.unwrap();
    assert!(again.repeated && !first.repeated);
    assert_eq!((again.notification_id, again.position), (first.notification_id, first.position));
    let other = tower.client.publish(publish(keyed("two"))).await;
    refused(other, Code::AlreadyExists, Some("idempotency_key"));
}

#[tokio::test]
async fn endpoints_that_break_the_rules() {
    let tower = Tower::start().await;
    let client = &tower.client;
    for token in ["", "zz", "abc", &"a".repeat(513)] {
        let request = v1::RegisterEndpointRequest { address: apns(token), ..register("phone") };
        invalid(client.register_endpoint(request).await, "address.apns.token");
    }
    let request = v1::RegisterEndpointRequest { address: None, ..register("phone") };
    invalid(client.register_endpoint(request).await, "address");
    invalid(client.register_endpoint(register("")).await, "installation_id");
    let request = v1::RegisterEndpointRequest { lease_seconds: Some(-1), ..register("phone") };
    invalid(client.register_endpoint(request).await, "lease_seconds");
    let request = v1::RegisterEndpointRequest { push_style: 4, ..register("phone") };
    invalid(client.register_endpoint(request).await, "push_style");
    let app = || APP.to_owned();
    let request =
        v1::RenewEndpointRequest { app: app(), unsid: "made-up".into(), lease_seconds: None };
    invalid(client.renew_endpoint(request).await, "unsid");
    let request = v1::RetireEndpointRequest { app: app(), endpoint: None };
    invalid(client.retire_endpoint(request).await, "endpoint");

    let mine = tower.register("phone").await.unsid;
    let foreign =
        v1::RenewEndpointRequest { app: OTHER_APP.into(), unsid: mine, lease_seconds: None };
    invalid(client.renew_endpoint(foreign).await, "unsid");
    for more in 1..20 {
        tower.register(&format!("device-{more}")).await;
    }
    tower::eventually(|| async {
        let request = v1::ListEndpointsRequest { app: app(), target: user(USER) };
        let known = client.list_endpoints(request).await.unwrap().endpoints.len();
        (known == 20).then_some(())
    })
    .await;
    let another = client.register_endpoint(register("device-20")).await;
    refused(another, Code::ResourceExhausted, None);
}

#[tokio::test]
async fn reads_that_break_the_rules() {
    let tower = Tower::start().await;
    let client = &tower.client;
    for size in [0, -1, 501, 1_000_000_000] {
        let request = v1::ListNotificationsRequest { page_size: Some(size), ..list(USER) };
        invalid(client.list_notifications(request).await, "page_size");
        let request = v1::SyncRequest { limit: Some(size), ..sync("") };
        invalid(client.sync(request).await, "limit");
    }
    let request = v1::ListNotificationsRequest { page_token: "made-up".into(), ..list(USER) };
    invalid(client.list_notifications(request).await, "page_token");
    let cursor = client.sync(sync("")).await.unwrap().cursor;
    let mut tampered = cursor.clone().into_bytes();
    tampered[20] = if tampered[20] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    invalid(client.sync(sync(&tampered)).await, "cursor");
    let other = v1::SyncRequest { target: user("bob"), ..sync(&cursor) };
    invalid(client.sync(other).await, "cursor");
    let filter = v1::ItemFilter { actions: vec![99], ..Default::default() };
    let request = v1::ListNotificationsRequest { filter: Some(filter), ..list(USER) };
    invalid(client.list_notifications(request).await, "filter.actions");

    let posted = tower.post(titled("x")).await.notification_id;
    let timeline = |id: &str| v1::GetTimelineRequest {
        app: APP.into(),
        target: user(USER),
        notification_id: id.into(),
    };
    invalid(client.get_timeline(timeline("42")).await, "notification_id");
    let random = format!("{}{}", &posted[..4], "0".repeat(28));
    refused(client.get_timeline(timeline(&random)).await, Code::NotFound, None);
    let elsewhere =
        format!("{:04x}{}", !u16::from_str_radix(&posted[..4], 16).unwrap(), &posted[4..]);
    refused(client.get_timeline(timeline(&elsewhere)).await, Code::NotFound, None);

    let outcomes = |id: &str| v1::GetOutcomesRequest {
        app: APP.into(),
        target: user(USER),
        notification_id: id.into(),
    };
    invalid(client.get_outcomes(outcomes("42")).await, "notification_id");
    refused(client.get_outcomes(outcomes(&random)).await, Code::NotFound, None);
    refused(client.get_outcomes(outcomes(&elsewhere)).await, Code::NotFound, None);
    let explain = |id: &str, endpoint: &str| v1::ExplainRequest {
        app: APP.into(),
        target: user(USER),
        notification_id: id.into(),
        endpoint_id: endpoint.into(),
    };
    invalid(client.explain(explain("42", "")).await, "notification_id");
    invalid(client.explain(explain(&posted, "phone")).await, "endpoint_id");
    let nobody = "0".repeat(32);
    refused(client.explain(explain(&posted, &nobody)).await, Code::NotFound, None);
    refused(client.explain(explain(&random, "")).await, Code::NotFound, None);
    refused(client.explain(explain(&elsewhere, "")).await, Code::NotFound, None);
    let targetless = v1::ExplainRequest { target: None, ..explain(&posted, "") };
    invalid(client.explain(targetless).await, "target");

    let state_at = |at| v1::GetStateAtRequest {
        app: APP.into(),
        target: user(USER),
        notification_id: posted.clone(),
        at,
    };
    invalid(client.get_state_at(state_at(None)).await, "at");
    let future = prost_types::Timestamp { seconds: 1_800_000_001, nanos: 0 };
    refused(client.get_state_at(state_at(Some(future))).await, Code::OutOfRange, Some("at"));
}

#[tokio::test]
async fn a_dismissal_of_everything_needs_a_cursor_of_its_user() {
    let tower = Tower::start().await;
    let client = &tower.client;
    let all = |cursor: &str| v1::DismissAllRequest {
        app: APP.into(),
        target: user(USER),
        cursor: cursor.into(),
    };
    for cursor in ["", "made-up"] {
        invalid(client.dismiss_all(all(cursor)).await, "cursor");
    }
    let cursor = client.sync(sync("")).await.unwrap().cursor;
    let other = v1::DismissAllRequest { target: user("bob"), ..all(&cursor) };
    invalid(client.dismiss_all(other).await, "cursor");
    client.dismiss_all(all(&cursor)).await.unwrap();
}

#[tokio::test]
async fn batches_answer_for_each_entry_or_are_refused_whole() {
    let tower = Tower::start().await;
    let client = &tower.client;
    let posted = tower.post(titled("x")).await.notification_id;
    let request = |updates| v1::UpdateStateRequest { app: APP.into(), target: user(USER), updates };
    for size in [0, 501] {
        let updates = vec![dismiss(&posted); size];
        invalid(client.update_state(request(updates)).await, "updates");
    }
    let unknown = format!("{}{}", &posted[..4], "0".repeat(28));
    let nothing = v1::StateUpdate { action: None, ..dismiss(&posted) };
    let odd = v1::StateUpdate { action: Some(99), ..dismiss(&posted) };
    let updates =
        vec![dismiss(&posted), dismiss("42"), dismiss(&posted), nothing, odd, dismiss(&unknown)];
    let results = client.update_state(request(updates)).await.unwrap().results;
    let codes: Vec<_> = results.iter().map(code).collect();
    let wrong = Code::InvalidArgument;
    assert_eq!(codes, [Code::Ok, wrong, Code::Ok, wrong, wrong, Code::Ok]);
    assert_eq!(failure(&results[1]).field, "notification_id");
    assert_eq!(failure(&results[3]).field, "read");
    assert_eq!(failure(&results[4]).field, "action");

    let delete = |notification_ids| v1::DeleteNotificationsRequest {
        app: APP.into(),
        target: user(USER),
        notification_ids,
    };
    invalid(client.delete_notifications(delete(Vec::new())).await, "notification_ids");
    let results = client.delete_notifications(delete(vec!["42".into(), posted])).await.unwrap();
    let codes: Vec<_> = results.results.iter().map(code).collect();
    assert_eq!(codes, [wrong, Code::Ok]);
}

#[tokio::test]
async fn errors_say_what_is_wrong_but_not_what_was_sent() {
    let tower = Tower::start().await;
    let raw = Raw::connect(tower.address).await;
    let request = publish(v1::Notification { target: user("<secret>"), ..titled("x") });
    let body = frame(&request.encode_to_vec());
    let answer = raw.call(PUBLISH, &[("x-request-id", "abc-1")], body).await.unwrap();
    assert_eq!(answer.headers["x-request-id"], "abc-1");
    let message = answer.status.as_ref().unwrap().message();
    assert!(message.starts_with("INVALID: target.user_id: "), "{message}");
    assert!(!message.contains("secret"), "{message}");
    let details = answer.details();
    let bad = details.detail::<BadRequest>().unwrap();
    assert_eq!(bad.field_violations[0].field, "target.user_id");
    assert_eq!(details.detail::<ErrorInfo>().unwrap().reason, "INVALID");
}

/// The path of every method of the API.
fn methods() -> Vec<String> {
    let files = FileDescriptorSet::decode(campanile_proto::DESCRIPTORS).unwrap().file;
    let services = files.iter().filter(|file| file.package() == "campanile.v1");
    let services: Vec<_> = services.flat_map(|file| &file.service).collect();
    let methods = services.iter().flat_map(|service| {
        let path = |name| format!("/campanile.v1.{}/{name}", service.name());
        service.method.iter().map(move |method| path(method.name()))
    });
    let methods: Vec<_> = methods.collect();
    assert!(methods.contains(&PUBLISH.to_owned()), "{methods:?}");
    methods
}

fn sync(cursor: &str) -> v1::SyncRequest {
    v1::SyncRequest { app: APP.into(), target: user(USER), cursor: cursor.into(), limit: None }
}

fn dismiss(id: &str) -> v1::StateUpdate {
    v1::StateUpdate {
        notification_id: id.into(),
        action: Some(v1::UserAction::Dismissed.into()),
        ..Default::default()
    }
}

fn failure(result: &v1::ItemResult) -> v1::Failure {
    match &result.result {
        Some(v1::item_result::Result::Failure(failure)) => failure.clone(),
        other => panic!("{other:?}"),
    }
}

fn code(result: &v1::ItemResult) -> Code {
    match &result.result {
        Some(v1::item_result::Result::Failure(failure)) => Code::from(failure.code),
        Some(v1::item_result::Result::Recorded(_)) => Code::Ok,
        None => panic!("no result"),
    }
}
