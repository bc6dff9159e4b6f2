//! Single roles of the engine on logs in memory, where the simulation has no say: clocks that
//! differ from the log's, and what goes on while the log cannot be read.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "test code")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use campanile_core::port::{
    Batch, Clock, CommitError, EventLog, Flow, GroupEvent, GroupName, GroupReader, LogAdmin,
    NewRecord, Piece, PieceKey, Progress, Projection, ReadError, ReadLimit, Record, StartAt,
    Stream, Untraced,
};
use campanile_core::{
    Ended, Event, Fact, Generation, LogIdentity, Offset, Outcome, Partition, Platform, Position,
    Tick, Timestamp,
};
use campanile_engine::deliverer::{self, Deliverer};
use campanile_engine::planted::Planted;
use campanile_engine::projector::{self, Projector};
use campanile_engine::scheduler::{self, Scheduler};
use campanile_engine::tasks::{self, Shutdown, ShutdownHandle, Task, sleep};
use campanile_engine::telemetry::Telemetry;
use campanile_proto::codec;
use campanile_testkit::memory::{
    MemoryLog, MemoryProjection, Reply, ScriptedPusher, SeededEntropy, TokioClock,
};
use campanile_testkit::scenario::{Step, happened, posted, registered};
use campanile_testkit::vocabulary::{START, app, item, phone, user};

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
        let clock = Arc::new(TokioClock::new(START));
        let events = MemoryLog::new(IDENTITY, clock.clone());
        let projection = Arc::new(MemoryProjection::new(IDENTITY));
        let (handle, shutdown) = Shutdown::new();
        let telemetry = Arc::new(Telemetry::default());
        let parts = projector::Parts {
            carried: None,
            log: Arc::new(events.clone()),
            stream: Stream::Events,
            projection: projection.clone(),
            group: group(&events, "projector").await,
            clock: clock.clone(),
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

/// A log whose group can be joined and told of the records there are, and not be read again.
struct Breaking(MemoryLog);

struct BreakingReader {
    inner: Box<dyn GroupReader>,
    left: usize,
}

#[async_trait]
impl EventLog for Breaking {
    fn identity(&self) -> &LogIdentity {
        self.0.identity()
    }

    async fn append(
        &self,
        batch: Vec<NewRecord>,
    ) -> Vec<Result<Position, campanile_core::port::AppendError>> {
        self.0.append(batch).await
    }

    async fn read(&self, p: Partition, from: Offset, limit: ReadLimit) -> Result<Batch, ReadError> {
        self.0.read(p, from, limit).await
    }

    async fn fetch(&self, p: Partition, at: &[Offset]) -> Result<Vec<Option<Record>>, ReadError> {
        self.0.fetch(p, at).await
    }

    async fn bounds(&self, p: Partition) -> Result<std::ops::Range<Offset>, ReadError> {
        self.0.bounds(p).await
    }

    async fn first_at(&self, p: Partition, time: Timestamp) -> Result<Offset, ReadError> {
        self.0.first_at(p, time).await
    }

    async fn join(&self, group: &GroupName) -> Result<Box<dyn GroupReader>, ReadError> {
        // The assignment, and the records.
        Ok(Box::new(BreakingReader { inner: self.0.join(group).await?, left: 2 }))
    }
}

#[async_trait]
impl GroupReader for BreakingReader {
    async fn next(&mut self) -> Result<GroupEvent, ReadError> {
        let left = self.left.checked_sub(1);
        self.left = left.ok_or(ReadError::Unavailable { reason: "broken".into() })?;
        self.inner.next().await
    }

    fn flow(&mut self, partition: Partition, flow: Flow) -> Result<(), ReadError> {
        self.inner.flow(partition, flow)
    }

    fn busy(&mut self, partition: Partition, is_busy: bool) -> Result<(), ReadError> {
        self.inner.busy(partition, is_busy)
    }

    async fn commit(&mut self, done: &[Progress]) -> Result<(), CommitError> {
        self.inner.commit(done).await
    }

    fn lease(&self, partition: Partition) -> Option<Tick> {
        self.inner.lease(partition)
    }
}

/// A deliverer, and where it writes receipts, for a phone that is told something and whose
/// platform answers after `answers`.
async fn telling(
    ground: &Ground,
    events: Arc<dyn EventLog>,
    answers: Duration,
) -> (Deliverer, MemoryLog) {
    let clock = Arc::new(TokioClock::new(START));
    let receipts = MemoryLog::new(IDENTITY, clock.clone());
    let pusher = ScriptedPusher::new(clock.clone(), 1, Duration::from_secs(1));
    let accepted = Outcome::Accepted { provider_id: "1".into() };
    pusher.script([Reply::After(answers, accepted)]);
    ground.happens(&[registered(phone(1)), posted("a")]).await;
    sleep(Duration::from_secs(1)).await;
    let parts = deliverer::Parts {
        events,
        receipts: Arc::new(receipts.clone()),
        projection: ground.projection.clone(),
        pusher: Arc::new(pusher),
        group: group(&ground.events, "deliverer").await,
        clock,
        entropy: Arc::new(SeededEntropy::new(1)),
        telemetry: ground.telemetry.clone(),
        tracer: Arc::new(Untraced),
        config: deliverer::Config::of(Platform::Apns),
        planted: Planted::default(),
    };
    (Deliverer::new(parts), receipts)
}

#[tokio::test(start_paused = true)]
async fn answers_are_heard_while_the_log_cannot_be_read() {
    let ground = Ground::new().await;
    let events = Arc::new(Breaking(ground.events.clone()));
    let (deliverer, receipts) = telling(&ground, events, Duration::from_millis(10)).await;
    let (_handle, shutdown) = Shutdown::new();
    let _deliverer = tasks::spawn(deliverer.run(shutdown));
    sleep(Duration::from_millis(100)).await;
    assert_eq!(records(&receipts).await.len(), 1, "written down as soon as it is known");
}

/// Also if the answer takes longer than progress is left uncommitted otherwise.
#[tokio::test(start_paused = true)]
async fn a_stop_ends_with_the_answer_it_waits_for() {
    let ground = Ground::new().await;
    let events = Arc::new(ground.events.clone());
    let (deliverer, receipts) = telling(&ground, events, Duration::from_secs(1)).await;
    let (handle, shutdown) = Shutdown::new();
    let deliverer = tasks::spawn(deliverer.run(shutdown));
    sleep(Duration::from_millis(5)).await;
    assert_eq!(ground.telemetry.deliverer_attempts.get(), 1, "it is being sent");
    let clock = TokioClock::new(START);
    handle.begin();
    assert_eq!(deliverer.join().await, Some(Ok(())));
    assert!(clock.now().since(START) < Duration::from_secs(2), "as soon as it is answered");
    assert_eq!(records(&receipts).await.len(), 1, "what came of it is written down");
}

/// What nobody named was not there before. Only whoever comes late asks what became of it since.
#[tokio::test(start_paused = true)]
async fn a_post_that_nobody_named_needs_no_read_when_it_is_news() {
    let ground = Ground::new().await;
    ground.happens(&[registered(phone(1)), unnamed("old")]).await;
    let events = Arc::new(ground.events.clone());
    let (deliverer, _receipts) = telling(&ground, events, Duration::ZERO).await;
    sleep(Duration::from_secs(6)).await;
    let (_handle, shutdown) = Shutdown::new();
    let _deliverer = tasks::spawn(deliverer.run(shutdown));
    let telemetry = &ground.telemetry;
    let settled = async |attempts: u64| {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(telemetry.deliverer_attempts.get(), attempts);
        telemetry.deliverer_pieces_read.get()
    };
    assert_eq!(settled(2).await, 3, "the user, what is old, and what has a name");
    ground.happens(&[unnamed("b")]).await;
    assert_eq!(settled(3).await, 3);
    ground.happens(&[posted("c")]).await;
    assert_eq!(settled(4).await, 4);
}

fn unnamed(what: &'static str) -> Step {
    let mut event = posted(what).event(START);
    if let Event::NotificationPosted(posted) = &mut event {
        posted.app_notification_id = None;
    }
    happened(event)
}
