//! Devices that change hands: an address is its last registration's, app by app.

use campanile_api::{Client, ClientError};
use campanile_proto::v1;

use crate::calls::{notification, publish, settled, user};
use crate::process::{SOON, now_ms};
use crate::tower::{APP, INBOX_APP, TOPIC, Tower};

/// Registers an installation of an app at a device token.
async fn register(
    client: &Client,
    app: &str,
    whose: &str,
    installation: &str,
    token: &str,
) -> Result<v1::RegisterEndpointResponse, ClientError> {
    let environment = v1::Environment::Production.into();
    let (token, topic) = (token.to_owned(), TOPIC.to_owned());
    let apns = v1::ApnsAddress { token, topic, environment };
    let request = v1::RegisterEndpointRequest {
        app: app.to_owned(),
        user_id: whose.to_owned(),
        installation_id: installation.to_owned(),
        address: Some(v1::Address { platform: Some(v1::address::Platform::Apns(apns)) }),
        ..v1::RegisterEndpointRequest::default()
    };
    client.register_endpoint(request).await
}

/// Waits until a user has so many living and so many retired endpoints.
async fn endpoints(
    client: &Client,
    app: &str,
    whose: &str,
    counts: (usize, usize),
) -> v1::ListEndpointsResponse {
    let begun = now_ms();
    loop {
        let request = v1::ListEndpointsRequest { app: app.to_owned(), target: user(whose) };
        let listed = client.list_endpoints(request).await.unwrap();
        if (listed.endpoints.len(), listed.retired.len()) == counts {
            return listed;
        }
        assert!(u128::from(now_ms() - begun) < SOON.as_millis(), "{whose}: {listed:?}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn retired(client: &Client, app: &str, cursor: &str) -> v1::ListRetiredEndpointsResponse {
    let (app, cursor) = (app.to_owned(), cursor.to_owned());
    let request = v1::ListRetiredEndpointsRequest { app, cursor, limit: Some(1) };
    client.list_retired_endpoints(request).await.unwrap()
}

/// Everything since a cursor, and where to go on.
async fn all_retired(
    client: &Client,
    app: &str,
    cursor: &str,
) -> (Vec<v1::RetiredEndpoint>, String) {
    let (mut all, mut cursor) = (Vec::new(), cursor.to_owned());
    loop {
        let page = retired(client, app, &cursor).await;
        all.extend(page.endpoints);
        cursor = page.cursor;
        if !page.more {
            return (all, cursor);
        }
    }
}

#[tokio::test]
async fn a_phone_that_changes_hands_does_not_ring_for_its_former_user() {
    let tower = Tower::new();
    tower.device("a1");
    let (server, client) = tower.serve(None).await;
    let alice = register(&client, APP, "alice", "phone", "a1").await.unwrap();
    endpoints(&client, APP, "alice", (1, 0)).await;
    // Alice signed out offline: nobody told the server.
    register(&client, APP, "bob", "phone", "a1").await.unwrap();
    let hers = publish(&client, notification("alice", "Your result", None)).await.unwrap();
    let his = publish(&client, notification("bob", "Bell", None)).await.unwrap();
    tower
        .wait_until("Bob's phone rings", |world| {
            world.device("a1").unwrap().shown(&his.notification_id).is_some()
        })
        .await;
    let listed = endpoints(&client, APP, "alice", (0, 1)).await;
    assert_eq!(listed.retired[0].endpoint_id, alice.endpoint_id);
    assert_eq!(listed.retired[0].reason(), v1::RetireReason::Moved);
    let deliveries = settled(&client, "alice", &hers.notification_id, 0).await;
    assert_eq!(deliveries.len(), 0, "{deliveries:?}");
    assert_eq!(tower.accepted("a1"), 1);

    // It comes back, and again only its user hears of it.
    register(&client, APP, "alice", "phone", "a1").await.unwrap();
    endpoints(&client, APP, "bob", (0, 1)).await;
    endpoints(&client, APP, "alice", (1, 0)).await;
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn two_apps_on_a_device_do_not_take_its_address_from_each_other() {
    let tower = Tower::new();
    tower.device("a1");
    let (server, client) = tower.serve(None).await;
    register(&client, APP, "alice", "phone", "a1").await.unwrap();
    register(&client, INBOX_APP, "alice", "phone", "a1").await.unwrap();
    register(&client, INBOX_APP, "bob", "phone", "a1").await.unwrap();
    endpoints(&client, INBOX_APP, "alice", (0, 1)).await;
    endpoints(&client, INBOX_APP, "bob", (1, 0)).await;
    endpoints(&client, APP, "alice", (1, 0)).await;
    let id = publish(&client, notification("alice", "Bell", None)).await.unwrap().notification_id;
    tower
        .wait_until("the phone rings", |world| world.device("a1").unwrap().shown(&id).is_some())
        .await;
    assert_eq!(all_retired(&client, APP, "").await.0, []);
    assert_eq!(all_retired(&client, INBOX_APP, "").await.0.len(), 1);
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn an_address_that_rotated_is_free_for_others() {
    let tower = Tower::new();
    ["a1", "a2"].into_iter().for_each(|token| tower.device(token));
    let (server, client) = tower.serve(None).await;
    let first = register(&client, APP, "alice", "phone", "a1").await.unwrap();
    let rotated = register(&client, APP, "alice", "phone", "a2").await.unwrap();
    assert_eq!(first.endpoint_id, rotated.endpoint_id);
    register(&client, APP, "bob", "phone", "a1").await.unwrap();
    let id = publish(&client, notification("alice", "Bell", None)).await.unwrap().notification_id;
    tower
        .wait_until("the new address rings", |world| {
            world.device("a2").unwrap().shown(&id).is_some()
        })
        .await;
    endpoints(&client, APP, "alice", (1, 0)).await;
    assert_eq!(tower.accepted("a1"), 0);
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn retired_endpoints_are_told_once_and_go_on_from_a_cursor() {
    let tower = Tower::new();
    let (server, client) = tower.serve(None).await;
    let mut gone = Vec::new();
    for (nth, whose) in ["alice", "bob", "carol"].into_iter().enumerate() {
        let token = format!("a{nth}");
        let endpoint = register(&client, APP, whose, "phone", &token).await.unwrap();
        let unsid = Some(v1::retire_endpoint_request::Endpoint::Unsid(endpoint.unsid));
        let request = v1::RetireEndpointRequest { app: APP.to_owned(), endpoint: unsid };
        client.retire_endpoint(request.clone()).await.unwrap();
        // A second time it is nothing.
        client.retire_endpoint(request).await.unwrap();
        endpoints(&client, APP, whose, (0, 1)).await;
        gone.push(endpoint.endpoint_id);
    }
    let (mut told, cursor) = all_retired(&client, APP, "").await;
    assert!(told.iter().all(|it| it.reason() == v1::RetireReason::Unregistered), "{told:?}");
    told.sort_by_key(|it| gone.iter().position(|id| *id == it.endpoint_id));
    assert_eq!(
        told.iter().map(|it| &it.endpoint_id).collect::<Vec<_>>(),
        gone.iter().collect::<Vec<_>>()
    );
    assert_eq!(all_retired(&client, APP, &cursor).await.0, []);
    assert!(server.terminate().await.success());

    let (server, client) = tower.serve(None).await;
    register(&client, APP, "dora", "phone", "a9").await.unwrap();
    register(&client, APP, "erik", "phone", "a9").await.unwrap();
    endpoints(&client, APP, "dora", (0, 1)).await;
    let (told, cursor) = all_retired(&client, APP, &cursor).await;
    let [moved] = &told[..] else { panic!("{told:?}") };
    assert_eq!(moved.reason(), v1::RetireReason::Moved);
    assert_eq!(all_retired(&client, APP, &cursor).await.0, []);
    let (app, cursor) = (INBOX_APP.to_owned(), cursor);
    let request = v1::ListRetiredEndpointsRequest { app, cursor, limit: None };
    let foreign = client.list_retired_endpoints(request).await;
    let Err(ClientError::Refused { code, field, .. }) = foreign else { panic!("{foreign:?}") };
    assert_eq!((code, field.as_deref()), (tonic::Code::InvalidArgument, Some("cursor")));
    assert!(server.terminate().await.success());
}
