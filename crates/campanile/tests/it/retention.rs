//! The log forgets what is old, and nobody who relies on state notices: endpoints, tombstones,
//! requests and items outlive it, and what is built again from what was carried is the same.

use std::fs;
use std::time::Duration;

use campanile_api::Client;
use campanile_proto::v1;
use serde_json::Value;

use crate::calls::{dismiss, inbox_when, notification, publish, register, settled, user};
use crate::process::{SOON, Server, data, now_ms, talk};
use crate::tower::{APP, Tower};

/// Starts a server that forgets after a second.
fn start(tower: &Tower) -> Server {
    let mut command = tower.command(&["serve"]);
    command.env("CAMPANILE__STORE__RETENTION", "1 s");
    Server::start(command)
}

/// Waits until the log has forgotten everything that was in its first segments by now.
async fn forgotten(tower: &Tower) {
    let log = tower.path("data/log");
    let names = || fs::read_dir(&log).unwrap().map(|it| it.unwrap().file_name());
    let segments = || names().filter(|it| it.to_string_lossy().ends_with(".segment"));
    let last = segments().max().unwrap();
    let begun = now_ms();
    while segments().any(|it| it <= last) {
        assert!(u128::from(now_ms() - begun) < SOON.as_millis(), "nothing is forgotten");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn timeline(client: &Client, whose: &str, id: &str) -> v1::GetTimelineResponse {
    let request = v1::GetTimelineRequest {
        app: APP.to_owned(),
        target: user(whose),
        notification_id: id.to_owned(),
    };
    client.get_timeline(request).await.unwrap()
}

fn replay(tower: &Tower, args: &[&str]) -> Value {
    let mut command = tower.command(&["replay", "--output", "json"]);
    let done = command.args(args).output().unwrap();
    assert!(done.status.success(), "{args:?}: {}", talk(&done));
    serde_json::from_str(data(&done).trim()).unwrap()
}

/// What alice has is what she had; her phone still rings, the retired one does not, and a request
/// made before the log forgot it is known.
async fn all_is_as_before(tower: &Tower, client: &Client, before: &[v1::InboxItem], round: usize) {
    let has_all = |items: &[v1::InboxItem]| items.len() >= before.len() + round;
    let now = inbox_when(client, "alice", has_all).await;
    for item in before {
        assert!(now.contains(item), "{item:?} is not what it was: {now:?}");
    }
    let again = notification("alice", "kept", Some("order 7"));
    assert!(publish(client, again).await.unwrap().repeated);
    let (rung, retired) = (tower.accepted("a1"), tower.accepted("a2"));
    let new = publish(client, notification("alice", &format!("new {round}"), None)).await.unwrap();
    settled(client, "alice", &new.notification_id, 1).await;
    assert_eq!((tower.accepted("a1"), tower.accepted("a2")), (rung + 1, retired));
}

#[tokio::test]
async fn what_the_log_forgets_is_carried_forward() {
    let tower = Tower::new();
    ["a1", "a2"].iter().for_each(|token| tower.device(token));
    let server = start(&tower);
    let client = server.client().await;
    register(&client, "alice", "a1").await.unwrap();
    let gone = register(&client, "alice", "a2").await.unwrap();
    let request = v1::RetireEndpointRequest {
        app: APP.to_owned(),
        endpoint: Some(v1::retire_endpoint_request::Endpoint::Unsid(gone.unsid)),
    };
    client.retire_endpoint(request).await.unwrap();
    let kept = publish(&client, notification("alice", "kept", Some("order 7"))).await.unwrap();
    let id = kept.notification_id;
    settled(&client, "alice", &id, 1).await;
    dismiss(&client, user("alice"), &id).await.unwrap();
    publish(&client, notification("alice", "listed", None)).await.unwrap();
    let before = inbox_when(&client, "alice", |items| items.len() == 2).await;
    assert!(timeline(&client, "alice", &id).await.complete);
    let then = now_ms();

    forgotten(&tower).await;
    let request = v1::GetStateAtRequest {
        app: APP.to_owned(),
        target: user("alice"),
        notification_id: id.clone(),
        at: Some(prost_types::Timestamp { seconds: i64::try_from(then / 1000).unwrap(), nanos: 0 }),
    };
    let then = client.get_state_at(request).await.unwrap();
    assert_eq!((then.item, then.complete), (None, false));
    let old = timeline(&client, "alice", &id).await;
    assert_eq!((old.entries.len(), old.complete), (0, false));
    all_is_as_before(&tower, &client, &before, 0).await;

    // Built again from what was carried, beside what serves.
    let sent = tower.apns.counts();
    let replayed = replay(&tower, &[]);
    assert_eq!((&replayed["switched"], &replayed["drift"]), (&true.into(), &Value::Array(vec![])));
    assert_eq!(tower.apns.counts(), sent);
    all_is_as_before(&tower, &client, &before, 1).await;
    forgotten(&tower).await;
    assert!(server.terminate().await.success());

    // The state is lost, and only what was carried is left.
    for entry in fs::read_dir(tower.path("data")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("projection") {
            fs::remove_dir_all(path).unwrap();
        } else if name == "namespaces" {
            fs::remove_file(path).unwrap();
        }
    }
    let server = start(&tower);
    let client = server.client().await;
    all_is_as_before(&tower, &client, &before, 2).await;
    assert!(server.terminate().await.success());

    // A backup has it too.
    let backup = tower.path("backup");
    let run = |args: &[&str]| {
        let done = tower.command(args).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", talk(&done));
    };
    run(&["log", "verify"]);
    run(&["log", "backup", backup.to_str().unwrap()]);
    fs::remove_dir_all(tower.path("data")).unwrap();
    run(&["log", "restore", backup.to_str().unwrap()]);
    let server = start(&tower);
    let client = server.client().await;
    all_is_as_before(&tower, &client, &before, 3).await;
    assert!(server.terminate().await.success());
}
