//! What the services promise, seen from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

mod tower;

use std::time::Duration;

use campanile_proto::v1;

use tower::{
    APP, Tower, USER, apns, eventually, list, publish, register, soon, titled, token, unsid, user,
};

fn dismiss(id: &str) -> v1::StateUpdate {
    let action = Some(v1::UserAction::Dismissed.into());
    v1::StateUpdate { notification_id: id.into(), action, ..Default::default() }
}

fn update(target: Option<v1::Target>, update: v1::StateUpdate) -> v1::UpdateStateRequest {
    v1::UpdateStateRequest { app: APP.into(), target, updates: vec![update] }
}

fn sync(cursor: &str) -> v1::SyncRequest {
    v1::SyncRequest { app: APP.into(), target: user(USER), cursor: cursor.into(), limit: None }
}

fn watch(cursor: &str) -> v1::WatchRequest {
    v1::WatchRequest { app: APP.into(), target: user(USER), cursor: cursor.into() }
}

#[tokio::test]
async fn what_is_published_is_listed_as_it_was() {
    let tower = Tower::start().await;
    let visual = v1::Visual {
        title: "Order 42".into(),
        body: Some("ready".into()),
        sound: Some("bell.caf".into()),
        badge: Some(3),
    };
    let content = v1::Content { visual: Some(visual), raw: Some(vec![0, 255, 7].into()) };
    let notification = v1::Notification {
        app_notification_id: Some("order-42".into()),
        group: Some("orders".into()),
        content: Some(content.clone()),
        platforms: vec![v1::Platform::Apns.into(), v1::Platform::WebPush.into()],
        priority: v1::Priority::Low.into(),
        end: Some(v1::notification::End::TtlSeconds(60)),
        ..titled("")
    };
    let posted = tower.post(notification.clone()).await;
    let item = tower.until_listed(&posted.notification_id).await;
    assert_eq!(item.content, Some(content));
    assert_eq!(item.app_notification_id, notification.app_notification_id);
    assert_eq!(item.group, notification.group);
    assert_eq!(item.platforms, notification.platforms);
    assert_eq!(item.priority, notification.priority);
    assert_eq!(item.expires_at.unwrap().seconds - item.created_at.unwrap().seconds, 60);
    assert_eq!((item.revision, item.read, item.ended), (1, false, None));
    assert_eq!(item.action(), v1::UserAction::None);

    let again = tower.client.publish(publish(notification)).await.unwrap();
    assert_eq!(again.notification_id, posted.notification_id, "a name is an item");
    let everything = tower.post(titled("to every platform")).await.notification_id;
    assert!(tower.until_listed(&everything).await.platforms.is_empty());
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    let tower = Tower::start().await;
    for n in 0..5 {
        let group = Some(if n % 2 == 0 { "even" } else { "odd" }.to_owned());
        tower.post(v1::Notification { group, ..titled(&n.to_string()) }).await;
    }
    let mut seen = Vec::new();
    let mut request = v1::ListNotificationsRequest { page_size: Some(2), ..list(USER) };
    loop {
        let page = tower.client.list_notifications(request.clone()).await.unwrap();
        assert!(page.items.len() <= 2);
        let title = |item: &v1::InboxItem| {
            item.content.as_ref().unwrap().visual.as_ref().unwrap().title.clone()
        };
        seen.extend(page.items.iter().map(title));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(seen, ["4", "3", "2", "1", "0"]);
    let filter = Some(v1::ItemFilter { group: Some("odd".into()), ..Default::default() });
    let request = v1::ListNotificationsRequest { filter, ..list(USER) };
    assert_eq!(tower.client.list_notifications(request).await.unwrap().items.len(), 2);
    let filter = Some(v1::ItemFilter { read: Some(true), ..Default::default() });
    let request = v1::ListNotificationsRequest { filter, ..list(USER) };
    assert!(tower.client.list_notifications(request).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_sync_tells_what_changed_and_only_that() {
    let tower = Tower::start().await;
    let (one, two) = (tower.post(titled("one")).await, tower.post(titled("two")).await);
    let start = tower.client.sync(sync("")).await.unwrap();
    assert_eq!(start.items.len(), 2);
    let none = tower.client.sync(sync(&start.cursor)).await.unwrap();
    assert!(none.items.is_empty() && !none.more);

    let id = &one.notification_id;
    let answer = tower.client.update_state(update(user(USER), dismiss(id))).await.unwrap();
    assert!(matches!(answer.results[0].result, Some(v1::item_result::Result::Recorded(_))));
    let changed = eventually(|| async {
        let page = tower.client.sync(sync(&none.cursor)).await.unwrap();
        (!page.items.is_empty()).then_some(page)
    })
    .await;
    assert_eq!(changed.items.len(), 1);
    assert_eq!(changed.items[0].notification_id, *id);
    assert_eq!(changed.items[0].action(), v1::UserAction::Dismissed);

    let delete = v1::DeleteNotificationsRequest {
        app: APP.into(),
        target: user(USER),
        notification_ids: vec![two.notification_id.clone()],
    };
    tower.client.delete_notifications(delete).await.unwrap();
    let deleted = eventually(|| async {
        let page = tower.client.sync(sync(&changed.cursor)).await.unwrap();
        page.items.into_iter().next()
    })
    .await;
    assert_eq!(deleted.notification_id, two.notification_id);
    assert_eq!(deleted.ended(), v1::Ended::Deleted);
    assert_eq!(deleted.content, None);
}

#[tokio::test]
async fn a_watch_tells_changes_and_resumes_where_it_was() {
    let tower = Tower::start().await;
    let mut live = tower.client.watch(watch("")).await.unwrap();
    let first = soon(live.message()).await.unwrap().unwrap();
    assert!(first.items.is_empty());
    let posted = tower.post(titled("live")).await.notification_id;
    let told = soon(live.message()).await.unwrap().unwrap();
    assert_eq!(told.items[0].notification_id, posted);
    drop(live);

    let missed = tower.post(titled("missed")).await.notification_id;
    let mut resumed = tower.client.watch(watch(&told.cursor)).await.unwrap();
    let told = soon(resumed.message()).await.unwrap().unwrap();
    let ids: Vec<_> = told.items.iter().map(|item| &item.notification_id).collect();
    assert_eq!(ids, [&missed]);
}

#[tokio::test]
async fn an_unsid_names_its_user_and_its_device() {
    let tower = Tower::start().await;
    let phone = tower.register("phone").await;
    let lease = phone.expires_at.unwrap().seconds - 1_800_000_000;
    assert_eq!(lease, 30 * 86_400);
    let notification = v1::Notification { target: unsid(&phone.unsid), ..titled("x") };
    let id = tower.post(notification).await.notification_id;
    tower.client.update_state(update(unsid(&phone.unsid), dismiss(&id))).await.unwrap();
    let timeline =
        v1::GetTimelineRequest { app: APP.into(), target: user(USER), notification_id: id };
    let change = eventually(|| async {
        let timeline = tower.client.get_timeline(timeline.clone()).await.unwrap();
        timeline.entries.into_iter().nth(1)
    })
    .await;
    let Some(v1::timeline_entry::Entry::Event(event)) = change.entry else { panic!("no event") };
    assert_eq!((event.name.as_str(), event.summary.as_str()), ("StateChanged", "dismissed"));
    assert_eq!(event.origin, phone.endpoint_id);
    assert!(event.changed);
}

#[tokio::test]
async fn of_a_user_nobody_knows_there_is_nothing() {
    let tower = Tower::start().await;
    let found = tower.client.list_notifications(list("nobody")).await.unwrap();
    assert!(found.items.is_empty(), "{found:?}");
    let request = v1::ListEndpointsRequest { app: APP.into(), target: user("nobody") };
    let found = tower.client.list_endpoints(request).await.unwrap();
    assert!(found.endpoints.is_empty() && found.retired.is_empty(), "{found:?}");
}

#[tokio::test]
async fn endpoints_are_registered_renewed_and_retired() {
    let tower = Tower::start().await;
    let phone = tower.register("phone").await;
    let endpoints = || async {
        let request = v1::ListEndpointsRequest { app: APP.into(), target: user(USER) };
        tower.client.list_endpoints(request).await.unwrap()
    };
    let listed = eventually(|| async { endpoints().await.endpoints.into_iter().next() }).await;
    assert_eq!(listed.endpoint_id, phone.endpoint_id);
    assert_eq!(listed.address, apns(&token("phone")));

    let moved = v1::RegisterEndpointRequest { address: apns("AABB"), ..register("phone") };
    let moved = tower.client.register_endpoint(moved).await.unwrap();
    assert_eq!(moved.endpoint_id, phone.endpoint_id, "an address may change");
    eventually(|| async {
        let found = endpoints().await.endpoints;
        (found.len() == 1 && found[0].address == apns("aabb")).then_some(())
    })
    .await;

    tower.clock.advance(Duration::from_secs(3600));
    let renew =
        v1::RenewEndpointRequest { app: APP.into(), unsid: moved.unsid, lease_seconds: Some(60) };
    let renewed = tower.client.renew_endpoint(renew).await.unwrap();
    assert_eq!(renewed.expires_at.unwrap().seconds, 1_800_000_000 + 3600 + 60);

    let which = v1::retire_endpoint_request::Endpoint::Unsid(renewed.unsid);
    let retire = v1::RetireEndpointRequest { app: APP.into(), endpoint: Some(which) };
    tower.client.retire_endpoint(retire.clone()).await.unwrap();
    tower.client.retire_endpoint(retire).await.unwrap();
    let retired = eventually(|| async { endpoints().await.retired.into_iter().next() }).await;
    assert_eq!(retired.endpoint_id, phone.endpoint_id);
    assert_eq!(retired.reason(), v1::RetireReason::Unregistered);
}

#[tokio::test]
async fn history_knows_every_revision() {
    let tower = Tower::start().await;
    let named = |title: &str| v1::Notification {
        app_notification_id: Some("order-42".into()),
        ..titled(title)
    };
    let id = tower.post(named("first")).await.notification_id;
    tower.clock.advance(Duration::from_secs(10));
    tower.client.publish(publish(named("second"))).await.unwrap();
    tower.clock.advance(Duration::from_secs(10));
    let recall = v1::RecallRequest {
        app: APP.into(),
        target: user(USER),
        notification: Some(v1::recall_request::Notification::AppNotificationId("order-42".into())),
    };
    assert_eq!(tower.client.recall(recall).await.unwrap().notification_id, id);

    let timeline =
        v1::GetTimelineRequest { app: APP.into(), target: user(USER), notification_id: id.clone() };
    let entries = eventually(|| async {
        let found = tower.client.get_timeline(timeline.clone()).await.unwrap().entries;
        (found.len() == 3).then_some(found)
    })
    .await;
    let event = |entry: &v1::TimelineEntry| match &entry.entry {
        Some(v1::timeline_entry::Entry::Event(event)) => event.clone(),
        other => panic!("{other:?}"),
    };
    let names: Vec<_> = entries.iter().map(|entry| event(entry).name).collect();
    assert_eq!(names, ["NotificationPosted", "NotificationPosted", "NotificationRecalled"]);
    assert_eq!(event(&entries[0]).verdict(), v1::PostVerdict::Accepted);

    let title_at = |after: i64| {
        let (app, target) = (APP.into(), user(USER));
        let at = Some(prost_types::Timestamp { seconds: 1_800_000_000 + after, nanos: 0 });
        let client = &tower.client;
        let request = v1::GetStateAtRequest { app, target, notification_id: id.clone(), at };
        async move {
            let state = client.get_state_at(request).await.unwrap();
            assert!(state.complete);
            state.item.map(|item| item.content.and_then(|it| it.visual).map(|it| it.title))
        }
    };
    assert_eq!(title_at(-1).await, None, "before it was posted");
    assert_eq!(title_at(5).await, Some(Some("first".into())));
    assert_eq!(title_at(15).await, Some(Some("second".into())));
    assert_eq!(title_at(20).await, Some(None), "recalled: no content");
}

#[tokio::test]
async fn an_explanation_names_who_was_told_and_who_was_not() {
    let tower = Tower::start().await;
    let phone = tower.register("phone").await.endpoint_id;
    let id = tower.post(titled("x")).await.notification_id;
    let laptop = tower.register("laptop").await.endpoint_id;
    let request = |endpoint_id: &str| v1::ExplainRequest {
        app: APP.into(),
        target: user(USER),
        notification_id: id.clone(),
        endpoint_id: endpoint_id.into(),
    };
    let later = eventually(|| async { tower.client.explain(request(&laptop)).await.ok() }).await;
    assert!(later.complete);
    assert_eq!(later.counts, []);
    let why = later.steps.iter().find_map(|step| match &step.step {
        Some(v1::explain_step::Step::NotPlanned(it)) => Some((step.endpoint_id.clone(), it.why())),
        _ => None,
    });
    assert_eq!(why, Some((laptop, v1::WhyNotPlanned::RegisteredLater)));

    let (app, target) = (APP.into(), user(USER));
    let request = v1::GetOutcomesRequest { app, target, notification_id: id };
    let outcomes = tower.client.get_outcomes(request).await.unwrap();
    let platform = v1::Platform::Apns.into();
    let one = v1::OutcomeCounts { platform, planned: 1, open: 1, ..Default::default() };
    assert_eq!(outcomes.counts, [one]);
    let planned: Vec<_> =
        outcomes.deliveries.iter().filter_map(|it| it.delivery.as_ref()).collect();
    assert_eq!(planned.len(), 1);
    assert_eq!((&planned[0].endpoint_id, planned[0].shows_revision), (&phone, Some(1)));
    assert_eq!(planned[0].outcome, None);
    let all = v1::Convergence { shows_revision: Some(1), total: 1, open: 1, ..Default::default() };
    assert_eq!(outcomes.convergence, Some(all));
    assert!(outcomes.complete);
}
