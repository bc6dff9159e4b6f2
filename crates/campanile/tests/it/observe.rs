//! What operators see of a running server: it counts what happens, and says when it is not ready.

use std::time::Duration;

use campanile_simulate::apns::{Action, Fate, Fault, When};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::calls::{notification, publish, register, settled};
use crate::process::{SOON, Server, run, talk};
use crate::tower::Tower;

const SERVE: [&str; 3] = ["serve", "--observe", "127.0.0.1:0"];

/// What a request is answered.
struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn has_status(&self, status: u16) -> bool {
        self.head.starts_with(&format!("HTTP/1.1 {status} "))
    }

    /// The number of a series.
    fn number(&self, series: &str) -> f64 {
        let line = self.body.lines().find_map(|line| line.strip_prefix(&format!("{series} ")));
        line.unwrap_or_else(|| panic!("no {series} in {}", self.body)).parse().unwrap()
    }
}

/// Sends a request as simple as it can be, so that what is answered is seen as it is.
async fn ask(address: &str, method: &str, path: &str) -> Answer {
    let exchange = async {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = timeout(SOON, exchange).await.expect("an answer, and its end");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer { head: head.to_owned(), body: body.to_owned() }
}

/// Asks until the answer is as it should be.
async fn ask_until(address: &str, path: &str, is_right: impl Fn(&Answer) -> bool) -> Answer {
    let mut last = ask(address, "GET", path).await;
    let right = async {
        while !is_right(&last) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            last = ask(address, "GET", path).await;
        }
    };
    if timeout(SOON, right).await.is_err() {
        panic!("{path} stays {}\n\n{}", last.head, last.body);
    }
    last
}

