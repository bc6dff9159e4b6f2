//! What a device shows, stores and remembers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use campanile_simulate::Tap;
use campanile_simulate::apns::{Change, Config, Device, Kind, Recording, Remover, SilentLimit};
use serde_json::json;

use super::client::{Client, LIMIT, Push};
use super::fixture::{Fixture, NOW, NOW_MS, PHONE, TABLET};

async fn deliver(client: &mut Client, push: Push) {
    assert_eq!(client.push(&push).await.unwrap().outcome(), (200, String::new()));
}

fn phone(fixture: &Fixture) -> Device {
    fixture.apns.device(PHONE).unwrap()
}

fn clear(fixture: &Fixture, ids: &[&str]) -> Push {
    let items: Vec<_> = ids.iter().map(|id| json!({ "id": id, "clear": true })).collect();
    fixture.background(json!({ "campanile": { "items": items } }))
}

#[tokio::test]
async fn an_alert_is_shown_under_its_collapse_id_and_replaced_by_the_next() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    let body = json!({
        "aps": { "alert": { "title": "One", "body": "first" }, "badge": 3 },
        "campanile": { "id": "n1", "seq": 7 },
    });
    deliver(&mut client, fixture.alert("").body(body.to_string()).collapse("n1")).await;
    let device = phone(&fixture);
    let shown = &device.shown("n1").unwrap().push;
    assert_eq!((shown.title(), shown.body()), (Some("One"), Some("first")));
    assert_eq!(shown.campanile(), Some(&json!({ "id": "n1", "seq": 7 })));
    assert_eq!((shown.kind, shown.at_ms, shown.connection), (Kind::Alert, NOW_MS, 1));
    assert_eq!(device.badge(), Some(3));

    deliver(&mut client, fixture.alert("Two").collapse("n1")).await;
    deliver(&mut client, fixture.alert("Other").collapse("n2")).await;
    let device = phone(&fixture);
    let titles: Vec<_> = device.screen().values().map(|shown| shown.push.title()).collect();
    assert_eq!(titles, [Some("Two"), Some("Other")]);
    assert_eq!(device.shown("n1").unwrap().replaced, 1);
    assert_eq!(device.history().len(), 3);
    assert!(fixture.apns.device(TABLET).unwrap().screen().is_empty());
}

#[tokio::test]
async fn an_alert_without_collapse_id_stands_alone() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    deliver(&mut client, fixture.alert("same")).await;
    deliver(&mut client, fixture.alert("same")).await;
    deliver(&mut client, fixture.alert("").body(r#"{"aps":{"alert":"plain"}}"#)).await;
    let device = phone(&fixture);
    assert_eq!(device.screen().len(), 3);
    let last = device.history().last().unwrap();
    assert_eq!((last.title(), last.body()), (None, Some("plain")));
}

#[tokio::test]
async fn a_badge_alone_shows_nothing() {
    let fixture = Fixture::start();
    let push = fixture.alert("").body(r#"{"aps":{"badge":5}}"#);
    deliver(&mut fixture.connect().await, push).await;
    let device = phone(&fixture);
    assert_eq!((device.badge(), device.screen().len()), (Some(5), 0));
}

#[tokio::test]
async fn a_sync_clears_what_it_names_and_only_if_it_says_so() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    for id in ["n1", "n2", "n3"] {
        deliver(&mut client, fixture.alert(id).collapse(id)).await;
    }
    let items = json!([
        { "id": "n1", "clear": true, "action": "approve" },
        { "id": "n2", "clear": false, "read": true },
        { "id": "n3" },
        { "id": "n9", "clear": true },
    ]);
    deliver(&mut client, fixture.background(json!({ "campanile": { "items": items } }))).await;
    let device = phone(&fixture);
    let left: Vec<_> = device.screen().keys().map(String::as_str).collect();
    assert_eq!(left, ["n2", "n3"]);
    let removed: Vec<_> = device.removed().map(|gone| (gone.id.as_str(), gone.by)).collect();
    assert_eq!(removed, [("n1", Remover::App)]);
    let sync = device.history().last().unwrap();
    assert_eq!(sync.kind, Kind::Sync);
    assert_eq!(sync.campanile().unwrap()["items"][1]["read"], true);
}

#[tokio::test]
async fn an_alert_clears_what_it_names_if_it_runs_the_extension() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    deliver(&mut client, fixture.alert("One").collapse("n1")).await;
    let alert = |aps| {
        let items = json!([{ "id": "n1", "clear": true }]);
        let body = json!({ "aps": aps, "campanile": { "id": "n2", "items": items } });
        fixture.alert("").body(body.to_string()).collapse("n2")
    };
    deliver(&mut client, alert(json!({ "alert": "Two" }))).await;
    assert!(phone(&fixture).shown("n1").is_some(), "nobody reads it");
    deliver(&mut client, alert(json!({ "alert": "Two", "mutable-content": 1 }))).await;
    assert_eq!(phone(&fixture).screen().keys().collect::<Vec<_>>(), ["n2"]);
}

