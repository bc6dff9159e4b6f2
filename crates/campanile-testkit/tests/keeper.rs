//! What the keeper keeps, and how a fold goes on where the log was shortened.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "test code")]

use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{
    Carried, Clock, EventLog, GroupName, LogAdmin, NewRecord, Progress, Projection, ReadError,
    StartAt, Stream,
};
use campanile_core::{Fact, Generation, LogIdentity, Offset, Partition, Platform, Receipt};
use campanile_engine::keeper::{self, Keeper, Kept};
use campanile_engine::planted::Planted;
use campanile_engine::projector::{self, Projector};
use campanile_engine::tasks::{self, Shutdown, ShutdownHandle, Task, sleep};
use campanile_engine::telemetry::Telemetry;
use campanile_proto::codec;
use campanile_testkit::memory::{MemoryCarried, MemoryLog, MemoryProjection, TokioClock};
use campanile_testkit::scenario::posted;
use campanile_testkit::vocabulary::{START, app, item, user};

const PARTITION: Partition = Partition(0);
const KEEP: Duration = Duration::from_secs(60);

type Role = (ShutdownHandle, Task<Result<(), ReadError>>);

struct Ground {
    identity: LogIdentity,
    clock: Arc<TokioClock>,
    events: MemoryLog,
    receipts: MemoryLog,
    telemetry: Arc<Telemetry>,
}

fn group() -> GroupName {
    GroupName("projector".to_owned())
}

impl Ground {
    async fn new() -> Self {
        let identity = LogIdentity { id: [9; 16], generation: Generation(1), partitions: 1 };
        let clock = Arc::new(TokioClock::new(START));
        let log = || MemoryLog::new(identity, clock.clone());
        let (events, receipts) = (log(), log());
        for log in [&events, &receipts] {
            log.create_group(&group(), StartAt::Beginning).await.unwrap();
        }
        Self { identity, clock, events, receipts, telemetry: Arc::default() }
    }

    fn projection(&self) -> Arc<MemoryProjection> {
        Arc::new(MemoryProjection::new(self.identity))
    }

    /// Posts `count` notifications.
    async fn post(&self, count: u16) {
        for _ in 0..count {
            let event = posted("news").of(user(1)).event(START);
            let fact = Fact { app: app(), user: user(1), cause: None, event };
            append(&self.events, codec::encode_fact(&fact)).await;
        }
    }

    /// Records `count` receipts of nothing in particular.
    async fn settle(&self, count: u16) {
        for number in 0..count {
            let (user, item, cause) = (user(1), item(user(1), "news"), Offset(u64::from(number)));
            let (platform, settled) = (Platform::Apns, Vec::new());
            let receipt = Receipt { app: app(), user, cause, item, platform, settled };
            append(&self.receipts, codec::encode_receipt(&receipt)).await;
        }
    }

    fn projector(&self, stream: Stream, projection: &Arc<MemoryProjection>) -> Role {
        let log = if stream == Stream::Events { &self.events } else { &self.receipts };
        let parts = projector::Parts {
            carried: None,
            log: Arc::new(log.clone()),
            stream,
            projection: projection.clone(),
            group: group(),
            clock: self.clock.clone(),
            telemetry: self.telemetry.clone(),
            planted: Planted::default(),
        };
        let (handle, shutdown) = Shutdown::new();
        (handle, tasks::spawn(Projector::new(parts).run(shutdown)))
    }

    fn keeper(&self, projection: &Arc<MemoryProjection>, carried: MemoryCarried) -> Role {
        let kept = |log: &MemoryLog| {
            let (log, groups) = (Arc::new(log.clone()), vec![group()]);
            Kept { log: log.clone(), admin: log, groups }
        };
        let parts = keeper::Parts {
            events: kept(&self.events),
            receipts: kept(&self.receipts),
            projection: projection.clone(),
            carried: Arc::new(carried),
            clock: self.clock.clone(),
            telemetry: self.telemetry.clone(),
            keep: KEEP,
        };
        let (handle, shutdown) = Shutdown::new();
        (handle, tasks::spawn(Keeper::new(parts).run(shutdown)))
    }

    async fn first(&self, log: &MemoryLog) -> Offset {
        log.bounds(PARTITION).await.unwrap().start
    }
}

async fn append(log: &MemoryLog, body: bytes::Bytes) {
    let record = NewRecord { partition: PARTITION, user: user(1), body };
    assert!(log.append(vec![record]).await.iter().all(Result::is_ok));
}

/// Waits until the fold of events stands at `end`.
async fn folded(projection: &MemoryProjection, end: Offset) {
    while projection.view(PARTITION, &[]).await.map(|it| it.checkpoint) != Ok(end) {
        sleep(Duration::from_millis(10)).await;
    }
}

/// Says that the group has finished everything up to `next`.
async fn finished(log: &MemoryLog, next: Offset) {
    let mut reader = log.join(&group()).await.unwrap();
    reader.next().await.unwrap();
    reader.commit(&[Progress::from(PARTITION, next)]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_carried_and_finished_is_dropped_when_it_is_old() {
    let ground = Ground::new().await;
    ground.post(10).await;
    let projection = ground.projection();
    let _projector = ground.projector(Stream::Events, &projection);
    folded(&projection, Offset(10)).await;
    let carried = MemoryCarried::new((*projection).clone());
    let _keeper = ground.keeper(&projection, carried.clone());
    sleep(KEEP / 2).await;
    assert_eq!(ground.first(&ground.events).await, Offset(0), "it is young");
    sleep(KEEP).await;
    assert_eq!(ground.first(&ground.events).await, Offset(10));
    assert_eq!(carried.as_of(PARTITION).await, Ok(Some(Offset(10))));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_dropped_that_a_projection_has_yet_to_fold_again() {
    let ground = Ground::new().await;
    ground.post(10).await;
    let before = ground.projection();
    let projector = ground.projector(Stream::Events, &before);
    folded(&before, Offset(10)).await;
    let carried = MemoryCarried::new((*before).clone());
    carried.carry(PARTITION).await.unwrap();
    drop(projector);
    finished(&ground.events, Offset(10)).await;
    // The projection is lost, and another one has folded nothing yet.
    let again = ground.projection();
    let _keeper = ground.keeper(&again, carried);
    sleep(3 * KEEP).await;
    assert_eq!(ground.first(&ground.events).await, Offset(0));
    let _projector = ground.projector(Stream::Events, &again);
    folded(&again, Offset(10)).await;
    sleep(3 * KEEP).await;
    assert_eq!(ground.first(&ground.events).await, Offset(10), "and then it is");
}

#[tokio::test(start_paused = true)]
async fn receipts_that_were_dropped_unfolded_stop_nobody() {
    let ground = Ground::new().await;
    ground.settle(4).await;
    let projection = ground.projection();
    let projector = ground.projector(Stream::Receipts, &projection);
    sleep(Duration::from_secs(1)).await;
    drop(projector);
    // A power cut took the projection's last step, and not the group's.
    ground.settle(6).await;
    finished(&ground.receipts, Offset(10)).await;
    sleep(2 * KEEP).await;
    ground.receipts.retain(KEEP, ground.clock.now(), &[Offset(8)]).await.unwrap();
    assert_eq!(ground.first(&ground.receipts).await, Offset(8));
    let _projector = ground.projector(Stream::Receipts, &projection);
    ground.settle(1).await;
    sleep(Duration::from_secs(5)).await;
    let claim = projection.claim(PARTITION, Stream::Receipts).await.unwrap();
    assert_eq!(claim.next, Offset(11), "it went on");
}
