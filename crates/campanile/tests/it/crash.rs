//! Killed at random moments, twenty times, under load: nothing that was acknowledged is lost, and
//! nothing that was dismissed comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use campanile_api::{Client, ClientError};
use campanile_proto::v1;
use futures::future::join_all;
use tokio::sync::watch;

use crate::calls::{
    dismiss, inbox_when, is_accepted, notification, publish, register, settled, suppression, user,
};
use crate::process::now_ms;
use crate::tower::{APP, Tower};

const KILLS: u64 = 20;
const USERS: usize = 4;
/// Between two notifications of a user: enough for load, few enough to look at each afterwards.
const PACE: Duration = Duration::from_millis(10);
/// From starting the process until a request is answered: as a rule, and on a machine that is busy
/// with other tests at that moment. Most of it is replaying the projection's journal, which is short
/// here; so this finds a start that waits for something, not one that reads too much.
const READY_MS: u64 = 1000;
const READY_WHEN_BUSY_MS: u64 = 5000;

/// What a user was told, and whether it was dismissed, by id: both acknowledged.
type Acknowledged = BTreeMap<String, bool>;

#[tokio::test]
async fn twenty_kills_lose_nothing_and_undo_nothing() {
    let tower = Tower::new();
    tower.tell_everything();
    let (mut server, client) = tower.serve(None).await;
    for number in 0..USERS {
        tower.device(&token(number));
        register(&client, &name(number), &token(number)).await.unwrap();
    }
    let (tell, address) = watch::channel(server.address().await);
    let (stop, stopped) = watch::channel(false);
    let load = (0..USERS).map(|number| produce(name(number), address.clone(), stopped.clone()));
    let kills = async {
        let mut readiness = Vec::new();
        for kill in 0..KILLS {
            // Any moment is as good as another; these are spread over the life of a batch.
            tokio::time::sleep(Duration::from_millis(40 + kill * 37 % 160)).await;
            server.kill();
            let begun = now_ms();
            server = tower.start(None);
            let at = server.address().await;
            first_request(&at).await;
            readiness.push(now_ms() - begun);
            tell.send_replace(at);
        }
        stop.send_replace(true);
        (server, readiness)
    };
    let (load, (server, mut readiness)) = futures::join!(join_all(load), kills);
    let client = Client::connect(&server.address().await).await.unwrap();
    let mut count = 0;
    for (number, acknowledged) in load.into_iter().enumerate() {
        count += acknowledged.len();
        check(&tower, &client, number, &acknowledged).await;
    }
    assert!(count > 10 * USERS, "only {count} were acknowledged");
    readiness.sort_unstable();
    let (median, worst) = (readiness[readiness.len() / 2], readiness[readiness.len() - 1]);
    println!("{count} acknowledged; ready again after {median} ms, at worst after {worst} ms");
    assert!(
        median <= READY_MS && worst <= READY_WHEN_BUSY_MS,
        "ready again after {readiness:?} ms"
    );
    assert!(server.terminate().await.success());
}

/// The projection has to be there too, not only the listener.
async fn first_request(address: &str) {
    let client = Client::connect(address).await.unwrap();
    let request = v1::ListNotificationsRequest {
        app: APP.to_owned(),
        target: user(&name(0)),
        ..Default::default()
    };
    client.list_notifications(request).await.unwrap();
}

/// Publishes until told to stop, and dismisses every third, each until it is acknowledged.
async fn produce(
    whose: String,
    mut address: watch::Receiver<String>,
    stopped: watch::Receiver<bool>,
) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    let mut client = None;
    for number in 0.. {
        if *stopped.borrow() {
            break;
        }
        let key = format!("request {number}");
        let request = || notification(&whose, &key, Some(&key));
        let id = persist(&mut client, &mut address, async |client| {
            Ok(publish(client, request()).await?.notification_id)
        });
        let id = id.await;
        if number % 3 == 0 {
            let target = || user(&whose);
            persist(&mut client, &mut address, async |client| dismiss(client, target(), &id).await)
                .await;
        }
        assert_eq!(acknowledged.insert(id, number % 3 == 0), None, "an id of its own for each");
        tokio::time::sleep(PACE).await;
    }
    acknowledged
}

/// Calls until there is an answer, whatever happens to the server.
async fn persist<T>(
    client: &mut Option<Client>,
    address: &mut watch::Receiver<String>,
    call: impl AsyncFn(&Client) -> Result<T, ClientError>,
) -> T {
    loop {
        if client.is_none() {
            let at = address.borrow_and_update().clone();
            *client = Client::connect(&at).await.ok();
        }
        let answer = match client {
            Some(client) => call(client).await,
            None => Err(tonic::Status::unavailable("no connection").into()),
        };
        match answer {
            Ok(answer) => return answer,
            Err(error) => {
                let is_trouble = match &error {
                    ClientError::Refused { code, .. } => matches!(
                        code,
                        tonic::Code::Unavailable | tonic::Code::Unknown | tonic::Code::Cancelled
                    ),
                    _ => true,
                };
                assert!(is_trouble, "{error:?}");
                *client = None;
                // The server is gone: it is somewhere else soon.
                let moved = address.changed();
                let _moved_or_not = tokio::time::timeout(Duration::from_millis(50), moved).await;
            }
        }
    }
}

/// Every acknowledged notification is there and its delivery has ended; every acknowledged
/// dismissal is still one, and the device does not show it.
async fn check(tower: &Tower, client: &Client, number: usize, acknowledged: &Acknowledged) {
    let whose = name(number);
    for (id, dismissed) in acknowledged {
        let ended = settled(client, &whose, id, 1 + usize::from(*dismissed)).await;
        let mut shows = ended.iter().filter(|it| it.shows_revision == Some(1));
        let one = shows.next().expect("its delivery has ended");
        assert!(is_accepted(one) || suppression(one).is_some(), "{one:?}");
        assert!(*dismissed || is_accepted(one), "{one:?}");
    }
    let is_dismissed = |item: &v1::InboxItem| item.action() == v1::UserAction::Dismissed;
    let dismissed = acknowledged.values().filter(|dismissed| **dismissed).count();
    let has_all = |items: &[v1::InboxItem]| {
        items.len() >= acknowledged.len()
            && items.iter().filter(|item| is_dismissed(item)).count() >= dismissed
    };
    let inbox = inbox_when(client, &whose, has_all).await;
    assert_eq!(inbox.len(), acknowledged.len(), "nothing is there twice");
    for item in inbox {
        let dismissed = acknowledged[&item.notification_id];
        assert_eq!(is_dismissed(&item), dismissed, "{item:?}");
        assert_eq!(tower.shows(&token(number), &item.notification_id), !dismissed, "{item:?}");
    }
}

fn name(number: usize) -> String {
    format!("user-{number}")
}

fn token(number: usize) -> String {
    format!("{number:04x}")
}
