//! Requests, byte by byte.

use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::SyncState;
use campanile_core::{DeliveryId, FcmToken, PlatformMask, UserAction};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ITEM: NotificationId = NotificationId::from_bytes(*b"\x0a\x0bnotification!!");
const ITEM_HEX: &str = "0a0b6e6f74696669636174696f6e2121";
/// 2026-11-21T00:00:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_795_219_200_000);

fn push(body: PushBody) -> Push {
    let target = FcmTarget::Token(FcmToken::new("fid:token").expect("a token"));
    Push {
        delivery: DeliveryId::from_bytes([7; 16]),
        address: Arc::new(Address::Fcm { target, project: "bells".into() }),
        item: ITEM,
        sequence: 42,
        priority: Priority::High,
        expires_at: NOW.after(Duration::from_secs(3600)),
        body,
        along: Vec::new(),
    }
}

fn show(content: Content) -> Push {
    push(PushBody::Show { content: Arc::new(content), group: None })
}

fn titled(title: &str) -> Visual {
    Visual { title: title.to_owned(), ..Visual::default() }
}

fn alert() -> Push {
    show(Content { visual: Some(titled("Bell")), raw: None })
}

fn envelope() -> Envelope {
    Envelope::new(Authority::from_static("fcm.example"), "bells").expect("a project")
}

fn made(push: &Push) -> Value {
    serde_json::from_slice(&body(push, NOW).expect("sayable")).expect("JSON")
}

fn campanile(body: &Value) -> Value {
    let text = body.pointer("/message/data/campanile").and_then(Value::as_str).expect("text");
    serde_json::from_str(text).expect("JSON in a text")
}

#[test]
fn the_head_names_project_and_bearer() {
    let (envelope, bearer) = (envelope(), HeaderValue::from_static("Bearer abc"));
    let (request, _) = request(&alert(), &envelope, &bearer, NOW).expect("sayable");
    assert_eq!(request.authority, "fcm.example");
    assert_eq!(request.path, "/v1/projects/bells/messages:send");
    let fields = [
        Field::secret("authorization", b"Bearer abc"),
        Field::shared("content-type", b"application/json"),
    ];
    assert_eq!(request.fields, fields);
}

#[test]
fn a_project_that_is_no_path_segment_is_refused() {
    let authority = || Authority::from_static("fcm.example");
    for good in ["bells-0815", "123456", "example.com:bells"] {
        assert!(Envelope::new(authority(), good).is_some(), "{good}");
    }
    for bad in ["", "a/b", "a b", "a?b", "ü"] {
        assert!(Envelope::new(authority(), bad).is_none(), "{bad:?}");
    }
}

#[test]
fn an_alert_is_a_notification_under_its_tag() {
    let visual = Visual {
        body: Some("rings".to_owned()),
        sound: Some("bell".to_owned()),
        badge: Some(3),
        ..titled("Bell")
    };
    let said = made(&show(Content { visual: Some(visual), raw: None }));
    let android = json!({
        "priority": "HIGH",
        "ttl": "3600s",
        "collapseKey": ITEM_HEX,
        "notification": {
            "title": "Bell",
            "body": "rings",
            "sound": "bell",
            "notificationCount": 3,
            "tag": ITEM_HEX,
        },
    });
    assert_eq!(said["message"]["android"], android);
    assert_eq!(said["message"]["token"], "fid:token");
    assert_eq!(said["message"].get("fid"), None);
    assert_eq!(campanile(&said), json!({ "id": ITEM_HEX, "seq": 42 }));
}

#[test]
fn raw_content_and_group_are_for_the_app() {
    let content =
        Content { visual: Some(titled("Bell")), raw: Some(Bytes::from_static(b"\x00\xff")) };
    let group = Some("tower".into());
    let said = made(&push(PushBody::Show { content: Arc::new(content), group }));
    let expected = json!({ "id": ITEM_HEX, "seq": 42, "raw": "AP8=", "group": "tower" });
    assert_eq!(campanile(&said), expected);
}

#[test]
fn what_shows_nothing_is_a_data_message_without_urgency_and_collapse_key() {
    let state = SyncState { id: ITEM, read: true, action: UserAction::Dismissed, clear: true };
    let raw = show(Content { visual: None, raw: Some(Bytes::from_static(b"hi")) });
    for push in [raw, push(PushBody::Sync(state))] {
        let said = made(&push);
        let android = json!({ "priority": "NORMAL", "ttl": "3600s" });
        assert_eq!(said["message"]["android"], android);
    }
}

