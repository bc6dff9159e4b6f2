//! What a device shows, and what is kept for one that is away.

use std::time::Duration;

use campanile_simulate::fcm::{
    Change, Config, Device, Kind, MAX_COLLAPSE_KEYS, MAX_STORED, Priority, Quotas, Recording,
    Remover,
};
use serde_json::{Value, json};

use super::client::LIMIT;
use super::fixture::{Fixture, PHONE, accounts, alert, data, send};

/// Sends messages one after the other; all are accepted.
async fn send_all(fixture: &Fixture, messages: impl IntoIterator<Item = Value>) {
    let bearer = fixture.bearer(&accounts()[0]).await;
    let mut client = fixture.connect().await;
    for message in messages {
        let answer = client.push(&send(&bearer, message)).await.unwrap();
        assert_eq!(answer.status, 200, "{:?}", answer.body);
    }
}

fn without_limits() -> Fixture {
    Fixture::with(Config { quotas: Quotas::NONE, ..Config::default() })
}

fn tray(device: &Device) -> Vec<&str> {
    device.tray().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_notification_is_shown_under_its_tag_and_replaced_by_it() {
    let fixture = Fixture::start();
    let mut changes = fixture.fcm.subscribe();
    send_all(&fixture, [alert("a"), alert("b"), alert("a")]).await;
    let device = fixture.phone();
    assert_eq!(tray(&device), ["a", "b"]);
    assert_eq!(device.shown("a").unwrap().replaced, 1);
    assert_eq!((device.accepted(), device.duplicates()), (3, 1));
    let push = &device.shown("a").unwrap().push;
    assert_eq!(
        (push.title(), push.body(), push.tag.as_deref()),
        (Some("Bell"), Some("rings"), Some("a"))
    );
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let changed = tokio::time::timeout(LIMIT, changes.recv()).await.unwrap().unwrap();
        assert_eq!(&*changed.token, "fid-phone");
        kinds.push(matches!(changed.change, Change::Replaced(_)));
    }
    assert_eq!(kinds, [false, false, true]);
}

#[tokio::test]
async fn without_a_tag_nothing_is_replaced() {
    let fixture = Fixture::start();
    let untagged = json!({ "token": PHONE, "notification": { "title": "Bell" } });
    send_all(&fixture, [untagged.clone(), untagged]).await;
    assert_eq!(fixture.phone().tray().len(), 2);
}

#[tokio::test]
async fn a_sync_clears_and_a_user_swipes() {
    let fixture = Fixture::start();
    let items = json!({ "items": [{ "id": "a", "clear": true }, { "id": "b", "clear": false }] });
    send_all(&fixture, [alert("a"), alert("b"), alert("c"), data(&items)]).await;
    assert!(fixture.fcm.swipe(PHONE, "c"));
    assert!(!fixture.fcm.swipe(PHONE, "c"));
    let device = fixture.phone();
    assert_eq!(tray(&device), ["b"]);
    let removed: Vec<_> = device.removed().map(|it| (it.id.as_str(), it.by)).collect();
    assert_eq!(removed, [("a", Remover::App), ("c", Remover::User)]);
    assert_eq!(device.history().next_back().unwrap().kind, Kind::Sync);
}

#[tokio::test]
async fn priority_has_its_default_by_kind() {
    let fixture = Fixture::start();
    let mut urgent = data(&json!(1));
    urgent["android"] = json!({ "priority": "HIGH" });
    send_all(&fixture, [alert("a"), data(&json!(1)), urgent]).await;
    let priorities: Vec<_> = fixture.phone().history().map(|it| it.priority).collect();
    assert_eq!(priorities, [Priority::High, Priority::Normal, Priority::High]);
}

#[tokio::test]
async fn of_the_notifications_for_a_device_that_is_away_the_last_is_kept() {
    let fixture = Fixture::start();
    assert!(fixture.fcm.set_online(PHONE, false));
    send_all(&fixture, [alert("a"), alert("b"), alert("c")]).await;
    assert_eq!(fixture.phone().stored().len(), 1);
    assert!(fixture.fcm.set_online(PHONE, true));
    let device = fixture.phone();
    assert_eq!((tray(&device), device.discarded()), (vec!["c"], 2));
}

