//! Both platforms in real trouble, at the same time and for ten thousand pushes each: everything
//! ends, and what the log says of it is what the platforms saw.

use std::collections::BTreeMap;
use std::time::Duration;

use campanile_api::Client;
use campanile_proto::v1;
use campanile_proto::v1::delivery_outcome::Outcome;
use campanile_proto::v1::fcm_address::Target;
use campanile_simulate::{apns, fcm};
use futures::{StreamExt, stream};
use serde_json::json;

use crate::calls::{notification, publish, register, user};
use crate::platforms::{Both, PROJECT, register_fcm};
use crate::process::now_ms;
use crate::tower::APP;

const USERS: usize = 1000;
/// Notifications of each user; with one device on each platform ten thousand pushes each.
const ROUNDS: usize = 10;
/// One in a hundred addresses leads nowhere, on both platforms.
const DEAD_EVERY: usize = 100;
const LATENCY: Duration = Duration::from_millis(50);
/// Calls at the same time.
const CALLS: usize = 64;
/// Within this everything has ended, after waits that double with every failure.
const END_MS: u64 = 600_000;

#[tokio::test]
async fn ten_thousand_pushes_in_trouble_on_each_platform_all_end_as_recorded() {
    let both = Both::new();
    let path = both.tower.path("campanile.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{config}[ingest]\nuser_rate = 0\n")).unwrap();
    let (server, client) = both.serve().await;
    everybody(|number| enrol(&both, &client, number)).await;
    let ambiguous = [trouble_with_apple(&both), trouble_with_google(&both)];

    // The addresses that lead nowhere are found out first, so that what follows may not ring them.
    let first = vec![everybody(|number| tell(&client, number, 0)).await];
    let mut told = all_ended(&client, &first).await;
    let mut rounds = Vec::new();
    for round in 1..ROUNDS {
        rounds.push(everybody(|number| tell(&client, number, round)).await);
    }
    told.extend(all_ended(&client, &rounds).await);

    check_screens(&both, &told);
    let (apple, google) = (both.tower.apns.counts(), both.fcm.counts());
    println!("Apple: {apple:?}\nGoogle: {google:?}");
    assert_eq!((apple.too_soon, google.too_soon), (0, 0), "who asks to be left alone is");
    // A push is repeated after it was taken only if its answer was not heard.
    let taken = [struck_apple(&both, &ambiguous[0]), struck_google(&both, &ambiguous[1])];
    assert!(apple.duplicates <= taken[0], "{} of {}", apple.duplicates, taken[0]);
    assert!(google.duplicates <= taken[1], "{} of {}", google.duplicates, taken[1]);
    assert!(apple.duplicates > 0 && google.duplicates > 0, "the faults are too tame");
    let dead = (USERS / DEAD_EVERY) as u64;
    let gone = both.tower.apns.observe(|world| world.totals().reasons["Unregistered"]);
    assert!((dead..=2 * dead).contains(&gone), "{gone} pushes to {dead} dead addresses");
    let gone = both.fcm.observe(|world| world.totals().reasons["UNREGISTERED"]);
    assert!((dead..=2 * dead).contains(&gone), "{gone} pushes to {dead} dead addresses");
    assert!(server.terminate().await.success());
}

/// What the log says of each notification, by user and id: whether it was accepted on Apple's and
/// on Google's device. An address that leads nowhere is told of once, so it may be missing.
type Told = BTreeMap<(usize, String), [bool; 2]>;

/// Does something for every user, and keeps the order.
async fn everybody<T, F: Future<Output = T>>(what: impl Fn(usize) -> F) -> Vec<T> {
    stream::iter(0..USERS).map(what).buffered(CALLS).collect().await
}

fn name(number: usize) -> String {
    format!("user-{number}")
}

fn iphone(number: usize) -> String {
    format!("{number:064x}")
}

fn android(number: usize) -> String {
    format!("fid-{number}")
}

fn is_dead(number: usize) -> bool {
    number.is_multiple_of(DEAD_EVERY)
}

async fn enrol(both: &Both, client: &Client, number: usize) {
    both.tower.device(&iphone(number));
    both.fcm.register_device(PROJECT, &android(number)).unwrap();
    register(client, &name(number), &iphone(number)).await.unwrap();
    register_fcm(client, &name(number), Target::Fid(android(number))).await.unwrap();
    if is_dead(number) {
        // Only now: what Apple found out before a registration does not speak of it.
        let since = apns::Registration::Unregistered(now_ms());
        assert!(both.tower.apns.set_registration(&iphone(number), since));
        let gone = fcm::Registration::Unregistered;
        assert!(both.fcm.set_registration(&android(number), gone));
    }
}

