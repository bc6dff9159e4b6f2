//! What users are told, and tokens, handles and keys, are in no log, however much is logged.

use campanile_simulate::apns::{Action, Fault, Reason, Registration, When};

use crate::calls::{dismiss, notification, publish, register, settled, unsid};
use crate::process::{Server, now_ms};
use crate::tower::Tower;

/// A device token as Apple gives them out.
const TOKEN: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";
/// One of a device that the user removed the app from.
const GONE: &str = "deadbea7deadbea7deadbea7deadbea7deadbea7deadbea7deadbea7deadbea7";
const TITLE: &str = "Your test result is positive";

#[tokio::test]
async fn a_log_in_json_tells_no_secret() {
    tells_no_secret("json").await;
}

#[tokio::test]
async fn a_log_in_text_tells_no_secret() {
    tells_no_secret("text").await;
}

/// Everything that is logged of a way through all roles: ring, repeat, retire, clear, restart.
async fn tells_no_secret(format: &str) {
    let tower = Tower::new();
    [TOKEN, GONE].iter().for_each(|token| tower.device(token));
    let start = || Server::start_with(tower.command(&["serve", "--log-level", "trace"]), format);
    let server = start();
    let client = server.client().await;
    let handle = register(&client, "alice", TOKEN).await.unwrap().unsid;
    register(&client, "alice", GONE).await.unwrap();
    assert!(tower.apns.set_registration(GONE, Registration::Unregistered(now_ms())));
    tower
        .apns
        .inject(Fault::new(Action::Reject(Reason::InternalServerError.into()), When::Next(1)));
    let key = "the patient's order";
    let id =
        publish(&client, notification("alice", TITLE, Some(key))).await.unwrap().notification_id;
    settled(&client, "alice", &id, 2).await;
    dismiss(&client, unsid(&handle), &id).await.unwrap();
    dismiss(&client, unsid("no handle of ours"), &id).await.unwrap_err();
    let mut log = server.log();
    assert!(server.terminate().await.success());
    let server = start();
    let again =
        publish(&server.client().await, notification("alice", TITLE, Some(key))).await.unwrap();
    assert!(again.repeated);
    log += &server.log();
    assert!(server.terminate().await.success());

    assert!(log.contains("serving"), "{log}");
    let pem = std::fs::read_to_string(tower.path("key.p8")).unwrap();
    let private = pem.lines().nth(1).unwrap();
    let root = std::fs::read_to_string(tower.path("data/root-secret")).unwrap();
    let root: Vec<&str> = root.lines().skip(1).collect();
    assert!(!private.is_empty() && root.len() == 2 && !handle.is_empty());
    let secrets = [TOKEN, GONE, TITLE, &handle, private, root[0], root[1], key, "alice"];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret:?} is in the log: {log}");
    }
}
