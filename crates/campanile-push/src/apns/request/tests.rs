//! Requests, header by header and byte by byte.

use campanile_core::port::SyncState;
use campanile_core::{ApnsToken, Environment, Timestamp, UserAction};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::apns::payloads::Payloads;

const ITEM: NotificationId = NotificationId::from_bytes(*b"\x0a\x0bnotification!!");
const ITEM_HEX: &str = "0a0b6e6f74696669636174696f6e2121";

fn push(body: PushBody) -> Push {
    Push {
        delivery: DeliveryId::from_bytes([
            0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
            0xcd, 0xef,
        ]),
        address: Arc::new(Address::Apns {
            token: ApnsToken::new(&"ab".repeat(32)).expect("hexadecimal"),
            topic: "org.example.app".into(),
            environment: Environment::Production,
        }),
        item: ITEM,
        sequence: 4711,
        priority: Priority::High,
        expires_at: Timestamp::from_millis(1_795_255_200_999),
        body,
        along: Vec::new(),
    }
}

fn shown(content: Content) -> Push {
    push(PushBody::Show { content: Arc::new(content), group: None })
}

fn visual(title: &str) -> Visual {
    Visual { title: title.to_owned(), ..Visual::default() }
}

fn synced() -> Push {
    let action = UserAction::Dismissed;
    push(PushBody::Sync(SyncState { id: ITEM, read: true, action, clear: true }))
}

/// What belongs to a route.
fn route() -> (Envelope, HeaderValue) {
    let authority = Authority::from_static("api.push.apple.com");
    let topic = HeaderValue::from_static("org.example.app");
    (Envelope { authority, topic }, HeaderValue::from_static("bearer a.b.c"))
}

fn header(push: &Push, name: &str) -> String {
    let (envelope, token) = route();
    let (background, _) = payload(push).expect("sayable");
    let request = request(push, background, &envelope, &token).expect("sayable");
    let field = request.fields.iter().find(|field| field.name == name).expect(name);
    String::from_utf8(field.value.to_vec()).expect("text")
}

fn json_of(push: &Push) -> Value {
    serde_json::from_slice(&payload(push).expect("sayable").1).expect("JSON")
}

#[test]
fn an_alert_is_sent_with_all_headers_and_remembered_as_apple_asks() {
    let (envelope, authorization) = route();
    let push = shown(Content { visual: Some(visual("Hi")), raw: None });
    let request = request(&push, false, &envelope, &authorization).expect("sayable");
    assert_eq!(request.authority, "api.push.apple.com");
    assert_eq!(request.path, format!("/3/device/{}", "ab".repeat(32)));
    let fields = [
        Field::secret("authorization", b"bearer a.b.c"),
        Field::shared("apns-topic", b"org.example.app"),
        Field::shared("apns-push-type", b"alert"),
        Field::shared("apns-priority", b"10"),
        Field::own("apns-expiration", "1795255200"),
        Field::own("apns-collapse-id", ITEM_HEX),
        Field::own("apns-id", "01234567-89ab-cdef-0123-456789abcdef"),
    ];
    assert_eq!(request.fields, fields);
}

#[test]
fn priority_follows_the_push_but_background_is_always_5() {
    let rows = [(Priority::High, "10"), (Priority::Normal, "5"), (Priority::Low, "1")];
    for (priority, expected) in rows {
        let mut alert = shown(Content { visual: Some(visual("Hi")), raw: None });
        alert.priority = priority;
        assert_eq!(header(&alert, "apns-priority"), expected);
        let mut silent = synced();
        silent.priority = priority;
        assert_eq!(header(&silent, "apns-priority"), "5");
    }
}

#[test]
fn an_alert_carries_everything_that_is_drawn() {
    let visual = Visual {
        title: "Königin \"Anne\"".to_owned(),
        body: Some("is dead\n".to_owned()),
        sound: Some("bell.caf".to_owned()),
        badge: Some(0),
    };
    let content = Arc::new(Content { visual: Some(visual), raw: None });
    let push = push(PushBody::Show { content, group: Some("royals".into()) });
    let expected = json!({
        "aps": {
            "alert": {"title": "Königin \"Anne\"", "body": "is dead\n"},
            "sound": "bell.caf",
            "badge": 0,
            "thread-id": "royals",
        },
        "campanile": {"id": ITEM_HEX, "seq": 4711},
    });
    assert_eq!(json_of(&push), expected);
}

#[test]
fn raw_content_rides_on_an_alert() {
    let content = Content { visual: Some(visual("Hi")), raw: Some(Bytes::from_static(&[0, 255])) };
    let expected = json!({
        "aps": {"alert": {"title": "Hi"}},
        "campanile": {"id": ITEM_HEX, "seq": 4711, "raw": "AP8="},
    });
    assert_eq!(json_of(&shown(content)), expected);
}

