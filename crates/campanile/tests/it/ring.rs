//! A publish rings; a dismissal clears; nobody else hears of either.

use campanile_api::ClientError;
use campanile_proto::v1::InboxItem;

use crate::calls::{
    dismiss, inbox_when, is_accepted, notification, publish, register, settled, unsid,
};
use crate::tower::Tower;

#[tokio::test]
async fn it_rings_on_every_device_and_clears_on_all_but_the_acting_one() {
    let tower = Tower::new();
    ["a1", "a2", "a3", "b1"].iter().for_each(|token| tower.device(token));
    let (server, client) = tower.serve(None).await;
    let acting = register(&client, "alice", "a1").await.unwrap().unsid;
    register(&client, "alice", "a2").await.unwrap();
    register(&client, "alice", "a3").await.unwrap();
    register(&client, "bob", "b1").await.unwrap();

    let id = publish(&client, notification("alice", "Bell", None)).await.unwrap().notification_id;
    let alice = ["a1", "a2", "a3"];
    tower
        .wait_until("three devices ring", |world| {
            alice.iter().all(|it| world.device(it).unwrap().shown(&id).is_some())
        })
        .await;

    dismiss(&client, unsid(&acting), &id).await.unwrap();
    tower
        .wait_until("two devices clear", |world| {
            ["a2", "a3"].iter().all(|it| world.device(it).unwrap().shown(&id).is_none())
        })
        .await;
    let ended = settled(&client, "alice", &id, 5).await;
    assert_eq!(ended.len(), 5, "{ended:?}");
    assert!(ended.iter().all(is_accepted), "{ended:?}");
    // The log has every delivery by now, so this is final.
    assert_eq!(alice.map(|token| tower.accepted(token)), [1, 2, 2]);
    assert_eq!(tower.accepted("b1"), 0);
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn an_endpoint_registered_before_a_publish_gets_it() {
    let tower = Tower::new();
    let (_server, client) = tower.serve(None).await;
    let mut expected = Vec::new();
    for number in 0..30 {
        let (token, user) = (format!("{number:04x}"), format!("user-{number}"));
        tower.device(&token);
        register(&client, &user, &token).await.unwrap();
        let published = publish(&client, notification(&user, "Bell", None)).await.unwrap();
        expected.push((token, published.notification_id));
    }
    tower
        .wait_until("every device rings", |world| {
            expected.iter().all(|(token, id)| world.device(token).unwrap().shown(id).is_some())
        })
        .await;
}

#[tokio::test]
async fn a_retried_request_is_one_notification_also_after_a_restart() {
    let tower = Tower::new();
    tower.device("a1");
    let (server, client) = tower.serve(None).await;
    register(&client, "alice", "a1").await.unwrap();
    let request = || notification("alice", "Bell", Some("order 7"));
    let first = publish(&client, request()).await.unwrap();
    assert!(!first.repeated);
    let id = first.notification_id;
    let again = publish(&client, request()).await.unwrap();
    assert_eq!((again.repeated, &again.notification_id), (true, &id));
    settled(&client, "alice", &id, 1).await;
    assert!(server.terminate().await.success());

    let (server, client) = tower.serve(None).await;
    let later = publish(&client, request()).await.unwrap();
    assert_eq!((later.repeated, &later.notification_id), (true, &id));
    let other = publish(&client, notification("alice", "Another bell", Some("order 7"))).await;
    let Err(ClientError::Refused { code, field, .. }) = other else { panic!("{other:?}") };
    assert_eq!((code, field.as_deref()), (tonic::Code::AlreadyExists, Some("idempotency_key")));
    // Another notification shows that the worker is past whatever the repetition left in the log.
    let fence = publish(&client, notification("alice", "Fence", None)).await.unwrap();
    settled(&client, "alice", &fence.notification_id, 1).await;
    let has_fence = |items: &[InboxItem]| {
        items.iter().any(|item| item.notification_id == fence.notification_id)
    };
    assert_eq!(inbox_when(&client, "alice", has_fence).await.len(), 2);
    assert_eq!(tower.accepted("a1"), 2);
    assert!(server.terminate().await.success());
}