#[tokio::test]
async fn data_messages_are_all_kept_up_to_a_hundred() {
    let fixture = without_limits();
    fixture.fcm.set_online(PHONE, false);
    let mut changes = fixture.fcm.subscribe();
    let messages = |count: usize| (0..count).map(|number| data(&json!({ "n": number })));
    send_all(&fixture, messages(MAX_STORED)).await;
    assert_eq!(fixture.phone().stored().len(), MAX_STORED);
    send_all(&fixture, messages(1)).await;
    assert_eq!(fixture.phone().stored().len(), 0, "one more, and all are gone");
    fixture.fcm.set_online(PHONE, true);
    let changed = tokio::time::timeout(LIMIT, changes.recv()).await.unwrap().unwrap();
    assert_eq!(changed.change, Change::MessagesDeleted);
    assert_eq!(fixture.phone().discarded(), MAX_STORED as u64 + 1);
}

#[tokio::test]
async fn four_collapse_keys_are_kept_no_matter_which() {
    let fixture = Fixture::start();
    fixture.fcm.set_online(PHONE, false);
    let keyed = |key: u32, number: u32| {
        let mut message = data(&json!({ "n": number }));
        message["android"] = json!({ "collapseKey": format!("k{key}") });
        message
    };
    send_all(&fixture, (0..4).map(|key| keyed(key, key))).await;
    send_all(&fixture, [keyed(0, 99)]).await;
    let stored = |device: &Device| -> Vec<Value> {
        device.stored().map(|it| it.campanile().unwrap()["n"].clone()).collect()
    };
    assert_eq!(stored(&fixture.phone()), [1, 2, 3, 99].map(Value::from));
    send_all(&fixture, [keyed(7, 7)]).await;
    assert_eq!(fixture.phone().stored().len(), MAX_COLLAPSE_KEYS);
    assert_eq!(fixture.phone().discarded(), 2);
}

#[tokio::test]
async fn what_expires_or_is_for_now_or_never_does_not_arrive_later() {
    let fixture = Fixture::start();
    fixture.fcm.set_online(PHONE, false);
    let living = |ttl: &str, number: u32| {
        let mut message = data(&json!({ "n": number }));
        message["android"] = json!({ "ttl": ttl });
        message
    };
    send_all(&fixture, [living("0s", 0), living("10s", 1), living("11s", 2)]).await;
    fixture.clock.advance(Duration::from_secs(10));
    fixture.fcm.set_online(PHONE, true);
    let device = fixture.phone();
    let arrived: Vec<_> = device.history().map(|it| it.campanile().unwrap()["n"].clone()).collect();
    assert_eq!((arrived, device.discarded()), (vec![json!(2)], 2));
}

#[tokio::test]
async fn a_validation_delivers_nothing() {
    let fixture = Fixture::start();
    let bearer = fixture.bearer(&accounts()[0]).await;
    let body = json!({ "validateOnly": true, "message": alert("a") }).to_string();
    let push = send(&bearer, Value::Null).body(body);
    let answer = fixture.connect().await.push(&push).await.unwrap();
    let name = "projects/bells-0815/messages/fake_message_id";
    assert_eq!((answer.status.as_u16(), &answer.json()["name"]), (200, &json!(name)));
    assert_eq!(fixture.phone().accepted(), 0);
}

#[tokio::test]
async fn for_load_messages_are_only_counted() {
    let recording = Recording::CountsOnly;
    let fixture = Fixture::with(Config { recording, ..Config::default() });
    send_all(&fixture, [alert("a"), alert("a")]).await;
    let device = fixture.phone();
    assert_eq!((device.accepted(), device.duplicates(), device.tray().len()), (2, 1, 0));
}

#[tokio::test]
async fn a_rotated_token_takes_the_place_of_the_one_before() {
    let fixture = Fixture::start();
    fixture.fcm.rotate_token("fid-phone:next").unwrap();
    assert_eq!(fixture.send(alert("a")).await.status, 404);
    let mut next = alert("a");
    next["token"] = json!("fid-phone:next");
    assert_eq!(fixture.send(next).await.status, 200);
    assert_eq!(fixture.phone().token(), Some("fid-phone:next"));
    assert!(fixture.fcm.rotate_token("fid-nobody:x").is_err());
    for bad in ["", ":x", "a b", "ü"] {
        assert!(fixture.fcm.register_device("bells", bad).is_err(), "{bad:?}");
    }
}