/// Injects Apple's faults; answers those after which nobody knows whether the push was taken.
fn trouble_with_apple(both: &Both) -> Vec<apns::FaultId> {
    use apns::{Action, ErrorCode, Fate, Fault, Reason, Rejection, When};
    let apple = &both.tower.apns;
    let inject = |action, chance| apple.inject(Fault::new(action, When::Chance(chance)));
    apple.inject(Fault::delay(LATENCY, When::Always));
    inject(Action::Reject(Rejection::from(Reason::TooManyRequests).retry_after(1)), 0.1);
    inject(Action::Reject(Reason::InternalServerError.into()), 0.05);
    inject(Action::Reject(Reason::ServiceUnavailable.into()), 0.05);
    inject(Action::Reset(ErrorCode::INTERNAL_ERROR, Fate::Lost), 0.025);
    let (code, reason) = (ErrorCode::NO_ERROR, String::new());
    inject(Action::GoAway { code, reason, fate: Fate::Taken }, 0.02);
    vec![inject(Action::Reset(ErrorCode::INTERNAL_ERROR, Fate::Taken), 0.025)]
}

/// As [`trouble_with_apple`].
fn trouble_with_google(both: &Both) -> Vec<fcm::FaultId> {
    use fcm::{Action, Code, ErrorCode, Fate, Fault, Rejection, When};
    let google = &both.fcm;
    let inject = |action, chance| google.inject(Fault::new(action, When::Chance(chance)));
    google.inject(Fault::delay(LATENCY, When::Always));
    let device = json!({
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{ "subject": "device", "description": "too many messages" }],
    });
    let busy = Rejection::fcm(Code::QuotaExceeded, "slowly").detail(device).retry_after(1);
    inject(Action::Reject(busy), 0.1);
    inject(Action::Reject(Rejection::from(Code::Internal).retry_after(1)), 0.05);
    inject(Action::Reject(Rejection::from(Code::Unavailable).retry_after(1)), 0.05);
    inject(Action::Reset(ErrorCode::INTERNAL_ERROR, Fate::Lost), 0.025);
    let (code, reason) = (ErrorCode::NO_ERROR, String::new());
    inject(Action::GoAway { code, reason, fate: Fate::Taken }, 0.02);
    vec![inject(Action::Reset(ErrorCode::INTERNAL_ERROR, Fate::Taken), 0.025)]
}

fn struck_apple(both: &Both, faults: &[apns::FaultId]) -> u64 {
    faults.iter().filter_map(|fault| both.tower.apns.struck(*fault)).sum()
}

fn struck_google(both: &Both, faults: &[fcm::FaultId]) -> u64 {
    faults.iter().filter_map(|fault| both.fcm.struck(*fault)).sum()
}

/// Waits until every delivery of some rounds of notifications has ended.
async fn all_ended(client: &Client, rounds: &[Vec<String>]) -> Told {
    let mut told = Told::new();
    for ids in rounds {
        let ended = everybody(|number| ended(client, number, &ids[number])).await;
        for (number, outcomes) in ended.into_iter().enumerate() {
            told.insert((number, ids[number].clone()), outcomes);
        }
    }
    told
}

async fn tell(client: &Client, number: usize, round: usize) -> String {
    let title = format!("round {round}");
    publish(client, notification(&name(number), &title, None)).await.unwrap().notification_id
}

/// Waits until every delivery of a notification has ended; answers whether Apple's and Google's
/// device took it.
async fn ended(client: &Client, number: usize, id: &str) -> [bool; 2] {
    let limit = now_ms() + END_MS;
    loop {
        let request = v1::GetOutcomesRequest {
            app: APP.to_owned(),
            target: user(&name(number)),
            notification_id: id.to_owned(),
        };
        let found = client.get_outcomes(request).await.unwrap();
        // A living device is planned for; a dead one is until it is retired.
        let enough = is_dead(number) || found.deliveries.len() == 2;
        let open = found.counts.iter().any(|it| it.open + it.parked > 0);
        if enough && !open && found.complete {
            return [v1::Platform::Apns, v1::Platform::Fcm].map(|it| accepted(&found, it));
        }
        assert!(now_ms() < limit, "user {number}: {found:?}");
        tokio::time::sleep(LATENCY).await;
    }
}

fn accepted(found: &v1::GetOutcomesResponse, platform: v1::Platform) -> bool {
    let mut of_platform = found.deliveries.iter().filter(|it| it.platform() == platform);
    of_platform.any(|planned| {
        let outcome = planned.delivery.as_ref().and_then(|it| it.outcome.as_ref());
        matches!(outcome, Some(Outcome::Accepted(_)))
    })
}

/// On the screens is what the log says was accepted: on living devices everything, on dead ones
/// nothing.
fn check_screens(both: &Both, told: &Told) {
    let mut accepted = [0, 0];
    for ((number, id), outcomes) in told {
        let shown = [
            both.tower.shows(&iphone(*number), id),
            both.fcm.observe(|world| world.device(&android(*number)).unwrap().shown(id).is_some()),
        ];
        assert_eq!(*outcomes, shown, "user {number}, {id}");
        assert_eq!(*outcomes, [!is_dead(*number); 2], "user {number}, {id}");
        (0..2).for_each(|it| accepted[it] += u64::from(outcomes[it]));
    }
    assert_eq!(told.len(), USERS * ROUNDS, "every notification is one of its own");
    // What was taken twice took the place of the first.
    let (apple, google) = (both.tower.apns.counts(), both.fcm.counts());
    assert_eq!(apple.accepted - apple.duplicates, accepted[0], "{apple:?}");
    assert_eq!(google.accepted - google.duplicates, accepted[1], "{google:?}");
}
