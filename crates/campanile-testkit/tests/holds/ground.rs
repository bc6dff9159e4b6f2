//! One platform's worker on logs in memory.

use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{
    EventLog, GroupName, LogAdmin, NewRecord, Progress, ReadError, ReadLimit, StartAt, Stream,
    Untraced,
};
use campanile_core::{
    AppId, End, Fact, Generation, LogIdentity, Offset, Partition, Platform, Route,
};
use campanile_engine::deliverer::{self, Deliverer};
use campanile_engine::planted::Planted;
use campanile_engine::projector::{self, Projector};
use campanile_engine::scheduler::{self, Scheduler};
use campanile_engine::tasks::{self, Shutdown, ShutdownHandle, Task};
use campanile_engine::telemetry::Telemetry;
use campanile_proto::codec;
use campanile_testkit::memory::{
    MemoryLog, MemoryProjection, ScriptedPusher, SeededEntropy, TokioClock,
};
use campanile_testkit::scenario::Step;
use campanile_testkit::vocabulary::{START, app, phone, user};

pub(crate) const PARTITION: Partition = Partition(0);
pub(crate) const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };
/// Longer than the longest pause of a hold.
pub(crate) const LONG: Duration = Duration::from_secs(2000);

/// One platform's worker, on logs in memory.
pub(crate) struct Ground {
    pub(crate) clock: Arc<TokioClock>,
    pub(crate) events: MemoryLog,
    pub(crate) receipts: MemoryLog,
    pub(crate) projection: Arc<MemoryProjection>,
    pub(crate) pusher: ScriptedPusher,
    pub(crate) telemetry: Arc<Telemetry>,
    _projector: (ShutdownHandle, Task<Result<(), ReadError>>),
}

impl Ground {
    pub(crate) async fn new() -> Self {
        Self::with_partitions(1).await
    }

    pub(crate) async fn with_partitions(partitions: u16) -> Self {
        Self::with_room(partitions, 64).await
    }

    /// On a platform that takes `room` pushes at once.
    pub(crate) async fn with_room(partitions: u16, room: usize) -> Self {
        let identity = LogIdentity { id: [9; 16], generation: Generation(1), partitions };
        let clock = Arc::new(TokioClock::new(START));
        let events = MemoryLog::new(identity, clock.clone());
        let projection = Arc::new(MemoryProjection::new(identity));
        let telemetry = Arc::new(Telemetry::default());
        for name in ["projector", "deliverer", "scheduler"] {
            let group = GroupName(name.to_owned());
            events.create_group(&group, StartAt::Beginning).await.unwrap();
        }
        let parts = projector::Parts {
            carried: None,
            log: Arc::new(events.clone()),
            stream: Stream::Events,
            projection: projection.clone(),
            group: GroupName("projector".to_owned()),
            clock: clock.clone(),
            telemetry: telemetry.clone(),
            planted: Planted::default(),
        };
        let (handle, shutdown) = Shutdown::new();
        let task = tasks::spawn(Projector::new(parts).run(shutdown));
        Self {
            receipts: MemoryLog::new(identity, clock.clone()),
            pusher: ScriptedPusher::new(clock.clone(), room, Duration::from_secs(10)),
            clock,
            events,
            projection,
            telemetry,
            _projector: (handle, task),
        }
    }

    /// Starts a scheduler.
    pub(crate) fn scheduler(&self) -> (ShutdownHandle, Task<Result<(), ReadError>>) {
        let parts = scheduler::Parts {
            log: Arc::new(self.events.clone()),
            projection: self.projection.clone(),
            group: GroupName("scheduler".to_owned()),
            clock: self.clock.clone(),
            telemetry: self.telemetry.clone(),
        };
        let (handle, shutdown) = Shutdown::new();
        (handle, tasks::spawn(Scheduler::new(parts).run(shutdown)))
    }

    /// Starts a worker; dropping the task is a crash.
    pub(crate) fn deliverer(&self) -> (ShutdownHandle, Task<Result<(), ReadError>>) {
        self.deliverer_on(Arc::new(self.events.clone()))
    }

    /// Starts a worker that may have so many deliveries in memory.
    pub(crate) fn deliverer_with(
        &self,
        in_memory: usize,
    ) -> (ShutdownHandle, Task<Result<(), ReadError>>) {
        let config = deliverer::Config { in_memory, ..deliverer::Config::of(Platform::Apns) };
        self.start(Arc::new(self.events.clone()), config)
    }

    pub(crate) fn deliverer_on(
        &self,
        events: Arc<dyn EventLog>,
    ) -> (ShutdownHandle, Task<Result<(), ReadError>>) {
        self.start(events, deliverer::Config::of(Platform::Apns))
    }

    fn start(
        &self,
        events: Arc<dyn EventLog>,
        config: deliverer::Config,
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
            tracer: Arc::new(Untraced),
            config,
            planted: Planted::default(),
        };
        let (handle, shutdown) = Shutdown::new();
        (handle, tasks::spawn(Deliverer::new(parts).run(shutdown)))
    }

    pub(crate) async fn happens(&self, whose: u16, step: Step) {
        self.happens_in(app(), whose, step).await;
    }

    pub(crate) async fn happens_in(&self, app: AppId, whose: u16, step: Step) {
        let user = user(whose);
        let event = step.of(user).event(START);
        let fact = Fact { app, user, cause: None, event };
        let body = codec::encode_fact(&fact);
        let record = NewRecord { partition: self.events.identity().partition_of(user), user, body };
        assert!(self.events.append(vec![record]).await.iter().all(Result::is_ok));
    }

    pub(crate) async fn events(&self) -> usize {
        self.events.read(PARTITION, Offset(0), ALL).await.unwrap().records.len()
    }

    pub(crate) async fn ends(&self) -> Vec<End> {
        let records = self.receipts.read(PARTITION, Offset(0), ALL).await.unwrap().records;
        let receipts = records.iter().map(|record| codec::decode_receipt(&record.body).unwrap());
        receipts.flat_map(|receipt| receipt.settled).map(|settled| settled.end).collect()
    }

    pub(crate) async fn progress(&self) -> Progress {
        let group = GroupName("deliverer".to_owned());
        self.events.progress(&group).await.unwrap().remove(0)
    }
}

pub(crate) fn route() -> Route {
    phone(1).address(user(1), 1).route(&app())
}
