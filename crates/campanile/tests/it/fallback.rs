//! A device that was signalled and stays asleep is shown the fallback; one whose app fetched is not.
//!
//! A fallback waits for a minute at least, so this takes that long, beside the test in `chaos`,
//! which takes longer.

use std::time::Duration;

use campanile_api::Client;
use campanile_proto::v1;
use campanile_simulate::apns::World;

use crate::calls::{is_accepted, notification, publish, settled, unsid};
use crate::process::{SOON, now_ms};
use crate::styles::{apple, left_out};
use crate::tower::{APP, Tower};

const ASLEEP: &str = "a1";
const SYNCS: &str = "a2";
const LISTS: &str = "a3";
const DEVICES: [&str; 3] = [ASLEEP, SYNCS, LISTS];
/// The least that is taken.
const AFTER: Duration = Duration::from_secs(60);
const TITLE: &str = "Bell";
const FALLBACK: &str = "Something is waiting for you";

/// Registers a device that asks for signals; answers its handle.
async fn enrol(tower: &Tower, client: &Client, token: &str) -> String {
    tower.device(token);
    let registered = client.register_endpoint(apple(token, v1::PushStyle::Signal)).await.unwrap();
    registered.unsid
}

fn with_fallback() -> v1::Notification {
    let visual = Some(v1::Visual { title: FALLBACK.to_owned(), ..v1::Visual::default() });
    let after_seconds = AFTER.as_secs().try_into().unwrap();
    let fallback = Some(v1::Fallback { after_seconds, visual });
    v1::Notification { fallback, ..notification("alice", TITLE, None) }
}

/// What an app does that is woken by the signal, one way and the other.
async fn fetch(client: &Client, [syncs, lists]: [&str; 2]) {
    let app = APP.to_owned();
    let sync = v1::SyncRequest {
        app: app.clone(),
        target: unsid(syncs),
        cursor: String::new(),
        limit: None,
    };
    let list = v1::ListNotificationsRequest {
        app,
        target: unsid(lists),
        filter: None,
        page_size: None,
        page_token: String::new(),
    };
    let synced = client.sync(sync).await.unwrap().items;
    let listed = client.list_notifications(list).await.unwrap().items;
    for items in [synced, listed] {
        let titles =
            items.iter().filter_map(|it| Some(&it.content.as_ref()?.visual.as_ref()?.title));
        assert_eq!(titles.collect::<Vec<_>>(), [TITLE], "what is fetched is the content");
    }
}

#[tokio::test]
async fn who_fetched_what_was_signalled_is_not_shown_the_fallback_and_who_did_not_is() {
    let tower = Tower::new();
    let (server, client) = tower.serve(None).await;
    enrol(&tower, &client, ASLEEP).await;
    let (syncs, lists) = (enrol(&tower, &client, SYNCS).await, enrol(&tower, &client, LISTS).await);
    let begun = now_ms();
    let id = publish(&client, with_fallback()).await.unwrap().notification_id;
    assert_eq!(settled(&client, "alice", &id, DEVICES.len()).await.len(), DEVICES.len());
    fetch(&client, [&syncs, &lists]).await;
    assert!(DEVICES.iter().all(|token| tower.apns.device(token).unwrap().screen().is_empty()));

    let is_shown = |world: &World| world.device(ASLEEP).unwrap().shown(&id).is_some();
    let shown = tower.apns.wait_until(AFTER + SOON, is_shown).await;
    shown.unwrap_or_else(|error| panic!("{error}: {}", server.log()));
    let device = tower.apns.device(ASLEEP).unwrap();
    let push = &device.shown(&id).unwrap().push;
    assert_eq!(push.title(), Some(FALLBACK));
    let waited = u128::from(push.at_ms - begun);
    assert!(waited >= AFTER.as_millis(), "shown after {waited} ms");

    // One event planned for all three: for the others it has ended with this one.
    let ended = settled(&client, "alice", &id, DEVICES.len() + 1).await;
    assert!(ended.len() == 4 && ended.iter().all(is_accepted), "{ended:?}");
    let why = left_out(&client, &id).await;
    assert_eq!(why, [v1::WhyNotPlanned::Fetched; 2], "the two that fetched");
    for token in [SYNCS, LISTS] {
        let device = tower.apns.device(token).unwrap();
        assert!(device.accepted() == 1 && device.screen().is_empty(), "{device:?}");
    }
    assert_eq!(tower.accepted(ASLEEP), 2);
    assert!(server.terminate().await.success());
}
