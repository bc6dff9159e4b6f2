//! A log in which a later release has written: who cannot read that does not pass over it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "test code")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use campanile_core::port::{
    EventLog, GroupName, LogAdmin, NewRecord, ReadError, StartAt, Stream, Untraced,
};
use campanile_core::{Fact, Generation, LogIdentity, Offset, Platform};
use campanile_engine::deliverer::{self, Deliverer};
use campanile_engine::planted::Planted;
use campanile_engine::projector::{self, Projector};
use campanile_engine::tasks::Shutdown;
use campanile_engine::telemetry::Telemetry;
use campanile_proto::codec;
use campanile_testkit::memory::{
    MemoryLog, MemoryProjection, ScriptedPusher, SeededEntropy, TokioClock,
};
use campanile_testkit::scenario::posted;
use campanile_testkit::vocabulary::{START, app, user};

struct Ground {
    clock: Arc<TokioClock>,
    events: MemoryLog,
    projection: Arc<MemoryProjection>,
    telemetry: Arc<Telemetry>,
}

fn group() -> GroupName {
    GroupName("reader".to_owned())
}

impl Ground {
    /// A log with an event, and another one in a format that is not there yet.
    async fn new() -> Self {
        let identity = LogIdentity { id: [9; 16], generation: Generation(1), partitions: 1 };
        let clock = Arc::new(TokioClock::new(START));
        let events = MemoryLog::new(identity, clock.clone());
        events.create_group(&group(), StartAt::Beginning).await.unwrap();
        let projection = Arc::new(MemoryProjection::new(identity));
        let ground = Self { clock, events, projection, telemetry: Arc::default() };
        let fact = Fact {
            app: app(),
            user: user(1),
            cause: None,
            event: posted("x").of(user(1)).event(START),
        };
        ground.append(codec::encode_fact(&fact)).await;
        // Field 1, the major, is 2; what follows may be anything.
        ground.append(Bytes::from_static(&[0x08, 2, 0x1a, 1, b'x'])).await;
        ground
    }

    async fn append(&self, body: Bytes) {
        let partition = self.events.identity().partition_of(user(1));
        let record = NewRecord { partition, user: user(1), body };
        assert!(self.events.append(vec![record]).await.iter().all(Result::is_ok));
    }

    async fn finished(&self) -> Offset {
        self.events.progress(&group()).await.unwrap()[0].next
    }
}

fn is_newer(ended: &Result<(), ReadError>) -> bool {
    matches!(ended, Err(ReadError::Newer { place, reason })
        if place == "offset 1 of partition 0" && reason.contains("format 2"))
}

#[tokio::test(start_paused = true)]
async fn the_fold_stops_at_what_a_later_release_wrote() {
    let ground = Ground::new().await;
    let parts = projector::Parts {
        carried: None,
        log: Arc::new(ground.events.clone()),
        stream: Stream::Events,
        projection: ground.projection.clone(),
        group: group(),
        clock: ground.clock.clone(),
        telemetry: ground.telemetry.clone(),
        planted: Planted::default(),
    };
    let (_handle, shutdown) = Shutdown::new();
    let ended = Projector::new(parts).run(shutdown).await;
    assert!(is_newer(&ended), "{ended:?}");
    assert!(ground.finished().await <= Offset(1));
}

#[tokio::test(start_paused = true)]
async fn a_worker_finishes_nothing_that_a_later_release_wrote() {
    let ground = Ground::new().await;
    let identity = *ground.events.identity();
    let parts = deliverer::Parts {
        events: Arc::new(ground.events.clone()),
        receipts: Arc::new(MemoryLog::new(identity, ground.clock.clone())),
        projection: ground.projection.clone(),
        pusher: Arc::new(ScriptedPusher::new(ground.clock.clone(), 64, Duration::from_secs(1))),
        group: group(),
        clock: ground.clock.clone(),
        entropy: Arc::new(SeededEntropy::new(1)),
        telemetry: ground.telemetry.clone(),
        tracer: Arc::new(Untraced),
        config: deliverer::Config::of(Platform::Apns),
        planted: Planted::default(),
    };
    let (_handle, shutdown) = Shutdown::new();
    let ended = Deliverer::new(parts).run(shutdown).await;
    assert!(is_newer(&ended), "{ended:?}");
    assert!(ground.finished().await <= Offset(1));
}
