//! Starting, stopping, and what is never guessed in between.

use campanile_proto::v1;
use campanile_simulate::apns::{Action, Fate, Fault, When};
use tokio::time::timeout;

use crate::calls::{notification, publish, register, settled, user};
use crate::process::{SOON, Server, now_ms, talk};
use crate::tower::{APP, Tower};

/// The longest stop.
const STOP_MS: u64 = 10_000;

/// Stops a server, which must be clean and quick.
async fn stop(server: Server) {
    let asked = now_ms();
    assert_eq!(server.terminate().await.code(), Some(0));
    let took = now_ms() - asked;
    assert!(took < STOP_MS, "{took} ms");
}

#[tokio::test]
async fn a_stop_is_clean_and_quick() {
    let tower = Tower::new();
    let (server, client) = tower.serve(None).await;
    let request =
        v1::WatchRequest { app: APP.to_owned(), target: user("alice"), ..Default::default() };
    let mut watch = client.watch(request).await.unwrap();
    publish(&client, notification("alice", "Bell", None)).await.unwrap();
    let told = async { while watch.message().await.unwrap().unwrap().items.is_empty() {} };
    timeout(SOON, told).await.expect("the watch tells of the notification");
    stop(server).await;
    let end = async {
        loop {
            match watch.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the watch ends without a reason"),
                Err(status) => return status.code(),
            }
        }
    };
    assert_eq!(timeout(SOON, end).await, Ok(tonic::Code::Unavailable));
}

#[tokio::test]
async fn a_platform_that_does_not_answer_delays_a_stop_but_loses_nothing() {
    let tower = Tower::new();
    tower.device("a1");
    let stalled = tower.apns.inject(Fault::new(Action::Stall(Fate::Lost), When::Always));
    let (server, client) = tower.serve(None).await;
    register(&client, "alice", "a1").await.unwrap();
    let published = publish(&client, notification("alice", "Bell", None)).await.unwrap();
    tower.wait_until("it is being sent", |world| world.counts().requests > 0).await;
    stop(server).await;
    tower.apns.lift(stalled);

    let (server, client) = tower.serve(None).await;
    settled(&client, "alice", &published.notification_id, 1).await;
    assert!(tower.shows("a1", &published.notification_id));
    stop(server).await;
}

#[tokio::test]
async fn a_directory_belongs_to_one_process() {
    let tower = Tower::new();
    let (server, _client) = tower.serve(None).await;
    let second = tower.command(&["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(second.status.code(), Some(69));
    let told = talk(&second);
    assert!(told.starts_with("campanile: ") && told.contains("is in use by another"), "{told}");
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn a_port_belongs_to_one_process() {
    let tower = Tower::new();
    let server = tower.start(None);
    let address = server.address().await.replace("http://", "");
    let data = tower.path("other");
    let data = data.to_str().unwrap();
    let second = tower.command(&["serve", "--data-dir", data, "--listen", &address]);
    let second = { second }.output().unwrap();
    assert_eq!(second.status.code(), Some(78));
    let expected = format!("campanile: serve.listen: {address}: another process listens there\n");
    assert_eq!(talk(&second), expected);
    assert!(!tower.path("other").exists(), "nothing was made for a server that does not start");
}

#[tokio::test]
async fn a_log_keeps_its_partitions() {
    let tower = Tower::new();
    let (server, _client) = tower.serve(None).await;
    assert!(server.terminate().await.success());
    let other = tower.command(&["serve", "--partitions", "9"]).output().unwrap();
    assert_eq!(other.status.code(), Some(78));
    assert!(talk(&other).contains("has 8 partitions, not 9"), "{}", talk(&other));
}

#[tokio::test]
async fn a_missing_group_is_not_guessed() {
    let tower = Tower::new();
    let create = ["group", "create", "scheduler", "--start", "end"];
    let nowhere = tower.command(&create).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(78), "{}", talk(&nowhere));
    assert!(!tower.path("data").exists(), "a wrong directory is not made a right one");
    tower.device("a1");
    let (server, client) = tower.serve(None).await;
    register(&client, "alice", "a1").await.unwrap();
    let first = publish(&client, notification("alice", "Bell", None)).await.unwrap();
    settled(&client, "alice", &first.notification_id, 1).await;
    assert!(server.terminate().await.success());
    std::fs::remove_file(tower.path("data/groups")).unwrap();

    let refused = tower.command(&["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(78));
    let told = talk(&refused);
    assert!(told.contains("campanile group create") && told.contains("--start"), "{told}");

    for (name, start) in [
        ("projector-events", "beginning"),
        ("projector-receipts", "beginning"),
        ("deliver:apns", "end"),
        ("deliver:fcm", "end"),
        ("scheduler", "end"),
    ] {
        let created = tower.command(&["group", "create", name, "--start", start]).output().unwrap();
        assert!(created.status.success(), "{}", talk(&created));
        let again = tower.command(&["group", "create", name, "--start", "end"]).output().unwrap();
        assert_eq!(again.status.code(), Some(1), "{}", talk(&again));
        assert!(talk(&again).contains("nothing was changed"), "{}", talk(&again));
    }
    let (server, client) = tower.serve(None).await;
    let next = publish(&client, notification("alice", "Next", None)).await.unwrap();
    settled(&client, "alice", &next.notification_id, 1).await;
    assert_eq!(tower.accepted("a1"), 2, "nothing rings for the second time");
    assert!(server.terminate().await.success());
}

/// A log that was made before there was delivery to Google.
#[tokio::test]
async fn a_group_that_is_new_in_a_release_is_asked_for() {
    let tower = Tower::new();
    tower.device("a1");
    let (server, client) = tower.serve(None).await;
    register(&client, "alice", "a1").await.unwrap();
    let first = publish(&client, notification("alice", "Bell", None)).await.unwrap();
    settled(&client, "alice", &first.notification_id, 1).await;
    assert!(server.terminate().await.success());
    std::fs::remove_file(tower.path("data/groups")).unwrap();
    let create = |name| {
        let command = ["group", "create", name, "--start", "end"];
        let created = tower.command(&command).output().unwrap();
        assert!(created.status.success(), "{}", talk(&created));
    };
    let before = ["projector-events", "projector-receipts", "deliver:apns", "scheduler"];
    before.into_iter().for_each(create);

    let refused = tower.command(&["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(78));
    let told = talk(&refused);
    assert!(told.contains("campanile group create deliver:fcm --start beginning|end"), "{told}");
    let (server, _client) =
        tower.serve(Some("ingest,gateway,projector,deliver:apns,scheduler")).await;
    assert!(server.terminate().await.success());
    create("deliver:fcm");
    let (server, client) = tower.serve(None).await;
    let next = publish(&client, notification("alice", "Next", None)).await.unwrap();
    settled(&client, "alice", &next.notification_id, 1).await;
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn a_log_without_its_secret_does_not_start() {
    let tower = Tower::new();
    let (server, client) = tower.serve(None).await;
    publish(&client, notification("alice", "Bell", None)).await.unwrap();
    assert!(server.terminate().await.success());
    std::fs::remove_file(tower.path("data/root-secret")).unwrap();
    let refused = tower.command(&["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(78));
    assert!(talk(&refused).contains("root-secret: does not exist"), "{}", talk(&refused));
}
