//! Single roles of the engine on logs in memory, where the simulation has no say: clocks that
//! differ from the log's.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "test code")]

use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{
    EventLog, GroupName, LogAdmin, NewRecord, Piece, PieceKey, Projection, ReadError, ReadLimit,
    Record, StartAt, Stream,
};
use campanile_core::{Ended, Event, Fact, Generation, LogIdentity, Offset, Partition, Timestamp};
use campanile_engine::planted::Planted;
use campanile_engine::projector::{self, Projector};
use campanile_engine::scheduler::{self, Scheduler};
use campanile_engine::tasks::{self, Shutdown, ShutdownHandle, Task, sleep};
use campanile_engine::telemetry::Telemetry;
use campanile_proto::codec;
use campanile_testkit::memory::{MemoryLog, MemoryProjection, TokioClock};
use campanile_testkit::scenario::{Step, posted};
use campanile_testkit::vocabulary::{START, app, item, user};

const PARTITION: Partition = Partition(0);
const IDENTITY: LogIdentity = LogIdentity { id: [9; 16], generation: Generation(1), partitions: 1 };
const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };

/// Events of one partition, folded by a projector that runs as long as this.
struct Ground {
    events: MemoryLog,
    projection: Arc<MemoryProjection>,
    telemetry: Arc<Telemetry>,
    _projector: (ShutdownHandle, Task<Result<(), ReadError>>),
}

impl Ground {
    async fn new() -> Self {
        let events = MemoryLog::new(IDENTITY, Arc::new(TokioClock::new(START)));
        let projection = Arc::new(MemoryProjection::new(IDENTITY));
        let (handle, shutdown) = Shutdown::new();
        let telemetry = Arc::new(Telemetry::default());
        let parts = projector::Parts {
            log: Arc::new(events.clone()),
            stream: Stream::Events,
            projection: projection.clone(),
            group: group(&events, "projector").await,
            telemetry: telemetry.clone(),
            planted: Planted::default(),
        };
        let task = tasks::spawn(Projector::new(parts).run(shutdown));
        Self { events, projection, telemetry, _projector: (handle, task) }
    }

    async fn happens(&self, steps: &[Step]) {
        for step in steps {
            let fact = Fact { app: app(), user: user(1), cause: None, event: step.event(START) };
            let body = codec::encode_fact(&fact);
            let record = NewRecord { partition: PARTITION, user: user(1), body };
            assert!(self.events.append(vec![record]).await.iter().all(Result::is_ok));
        }
    }
}

async fn group(log: &MemoryLog, name: &str) -> GroupName {
    let group = GroupName(name.to_owned());
    log.create_group(&group, StartAt::Beginning).await.unwrap();
    group
}

async fn records(log: &MemoryLog) -> Vec<Record> {
    log.read(PARTITION, Offset(0), ALL).await.unwrap().records
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_appended_once_too_early_and_once_in_time_by_a_clock_that_is_ahead() {
    let ground = Ground::new().await;
    let (life, ahead) = (Duration::from_secs(600), Duration::from_secs(3600));
    let parts = scheduler::Parts {
        log: Arc::new(ground.events.clone()),
        projection: ground.projection.clone(),
        group: group(&ground.events, "scheduler").await,
        clock: Arc::new(TokioClock::new(START.after(ahead))),
        telemetry: ground.telemetry.clone(),
    };
    let (_handle, shutdown) = Shutdown::new();
    let _scheduler = tasks::spawn(Scheduler::new(parts).run(shutdown));
    ground.happens(&[posted("a").living(life)]).await;
    sleep(life + Duration::from_secs(10)).await;
    let came_due: Vec<Timestamp> = records(&ground.events)
        .await
        .into_iter()
        .filter(|record| {
            let fact = codec::decode_fact(&record.body).unwrap();
            matches!(fact.event, Event::CameDue(_))
        })
        .map(|record| record.time)
        .collect();
    assert!(came_due.len() <= 2, "it came due {} times", came_due.len());
    let counts = came_due.last().expect("it came due");
    let late = counts.since(START.after(life));
    assert!(*counts >= START.after(life) && late < Duration::from_secs(2), "{came_due:?}");
    let key = PieceKey::Item(user(1), item(user(1), "a"));
    let views = ground.projection.view(PARTITION, &[key]).await.unwrap();
    let Some(Some(Piece::Item(item))) = views.pieces.first() else { unreachable!("no item") };
    assert_eq!(item.ended, Some(Ended::Expired));
}
