//! What happened before a delivery was sent makes it needless, and the timeline says why.
//!
//! The worker is away meanwhile: a server without its role takes the publish.

use campanile_proto::v1;

use crate::calls::{
    dismiss, inbox_when, notification, publish, register, settled, suppression, user,
};
use crate::tower::Tower;

const WITHOUT_WORKER: Option<&str> = Some("ingest,gateway,projector,scheduler");

#[tokio::test]
async fn a_dismissal_before_delivery_suppresses_it() {
    let tower = Tower::new();
    tower.device("a1");
    let (server, client) = tower.serve(WITHOUT_WORKER).await;
    register(&client, "alice", "a1").await.unwrap();
    let id = publish(&client, notification("alice", "Bell", None)).await.unwrap().notification_id;
    let other = publish(&client, notification("alice", "Other", None)).await.unwrap();
    dismiss(&client, user("alice"), &id).await.unwrap();
    assert!(server.terminate().await.success());
    assert_eq!(tower.accepted("a1"), 0);

    let (server, client) = tower.serve(None).await;
    let ended = settled(&client, "alice", &id, 1).await;
    let shown = ended.iter().find(|it| it.shows_revision == Some(1)).unwrap();
    assert_eq!(suppression(shown), Some(v1::Suppression::Handled));
    settled(&client, "alice", &other.notification_id, 1).await;
    assert!(tower.shows("a1", &other.notification_id));
    assert!(!tower.shows("a1", &id));
    let shown = |id: &str| {
        let device = tower.apns.device("a1").unwrap();
        device
            .history()
            .filter(|it| it.collapse_id.as_deref() == Some(id) && it.is_visible())
            .count()
    };
    assert_eq!((shown(&id), shown(&other.notification_id)), (0, 1));
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn what_expired_before_delivery_is_not_sent() {
    let tower = Tower::new();
    tower.device("a1");
    let (server, client) = tower.serve(WITHOUT_WORKER).await;
    register(&client, "alice", "a1").await.unwrap();
    let end = Some(v1::notification::End::TtlSeconds(1));
    let brief = v1::Notification { end, ..notification("alice", "Bell", None) };
    let id = publish(&client, brief).await.unwrap().notification_id;
    let is_expired = |items: &[v1::InboxItem]| {
        items.iter().any(|it| it.ended == Some(v1::Ended::Expired.into()))
    };
    inbox_when(&client, "alice", is_expired).await;
    assert!(server.terminate().await.success());

    let (server, client) = tower.serve(None).await;
    let ended = settled(&client, "alice", &id, 1).await;
    assert_eq!(suppression(&ended[0]), Some(v1::Suppression::Expired), "{ended:?}");
    assert_eq!(tower.accepted("a1"), 0);
    assert!(server.terminate().await.success());
}
