//! Apple delivers few silent pushes to a device, so the engine sends few, and loses no change.

use std::time::Duration;

use campanile_api::Client;
use campanile_proto::v1;
use campanile_simulate::apns::{Kind, SilentLimit, World};

use crate::calls::{dismiss, notification, publish, register, settled, unsid, user};
use crate::process::SOON;
use crate::tower::{APP, Tower};

async fn outcomes(client: &Client, id: &str) -> v1::GetOutcomesResponse {
    let request = v1::GetOutcomesRequest {
        app: APP.to_owned(),
        target: user("alice"),
        notification_id: id.to_owned(),
    };
    client.get_outcomes(request).await.unwrap()
}

/// Waits until the outcomes of a notification are as they should be.
async fn outcomes_when(
    client: &Client,
    id: &str,
    is_right: impl Fn(&v1::GetOutcomesResponse) -> bool,
) -> v1::GetOutcomesResponse {
    let right = async {
        loop {
            let found = outcomes(client, id).await;
            if is_right(&found) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, right).await.expect("the outcomes never come to that")
}

/// Publishes to Alice, and waits until her phone and her tablet show it.
async fn shown(tower: &Tower, client: &Client, title: &str) -> String {
    let id = publish(client, notification("alice", title, None)).await.unwrap().notification_id;
    settled(client, "alice", &id, 2).await;
    assert!(tower.shows("a1", &id) && tower.shows("a2", &id));
    id
}

fn silent(tower: &Tower, token: &str) -> usize {
    let device = tower.apns.device(token).unwrap();
    device.history().filter(|push| push.kind == Kind::Sync).count()
}

#[tokio::test]
async fn ten_items_handled_on_the_tablet_leave_the_phone_with_three_silent_pushes() {
    let tower = Tower::new();
    ["a1", "a2"].iter().for_each(|token| tower.device(token));
    let mut command = tower.command(&["serve"]);
    command.env("CAMPANILE__DELIVER__SILENT_WINDOW", "1 min");
    let (server, client) = tower.serve_by(command).await;
    register(&client, "alice", "a1").await.unwrap();
    let tablet = register(&client, "alice", "a2").await.unwrap().unsid;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(shown(&tower, &client, &format!("number {number}")).await);
    }
    // A second less than the engine's: what it sends in time may arrive sooner after the one before.
    let limit = SilentLimit { pushes: 3, window_ms: 59_000 };
    assert!(tower.apns.limit_silent("a1", Some(limit)));
    let (soon, late) = ids.split_at(2);
    for id in soon {
        dismiss(&client, unsid(&tablet), id).await.unwrap();
        let is_cleared = |world: &World| world.device("a1").unwrap().shown(id).is_none();
        tower.wait_until("one is cleared", is_cleared).await;
    }
    // Now ten seconds are to pass.
    for id in late {
        dismiss(&client, unsid(&tablet), id).await.unwrap();
    }
    let last = ids.last().unwrap();
    let found = outcomes_when(&client, last, |found| found.counts[0].deferred == 1).await;
    let cleared = found.convergence.unwrap();
    assert_eq!((cleared.total, cleared.reached, cleared.deferred), (2, 1, 1), "{cleared:?}");
    let parked = found.deliveries.iter().find_map(|delivery| delivery.parked.as_ref()).unwrap();
    assert!(parked.deferred && parked.until.is_some(), "{parked:?}");

    tower
        .wait_until("all are cleared", |world| world.device("a1").unwrap().screen().is_empty())
        .await;
    let phone = tower.apns.device("a1").unwrap();
    assert_eq!(phone.throttled(), 0, "Apple dropped some");
    assert_eq!(silent(&tower, "a1"), 3);
    for id in &ids {
        // One shown on each, and one clear for the phone.
        settled(&client, "alice", id, 3).await;
        let counts = &outcomes(&client, id).await.counts[0];
        assert_eq!((counts.planned, counts.accepted, counts.deferred), (3, 3, 0), "{counts:?}");
    }
    assert_eq!(silent(&tower, "a2"), 0, "the tablet knows");
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn what_waits_is_told_along_with_the_next_visible_push() {
    let tower = Tower::new();
    ["a1", "a2"].iter().for_each(|token| tower.device(token));
    let (server, client) = tower.serve(None).await;
    register(&client, "alice", "a1").await.unwrap();
    let tablet = register(&client, "alice", "a2").await.unwrap().unsid;
    let (one, two) = (shown(&tower, &client, "one").await, shown(&tower, &client, "two").await);
    dismiss(&client, unsid(&tablet), &one).await.unwrap();
    tower
        .wait_until("the first is cleared", |world| {
            world.device("a1").unwrap().shown(&one).is_none()
        })
        .await;
    dismiss(&client, unsid(&tablet), &two).await.unwrap();
    outcomes_when(&client, &two, |found| found.counts[0].deferred == 1).await;
    assert!(tower.shows("a1", &two));

    let three = shown(&tower, &client, "three").await;
    let phone = tower.apns.device("a1").unwrap();
    assert_eq!(phone.screen().keys().collect::<Vec<_>>(), [&three]);
    assert_eq!(silent(&tower, "a1"), 1, "the second was not told silently");
    let found = outcomes(&client, &two).await;
    assert_eq!(found.counts[0].deferred, 1, "an app without a service extension is still to hear");
    assert!(server.terminate().await.success());
}