#[test]
fn a_state_is_told_as_on_every_platform() {
    let state = SyncState { id: ITEM, read: true, action: UserAction::Dismissed, clear: true };
    let item = json!({ "id": ITEM_HEX, "read": true, "action": "dismissed", "clear": true });
    let said = made(&push(PushBody::Sync(state)));
    assert_eq!(campanile(&said), json!({ "seq": 42, "items": [item] }));
}

#[test]
fn a_signal_names_the_item_only_and_one_is_stored_for_all() {
    let said = made(&push(PushBody::Signal));
    assert_eq!(campanile(&said), json!({ "id": ITEM_HEX, "seq": 42, "fetch": true }));
    // Of an item that ends in an hour: the signal may have replaced that of one that stays.
    let android = json!({ "priority": "NORMAL", "ttl": "2419200s", "collapseKey": "campanile" });
    assert_eq!(said["message"]["android"], android);
}

#[test]
fn an_installation_has_its_own_field() {
    let mut push = alert();
    let target = FcmTarget::Installation(FcmToken::new("fid-1").expect("an id"));
    push.address = Arc::new(Address::Fcm { target, project: "bells".into() });
    let said = made(&push);
    assert_eq!(said["message"]["fid"], "fid-1");
    assert_eq!(said["message"].get("token"), None);
}

#[test]
fn only_high_priority_is_high() {
    for (priority, word) in
        [(Priority::High, "HIGH"), (Priority::Normal, "NORMAL"), (Priority::Low, "NORMAL")]
    {
        let said = made(&Push { priority, ..alert() });
        assert_eq!(said["message"]["android"]["priority"], word);
    }
}

#[test]
fn the_time_left_is_in_whole_seconds_and_at_most_28_days() {
    let ttl = |millis: u64| ttl(NOW.after(Duration::from_millis(millis)), NOW);
    assert_eq!([ttl(0), ttl(999), ttl(1000), ttl(1999)], ["0s", "0s", "1s", "1s"]);
    assert_eq!(ttl(30 * 86_400_000), "2419200s");
    assert_eq!(super::ttl(Timestamp::ZERO, NOW), "0s");
}

#[test]
fn a_badge_beyond_googles_numbers_is_cut() {
    let visual = Visual { badge: Some(u32::MAX), ..titled("Bell") };
    let said = made(&show(Content { visual: Some(visual), raw: None }));
    let count = &said["message"]["android"]["notification"]["notificationCount"];
    assert_eq!(*count, i32::MAX);
}

fn posted(content: Content) -> Posted {
    Posted {
        id: ITEM,
        request: None,
        app_notification_id: None,
        group: None,
        content: Arc::new(content),
        platforms: PlatformMask::ALL,
        priority: Priority::High,
        expires_at: NOW,
        deliver_by: NOW,
        campaign: None,
        fallback: None,
    }
}

fn body_of(bytes: usize) -> Content {
    let visual = Visual { body: Some("x".repeat(bytes)), ..titled("Bell") };
    Content { visual: Some(visual), raw: None }
}

#[test]
fn fit_allows_exactly_the_limit() {
    let needs = |bytes| fit(&posted(body_of(bytes))).map_err(|unfit| unfit.needs);
    let most = (0..PAYLOAD_LIMIT).rev().find(|bytes| needs(*bytes).is_ok()).expect("some fit");
    assert_eq!(needs(most + 1), Err(PAYLOAD_LIMIT + 1));
}

#[test]
fn an_address_of_another_platform_is_unsayable() {
    let token = campanile_core::ApnsToken::new("aa").expect("a token");
    let environment = campanile_core::Environment::Production;
    let address = Address::Apns { token, topic: "t".into(), environment };
    let push = Push { address: Arc::new(address), ..alert() };
    assert!(matches!(body(&push, NOW), Err(Unsayable::Malformed(_))));
}

proptest! {
    #[test]
    fn what_fits_at_publish_is_sayable_later(
        title in ".{1,256}",
        text in proptest::option::of(".{0,1500}"),
        raw in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..3200)),
        group in proptest::option::of("[a-z]{1,255}"),
        sequence: u64,
    ) {
        let visual = Some(Visual { body: text, ..titled(&title) });
        let content = Content { visual, raw: raw.map(Bytes::from) };
        let group: Option<Arc<str>> = group.map(Into::into);
        let post = Posted { group: group.clone(), ..posted(content.clone()) };
        let body = PushBody::Show { content: Arc::new(content), group };
        let push = Push { sequence, ..push(body) };
        let (fits, sayable) = (fit(&post).is_ok(), super::body(&push, NOW).is_ok());
        prop_assert!(!fits || sayable);
    }
}
