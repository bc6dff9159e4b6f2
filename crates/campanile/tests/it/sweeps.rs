//! One call that is about many notifications: a campaign taken back from every user, and everything
//! dismissed up to a cursor.

use campanile_api::{Client, ClientError};
use campanile_proto::v1;

use crate::calls::{
    inbox_when, notification, publish, register, settled, suppression, unsid, user,
};
use crate::process::Server;
use crate::tower::{APP, Tower};

const WITHOUT_WORKER: Option<&str> = Some("ingest,gateway,projector,scheduler");

async fn posted(client: &Client, whose: &str, title: &str, campaign: Option<&str>) -> String {
    let campaign = campaign.map(str::to_owned);
    let posted = v1::Notification { campaign, ..notification(whose, title, None) };
    publish(client, posted).await.unwrap().notification_id
}

async fn recall(client: &Client, campaign: &str) -> v1::RecallCampaignResponse {
    let (app, campaign) = (APP.to_owned(), campaign.to_owned());
    client.recall_campaign(v1::RecallCampaignRequest { app, campaign }).await.unwrap()
}

async fn dismiss_all(
    client: &Client,
    target: Option<v1::Target>,
    cursor: &str,
) -> Result<v1::DismissAllResponse, ClientError> {
    let (app, cursor) = (APP.to_owned(), cursor.to_owned());
    client.dismiss_all(v1::DismissAllRequest { app, target, cursor }).await
}

/// A cursor behind everything that `ids` say, once the server knows them all.
async fn cursor(client: &Client, whose: &str, ids: &[&String]) -> String {
    inbox_when(client, whose, |items| {
        ids.iter().all(|id| items.iter().any(|item| item.notification_id == **id))
    })
    .await;
    let (app, target) = (APP.to_owned(), user(whose));
    let request = v1::SyncRequest { app, target, cursor: String::new(), limit: None };
    client.sync(request).await.unwrap().cursor
}

/// Waits until the device shows exactly these.
async fn shows(tower: &Tower, token: &str, ids: &[&String]) {
    let are_right = |screen: Vec<&String>| {
        screen.len() == ids.len() && ids.iter().all(|id| screen.contains(id))
    };
    let what = format!("{token} shows {ids:?}");
    tower
        .wait_until(&what, |world| {
            are_right(world.device(token).unwrap().screen().keys().collect())
        })
        .await;
}

#[tokio::test]
async fn a_recalled_campaign_leaves_every_screen_and_nothing_else_does() {
    let tower = Tower::new();
    let people = [("alice", "a1"), ("bob", "b1"), ("carol", "c1")];
    let (server, client) = tower.serve(None).await;
    let (mut kept, mut recalled) = (Vec::new(), Vec::new());
    for (whose, token) in people {
        tower.device(token);
        register(&client, whose, token).await.unwrap();
        recalled.push(posted(&client, whose, "Sale", Some("spring")).await);
        kept.push(posted(&client, whose, "Your order", None).await);
    }
    for ((_, token), ids) in people.iter().zip(recalled.iter().zip(&kept)) {
        shows(&tower, token, &[ids.0, ids.1]).await;
    }
    let answer = recall(&client, "spring").await;
    assert_eq!(answer.positions.len(), 8, "once in every partition");
    for ((whose, token), ids) in people.iter().zip(recalled.iter().zip(&kept)) {
        shows(&tower, token, &[ids.1]).await;
        inbox_when(&client, whose, |items| {
            let ended = items.iter().find(|item| item.notification_id == *ids.0);
            ended.is_some_and(|item| item.ended == Some(v1::Ended::Recalled.into()))
        })
        .await;
    }
    // The name may be used again: what was posted later is not meant.
    let again = posted(&client, "alice", "Second sale", Some("spring")).await;
    shows(&tower, "a1", &[&kept[0], &again]).await;
    assert_counts(&client, "alice", &recalled[0], 2).await;
    assert!(server.terminate().await.success());
}

/// What became of the deliveries of a notification adds up to what was planned.
async fn assert_counts(client: &Client, whose: &str, id: &str, planned: u64) {
    settled(client, whose, id, usize::try_from(planned).unwrap()).await;
    let request = v1::GetOutcomesRequest {
        app: APP.to_owned(),
        target: user(whose),
        notification_id: id.to_owned(),
    };
    let [counts] = &client.get_outcomes(request).await.unwrap().counts[..] else { panic!() };
    assert_eq!((counts.planned, counts.accepted), (planned, planned), "{counts:?}");
}

#[tokio::test]
async fn a_campaign_recalled_before_delivery_is_not_delivered() {
    let tower = Tower::new();
    tower.device("a1");
    let (server, client) = tower.serve(WITHOUT_WORKER).await;
    register(&client, "alice", "a1").await.unwrap();
    let id = posted(&client, "alice", "Sale", Some("spring")).await;
    recall(&client, "spring").await;
    let other = posted(&client, "alice", "Your order", None).await;
    assert!(server.terminate().await.success());

    let (server, client) = tower.serve(None).await;
    shows(&tower, "a1", &[&other]).await;
    let ended = settled(&client, "alice", &id, 1).await;
    let shown = ended.iter().find(|it| it.shows_revision.is_some()).unwrap();
    assert_eq!(suppression(shown), Some(v1::Suppression::Recalled));
    let device = tower.apns.device("a1").unwrap();
    assert!(!device.history().any(|it| it.is_visible() && it.collapse_id.as_ref() == Some(&id)));
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn everything_until_the_cursor_is_cleared_on_the_other_devices() {
    let tower = Tower::new();
    let (server, client): (Server, Client) = tower.serve(None).await;
    let mut handles = Vec::new();
    for token in ["a1", "a2"] {
        tower.device(token);
        handles.push(register(&client, "alice", token).await.unwrap().unsid);
    }
    let first = posted(&client, "alice", "One", None).await;
    let second = posted(&client, "alice", "Two", None).await;
    let until = cursor(&client, "alice", &[&first, &second]).await;
    let third = posted(&client, "alice", "Three", None).await;
    shows(&tower, "a2", &[&first, &second, &third]).await;

    dismiss_all(&client, unsid(&handles[0]), &until).await.unwrap();
    shows(&tower, "a2", &[&third]).await;
    let dismissed = |item: &v1::InboxItem| item.action == v1::UserAction::Dismissed as i32;
    let items = inbox_when(&client, "alice", |items| {
        items.iter().filter(|item| dismissed(item)).count() == 2
    })
    .await;
    let left: Vec<_> = items.iter().filter(|item| !dismissed(item)).collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].notification_id, third);
    // Nobody is told what it did itself: three posts and no clear.
    settled(&client, "alice", &first, 3).await;
    settled(&client, "alice", &second, 3).await;
    assert_eq!(tower.accepted("a1"), 3);

    let without = dismiss_all(&client, user("alice"), "").await;
    let Err(ClientError::Refused { code, field, .. }) = without else { panic!("{without:?}") };
    assert_eq!((code, field.as_deref()), (tonic::Code::InvalidArgument, Some("cursor")));
    let foreign = cursor(&client, "bob", &[]).await;
    let refused = dismiss_all(&client, user("alice"), &foreign).await;
    let Err(ClientError::Refused { code, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(code, tonic::Code::InvalidArgument);
    assert!(server.terminate().await.success());
}