#[test]
fn raw_content_alone_is_a_background_push() {
    let push = shown(Content { visual: None, raw: Some(Bytes::from_static(b"hello")) });
    assert_eq!(header(&push, "apns-push-type"), "background");
    let expected = json!({
        "aps": {"content-available": 1},
        "campanile": {"id": ITEM_HEX, "seq": 4711, "raw": "aGVsbG8="},
    });
    assert_eq!(json_of(&push), expected);
}

#[test]
fn a_state_is_a_background_push() {
    let push = synced();
    assert_eq!(header(&push, "apns-push-type"), "background");
    let item = json!({"id": ITEM_HEX, "read": true, "action": "dismissed", "clear": true});
    let expected = json!({
        "aps": {"content-available": 1},
        "campanile": {"seq": 4711, "items": [item]},
    });
    assert_eq!(json_of(&push), expected);
}

#[test]
fn a_signal_is_a_background_push_that_names_the_item_only() {
    let push = push(PushBody::Signal);
    assert_eq!(header(&push, "apns-push-type"), "background");
    assert_eq!(header(&push, "apns-priority"), "5");
    let campanile = json!({"id": ITEM_HEX, "seq": 4711, "fetch": true});
    assert_eq!(json_of(&push), json!({"aps": {"content-available": 1}, "campanile": campanile}));
}

#[test]
fn every_action_has_its_word() {
    let rows = [
        (UserAction::None, "none"),
        (UserAction::Activated, "activated"),
        (UserAction::Dismissed, "dismissed"),
        (UserAction::Snoozed, "snoozed"),
    ];
    for (action, word) in rows {
        let state = SyncState { id: ITEM, read: false, action, clear: false };
        let json = json_of(&push(PushBody::Sync(state)));
        assert_eq!(json["campanile"]["items"][0]["action"], word);
    }
}

/// As many others as this, each with the longest numbers and words.
fn others(count: usize) -> Vec<Told> {
    let other = |number: usize| {
        let id = NotificationId::from_bytes((number as u128).to_be_bytes());
        let state = SyncState { id, read: false, action: UserAction::Dismissed, clear: false };
        Told { sequence: u64::MAX, state }
    };
    (0..count).map(other).collect()
}

#[test]
fn a_silent_push_tells_of_others_and_says_if_there_are_more() {
    let told = |count| {
        let push = Push { along: others(count), sequence: u64::MAX, ..synced() };
        let (_, payload) = payload(&push).expect("sayable");
        assert!(payload.len() <= PAYLOAD_LIMIT, "{}", payload.len());
        assert_eq!(header(&push, "apns-push-type"), "background");
        let json: Value = serde_json::from_slice(&payload).expect("JSON");
        json["campanile"].clone()
    };
    let state = json!({"read": false, "action": "dismissed", "clear": false, "seq": u64::MAX});
    let with_id = |id: &str| {
        let mut state = state.clone();
        state["id"] = json!(id);
        state
    };
    let both = told(1);
    assert_eq!(both["items"][1], with_id(&"0".repeat(32)));
    assert_eq!((both["items"][0]["id"].clone(), both.get("more")), (json!(ITEM_HEX), None));
    let most = told(MOST_ALONG);
    assert_eq!((most["items"].as_array().map(Vec::len), most.get("more")), (Some(32), None));
    let too_many = told(MOST_ALONG + 1);
    let items = too_many["items"].as_array().map(Vec::len);
    assert_eq!((items, &too_many["more"]), (Some(32), &json!(true)));
}

#[test]
fn a_visible_push_tells_of_as_many_others_as_fit() {
    let campanile = |bytes: usize, count| {
        let push = Push { along: others(count), ..shown(content_of(bytes)) };
        let (_, payload) = payload(&push).expect("sayable");
        assert!(payload.len() <= PAYLOAD_LIMIT, "{}", payload.len());
        assert_eq!(header(&push, "apns-push-type"), "alert");
        let json: Value = serde_json::from_slice(&payload).expect("JSON");
        (json["aps"].get("mutable-content").cloned(), json["campanile"].clone())
    };
    let (mutable, told) = campanile(200, 2);
    assert_eq!((mutable, &told["id"]), (Some(json!(1)), &json!(ITEM_HEX)));
    assert_eq!((told["items"].as_array().map(Vec::len), told.get("more")), (Some(2), None));
    let (mutable, told) = campanile(3000, 31);
    assert_eq!((mutable, &told["more"]), (Some(json!(1)), &json!(true)));
    assert!(told["items"].as_array().is_some_and(|items| (4..31).contains(&items.len())));
    let (mutable, told) = campanile(PAYLOAD_LIMIT - 40, 31);
    assert_eq!((mutable, &told["more"]), (Some(json!(1)), &json!(true)), "fetch them");
    let (mutable, told) = campanile(PAYLOAD_LIMIT, 31);
    assert_eq!((mutable, told.get("more"), told.get("items")), (None, None, None));
}

