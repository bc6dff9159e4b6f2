//! The client commands, as scripts use them.

use std::process::{Output, Stdio};

use serde_json::Value;

use crate::process::{SOON, campanile, data, now_ms, run, talk};
use crate::tower::{INBOX_APP, TOPIC, Tower};

/// Runs a client command against `server`; answers its JSON records.
fn json(server: &str, args: &[&str]) -> Vec<Value> {
    let done = call(server, args);
    assert!(done.status.success(), "{args:?}: {}", talk(&done));
    data(&done).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn call(server: &str, args: &[&str]) -> Output {
    let mut command = campanile();
    command.env("CAMPANILE_SERVER", server).args(["--output", "json"]).args(args);
    command.output().unwrap()
}

/// Asks until the answer is as it should be: an acknowledged change is read a moment later.
#[track_caller]
fn eventually(
    what: &str,
    ask: impl Fn() -> Vec<Value>,
    is_right: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let begun = now_ms();
    loop {
        let answer = ask();
        if is_right(&answer) {
            return answer;
        }
        assert!(u128::from(now_ms() - begun) < SOON.as_millis(), "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn a_notification_from_publish_to_state_at() {
    let tower = Tower::new();
    tower.device("a1");
    let server = tower.start(None);
    let at = server.address().await;
    let alice = ["--app", "shop", "--user", "alice"];
    let with = |verb: &[&'static str], more: &[&str]| {
        let args: Vec<_> = verb.iter().copied().chain(alice).map(str::to_owned).collect();
        let args = args.into_iter().chain(more.iter().map(|&it| it.to_owned())).collect::<Vec<_>>();
        json(&at, &args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let add = ["--installation", "phone", "--token", "a1", "--topic", TOPIC, "--lease", "1 d"];
    let added = with(&["endpoint", "add"], &add);
    let unsid = added[0]["unsid"].as_str().unwrap();
    let status = |expected: &'static str| {
        let list = || with(&["endpoint", "list"], &[]);
        eventually(expected, list, |list| list.iter().any(|it| it["status"] == expected));
    };
    status("live");

    let bell = ["--title", "Bell", "--body", "Text", "--key", "k"];
    let published = with(&["publish"], &bell);
    assert_eq!(published[0]["repeated"], false);
    let id = published[0]["notification_id"].as_str().unwrap().to_owned();
    assert_eq!(with(&["publish"], &bell)[0]["repeated"], true);
    tower.wait_until("it rings", |world| world.device("a1").unwrap().shown(&id).is_some()).await;
    let inbox = eventually("inbox", || with(&["inbox"], &[]), |inbox| !inbox.is_empty());
    assert_eq!((&inbox[0]["title"], &inbox[0]["action"]), (&"Bell".into(), &"none".into()));

    let done = json(&at, &["dismiss", "--app", "shop", "--unsid", unsid, &id]);
    assert_eq!(done[0]["recorded"], true);
    let both = call(&at, &["dismiss", "--app", "shop", "--user", "alice", "nonsense", &id]);
    assert_eq!(both.status.code(), Some(1), "{}", talk(&both));
    let both: Vec<Value> =
        data(&both).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&both[0]["notification_id"], &both[0]["recorded"]),
        (&"nonsense".into(), &false.into())
    );
    assert_eq!(
        (&both[1]["notification_id"], &both[1]["recorded"]),
        (&id.as_str().into(), &true.into())
    );
    let timeline = eventually(
        "timeline",
        || with(&["timeline"], &[&id]),
        |timeline| timeline.iter().any(|line| line["what"] == "StateChanged"),
    );
    assert_eq!(timeline[0]["what"], "NotificationPosted");
    explained(&at, &id);
    let posted = timeline[0]["time"].as_str().unwrap();
    assert_eq!(with(&["state-at"], &[&id, "--at", posted])[0]["action"], "none");

    with(&["endpoint", "retire"], &["--installation", "phone"]);
    status("unregistered");
}

/// The notification rang on the phone and was dismissed on it; a tablet comes too late.
fn explained(at: &str, id: &str) {
    let late = ["endpoint", "add", "--app", "shop", "--user", "alice", "--installation", "late"];
    let late = json(at, &[&late[..], &["--topic", TOPIC, "--token", "b2"]].concat());
    let late = late[0]["endpoint_id"].as_str().unwrap().to_owned();
    let explain = ["explain", "--app", "shop", "--user", "alice", id];
    let is_told = |lines: &[Value]| {
        let has = |what: &str| lines.iter().any(|line| line["what"] == what);
        has("delivery") && lines.iter().any(|line| line["endpoint_id"] == late.as_str())
    };
    let lines = eventually("explain", || json(at, &explain), |lines| is_told(lines));
    let details = |what: &str| -> Vec<_> {
        let of = lines.iter().filter(|line| line["what"] == what);
        of.map(|line| line["detail"].as_str().unwrap()).collect()
    };
    assert_eq!(details("planned"), ["show revision 1"]);
    assert_eq!(details("delivery"), ["show revision 1: accepted"]);
    assert!(details("not planned").contains(&"the change was made on it"), "{lines:?}");
    assert!(details("not planned").contains(&"registered later"), "{lines:?}");
    let counts = lines.iter().find(|line| line["platform"] == "apns").unwrap();
    assert_eq!((&counts["planned"], &counts["accepted"]), (&1.into(), &1.into()));
    let end = lines.last().unwrap();
    assert_eq!((&end["goal"], &end["reached"]), (&"cleared".into(), &1.into()));

    let one = call(at, &[&explain[..], &["--endpoint", &late]].concat());
    assert!(data(&one).contains("registered later") && !data(&one).contains("accepted"));
}

#[tokio::test]
async fn an_endpoint_is_of_one_platform() {
    let tower = Tower::new();
    let server = tower.start(None);
    let at = server.address().await;
    let add = |installation: &str, address: &[&str]| {
        let add = ["endpoint", "add", "--app", "shop", "--user", "alice"];
        call(&at, &[&add, &["--installation", installation][..], address].concat())
    };
    let google = ["--project", "shop-4711"];
    for (installation, address) in [
        ("phone", vec!["--token", "a1", "--topic", TOPIC]),
        ("tablet", [&google[..], &["--fcm-token", "tablet:APA91b"]].concat()),
        ("watch", [&google[..], &["--fcm-fid", "watch"]].concat()),
    ] {
        let added = add(installation, &address);
        assert!(added.status.success(), "{address:?}: {}", talk(&added));
    }
    let list = || json(&at, &["endpoint", "list", "--app", "shop", "--user", "alice"]);
    let listed = eventually("three are live", list, |list| list.len() == 3);
    let of = |platform: &'static str| listed.iter().filter(move |it| it["platform"] == platform);
    assert!(of("apns").all(|it| it["topic"] == TOPIC && it["environment"] == "production"));
    assert!(of("fcm").all(|it| it["project"] == "shop-4711" && it["topic"].is_null()));
    assert_eq!((of("apns").count(), of("fcm").count()), (1, 2), "{listed:?}");
    assert!(!listed.iter().any(|it| it.to_string().contains("APA91b")), "{listed:?}");

    for (address, word) in [
        (vec![], "--fcm-token"),
        (vec!["--token", "a1"], "--topic"),
        (vec!["--topic", TOPIC], "--token"),
        (vec!["--fcm-fid", "watch"], "--project"),
        (vec!["--token", "a1", "--topic", TOPIC, "--project", "p"], "--project"),
        ([&google[..], &["--fcm-fid", "x", "--fcm-token", "x"]].concat(), "--fcm-token"),
        ([&google[..], &["--fcm-fid", "x", "--environment", "sandbox"]].concat(), "--environment"),
    ] {
        let refused = add("phone", &address);
        assert_eq!(refused.status.code(), Some(2), "{address:?}: {}", talk(&refused));
        assert!(talk(&refused).contains(word), "{address:?}: {}", talk(&refused));
    }
}

#[tokio::test]
async fn an_app_without_a_route_has_an_inbox() {
    let tower = Tower::new();
    let server = tower.start(None);
    let at = server.address().await;
    let alice = ["--app", INBOX_APP, "--user", "alice"];
    json(&at, &[&["publish", "--title", "Letter"][..], &alice].concat());
    let inbox = || json(&at, &[&["inbox"][..], &alice].concat());
    let inbox = eventually("inbox", inbox, |inbox| !inbox.is_empty());
    assert_eq!(inbox[0]["title"], "Letter");
    let id = inbox[0]["notification_id"].as_str().unwrap();
    let timeline = || json(&at, &[&["timeline", id][..], &alice].concat());
    let timeline = eventually("timeline", timeline, |timeline| !timeline.is_empty());
    assert_eq!(timeline.len(), 1, "nothing was to be delivered: {timeline:?}");
}

#[tokio::test]
async fn failures_of_the_server_have_their_exit_codes() {
    let tower = Tower::new();
    let server = tower.start(None);
    let at = server.address().await;
    let id = "0".repeat(32);
    let long = "x".repeat(257);
    let table: [(&[&str], i32, &str); 10] = [
        (&["publish", "--app", "bank", "--user", "a", "--title", "t"], 1, "app: is not configured"),
        (&["publish", "--app", "No", "--user", "a", "--title", "t"], 65, "app"),
        (&["publish", "--app", "shop", "--user", "a b", "--title", "t"], 65, "target.user_id"),
        (&["publish", "--app", "shop", "--user", "a", "--title", &long], 65, "title"),
        (&["timeline", "--app", "shop", "--user", "a", "nonsense"], 65, "notification_id"),
        (&["timeline", "--app", "shop", "--user", "a", &id], 1, "not found"),
        (&["explain", "--app", "shop", "--user", "a", "nonsense"], 65, "notification_id"),
        (&["explain", "--app", "shop", "--user", "a", &id], 1, "not found"),
        (&["explain", "--app", "shop", "--user", "a", &id, "--endpoint", "x"], 65, "endpoint_id"),
        (&["inbox", "--app", "shop", "--unsid", "nonsense"], 65, "unsid"),
    ];
    for (args, code, word) in table {
        let done = call(&at, args);
        assert_eq!(done.status.code(), Some(code), "{args:?}: {}", talk(&done));
        assert!(talk(&done).contains(word), "{args:?}: {}", talk(&done));
        assert_eq!(data(&done), "", "nothing but data on standard output");
    }
}

#[test]
fn a_server_that_is_not_there_is_unavailable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = format!("http://{free}");
    let done = call(&server, &["inbox", "--app", "shop", "--user", "alice"]);
    assert_eq!(done.status.code(), Some(69), "{}", talk(&done));
    assert!(talk(&done).starts_with("campanile: cannot reach the server: "), "{}", talk(&done));
    assert!(talk(&done).ends_with(&format!(" ({server})\n")), "{}", talk(&done));
    for bad in ["not a url", "http://", "127.0.0.1:8640", "https://localhost", "ftp://localhost"] {
        let done = call(bad, &["inbox", "--app", "shop", "--user", "alice"]);
        assert_eq!(done.status.code(), Some(2), "{bad}: {}", talk(&done));
        assert!(talk(&done).starts_with("campanile: --server: "), "{bad}: {}", talk(&done));
    }
}

#[test]
fn a_closed_standard_output_is_no_failure() {
    let mut command = campanile();
    command.args(["config", "show"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), talk(&done).as_str()), (Some(0), ""));
}

#[test]
fn settings_are_shown_with_their_origin() {
    let shown = run(["config", "show", "--partitions", "8"]);
    assert!(shown.status.success());
    let shown = data(&shown);
    assert!(shown.contains("store.partitions = 8  # --partitions\n"), "{shown}");
    assert!(shown.contains("serve.listen = \"127.0.0.1:8640\"  # default\n"), "{shown}");
}
