//! The log of a stopped server: verified, backed up, brought back, copied to other partitions.
//! Whatever is done to it, nothing is lost and nothing rings again.

use std::fs;
use std::process::{Command, Output};

use campanile_api::{Client, ClientError};
use campanile_proto::v1;
use serde_json::Value;

use crate::calls::{dismiss, inbox_when, notification, publish, register, settled, user};
use crate::process::{Server, data, talk};
use crate::tower::{APP, Tower};

fn run(mut command: Command) -> Output {
    command.output().unwrap()
}

/// Runs a command that is to succeed, and reads its one record.
fn record(tower: &Tower, args: &[&str]) -> Value {
    let mut command = tower.command(args);
    command.args(["--output", "json"]);
    let done = run(command);
    assert!(done.status.success(), "{args:?}: {}", talk(&done));
    serde_json::from_str(data(&done).trim()).unwrap()
}

/// What users have, in one text.
async fn state(client: &Client) -> String {
    let mut state = String::new();
    for number in 0..USERS {
        let whose = format!("user-{number}");
        let mut items = inbox_when(client, &whose, |items| items.len() == 3).await;
        items.sort_by(|a, b| a.notification_id.cmp(&b.notification_id));
        for item in items {
            let (id, action) = (&item.notification_id, item.action());
            state += &format!("{whose} {id} {action:?} {:?}\n", item.content);
            let ended = settled(client, &whose, id, 1).await;
            state += &format!("  {} deliveries\n", ended.len());
        }
    }
    state
}

const USERS: u16 = 6;

/// Tells every user three times; the first is dismissed. Waits until all has been delivered.
async fn fill(tower: &Tower, client: &Client) {
    for number in 0..USERS {
        let (whose, token) = (format!("user-{number}"), format!("{number:04x}"));
        tower.device(&token);
        register(client, &whose, &token).await.unwrap();
        for count in 0..3 {
            let key = format!("request {count}");
            let published = publish(client, notification(&whose, &key, Some(&key))).await.unwrap();
            let id = published.notification_id;
            settled(client, &whose, &id, 1).await;
            if count == 0 {
                dismiss(client, user(&whose), &id).await.unwrap();
                settled(client, &whose, &id, 2).await;
            }
        }
    }
}

fn pushes(tower: &Tower) -> Vec<u64> {
    (0..USERS).map(|number| tower.accepted(&format!("{number:04x}"))).collect()
}

/// A cursor of a user's changes.
async fn cursor(client: &Client, whose: &str, token: &str) -> Result<String, ClientError> {
    let request = v1::SyncRequest {
        app: APP.to_owned(),
        target: user(whose),
        cursor: token.to_owned(),
        ..Default::default()
    };
    Ok(client.sync(request).await?.cursor)
}

/// Everything is there, a request that was made before is known, and no device hears anything but
/// of what is new.
async fn same_as_before(tower: &Tower, client: &Client, before: &str, rung: &[u64]) {
    assert_eq!(state(client).await, before);
    for number in 0..USERS {
        let whose = format!("user-{number}");
        let again = notification(&whose, "request 1", Some("request 1"));
        assert!(publish(client, again).await.unwrap().repeated);
        // Another notification of the same user, to see that the worker is past all of it.
        let new = notification(&whose, "after", None);
        let id = publish(client, new).await.unwrap().notification_id;
        settled(client, &whose, &id, 1).await;
    }
    let expected: Vec<_> = rung.iter().map(|count| count + 1).collect();
    assert_eq!(pushes(tower), expected);
}

#[tokio::test]
async fn a_backup_brings_everything_back_and_rings_nobody() {
    let tower = Tower::new();
    let (server, client) = tower.serve(None).await;
    fill(&tower, &client).await;
    let (before, rung) = (state(&client).await, pushes(&tower));
    let at = cursor(&client, "user-1", "").await.unwrap();
    let running = run(tower.command(&["log", "verify"]));
    assert_eq!(running.status.code(), Some(69), "{}", talk(&running));
    assert!(talk(&running).contains("in use by another process"), "{}", talk(&running));
    assert!(server.terminate().await.success());

    let backup = tower.path("backup");
    let verified = record(&tower, &["log", "verify"]);
    assert_eq!(record(&tower, &["log", "backup", backup.to_str().unwrap()]), verified);
    assert_eq!((&verified["groups"], &verified["generation"]), (&5.into(), &0.into()));
    let refused = run(tower.command(&["log", "restore", backup.to_str().unwrap()]));
    assert_eq!(refused.status.code(), Some(1));
    assert!(talk(&refused).contains("is not empty"), "{}", talk(&refused));
    fs::remove_dir_all(tower.path("data")).unwrap();
    assert_eq!(record(&tower, &["log", "restore", backup.to_str().unwrap()]), verified);

    let (server, client) = tower.serve(None).await;
    same_as_before(&tower, &client, &before, &rung).await;
    cursor(&client, "user-1", &at).await.unwrap();
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn a_copy_with_other_partitions_has_everything_and_rings_nobody() {
    let tower = Tower::new();
    let (server, client) = tower.serve(None).await;
    fill(&tower, &client).await;
    let (before, rung) = (state(&client).await, pushes(&tower));
    let at = cursor(&client, "user-1", "").await.unwrap();
    assert!(server.terminate().await.success());

    let copy = tower.path("copy");
    let to = copy.to_str().unwrap();
    record(&tower, &["log", "copy", to, "--to-partitions", "3"]);
    let verified = record(&tower, &["log", "verify", "--data-dir", to]);
    assert_eq!((&verified["generation"], &verified["partitions"]), (&1.into(), &3.into()));
    let server = Server::start({
        let mut command = tower.command(&["serve"]);
        command.args(["--data-dir", to, "--partitions", "3"]);
        command
    });
    let client = server.client().await;
    same_as_before(&tower, &client, &before, &rung).await;
    let old = cursor(&client, "user-1", &at).await;
    let Err(ClientError::Refused { code, .. }) = old else { panic!("{old:?}") };
    assert_eq!(code, tonic::Code::OutOfRange);
    cursor(&client, "user-1", "").await.unwrap();
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn damage_is_told_and_is_a_failure() {
    let tower = Tower::new();
    let (server, client) = tower.serve(None).await;
    fill(&tower, &client).await;
    assert!(server.terminate().await.success());
    let segment = tower.path("data/log/00000000000000000000.segment");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let done = run(tower.command(&["log", "verify"]));
    assert_eq!(done.status.code(), Some(1));
    assert!(data(&done).contains("DAMAGED at"), "{}", data(&done));
    assert!(talk(&done).contains("00000000.segment byte "), "{}", talk(&done));
    let none = run(tower.command(&["log", "verify", "--data-dir", "/nowhere"]));
    assert_eq!(none.status.code(), Some(78), "{}", talk(&none));
}