#[test]
fn apps_are_told_what_the_documentation_says() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/apps.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let blocks = page.split("```json\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let documented: Vec<Value> =
        blocks.map(|(block, _)| serde_json::from_str(block).expect("JSON")).collect();
    let raw = Content { visual: None, raw: Some(b"campanile".as_slice().into()) };
    let told = |sequence| Told { sequence, ..others(1).remove(0) };
    let sync = Push { along: vec![told(4700)], ..synced() };
    let mut many = json_of(&Push { along: others(MOST_ALONG + 1), ..synced() });
    let alert = shown(Content { visual: Some(visual("Bell")), raw: None });
    let alert = Push { along: vec![told(4700)], ..alert };
    let mut said = [shown(raw), sync, alert, push(PushBody::Signal)].map(|push| json_of(&push));
    said[1]["campanile"]["more"] = many["campanile"]["more"].take();
    assert_eq!(said.map(|mut json| json["campanile"].take()).as_slice(), documented);
}

#[test]
fn a_signal_says_nothing_of_others() {
    let signal = push(PushBody::Signal);
    let along = Push { along: others(3), ..signal.clone() };
    assert_eq!(payload(&along), payload(&signal));
}

/// Whatever was made before.
#[test]
fn a_payload_that_is_remembered_is_that_of_the_push() {
    let payloads = Payloads::default();
    let news = |title| shown(Content { visual: Some(visual(title)), raw: None });
    let mut pushes = vec![news("a"), news("a"), news("b"), synced(), push(PushBody::Signal)];
    pushes.push(Push { along: others(2), ..news("a") });
    pushes.push(Push { sequence: 1, ..news("a") });
    pushes.push(Push { item: NotificationId::from_bytes([1; 16]), ..news("a") });
    for (first, second) in pushes.iter().flat_map(|it| pushes.iter().map(move |next| (it, next))) {
        for push in [first, second] {
            let own = payload(push).expect("sayable");
            assert_eq!(payloads.of(push).expect("sayable"), own, "{first:?}, {second:?}");
        }
    }
}

#[test]
fn a_second_attempt_is_the_same_request() {
    let push = synced();
    for name in ["apns-id", "apns-collapse-id", "apns-expiration"] {
        assert_eq!(header(&push, name), header(&push.clone(), name), "{name}");
    }
    assert_eq!(payload(&push), payload(&push.clone()));
}

fn posted(content: Content) -> Posted {
    Posted {
        id: ITEM,
        request: None,
        app_notification_id: None,
        group: None,
        content: Arc::new(content),
        platforms: campanile_core::PlatformMask::ALL,
        priority: Priority::High,
        expires_at: Timestamp::ZERO,
        deliver_by: Timestamp::ZERO,
        campaign: None,
        fallback: None,
    }
}

/// Content whose payload has exactly `bytes` bytes when the sequence has 20 digits.
fn content_of(bytes: usize) -> Content {
    let with = |title: String| Content { visual: Some(visual(&title)), raw: None };
    let empty = with(String::new());
    let payload = serde_json::to_vec(&show(ITEM, u64::MAX, &empty, None)).expect("JSON");
    with("x".repeat(bytes - payload.len()))
}

#[test]
fn a_payload_of_the_limit_fits_and_one_more_byte_does_not() {
    assert_eq!(fit(&posted(content_of(4096))), Ok(()));
    let unfit = Unfit { platform: Platform::Apns, limit: 4096, needs: 4097 };
    assert_eq!(fit(&posted(content_of(4097))), Err(unfit));
}

#[test]
fn an_unfit_push_is_not_made() {
    let mut push = shown(content_of(4097));
    push.sequence = u64::MAX;
    let refused = payload(&push);
    let text = "apns carries at most 4096 bytes, this content needs 4097";
    assert_eq!(refused.expect_err("too large").to_string(), text);
}

proptest! {
    #[test]
    fn what_fits_can_be_sent_at_any_offset(
        title in ".{0,300}",
        body in proptest::option::of(".{0,1500}"),
        raw in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..3000)),
        sequence in any::<u64>(),
    ) {
        let visual = Some(Visual { title: title.clone(), body, ..Visual::default() });
        let content = Content { visual, raw: raw.map(Bytes::from) };
        prop_assume!(fit(&posted(content.clone())).is_ok());
        let mut push = shown(content);
        push.sequence = sequence;
        let (_, payload) = payload(&push).expect("sayable");
        prop_assert!(payload.len() <= PAYLOAD_LIMIT);
        let json: Value = serde_json::from_slice(&payload).expect("JSON");
        prop_assert_eq!(&json["aps"]["alert"]["title"], &Value::from(title));
        prop_assert_eq!(&json["campanile"]["seq"], &Value::from(sequence));
    }
}
