//! Calls of the public API, in the words of the tests.

use std::time::Duration;

use campanile_api::{Client, ClientError};
use campanile_proto::v1;
use campanile_proto::v1::delivery_outcome::Outcome;

use crate::process::{SOON, now_ms};
use crate::tower::{APP, TOPIC};

pub(crate) fn user(user: &str) -> Option<v1::Target> {
    Some(v1::Target { target: Some(v1::target::Target::UserId(user.to_owned())) })
}

pub(crate) fn unsid(unsid: &str) -> Option<v1::Target> {
    Some(v1::Target { target: Some(v1::target::Target::Unsid(unsid.to_owned())) })
}

/// Registers the installation that has `token`.
pub(crate) async fn register(
    client: &Client,
    user: &str,
    token: &str,
) -> Result<v1::RegisterEndpointResponse, ClientError> {
    let apns = v1::ApnsAddress {
        token: token.to_owned(),
        topic: TOPIC.to_owned(),
        environment: v1::Environment::Production.into(),
    };
    let request = v1::RegisterEndpointRequest {
        app: APP.to_owned(),
        user_id: user.to_owned(),
        installation_id: format!("installation of {token}"),
        address: Some(v1::Address { platform: Some(v1::address::Platform::Apns(apns)) }),
        ..v1::RegisterEndpointRequest::default()
    };
    client.register_endpoint(request).await
}

/// A notification with a title, and a key if it has one.
pub(crate) fn notification(to: &str, title: &str, key: Option<&str>) -> v1::Notification {
    let visual = v1::Visual { title: title.to_owned(), ..Default::default() };
    v1::Notification {
        target: user(to),
        idempotency_key: key.map(str::to_owned),
        content: Some(v1::Content { visual: Some(visual), raw: None }),
        ..Default::default()
    }
}

pub(crate) async fn publish(
    client: &Client,
    notification: v1::Notification,
) -> Result<v1::PublishResponse, ClientError> {
    let notification = Some(notification);
    client.publish(v1::PublishRequest { app: APP.to_owned(), notification }).await
}

/// Dismisses one notification.
pub(crate) async fn dismiss(
    client: &Client,
    target: Option<v1::Target>,
    id: &str,
) -> Result<(), ClientError> {
    let update = v1::StateUpdate {
        notification_id: id.to_owned(),
        action: Some(v1::UserAction::Dismissed.into()),
        ..Default::default()
    };
    let request = v1::UpdateStateRequest { app: APP.to_owned(), target, updates: vec![update] };
    let results = client.update_state(request).await?.results;
    match &results[..] {
        [v1::ItemResult { result: Some(v1::item_result::Result::Recorded(_)), .. }] => Ok(()),
        other => Err(tonic::Status::unavailable(format!("{other:?}")).into()),
    }
}

/// Everything the user has, ended ones too.
async fn inbox(client: &Client, whose: &str) -> Vec<v1::InboxItem> {
    let mut items = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListNotificationsRequest {
            app: APP.to_owned(),
            target: user(whose),
            filter: Some(v1::ItemFilter { include_ended: true, ..Default::default() }),
            page_size: Some(500),
            page_token,
        };
        let page = client.list_notifications(request).await.unwrap();
        items.extend(page.items);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return items;
        }
    }
}

/// Waits until the user's inbox is as it should be: an acknowledged change is read a moment later.
pub(crate) async fn inbox_when(
    client: &Client,
    whose: &str,
    is_right: impl Fn(&[v1::InboxItem]) -> bool,
) -> Vec<v1::InboxItem> {
    let begun = now_ms();
    loop {
        let items = inbox(client, whose).await;
        if is_right(&items) {
            return items;
        }
        assert!(u128::from(now_ms() - begun) < SOON.as_millis(), "inbox of {whose}: {items:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What came of every delivery of a notification, in any order.
pub(crate) async fn deliveries(client: &Client, whose: &str, id: &str) -> Vec<v1::DeliveryOutcome> {
    let request = v1::GetTimelineRequest {
        app: APP.to_owned(),
        target: user(whose),
        notification_id: id.to_owned(),
    };
    let timeline = client.get_timeline(request).await;
    let entries = timeline.map(|timeline| timeline.entries).unwrap_or_default();
    let receipts = entries.into_iter().filter_map(|entry| match entry.entry {
        Some(v1::timeline_entry::Entry::Receipt(receipt)) => Some(receipt.deliveries),
        _ => None,
    });
    receipts.flatten().collect()
}

/// Waits until so many deliveries of a notification have ended.
pub(crate) async fn settled(
    client: &Client,
    whose: &str,
    id: &str,
    count: usize,
) -> Vec<v1::DeliveryOutcome> {
    let all = async {
        loop {
            let ended = deliveries(client, whose, id).await;
            if ended.len() >= count {
                return ended;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let all = tokio::time::timeout(SOON, all).await;
    all.unwrap_or_else(|_| panic!("{id} of {whose} has fewer than {count} ended deliveries"))
}

pub(crate) fn is_accepted(delivery: &v1::DeliveryOutcome) -> bool {
    matches!(delivery.outcome, Some(Outcome::Accepted(_)))
}

/// Why a delivery was not sent.
pub(crate) fn suppression(delivery: &v1::DeliveryOutcome) -> Option<v1::Suppression> {
    match delivery.outcome {
        Some(Outcome::Suppressed(why)) => Some(v1::Suppression::try_from(why).unwrap()),
        _ => None,
    }
}
