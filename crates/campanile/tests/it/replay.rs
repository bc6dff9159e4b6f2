//! The state built again beside a server that goes on: nothing is sent, nobody waits, and what
//! serves afterwards is the same.

use std::time::Duration;

use campanile_api::Client;
use campanile_proto::v1;
use serde_json::Value;
use tokio::sync::watch;

use crate::calls::{dismiss, inbox_when, notification, publish, register, settled, user};
use crate::process::{data, talk};
use crate::tower::{INBOX_APP, Tower};

const USERS: u16 = 8;

/// Runs `campanile replay`, while everything else goes on.
async fn replay(tower: &Tower, args: &[&str]) -> (bool, Value, String) {
    let mut command = tower.command(&["replay", "--output", "json"]);
    command.args(args);
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let record = serde_json::from_str(data(&done).trim()).unwrap_or(Value::Null);
    (done.status.success(), record, talk(&done))
}

/// Tells every user twice and dismisses one of the two; waits until the devices know.
async fn fill(tower: &Tower, client: &Client) {
    for number in 0..USERS {
        let (whose, token) = (format!("user-{number}"), format!("{number:04x}"));
        tower.device(&token);
        register(client, &whose, &token).await.unwrap();
        let first = publish(client, notification(&whose, "first", None)).await.unwrap();
        publish(client, notification(&whose, "second", None)).await.unwrap();
        settled(client, &whose, &first.notification_id, 1).await;
        dismiss(client, user(&whose), &first.notification_id).await.unwrap();
        settled(client, &whose, &first.notification_id, 2).await;
    }
}

async fn state(client: &Client) -> Vec<v1::InboxItem> {
    let mut state = Vec::new();
    for number in 0..USERS {
        state.extend(inbox_when(client, &format!("user-{number}"), |it| it.len() >= 2).await);
    }
    state
}

/// Publishes and reads without a pause, in an app that no platform hears of; every call has to
/// succeed. Answers how many did.
async fn traffic(client: Client, stopped: watch::Receiver<bool>) -> usize {
    let mut count = 0;
    while !*stopped.borrow() {
        let notification = Some(notification("reader", &format!("letter {count}"), None));
        let request = v1::PublishRequest { app: INBOX_APP.to_owned(), notification };
        client.publish(request).await.unwrap();
        let request = v1::ListNotificationsRequest {
            app: INBOX_APP.to_owned(),
            target: user("reader"),
            ..Default::default()
        };
        client.list_notifications(request).await.unwrap();
        count += 1;
    }
    count
}

#[tokio::test]
async fn a_replay_sends_nothing_and_stops_nothing() {
    let tower = Tower::new();
    let (server, client) = tower.serve(None).await;
    fill(&tower, &client).await;
    let before = state(&client).await;
    let sent = tower.apns.counts();
    let (stop, stopped) = watch::channel(false);
    let replays = async {
        for (args, switched) in [
            (&["--verify"][..], false),
            (&[], true),
            (&["--roll-back"], true),
            (&["--verify", "--afresh"], false),
        ] {
            let (done, record, said) = replay(&tower, args).await;
            assert!(done, "{args:?}: {said}");
            assert_eq!(record["switched"], switched, "{args:?}: {record}");
            assert_eq!(record["drift"], Value::Array(vec![]), "{args:?}");
            assert_eq!(state(&client).await, before, "after {args:?}");
        }
        stop.send_replace(true);
    };
    let (calls, ()) = futures::join!(traffic(server.client().await, stopped), replays);
    assert!(calls > 20, "only {calls} calls");
    assert_eq!(tower.apns.counts(), sent, "nothing was sent");

    // And what serves is alive.
    for number in 0..USERS {
        let (whose, token) = (format!("user-{number}"), format!("{number:04x}"));
        let rung = tower.accepted(&token);
        let id = publish(&client, notification(&whose, "after", None)).await.unwrap();
        settled(&client, &whose, &id.notification_id, 1).await;
        assert_eq!(tower.accepted(&token), rung + 1);
    }
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn it_works_without_a_server_too() {
    let tower = Tower::new();
    let (server, client) = tower.serve(None).await;
    fill(&tower, &client).await;
    let (before, sent) = (state(&client).await, tower.apns.counts());
    assert!(server.terminate().await.success());
    let (done, record, said) = replay(&tower, &[]).await;
    assert!(done, "{said}");
    assert_eq!((&record["switched"], &record["compared"]), (&true.into(), &8.into()));
    assert!(said.contains("building: ") || said.is_empty(), "{said}");

    let (server, client) = tower.serve(None).await;
    assert_eq!(state(&client).await, before);
    assert_eq!(tower.apns.counts(), sent);
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn one_replay_at_a_time_and_none_where_nothing_is() {
    let tower = Tower::new();
    let (done, _, said) = replay(&tower, &[]).await;
    assert!(!done && said.contains("is no directory"), "{said}");
    let (_server, _client) = tower.serve(None).await;
    let (done, _, said) = replay(&tower, &["--roll-back"]).await;
    assert!(!done && said.contains("no former namespace"), "{said}");
    let socket = tower.path("data/admin.sock");
    let mode = std::os::unix::fs::PermissionsExt::mode(&socket.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    tokio::time::timeout(Duration::from_secs(10), nonsense(&socket)).await.unwrap();
}

/// A question that makes no sense gets an answer, and harms nobody.
async fn nonsense(socket: &std::path::Path) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    stream.write_all(&[b'x'; 10_000]).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer).await;
    assert!(read.is_err() || answer.contains("makes no sense"), "{answer}");
}
