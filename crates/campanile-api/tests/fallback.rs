//! Fallbacks at the edge: what is refused, and who counts as having fetched.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

mod tower;

use campanile_api::ClientError;
use campanile_proto::v1;
use tonic::Code;

use tower::{APP, Tower, USER, eventually, publish, register, soon, titled, unsid, user};

#[track_caller]
fn invalid<T: std::fmt::Debug>(answer: Result<T, ClientError>, field: &str) {
    match answer {
        Err(ClientError::Refused { code: Code::InvalidArgument, field: at, message, .. }) => {
            assert_eq!(at.as_deref(), Some(field), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn fallbacks_that_break_the_rules() {
    let tower = Tower::start().await;
    let said = |after_seconds, title: &str| {
        let visual = Some(v1::Visual { title: title.into(), ..Default::default() });
        v1::Notification { fallback: Some(v1::Fallback { after_seconds, visual }), ..titled("x") }
    };
    let only_android =
        v1::Notification { platforms: vec![v1::Platform::Fcm.into()], ..said(60, "x") };
    let no_visual = v1::Fallback { after_seconds: 60, visual: None };
    let no_visual = v1::Notification { fallback: Some(no_visual), ..titled("x") };
    let rows = [
        (said(0, "x"), "fallback.after_seconds"),
        (said(59, "x"), "fallback.after_seconds"),
        (said(601, "x"), "fallback.after_seconds"),
        (said(60, ""), "fallback.visual.title"),
        (no_visual, "fallback.visual"),
        (only_android, "fallback"),
    ];
    for (wrong, field) in rows {
        invalid(tower.client.publish(publish(wrong)).await, field);
    }
    for allowed in [60, 600] {
        tower.client.publish(publish(said(allowed, "x"))).await.unwrap();
    }
}

/// The names of what happened to a notification.
async fn events(tower: &Tower, id: &str) -> Vec<String> {
    let (app, target, notification_id) = (APP.to_owned(), user(USER), id.to_owned());
    let request = v1::GetTimelineRequest { app, target, notification_id };
    let entries = tower.client.get_timeline(request).await.unwrap().entries;
    let events = entries.into_iter().filter_map(|entry| match entry.entry {
        Some(v1::timeline_entry::Entry::Event(event)) => Some(event.name),
        _ => None,
    });
    events.collect()
}

#[tokio::test]
async fn a_fetch_is_recorded_once_and_a_watch_is_none() {
    let tower = Tower::start().await;
    let style = v1::PushStyle::Signal.into();
    let request = v1::RegisterEndpointRequest { push_style: style, ..register("phone") };
    let phone = tower.client.register_endpoint(request).await.unwrap().unsid;
    let (app, cursor) = (APP.to_owned(), String::new());
    let watch = v1::WatchRequest { app: app.clone(), target: unsid(&phone), cursor };
    let mut live = tower.client.watch(watch).await.unwrap();
    soon(live.message()).await.unwrap();
    let visual = Some(v1::Visual { title: "still there".into(), ..Default::default() });
    let fallback = Some(v1::Fallback { after_seconds: 60, visual });
    let id = tower.post(v1::Notification { fallback, ..titled("x") }).await.notification_id;
    let told = soon(live.message()).await.unwrap().unwrap();
    assert_eq!(told.items[0].notification_id, id);
    assert_eq!(events(&tower, &id).await, ["NotificationPosted"], "a watch is no fetch");

    let sync = v1::SyncRequest { app, target: unsid(&phone), ..Default::default() };
    for _ in 0..2 {
        tower.client.sync(sync.clone()).await.unwrap();
        eventually(|| async { (events(&tower, &id).await.len() == 2).then_some(()) }).await;
    }
    assert_eq!(events(&tower, &id).await, ["NotificationPosted", "ItemFetched"]);
}
