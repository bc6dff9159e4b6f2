//! One row per check: a valid request with one thing changed, and the documented answer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use campanile_simulate::apns::SigningKey;
use serde_json::json;

use super::client::{Client, Push};
use super::fixture::{
    APP, EXPIRED, Fixture, GONE, GONE_SINCE_MS, KEY, NOW, OF_OTHER_APP, PHONE, SANDBOX_PHONE, TEAM,
};

type Row<'a> = (&'a str, Push, (u16, &'a str));

/// Every row gets a connection of its own, so that no row can shadow another.
async fn check(fixture: &Fixture, rows: Vec<Row<'_>>) {
    let mut wrong = Vec::new();
    for (name, push, (status, reason)) in rows {
        let mut client = fixture.connect().await;
        let outcome = client.push(&push).await.map(|answer| answer.outcome());
        let outcome = outcome.unwrap_or_else(|error| (0, error.to_string()));
        if outcome != (status, reason.to_owned()) {
            wrong.push(format!("{name}: expected {status} {reason}, got {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn valid_requests_are_accepted() {
    let fixture = Fixture::start();
    let alert = || fixture.alert("hi");
    let silent = || fixture.background(json!({ "data": 1 }));
    let rows = vec![
        ("alert", alert(), (200, "")),
        ("background", silent(), (200, "")),
        ("no priority", alert().unset("apns-priority"), (200, "")),
        ("priority 1", alert().set("apns-priority", "1"), (200, "")),
        ("priority 5", alert().set("apns-priority", "5"), (200, "")),
        ("expiration 0", alert().set("apns-expiration", "0"), (200, "")),
        ("collapse id of 64 bytes", alert().collapse(&"x".repeat(64)), (200, "")),
        ("scheme in capitals", alert().set("authorization", &capital(&fixture)), (200, "")),
        ("token in capitals", alert().to(&PHONE.to_uppercase()), (200, "")),
        ("other headers", alert().add("x-trace", "1").add("content-type", "json"), (200, "")),
        ("body of 4096 bytes", alert().body(sized(4096)), (200, "")),
        (
            "voip body of 5120 bytes",
            alert()
                .set("apns-push-type", "voip")
                .set("apns-topic", &format!("{APP}.voip"))
                .body(sized(5120)),
            (200, ""),
        ),
    ];
    let accepted = rows.len() as u64;
    check(&fixture, rows).await;
    assert_eq!(fixture.apns.counts().accepted, accepted);
}

fn capital(fixture: &Fixture) -> String {
    fixture.bearer.replacen("bearer", "Bearer", 1)
}

/// An alert body of exactly so many bytes.
fn sized(bytes: usize) -> String {
    let empty = r#"{"aps":{"alert":""}}"#;
    empty.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - empty.len())))
}

#[tokio::test]
async fn method_path_and_duplicate_headers() {
    let fixture = Fixture::start();
    let push = || fixture.alert("hi");
    let rows = vec![
        ("GET", push().method("GET"), (405, "MethodNotAllowed")),
        ("PUT", push().method("PUT"), (405, "MethodNotAllowed")),
        ("old version", push().path("/2/device/aa"), (404, "BadPath")),
        ("root", push().path("/"), (404, "BadPath")),
        ("devices", push().path("/3/devices/aa"), (404, "BadPath")),
        ("too deep", push().path("/3/device/aa/bb"), (404, "BadPath")),
        ("no token", push().path("/3/device/"), (400, "MissingDeviceToken")),
        ("token not hex", push().to("xyz!"), (400, "BadDeviceToken")),
        ("token of half a byte", push().to("abc"), (400, "BadDeviceToken")),
        ("token too long", push().to(&"ab".repeat(257)), (400, "BadDeviceToken")),
        ("topic twice", push().add("apns-topic", APP), (400, "DuplicateHeaders")),
        ("any header twice", push().add("x-a", "1").add("x-a", "2"), (400, "DuplicateHeaders")),
    ];
    check(&fixture, rows).await;
}

#[tokio::test]
async fn provider_token() {
    let fixture = Fixture::start();
    let with = |value: &str| fixture.alert("hi").set("authorization", value);
    let signed = |header: serde_json::Value, claims: serde_json::Value| {
        with(&format!(
            "bearer {}",
            fixture.key.sign(&header.to_string(), &claims.to_string()).unwrap()
        ))
    };
    let aged = |iat: u64| with(&format!("bearer {}", fixture.key.provider_token(iat).unwrap()));
    let stranger = SigningKey::generate(TEAM, KEY).unwrap().provider_token(NOW).unwrap();
    let unknown = SigningKey::generate(TEAM, "KEY0000000").unwrap().provider_token(NOW).unwrap();
    let head = || json!({ "alg": "ES256", "kid": KEY });
    let claims = || json!({ "iss": TEAM, "iat": NOW });
    let invalid = (403, "InvalidProviderToken");
    let rows = vec![
        ("absent", fixture.alert("hi").unset("authorization"), (403, "MissingProviderToken")),
        ("other scheme", with("basic YTpi"), (403, "MissingProviderToken")),
        ("scheme alone", with("bearer"), (403, "MissingProviderToken")),
        ("not a JWT", with("bearer abc"), invalid),
        ("signed by another key", with(&format!("bearer {stranger}")), invalid),
        ("key not registered", with(&format!("bearer {unknown}")), invalid),
        ("padded base64url", with(&padded(&fixture.bearer)), invalid),
        ("claims changed after signing", with(&tampered(&fixture.bearer)), invalid),
        ("signature cut", with(&fixture.bearer[..fixture.bearer.len() - 4]), invalid),
        ("alg none", signed(json!({ "alg": "none", "kid": KEY }), claims()), invalid),
        ("alg of another kind", signed(json!({ "alg": "HS256", "kid": KEY }), claims()), invalid),
        ("no kid", signed(json!({ "alg": "ES256" }), claims()), invalid),
        ("no iss", signed(head(), json!({ "iat": NOW })), invalid),
        ("iss of another team", signed(head(), json!({ "iss": "OTHER", "iat": NOW })), invalid),
        ("no iat", signed(head(), json!({ "iss": TEAM })), invalid),
        ("iat as text", signed(head(), json!({ "iss": TEAM, "iat": NOW.to_string() })), invalid),
        ("one hour old", aged(NOW - 3600), (200, "")),
        ("older than one hour", aged(NOW - 3601), (403, "ExpiredProviderToken")),
        ("iat in milliseconds", aged(NOW * 1000), invalid),
        ("from the future", aged(NOW + 3601), invalid),
    ];
    check(&fixture, rows).await;
}

/// The same token with its header padded: valid base64url, but not as RFC 7515 wants it.
fn padded(bearer: &str) -> String {
    let (header, rest) = bearer.strip_prefix("bearer ").unwrap().split_once('.').unwrap();
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    let padded = URL_SAFE.encode([json, b" ".to_vec()].concat());
    let padded = if padded.ends_with('=') { padded } else { format!("{padded}=") };
    format!("bearer {padded}.{rest}")
}

/// The same header and signature around other claims.
fn tampered(bearer: &str) -> String {
    let mut parts: Vec<_> = bearer.split('.').map(str::to_owned).collect();
    let claims = json!({ "iss": TEAM, "iat": NOW - 1 }).to_string();
    parts[1] = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
    parts.join(".")
}

#[tokio::test]
async fn topic_and_device() {
    let fixture = Fixture::start();
    let push = || fixture.alert("hi");
    let topic = |value: &str| push().set("apns-topic", value);
    let voip = || push().set("apns-push-type", "voip");
    let rows = vec![
        ("absent", push().unset("apns-topic"), (400, "MissingTopic")),
        ("empty", topic(""), (400, "BadTopic")),
        ("not a bundle id", topic("org example"), (400, "BadTopic")),
        ("of nobody", topic("org.example.unknown"), (400, "TopicDisallowed")),
        ("suffix of another type", topic(&format!("{APP}.voip")), (400, "TopicDisallowed")),
        ("voip without suffix", voip(), (400, "BadTopic")),
        ("voip with suffix", voip().set("apns-topic", &format!("{APP}.voip")), (200, "")),
        ("device unknown", push().to("0123"), (400, "BadDeviceToken")),
        ("device of the sandbox", push().to(SANDBOX_PHONE), (400, "BadDeviceToken")),
        ("device of another app", push().to(OF_OTHER_APP), (400, "DeviceTokenNotForTopic")),
        ("app removed", push().to(GONE), (410, "Unregistered")),
        ("token expired", push().to(EXPIRED), (410, "ExpiredToken")),
    ];
    check(&fixture, rows).await;
}

#[tokio::test]
async fn other_headers() {
    let fixture = Fixture::start();
    let push = || fixture.alert("hi");
    let silent = || fixture.background(json!({}));
    let id = |value: &str| push().set("apns-id", value);
    let rows = vec![
        ("no push type", push().unset("apns-push-type"), (400, "InvalidPushType")),
        ("unknown push type", push().set("apns-push-type", "loud"), (400, "InvalidPushType")),
        ("priority 0", push().set("apns-priority", "0"), (400, "BadPriority")),
        ("priority 05", push().set("apns-priority", "05"), (400, "BadPriority")),
        ("priority high", push().set("apns-priority", "high"), (400, "BadPriority")),
        ("background at 10", silent().set("apns-priority", "10"), (400, "BadPriority")),
        ("background at 1", silent().set("apns-priority", "1"), (400, "BadPriority")),
        ("background by default", silent().unset("apns-priority"), (400, "BadPriority")),
        ("expiration text", push().set("apns-expiration", "soon"), (400, "BadExpirationDate")),
        ("expiration fraction", push().set("apns-expiration", "1.5"), (400, "BadExpirationDate")),
        ("expiration negative", push().set("apns-expiration", "-1"), (400, "BadExpirationDate")),
        ("expiration signed", push().set("apns-expiration", "+1"), (400, "BadExpirationDate")),
        ("collapse id of 65 bytes", push().collapse(&"x".repeat(65)), (400, "BadCollapseId")),
        ("id no UUID", id("42"), (400, "BadMessageId")),
        ("id in capitals", id("EABEAE54-14A8-11E5-B60B-1697F925EC7B"), (400, "BadMessageId")),
        ("id without hyphens", id("eabeae5414a811e5b60b1697f925ec7b"), (400, "BadMessageId")),
    ];
    check(&fixture, rows).await;
}

#[tokio::test]
async fn payload() {
    let fixture = Fixture::start();
    let push = |body: &str| fixture.alert("hi").body(body.to_owned());
    let silent = |body: &str| fixture.background(json!({})).body(body.to_owned());
    let mismatch = (400, "InvalidPushType");
    let rows = vec![
        ("none", push(""), (400, "PayloadEmpty")),
        ("not JSON", push("hello"), (400, "PayloadEmpty")),
        ("cut JSON", push(r#"{"aps":{"alert":"x"}"#), (400, "PayloadEmpty")),
        ("an array", push(r#"[{"alert":"x"}]"#), (400, "PayloadEmpty")),
        ("no aps", push(r#"{"alert":"x"}"#), (400, "PayloadEmpty")),
        ("aps no dictionary", push(r#"{"aps":"x"}"#), (400, "PayloadEmpty")),
        ("compressed", fixture.alert("x").add("content-encoding", "gzip"), (400, "PayloadEmpty")),
        ("4097 bytes", push(&sized(4097)), (413, "PayloadTooLarge")),
        ("20000 bytes", push(&sized(20_000)), (413, "PayloadTooLarge")),
        ("alert with nothing to alert", push(r#"{"aps":{"content-available":1}}"#), mismatch),
        ("background, not available", silent(r#"{"aps":{}}"#), mismatch),
        (
            "background with an alert",
            silent(r#"{"aps":{"content-available":1,"alert":"x"}}"#),
            mismatch,
        ),
        (
            "background with a badge",
            silent(r#"{"aps":{"content-available":1,"badge":1}}"#),
            mismatch,
        ),
        (
            "background with a sound",
            silent(r#"{"aps":{"content-available":1,"sound":"x"}}"#),
            mismatch,
        ),
    ];
    check(&fixture, rows).await;
}

#[tokio::test]
async fn only_410_has_a_timestamp() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    let gone = client.push(&fixture.alert("hi").to(GONE)).await.unwrap();
    assert_eq!(gone.json(), json!({ "reason": "Unregistered", "timestamp": GONE_SINCE_MS }));
    let bad = client.push(&fixture.alert("hi").to("0123")).await.unwrap();
    assert_eq!(bad.json(), json!({ "reason": "BadDeviceToken" }));
    let totals = fixture.apns.observe(|world| world.totals().clone());
    assert_eq!(totals.reasons["Unregistered"], 1);
    assert_eq!(totals.counts.rejected, 2);
}

#[tokio::test]
async fn the_sandbox_is_another_world() {
    let fixture = Fixture::start();
    let mut sandbox = Client::connect(&fixture.target_at("api.sandbox.push.apple.com")).await;
    let stranger = sandbox.push(&fixture.alert("hi")).await.unwrap();
    assert_eq!(stranger.outcome(), (400, "BadDeviceToken".into()));
    let own = sandbox.push(&fixture.alert("hi").to(SANDBOX_PHONE)).await.unwrap();
    assert_eq!(own.outcome(), (200, String::new()));
    assert!(own.headers.contains_key("apns-unique-id"), "the sandbox names every push");
    let mut production = fixture.connect().await;
    let own = production.push(&fixture.alert("hi")).await.unwrap();
    assert!(!own.headers.contains_key("apns-unique-id"), "production does not");
}

#[tokio::test]
async fn token_age_follows_the_clock() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    let push = fixture.alert("hi");
    assert_eq!(client.push(&push).await.unwrap().status, 200);
    fixture.clock.advance(Duration::from_secs(3601));
    let answer = client.push(&push).await.unwrap();
    assert_eq!(answer.outcome(), (403, "ExpiredProviderToken".into()));
}
