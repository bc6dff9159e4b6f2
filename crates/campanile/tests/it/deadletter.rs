//! Deliveries that failed are listed with their reasons, and ring when what was wrong is mended and
//! somebody asks for them: once, and only if they still matter.

use campanile_core::Timestamp;
use campanile_proto::v1;
use campanile_simulate::apns::Reason;
use campanile_simulate::fcm::Registration;
use campanile_simulate::{Action, Fault, When};
use serde_json::{Value, json};

use crate::calls::{dismiss, is_accepted, register, settled, unsid, user};
use crate::platforms::{Both, PHONE, TABLET, register_fcm, tablet, told};
use crate::process::{campanile, data, now_ms, talk};
use crate::tower::APP;

/// Runs `campanile deadletter`; answers its JSON records.
async fn deadletter(server: &str, verb: &str, args: &[&str]) -> Vec<Value> {
    let mut command = campanile();
    command.env("CAMPANILE_SERVER", server).args(["--output", "json", "deadletter", verb]);
    command.args(["--app", APP]).args(args);
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(done.status.success(), "{args:?}: {}", talk(&done));
    data(&done).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn redrive(server: &str, args: &[&str]) -> Value {
    let mut told = deadletter(server, "redrive", args).await;
    told.pop().expect("it tells what came of it")
}

fn counts(dry_run: bool, redriven: u64, skipped: Value) -> Value {
    json!({ "dry_run": dry_run, "redriven": redriven, "skipped": skipped })
}

#[tokio::test]
async fn what_was_refused_rings_once_when_it_is_mended_and_asked_for() {
    let both = Both::new();
    let (server, client) = both.serve().await;
    let at = server.address().await;
    register(&client, "alice", PHONE).await.unwrap();
    let tablet = register_fcm(&client, "alice", tablet()).await.unwrap().unsid;
    let begun = Timestamp::from_millis(now_ms()).to_string();
    let wrong = Action::Reject(Reason::BadCollapseId.into());
    let wrong = both.tower.apns.inject(Fault::new(wrong, When::Always));
    let (bell, other) = (told(&client, "Bell").await, told(&client, "Other bell").await);
    for id in [&bell, &other] {
        let ended = settled(&client, "alice", id, 2).await;
        assert_eq!(ended.iter().filter(|it| is_accepted(it)).count(), 1, "{ended:?}");
    }

    let window = ["--from", begun.as_str()];
    let dead = deadletter(&at, "list", &window).await;
    assert_eq!(dead.len(), 2, "{dead:?}");
    for letter in &dead {
        assert_eq!(letter["reason"], "rejected");
        assert_eq!(letter["platform"], "apns");
        assert_eq!(letter["detail"], "show revision 1: rejected: 400 BadCollapseId");
        assert_eq!(letter["redrivable"], "yes");
    }
    assert_eq!(deadletter(&at, "list", &["--until", begun.as_str()]).await, [] as [Value; 0]);
    let fcm = ["--from", begun.as_str(), "--platform", "fcm"];
    assert_eq!(deadletter(&at, "list", &fcm).await, [] as [Value; 0]);
    let one = ["--notification", bell.as_str(), "--reason", "rejected"];
    assert_eq!(deadletter(&at, "list", &one).await.len(), 1);

    assert!(both.tower.apns.lift(wrong));
    dismiss(&client, unsid(&tablet), &other).await.unwrap();
    settled(&client, "alice", &other, 3).await;
    let still = redrive(&at, &["--from", &begun, "--dry-run"]).await;
    assert_eq!(still, counts(true, 1, json!({ "handled": 1 })), "nothing happened yet");
    let asked = redrive(&at, &window).await;
    assert_eq!(asked, counts(false, 1, json!({ "handled": 1 })));
    both.phone(&bell, true).await;
    settled(&client, "alice", &bell, 3).await;
    let again = redrive(&at, &window).await;
    assert_eq!(again, counts(false, 0, json!({ "handled": 1, "redriven": 1 })));
    assert_eq!(both.tower.accepted(PHONE), 2, "the bell, and the clear of the other");
    assert!(!both.tower.shows(PHONE, &other));

    let request = v1::ExplainRequest {
        app: APP.to_owned(),
        target: user("alice"),
        notification_id: bell,
        endpoint_id: String::new(),
    };
    let explained = client.explain(request).await.unwrap();
    let of = |platform: v1::Platform| {
        let mut counts = explained.counts.iter().filter(|it| it.platform() == platform);
        counts.next().map(|it| (it.planned, it.accepted, it.rejected)).unwrap()
    };
    assert_eq!((of(v1::Platform::Apns), of(v1::Platform::Fcm)), ((2, 1, 1), (1, 1, 0)));
    let agreed = explained.convergence.unwrap();
    assert_eq!((agreed.total, agreed.reached), (2, 2));
    assert!(server.terminate().await.success());
}

/// The app was installed anew and registered: nobody but who asks for it can know that this is what
/// was mended.
#[tokio::test]
async fn a_device_that_came_back_gets_what_its_former_address_did_not() {
    let both = Both::new();
    let (server, client) = both.serve().await;
    let at = server.address().await;
    let gone = register_fcm(&client, "alice", tablet()).await.unwrap().endpoint_id;
    assert!(both.fcm.set_registration(TABLET, Registration::Unregistered));
    let bell = told(&client, "Bell").await;
    settled(&client, "alice", &bell, 1).await;

    let whose = ["--user", "alice"];
    let dead = deadletter(&at, "list", &whose).await;
    let [letter] = &dead[..] else { panic!("{dead:?}") };
    assert_eq!(letter["reason"], "address gone");
    assert_eq!(letter["endpoint_id"], gone.as_str());

    assert!(both.fcm.set_registration(TABLET, Registration::Active));
    let back = register_fcm(&client, "alice", tablet()).await.unwrap().endpoint_id;
    assert_eq!(back, gone, "the same installation is the same endpoint");
    assert_eq!(redrive(&at, &whose).await, counts(false, 1, json!({})));
    both.tray(&[TABLET], &bell, true).await;
    assert_eq!(both.fcm.device(TABLET).unwrap().accepted(), 1);
    assert!(server.terminate().await.success());
}