#[tokio::test]
async fn what_happens_is_counted() {
    let tower = Tower::new();
    tower.device("a1");
    let server = Server::start(tower.command(&SERVE));
    let (client, address) = (server.client().await, server.observed_at().await);
    let ready = ask_until(&address, "/readyz", |it| it.has_status(200)).await;
    assert_eq!(ready.body, "ready\n");
    let before = ask(&address, "GET", "/metrics").await;
    let accepted = "campanile_deliverer_accepted_total{platform=\"apns\"}";
    assert_eq!(before.number(accepted), 0.0);
    assert_eq!(before.number("campanile_ingest_accepted_total"), 0.0);

    register(&client, "alice", "a1").await.unwrap();
    for count in 1..=3 {
        let published = publish(&client, notification("alice", "Bell", None)).await.unwrap();
        settled(&client, "alice", &published.notification_id, 1).await;
        let after = ask(&address, "GET", "/metrics").await;
        assert_eq!(after.number(accepted), f64::from(count));
        let after_seconds = "campanile_deliverer_accepted_after_seconds";
        let of_apns = |what: &str| format!("{after_seconds}{what}{{platform=\"apns\"}}");
        assert_eq!(after.number(&of_apns("_count")), f64::from(count));
        assert_eq!(after.number("campanile_ingest_accepted_total"), f64::from(count));
        assert_eq!(after.number("campanile_ingest_durable_seconds_count"), f64::from(count));
        assert!(after.number("campanile_ingest_durable_seconds_sum") > 0.0);
    }
    let done = |it: &Answer| it.number("campanile_group_lag_events{group=\"deliver:apns\"}") == 0.0;
    let page = ask_until(&address, "/metrics", done).await;
    assert!(page.head.contains("content-type: text/plain; version=0.0.4"), "{}", page.head);
    assert_eq!(page.number("campanile_ready"), 1.0);
    let route = "{platform=\"apns\",app=\"shop\",environment=\"production\",\
                 credential=\"org.example.shop\"}";
    assert_eq!(page.number(&format!("campanile_push_connections_open{route}")), 1.0);
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn only_three_pages_are_there_to_be_read() {
    let tower = Tower::new();
    let server = Server::start(tower.command(&SERVE));
    let address = server.observed_at().await;
    let lives = ask(&address, "GET", "/healthz?verbose").await;
    assert!(lives.has_status(200) && lives.body == "ok\n", "{}", lives.head);
    let head = ask(&address, "HEAD", "/metrics").await;
    assert!(head.has_status(200) && head.body.is_empty(), "{}", head.head);
    assert!(ask(&address, "GET", "/").await.has_status(404));
    let written = ask(&address, "POST", "/metrics").await;
    assert!(written.has_status(405) && written.head.contains("allow: GET, HEAD"));
}

#[tokio::test]
async fn a_process_is_ready_once_the_projection_is_there() {
    let tower = Tower::new();
    let start = |roles: &str| {
        let mut command = tower.command(&SERVE);
        command.args(["--role", roles]);
        Server::start(command)
    };
    let server = start("ingest,gateway");
    let address = server.observed_at().await;
    let says = "projection: 8 partitions are not built\n";
    let unready = ask_until(&address, "/readyz", |it| it.body == says).await;
    assert!(unready.has_status(503), "{}", unready.head);
    assert!(ask(&address, "GET", "/healthz").await.has_status(200));
    assert_eq!(ask(&address, "GET", "/metrics").await.number("campanile_ready"), 0.0);
    assert!(server.terminate().await.success());
    // To take a publish the log is enough.
    for roles in ["ingest", "ingest,gateway,projector"] {
        let server = start(roles);
        let address = server.observed_at().await;
        ask_until(&address, "/readyz", |it| it.has_status(200)).await;
        assert!(server.terminate().await.success());
    }
}

#[tokio::test]
async fn a_worker_is_ready_while_it_makes_progress() {
    let tower = Tower::new();
    tower.device("a1");
    let stalled = tower.apns.inject(Fault::new(Action::Stall(Fate::Lost), When::Always));
    let mut command = tower.command(&SERVE);
    command.env("CAMPANILE__OBSERVE__STUCK_AFTER", "1 s");
    command.env("CAMPANILE__DELIVER__REQUEST_TIMEOUT", "4 s");
    let server = Server::start(command);
    let (client, address) = (server.client().await, server.observed_at().await);
    ask_until(&address, "/readyz", |it| it.has_status(200)).await;
    register(&client, "alice", "a1").await.unwrap();
    let published = publish(&client, notification("alice", "Bell", None)).await.unwrap();
    let unready = ask_until(&address, "/readyz", |it| it.has_status(503)).await;
    let says = "deliver:apns: 1 records wait, none finished for ";
    assert!(unready.body.starts_with(says), "{}", unready.body);

    tower.apns.lift(stalled);
    settled(&client, "alice", &published.notification_id, 1).await;
    ask_until(&address, "/readyz", |it| it.has_status(200)).await;
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn nobody_is_told_to_come_while_it_stops() {
    let tower = Tower::new();
    tower.device("a1");
    tower.apns.inject(Fault::new(Action::Stall(Fate::Lost), When::Always));
    let server = Server::start(tower.command(&SERVE));
    let (client, address) = (server.client().await, server.observed_at().await);
    register(&client, "alice", "a1").await.unwrap();
    publish(&client, notification("alice", "Bell", None)).await.unwrap();
    // What is in flight holds up the stop.
    tower.wait_until("it is being sent", |world| world.counts().requests > 0).await;
    ask_until(&address, "/readyz", |it| it.has_status(200)).await;
    let stopping = ask_until(&address, "/readyz", |it| it.has_status(503));
    let (ended, stopping) = tokio::join!(server.terminate(), stopping);
    assert_eq!(stopping.body, "stopping\n");
    assert!(ended.success());
}

#[test]
fn beyond_loopback_only_on_purpose() {
    let refused = run(["config", "check", "--observe", "0.0.0.0:9464"]);
    assert_eq!(refused.status.code(), Some(78));
    let told = talk(&refused);
    assert!(told.starts_with("campanile: --observe: callers are not authenticated"), "{told}");
    let on_purpose = ["config", "check", "--observe", "0.0.0.0:9464", "--insecure-no-auth"];
    assert!(run(on_purpose).status.success());
}