#[tokio::test]
async fn background_pushes_beyond_the_limit_are_accepted_and_dropped() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    let limit = SilentLimit { pushes: 2, window_ms: 60_000 };
    assert!(fixture.apns.limit_silent(PHONE, Some(limit)));
    assert!(!fixture.apns.limit_silent("00", Some(limit)));
    for id in ["n1", "n2", "n3"] {
        deliver(&mut client, fixture.alert(id).collapse(id)).await;
    }
    for id in ["n1", "n2", "n3"] {
        deliver(&mut client, clear(&fixture, &[id])).await;
    }
    let device = phone(&fixture);
    assert_eq!(device.screen().keys().collect::<Vec<_>>(), ["n3"]);
    assert_eq!((device.accepted(), device.throttled()), (6, 1));
    fixture.clock.advance(Duration::from_secs(60));
    deliver(&mut client, clear(&fixture, &["n3"])).await;
    assert!(phone(&fixture).screen().is_empty());
}

#[tokio::test]
async fn a_raw_push_is_recorded_and_clears_nothing() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    deliver(&mut client, fixture.alert("x").collapse("n1")).await;
    deliver(&mut client, fixture.background(json!({ "order": 42 }))).await;
    let device = phone(&fixture);
    let raw = device.history().last().unwrap();
    assert_eq!((raw.kind, &raw.payload["order"]), (Kind::Raw, &json!(42)));
    assert!(device.shown("n1").is_some());
}

#[tokio::test]
async fn an_offline_device_gets_only_the_newest_push() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    assert!(fixture.apns.set_online(PHONE, false));
    for id in ["n1", "n2", "n3"] {
        deliver(&mut client, fixture.alert(id).collapse(id)).await;
    }
    let device = phone(&fixture);
    assert_eq!((device.history().len(), device.accepted(), device.discarded()), (0, 3, 2));
    assert_eq!(device.stored().and_then(|push| push.title()), Some("n3"));

    assert!(fixture.apns.set_online(PHONE, true));
    let device = phone(&fixture);
    assert_eq!(device.screen().keys().map(String::as_str).collect::<Vec<_>>(), ["n3"]);
    assert!(device.stored().is_none());
}

#[tokio::test]
async fn the_expiration_decides_what_is_stored_and_for_how_long() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    fixture.apns.set_online(PHONE, false);
    deliver(&mut client, fixture.alert("now or never").set("apns-expiration", "0")).await;
    assert!(phone(&fixture).stored().is_none());

    let until = (NOW + 60).to_string();
    deliver(&mut client, fixture.alert("for a minute").set("apns-expiration", &until)).await;
    assert!(phone(&fixture).stored().is_some());
    fixture.clock.advance(Duration::from_secs(61));
    fixture.apns.set_online(PHONE, true);
    let device = phone(&fixture);
    assert_eq!((device.history().len(), device.discarded()), (0, 2));
}

