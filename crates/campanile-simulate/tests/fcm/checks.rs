//! One row per check: a valid message with one thing changed, and the documented answer.

use serde_json::{Value, json};

use campanile_simulate::fcm::{Config, Quotas};

use super::fixture::{
    Fixture, GONE, NOW, OTHERS, PHONE, PHONE_ID, PROJECT, accounts, alert, data, refusal, send,
};

/// What FCM itself refuses: an `FcmError`, and perhaps a field that is to blame.
fn invalid(field: &str) -> (u16, &'static str, Option<&'static str>, Vec<&str>) {
    (400, "INVALID_ARGUMENT", Some("INVALID_ARGUMENT"), vec![field])
}

/// What the JSON reader before FCM refuses.
fn unreadable(field: &str) -> (u16, &'static str, Option<&'static str>, Vec<&str>) {
    (400, "INVALID_ARGUMENT", None, vec![field])
}

type Row<'a> = (&'a str, Value, (u16, &'static str, Option<&'static str>, Vec<&'a str>));

async fn check(fixture: &Fixture, rows: Vec<Row<'_>>) {
    let bearer = fixture.bearer(&accounts()[0]).await;
    let mut client = fixture.connect().await;
    let mut wrong = Vec::new();
    for (name, message, (status, word, code, fields)) in rows {
        let answer = client.push(&send(&bearer, message)).await.unwrap();
        let expected = (
            status,
            word.to_owned(),
            code.map(str::to_owned),
            fields.into_iter().map(str::to_owned).collect(),
        );
        let got = refusal(&answer);
        if got != expected {
            wrong.push(format!("{name}: expected {expected:?}, got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A valid message with something put in its place.
fn with(pointer: &str, value: Value) -> Value {
    let mut message = alert("t");
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let at = message.pointer_mut(parent).unwrap();
    at[name] = value;
    message
}

fn to(target: Value) -> Value {
    let mut message = alert("t");
    message.as_object_mut().unwrap().remove("token");
    message.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
    message
}

#[tokio::test]
async fn valid_messages_are_accepted() {
    let fixture = Fixture::start();
    let accepted = || (200, "", None, vec![]);
    let snake = json!({ "token": PHONE, "android": {
        "collapse_key": "k",
        "direct_boot_ok": true,
        "notification": { "tag": "t", "notification_count": "3", "title_loc_args": ["a"] },
    }});
    let rows = vec![
        ("alert", alert("t"), accepted()),
        ("data", data(&json!({ "x": 1 })), accepted()),
        ("nothing in it", json!({ "token": PHONE }), accepted()),
        ("snake case", snake, accepted()),
        ("null is absent", with("/android/ttl", Value::Null), accepted()),
        ("priority in lower case", with("/android/priority", json!("high")), accepted()),
        ("ttl 0", with("/android/ttl", json!("0s")), accepted()),
        ("ttl of 28 days", with("/android/ttl", json!("2419200s")), accepted()),
        ("ttl with a fraction", with("/android/ttl", json!("3.5s")), accepted()),
        ("color", with("/android/notification/color", json!("#0aF9c0")), accepted()),
        ("fid", to(json!({ "fid": PHONE_ID })), accepted()),
        ("fid as token", to(json!({ "token": PHONE_ID })), accepted()),
        ("topic", to(json!({ "topic": "news" })), accepted()),
        ("of 4096 bytes", sized(PHONE_TARGET, 4096), accepted()),
        ("of 2048 bytes to a topic", sized(TOPIC, 2048), accepted()),
        ("android_v2", v2(json!({ "remote_notification": { "notification": {} } })), accepted()),
        ("webpush", with("/webpush", json!({ "headers": { "TTL": "1" } })), accepted()),
    ];
    let count = rows.len() as u64;
    check(&fixture, rows).await;
    assert_eq!(fixture.fcm.counts().accepted, count);
}

const PHONE_TARGET: (&str, &str) = ("token", PHONE);
const TOPIC: (&str, &str) = ("topic", "news");

/// A data message whose keys and values have exactly so many bytes.
fn sized((kind, target): (&str, &str), bytes: usize) -> Value {
    json!({ kind: target, "data": { "k": "x".repeat(bytes - 1) } })
}

fn v2(form: Value) -> Value {
    json!({ "token": PHONE, "androidV2": form })
}

#[tokio::test]
async fn what_is_not_in_the_schema_is_refused_by_name() {
    let fixture = Fixture::start();
    let rows = vec![
        ("unknown field", with("/colour", json!(1)), unreadable("message.colour")),
        (
            "unknown field deeper down",
            with("/android/notification/titel", json!("x")),
            unreadable("message.android.notification.titel"),
        ),
        ("text for number", with("/android/notification/notificationCount", json!("many")), {
            unreadable("message.android.notification.notificationCount")
        }),
        ("number for text", with("/android/collapseKey", json!(7)), {
            unreadable("message.android.collapseKey")
        }),
        ("text for truth", with("/android/directBootOk", json!("yes")), {
            unreadable("message.android.directBootOk")
        }),
        ("number in data", with("/data", json!({ "a": 1 })), unreadable("message.data")),
        ("unknown priority", with("/android/priority", json!("URGENT")), {
            unreadable("message.android.priority")
        }),
        ("ttl without unit", with("/android/ttl", json!("60")), unreadable("message.android.ttl")),
        ("ttl below zero", with("/android/ttl", json!("-1s")), unreadable("message.android.ttl")),
        ("ttl as number", with("/android/ttl", json!(60)), unreadable("message.android.ttl")),
        ("id in the first version", with("/android/notification/id", json!(1)), {
            unreadable("message.android.notification.id")
        }),
        (
            "priority in the second version",
            v2(json!({ "priority": "HIGH" })),
            unreadable("message.androidV2.priority"),
        ),
        ("android as list", with("/android", json!([])), unreadable("message.android")),
        (
            "a field in both cases",
            json!({ "token": PHONE, "android": { "collapseKey": "a", "collapse_key": "b" } }),
            unreadable("message.android.collapse_key"),
        ),
    ];
    check(&fixture, rows).await;
}

#[tokio::test]
async fn there_is_exactly_one_target() {
    let fixture = Fixture::start();
    let rows = vec![
        ("none", to(json!({})), invalid("message")),
        ("token and fid", to(json!({ "token": PHONE, "fid": PHONE_ID })), invalid("message")),
        ("token and topic", to(json!({ "token": PHONE, "topic": "t" })), invalid("message")),
        ("topic and condition", to(json!({ "topic": "t", "condition": "c" })), invalid("message")),
    ];
    check(&fixture, rows).await;
}

#[tokio::test]
async fn targets() {
    let fixture = Fixture::start();
    let malformed = || (400, "INVALID_ARGUMENT", Some("INVALID_ARGUMENT"), vec![]);
    let unregistered = || (404, "NOT_FOUND", Some("UNREGISTERED"), vec![]);
    let rows = vec![
        ("empty token", to(json!({ "token": "" })), malformed()),
        ("token of other letters", to(json!({ "token": "a/b" })), malformed()),
        ("token too long", to(json!({ "token": "a".repeat(4097) })), malformed()),
        ("token as fid", to(json!({ "fid": PHONE })), malformed()),
        ("unknown token", to(json!({ "token": "fid-nobody:x" })), unregistered()),
        ("unknown fid", to(json!({ "fid": "fid-nobody" })), unregistered()),
        ("earlier token", to(json!({ "token": "fid-phone:earlier" })), unregistered()),
        ("app uninstalled", to(json!({ "token": GONE })), unregistered()),
        (
            "of another project",
            to(json!({ "token": OTHERS })),
            (403, "PERMISSION_DENIED", Some("SENDER_ID_MISMATCH"), vec![]),
        ),
    ];
    check(&fixture, rows).await;
    assert_eq!(fixture.fcm.counts().accepted, 0);
}

#[tokio::test]
async fn what_fcm_says_no_to() {
    let fixture = Fixture::start();
    let mut both = alert("t");
    both["androidV2"] = json!({});
    let kinds = json!({ "remoteNotification": {}, "backgroundSync": {} });
    let label = |text: &str| json!({ "analyticsLabel": text });
    let mut rows = vec![
        ("ttl over 28 days", with("/android/ttl", json!("2419201s")), {
            invalid("message.android.ttl")
        }),
        ("android in both versions", both, invalid("message.android_v2")),
        ("both kinds of v2", v2(kinds), invalid("message.android_v2")),
        ("too big", sized(PHONE_TARGET, 4097), invalid("message")),
        ("too big for a topic", sized(TOPIC, 2049), invalid("message")),
        ("color", with("/android/notification/color", json!("red")), {
            invalid("message.android.notification.color")
        }),
        ("analytics label", with("/fcmOptions", label("a b")), {
            invalid("message.fcm_options.analytics_label")
        }),
        ("analytics label too long", with("/android/fcmOptions", label(&"a".repeat(51))), {
            invalid("message.android.fcm_options.analytics_label")
        }),
    ];
    for key in ["from", "message_type", "google.x", "gcm.notification.title"] {
        rows.push((key, with("/data", json!({ key: "x" })), invalid("message.data")));
        let own = with("/android/data", json!({ key: "x" }));
        rows.push((key, own, invalid("message.android.data")));
    }
    check(&fixture, rows).await;
}

#[tokio::test]
async fn the_head_of_a_request() {
    let fixture = Fixture::start();
    let bearer = fixture.bearer(&accounts()[0]).await;
    let other = fixture.bearer(&accounts()[1]).await;
    let push = || send(&bearer, alert("t"));
    let to_project = |name: &str| push().path(&format!("/v1/projects/{name}/messages:send"));
    let unauthenticated = (401, "UNAUTHENTICATED");
    let not_found = (404, "NOT_FOUND");
    let invalid = (400, "INVALID_ARGUMENT");
    let rows = [
        ("GET", push().method("GET"), not_found),
        ("path", push().path("/fcm/send"), not_found),
        ("batch", push().path("/batch"), not_found),
        ("unknown project", to_project("nobody"), not_found),
        ("no project", to_project(""), not_found),
        ("no token", push().unset("authorization"), unauthenticated),
        ("no bearer", push().set("authorization", "key=abc"), unauthenticated),
        ("unknown token", push().set("authorization", "Bearer abc"), unauthenticated),
        ("another's token", send(&other, alert("t")), (403, "PERMISSION_DENIED")),
        ("project of another", to_project("other"), (403, "PERMISSION_DENIED")),
        ("content type", push().set("content-type", "text/plain"), invalid),
        ("no content type", push().unset("content-type"), invalid),
        ("compressed", push().add("content-encoding", "gzip"), invalid),
        ("no body", push().body(""), invalid),
        ("no JSON", push().body("{"), invalid),
        ("no object", push().body("[]"), invalid),
        ("no UTF-8", push().body(&b"\xff"[..]), invalid),
        ("unknown root", push().body(r#"{"massage":{}}"#), invalid),
        ("no message", push().body("{}"), invalid),
    ];
    let mut client = fixture.connect().await;
    for (name, push, (status, word)) in rows {
        let answer = client.push(&push).await.unwrap();
        let got = refusal(&answer);
        assert_eq!((got.0, got.1.as_str()), (status, word), "{name}: {got:?}");
    }
    let json = client.push(&push()).await.unwrap();
    assert_eq!(json.status, 200);
    assert_eq!(json.headers["content-type"], "application/json; charset=UTF-8");
}

#[tokio::test]
async fn an_access_token_expires() {
    let fixture = Fixture::start();
    let bearer = fixture.bearer(&accounts()[0]).await;
    let mut client = fixture.connect().await;
    fixture.clock.set((NOW + 3600) * 1000 - 1);
    assert_eq!(client.push(&send(&bearer, alert("t"))).await.unwrap().status, 200);
    fixture.clock.set((NOW + 3600) * 1000);
    let answer = client.push(&send(&bearer, alert("t"))).await.unwrap();
    assert_eq!(refusal(&answer).1, "UNAUTHENTICATED");
}

#[tokio::test]
async fn each_host_serves_its_own() {
    let fixture = Fixture::start();
    let bearer = fixture.bearer(&accounts()[0]).await;
    let sign_in = super::fixture::grant(&accounts()[0].assertion(NOW).unwrap());
    for (host, sends, grants) in
        [("fcm.googleapis.com", 200, 404), ("oauth2.googleapis.com", 404, 200)]
    {
        let mut client = fixture.connect_to(host).await;
        let sent = client.push(&send(&bearer, alert("t"))).await.unwrap();
        let granted = client.push(&sign_in).await.unwrap();
        assert_eq!((sent.status.as_u16(), granted.status.as_u16()), (sends, grants), "{host}");
    }
}

#[tokio::test]
async fn a_project_has_a_quota_and_is_told_when_there_is_more() {
    let quotas = Quotas { project_per_minute: Some(3), ..Quotas::NONE };
    let fixture = Fixture::with(Config { quotas, ..Config::default() });
    let bearer = fixture.bearer(&accounts()[0]).await;
    let mut client = fixture.connect().await;
    let mut next = async |message| client.push(&send(&bearer, message)).await.unwrap();
    // A message that is refused counts too.
    let mut statuses = vec![next(json!({})).await.status.as_u16()];
    for _ in 0..3 {
        statuses.push(next(alert("t")).await.status.as_u16());
    }
    assert_eq!(statuses, [400, 200, 200, 429]);
    let refused = next(alert("t")).await;
    assert_eq!(refusal(&refused), (429, "RESOURCE_EXHAUSTED".to_owned(), None, vec![]));
    assert_eq!(refused.headers["retry-after"], "20");
    assert_eq!(refused.json()["error"]["details"][0]["reason"], "RATE_LIMIT_EXCEEDED");
    fixture.clock.advance(std::time::Duration::from_secs(20));
    assert_eq!(next(alert("t")).await.status, 200);
}

#[tokio::test]
async fn a_device_has_a_quota_of_its_own() {
    let quotas = Quotas { device_per_minute: Some(1), ..Quotas::NONE };
    let fixture = Fixture::with(Config { quotas, ..Config::default() });
    fixture.fcm.register_device(PROJECT, "fid-tablet").unwrap();
    assert_eq!(fixture.send(alert("t")).await.status, 200);
    let refused = fixture.send(alert("t")).await;
    let code = Some("QUOTA_EXCEEDED".to_owned());
    assert_eq!(refusal(&refused), (429, "RESOURCE_EXHAUSTED".to_owned(), code, vec![]));
    let subject = "/error/details/1/violations/0/subject";
    assert_eq!(refused.json().pointer(subject).unwrap(), &format!("device:{PHONE}"));
    assert_eq!(fixture.send(to(json!({ "fid": "fid-tablet" }))).await.status, 200);
}
