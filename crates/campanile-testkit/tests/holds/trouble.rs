//! What a route owes while it is held, and what it sends when it works again.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use campanile_core::port::{
    AppendError, Batch, CommitError, EventLog, Flow, GroupEvent, GroupName, GroupReader, NewRecord,
    Progress, ReadError, ReadLimit, Record, RouteDown,
};
use campanile_core::{
    AppId, End, HoldReason, LogIdentity, Offset, Outcome, Partition, Position, Suppression, Tick,
    Timestamp,
};
use campanile_engine::tasks::sleep;
use campanile_testkit::memory::{MemoryLog, Reply, Sent};
use campanile_testkit::scenario::{dismissed, posted, registered};
use campanile_testkit::vocabulary::{item, phone, user};

use crate::ground::{Ground, LONG, route};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[tokio::test(start_paused = true)]
async fn a_held_route_writes_nothing_is_tried_seldom_and_catches_up_in_order() {
    let ground = Ground::new().await;
    ground.pusher.take_down(&route(), RouteDown::Held(HoldReason::Credential));
    ground.happens(1, registered(phone(1))).await;
    let _deliverer = ground.deliverer();
    for name in NAMES {
        ground.happens(1, posted(name)).await;
        sleep(Duration::from_secs(10)).await;
    }
    let progress = ground.progress().await;
    assert_eq!((progress.next, progress.finished.len()), (Offset(7), 0), "it goes on");
    let [hold] = &progress.holds[..] else { unreachable!("{progress:?}") };
    assert_eq!(
        (&hold.route, hold.why, hold.next),
        (&route(), Some(HoldReason::Credential), Offset(1))
    );
    assert_eq!((ground.events().await, ground.ends().await.len()), (7, 0), "nothing is written");
    let tries = ground.telemetry.deliverer_route_down.get();
    assert!((2..=6).contains(&tries), "tried {tries} times in a minute");
    assert_eq!(ground.telemetry.deliverer_jobs.get(), 0, "nothing is kept in memory");

    ground.happens(1, dismissed("b")).await;
    ground.pusher.bring_up(&route());
    sleep(LONG).await;
    let shown = |sent: &Sent| sent.push.item;
    let sent: Vec<_> = ground.pusher.sent().iter().map(shown).collect();
    let due = NAMES.iter().filter(|name| **name != "b");
    let due: Vec<_> = due.map(|name| item(user(1), name)).collect();
    let shows: Vec<_> = sent.iter().filter(|id| **id != item(user(1), "b")).copied().collect();
    assert_eq!(shows, due, "in the order of the log");
    assert!(ground.ends().await.contains(&End::Suppressed(Suppression::Handled)));
    let progress = ground.progress().await;
    assert_eq!((progress.next, progress.holds), (Offset(8), vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_survives_a_crash() {
    let ground = Ground::new().await;
    ground.pusher.take_down(&route(), RouteDown::Held(HoldReason::Credential));
    ground.happens(1, registered(phone(1))).await;
    let first = ground.deliverer();
    for name in NAMES {
        ground.happens(1, posted(name)).await;
    }
    sleep(Duration::from_secs(60)).await;
    drop(first);
    ground.pusher.bring_up(&route());
    let _second = ground.deliverer();
    sleep(Duration::from_secs(1)).await;
    let sent: Vec<_> = ground.pusher.sent().iter().map(|sent| sent.push.item).collect();
    assert_eq!(sent, NAMES.map(|name| item(user(1), name)), "tried at once, each once");
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_only_fails_is_held_and_one_delivery_tries_it() {
    let ground = Ground::new().await;
    let failed =
        |_: &Sent| Outcome::Unavailable { status: 503, reason: "down".into(), retry_after: None };
    ground.pusher.answer_with(move |sent| failed(sent).into());
    for whose in 0..100 {
        ground.happens(whose, registered(phone(1))).await;
        ground.happens(whose, posted("a")).await;
    }
    let _deliverer = ground.deliverer();
    sleep(Duration::from_secs(60)).await;
    let before = ground.pusher.sent().len();
    assert!(before < 400, "{before} attempts in the first minute");
    sleep(Duration::from_secs(3600)).await;
    let tries = ground.pusher.sent().len() - before;
    assert!((3..=30).contains(&tries), "{tries} attempts in an hour");
    assert_eq!(ground.events().await, 200, "nothing is written for what waits");
    let accepted = |_: &Sent| Outcome::Accepted { provider_id: "1".into() };
    ground.pusher.answer_with(move |sent| accepted(sent).into());
    sleep(LONG).await;
    let ends = ground.ends().await;
    assert!(ends.iter().all(|end| matches!(end, End::Accepted { .. })), "{ends:?}");
    assert_eq!(ends.len(), 100);
    assert_eq!(ground.progress().await.holds, vec![]);
}

/// What always fails for one delivery, `name` of the user `whose`, and works for the others.
fn only_fails_for(whose: u16, name: &str, failed: Outcome) -> impl FnMut(&Sent) -> Reply + use<> {
    let bad = item(user(whose), name);
    move |sent| match sent.push.item == bad {
        true => failed.clone().into(),
        false => Outcome::Accepted { provider_id: "1".into() }.into(),
    }
}

async fn one_bad_delivery_blocks_no_route(failed: Outcome) {
    let ground = Ground::new().await;
    let all = failed.clone();
    ground.pusher.answer_with(move |_| all.clone().into());
    for whose in 0..30 {
        ground.happens(whose, registered(phone(1))).await;
        ground.happens(whose, posted("a")).await;
    }
    let _deliverer = ground.deliverer();
    sleep(Duration::from_secs(600)).await;
    let progress = ground.progress().await;
    let [hold] = &progress.holds[..] else { unreachable!("{progress:?}") };
    // Each user has two records.
    let bad = u16::try_from(hold.next.0 / 2).unwrap();
    let left = 30 - ground.ends().await.len();
    assert!(left > 1, "{left} wait");
    ground.pusher.answer_with(only_fails_for(bad, "a", failed));
    sleep(LONG + LONG).await;
    let ends = ground.ends().await;
    let accepted = ends.iter().filter(|end| matches!(end, End::Accepted { .. })).count();
    assert_eq!(accepted, left - 1, "all that wait but one: {ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_always_fails_blocks_no_route() {
    let reason = "down".to_owned();
    let failed = Outcome::Unavailable { status: 503, reason, retry_after: None };
    one_bad_delivery_blocks_no_route(failed).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_address_blocks_no_route_that_is_held_for_bad_addresses() {
    let reason = "Unregistered".to_owned();
    let gone = Outcome::AddressGone { status: 410, reason, since: None };
    one_bad_delivery_blocks_no_route(gone).await;
}

/// A log whose commits take longer than the first pause of a hold.
struct SlowCommits(MemoryLog);

#[async_trait]
impl EventLog for SlowCommits {
    fn identity(&self) -> &LogIdentity {
        self.0.identity()
    }

    async fn append(&self, batch: Vec<NewRecord>) -> Vec<Result<Position, AppendError>> {
        self.0.append(batch).await
    }

    async fn read(&self, of: Partition, from: Offset, most: ReadLimit) -> Result<Batch, ReadError> {
        self.0.read(of, from, most).await
    }

    async fn fetch(&self, of: Partition, at: &[Offset]) -> Result<Vec<Option<Record>>, ReadError> {
        self.0.fetch(of, at).await
    }

    async fn bounds(&self, of: Partition) -> Result<Range<Offset>, ReadError> {
        self.0.bounds(of).await
    }

    async fn first_at(&self, of: Partition, time: Timestamp) -> Result<Offset, ReadError> {
        self.0.first_at(of, time).await
    }

    async fn join(&self, group: &GroupName) -> Result<Box<dyn GroupReader>, ReadError> {
        Ok(Box::new(SlowMember(self.0.join(group).await?)))
    }
}

struct SlowMember(Box<dyn GroupReader>);

#[async_trait]
impl GroupReader for SlowMember {
    async fn next(&mut self) -> Result<GroupEvent, ReadError> {
        self.0.next().await
    }

    fn flow(&mut self, partition: Partition, flow: Flow) -> Result<(), ReadError> {
        self.0.flow(partition, flow)
    }

    fn busy(&mut self, partition: Partition, is_busy: bool) -> Result<(), ReadError> {
        self.0.busy(partition, is_busy)
    }

    async fn commit(&mut self, done: &[Progress]) -> Result<(), CommitError> {
        sleep(Duration::from_secs(8)).await;
        self.0.commit(done).await
    }

    fn lease(&self, partition: Partition) -> Option<Tick> {
        self.0.lease(partition)
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_ends_while_progress_is_committed_is_over() {
    let ground = Ground::new().await;
    ground.pusher.take_down(&route(), RouteDown::Held(HoldReason::Credential));
    ground.happens(1, registered(phone(1))).await;
    ground.happens(1, posted("a")).await;
    let (handle, task) = ground.deliverer_on(Arc::new(SlowCommits(ground.events.clone())));
    sleep(Duration::from_secs(1)).await;
    ground.pusher.bring_up(&route());
    sleep(LONG).await;
    assert_eq!(ground.pusher.sent().len(), 1, "tried though nothing else happens");
    drop(handle);
    drop(task);
}

#[tokio::test(start_paused = true)]
async fn a_route_beyond_those_that_can_be_held_writes_seldom_while_it_is_tried() {
    let ground = Ground::new().await;
    let (_scheduler, _deliverer) = (ground.scheduler(), ground.deliverer());
    let most = u16::try_from(Progress::MOST_HOLDS).unwrap();
    for number in 0..most {
        let app = AppId::new(&format!("app{number}")).unwrap();
        let route = phone(1).address(user(1), 1).route(&app);
        ground.pusher.take_down(&route, RouteDown::Held(HoldReason::Credential));
        ground.happens_in(app.clone(), number, registered(phone(1))).await;
        ground.happens_in(app, number, posted("a")).await;
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(ground.progress().await.holds.len(), usize::from(most));
    let (hold, reason) = (HoldReason::Credential, "revoked".to_owned());
    let refused = Outcome::RouteRefused { hold, status: 403, reason, retry_after: None };
    let slow = Duration::from_secs(300);
    ground.pusher.answer_with(move |_| Reply::After(slow, refused.clone()));
    let before = ground.events().await;
    for number in most..most + 3 {
        ground.happens(number, registered(phone(1))).await;
        ground.happens(number, posted("a")).await;
    }
    sleep(Duration::from_secs(3600)).await;
    let written = ground.events().await - before - 6;
    assert!((2..=600).contains(&written), "{written} more in an hour");
}