#[tokio::test]
async fn changes_are_published_in_order() {
    let fixture = Fixture::start();
    let mut changes = fixture.apns.subscribe();
    let mut client = fixture.connect().await;
    deliver(&mut client, fixture.alert("One").collapse("n1")).await;
    deliver(&mut client, fixture.alert("Two").collapse("n1")).await;
    deliver(&mut client, fixture.alert("Three").collapse("n2")).await;
    deliver(&mut client, clear(&fixture, &["n1"])).await;
    assert!(fixture.apns.swipe(PHONE, "n2"));
    assert!(!fixture.apns.swipe(PHONE, "n2"), "it is gone");

    let mut seen = Vec::new();
    while let Ok(published) = changes.try_recv() {
        assert_eq!(&*published.token, PHONE);
        seen.push(match published.change {
            Change::Shown(shown) => format!("shown {}", shown.id),
            Change::Replaced(shown) => format!("replaced {} {:?}", shown.id, shown.push.title()),
            Change::Removed(gone) => format!("removed {} by {:?}", gone.id, gone.by),
            Change::Badge(badge) => format!("badge {badge}"),
            Change::Woken(push) => format!("woken {:?}", push.kind),
        });
    }
    let expected = [
        "shown n1",
        "replaced n1 Some(\"Two\")",
        "shown n2",
        "woken Sync",
        "removed n1 by App",
        "removed n2 by User",
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn waiting_ends_when_the_condition_holds_or_time_is_up() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    let shown = |world: &campanile_simulate::apns::World| {
        world.device(PHONE).is_some_and(|device| device.shown("n1").is_some())
    };
    let never = fixture.apns.wait_until(Duration::from_millis(1), shown).await;
    assert!(never.unwrap_err().to_string().contains("1ms"));
    let (waited, ()) = tokio::join!(
        fixture.apns.wait_until(LIMIT, shown),
        deliver(&mut client, fixture.alert("x").collapse("n1")),
    );
    waited.unwrap();
}

#[tokio::test]
async fn counting_only_checks_and_counts_but_keeps_nothing() {
    let recording = Recording::CountsOnly;
    let fixture = Fixture::with(Config { recording, ..Config::default() });
    let mut client = fixture.connect().await;
    let push = fixture.alert("x").set("apns-id", "eabeae54-14a8-11e5-b60b-1697f925ec7b");
    deliver(&mut client, push.clone()).await;
    deliver(&mut client, push.clone()).await;
    assert_eq!(client.push(&push.body("{}")).await.unwrap().status, 400);
    let device = phone(&fixture);
    assert_eq!((device.accepted(), device.duplicates()), (2, 1));
    assert_eq!((device.history().len(), device.screen().len()), (0, 0));
    let counts = fixture.apns.observe(|world| world.connection(1).unwrap().counts);
    assert_eq!((counts.requests, counts.accepted, counts.rejected), (3, 2, 1));
    assert_eq!(fixture.apns.counts(), counts);
}

#[tokio::test]
async fn a_tap_hears_what_is_accepted_and_nothing_else() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = heard.clone();
    let tap = Tap::new(move |push| {
        let body = String::from_utf8(push.body.to_vec()).unwrap();
        ears.lock().unwrap().push((push.device.to_owned(), body));
    });
    let recording = Recording::CountsOnly;
    let fixture = Fixture::with(Config { recording, tap: Some(tap), ..Config::default() });
    let mut client = fixture.connect().await;
    let body = r#"{"aps":{"alert":"told"}}"#;
    deliver(&mut client, fixture.alert("").body(body)).await;
    assert_eq!(client.push(&fixture.alert("").body("{}")).await.unwrap().status, 400);
    assert_eq!(*heard.lock().unwrap(), [(PHONE.to_owned(), body.to_owned())]);
}
