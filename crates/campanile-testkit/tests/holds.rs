//! What a route owes while it is held, and what it sends when it works again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use campanile_core::port::{
    AppendError, Batch, CommitError, EventLog, Flow, GroupEvent, GroupName, GroupReader, LogAdmin,
    NewRecord, Progress, ReadError, ReadLimit, Record, RouteDown, StartAt, Stream,
};
use campanile_core::{
    End, Fact, Generation, HoldReason, LogIdentity, Offset, Outcome, Partition, Platform, Position,
    Route, Suppression, Tick, Timestamp,
};
use campanile_engine::deliverer::{self, Deliverer};
use campanile_engine::planted::Planted;
use campanile_engine::projector::{self, Projector};
use campanile_engine::tasks::{self, Shutdown, ShutdownHandle, Task, sleep};
use campanile_engine::telemetry::Telemetry;
use campanile_proto::codec;
use campanile_testkit::memory::{
    MemoryLog, MemoryProjection, Reply, ScriptedPusher, SeededEntropy, Sent, TokioClock,
};
use campanile_testkit::scenario::{Step, dismissed, posted, registered};
use campanile_testkit::vocabulary::{START, app, item, phone, user};

const PARTITION: Partition = Partition(0);
const IDENTITY: LogIdentity = LogIdentity { id: [9; 16], generation: Generation(1), partitions: 1 };
const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };
/// Longer than the longest pause of a hold.
const LONG: Duration = Duration::from_secs(2000);

/// One platform's worker, on logs in memory.
struct Ground {
    clock: Arc<TokioClock>,
    events: MemoryLog,
    receipts: MemoryLog,
    projection: Arc<MemoryProjection>,
    pusher: ScriptedPusher,
    telemetry: Arc<Telemetry>,
    _projector: (ShutdownHandle, Task<Result<(), ReadError>>),
}

impl Ground {
    async fn new() -> Self {
        let clock = Arc::new(TokioClock::new(START));
        let events = MemoryLog::new(IDENTITY, clock.clone());
        let projection = Arc::new(MemoryProjection::new(IDENTITY));
        let telemetry = Arc::new(Telemetry::default());
        for name in ["projector", "deliverer"] {
            let group = GroupName(name.to_owned());
            events.create_group(&group, StartAt::Beginning).await.unwrap();
        }
        let parts = projector::Parts {
            carried: None,
            log: Arc::new(events.clone()),
            stream: Stream::Events,
            projection: projection.clone(),
            group: GroupName("projector".to_owned()),
            telemetry: telemetry.clone(),
            planted: Planted::default(),
        };
        let (handle, shutdown) = Shutdown::new();
        let task = tasks::spawn(Projector::new(parts).run(shutdown));
        Self {
            receipts: MemoryLog::new(IDENTITY, clock.clone()),
            pusher: ScriptedPusher::new(clock.clone(), 64, Duration::from_secs(1)),
            clock,
            events,
            projection,
            telemetry,
            _projector: (handle, task),
        }
    }

    /// Starts a worker; dropping the task is a crash.
    fn deliverer(&self) -> (ShutdownHandle, Task<Result<(), ReadError>>) {
        self.deliverer_on(Arc::new(self.events.clone()))
    }

    fn deliverer_on(
        &self,
        events: Arc<dyn EventLog>,
    ) -> (ShutdownHandle, Task<Result<(), ReadError>>) {
        let parts = deliverer::Parts {
            events,
            receipts: Arc::new(self.receipts.clone()),
            projection: self.projection.clone(),
            pusher: Arc::new(self.pusher.clone()),
            group: GroupName("deliverer".to_owned()),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
            telemetry: self.telemetry.clone(),
            config: deliverer::Config::of(Platform::Apns),
            planted: Planted::default(),
        };
        let (handle, shutdown) = Shutdown::new();
        (handle, tasks::spawn(Deliverer::new(parts).run(shutdown)))
    }

    async fn happens(&self, whose: u16, step: Step) {
        let user = user(whose);
        let event = step.of(user).event(START);
        let fact = Fact { app: app(), user, cause: None, event };
        let body = codec::encode_fact(&fact);
        let record = NewRecord { partition: PARTITION, user, body };
        assert!(self.events.append(vec![record]).await.iter().all(Result::is_ok));
    }

    async fn events(&self) -> usize {
        self.events.read(PARTITION, Offset(0), ALL).await.unwrap().records.len()
    }

    async fn ends(&self) -> Vec<End> {
        let records = self.receipts.read(PARTITION, Offset(0), ALL).await.unwrap().records;
        let receipts = records.iter().map(|record| codec::decode_receipt(&record.body).unwrap());
        receipts.flat_map(|receipt| receipt.settled).map(|settled| settled.end).collect()
    }

    async fn progress(&self) -> Progress {
        let group = GroupName("deliverer".to_owned());
        self.events.progress(&group).await.unwrap().remove(0)
    }
}

fn route() -> Route {
    phone(1).address(user(1), 1).route(&app())
}

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
    assert_eq!((&hold.route, hold.why, hold.next), (&route(), HoldReason::Credential, Offset(1)));
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
