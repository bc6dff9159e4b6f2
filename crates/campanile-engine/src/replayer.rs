//! The replayer: builds the projection again from the log, beside the one that serves, compares the
//! two, and has the new one serve.
//!
//! It sends nothing. Not by a flag: nothing that it holds leads to a [`Pusher`]; its [`Parts`] have
//! no place for one.
//!
//! ```compile_fail,E0560
//! use std::sync::Arc;
//! use campanile_core::port::Pusher;
//! use campanile_engine::replayer::Parts;
//!
//! // error[E0560]: struct `Parts` has no field named `pusher`
//! fn with_a_way_out(parts: Parts, pusher: Arc<dyn Pusher>) -> Parts {
//!     Parts { pusher, ..parts }
//! }
//! ```
//!
//! ```
//! # use campanile_engine::replayer::Parts;
//! fn as_it_is(parts: Parts) -> Parts {
//!     Parts { ..parts }
//! }
//! ```
//!
//! What is built survives an interruption: the next replay goes on where this one stopped.
//!
//! [`Pusher`]: campanile_core::port::Pusher

mod lane;
mod report;

use std::sync::Arc;
use std::time::Duration;

use campanile_core::Offset;
use campanile_core::port::{
    Begin, Carried, Digest, EventLog, Namespace, Namespaces, Projection, ProjectionError, Stream,
};
use futures::future::{Either, select};
use futures::stream::{self, StreamExt, TryStreamExt};

pub use report::{Drift, Phase, Progress, ReplayError, Report, Watcher};

use crate::tasks::{Shutdown, sleep};
use crate::telemetry::Telemetry;
use lane::Lane;

/// Partitions that are folded at once: while one waits for the disk, another is folded.
const AT_ONCE: usize = 4;
/// How often the candidate catches up before the writers of the serving one are made to wait: each
/// time there is less left to do.
const ROUNDS: usize = 3;
/// How long they wait at most.
const HELD: Duration = Duration::from_secs(10);
/// How long the serving namespace may be behind what is compared to it.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// What is to come of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Only tell whether the serving namespace is the fold of the log. What was built is dropped.
    Verify,
    /// The new namespace serves, if it equals the one that does.
    Switch {
        /// Also if it differs: the rules have changed, or the serving one is damaged.
        accept_drift: bool,
    },
    /// The former namespace is brought up to date and serves again.
    RollBack,
}

/// What a replay works with.
#[derive(Clone)]
pub struct Parts {
    /// What happened.
    pub events: Arc<dyn EventLog>,
    /// What came of deliveries.
    pub receipts: Arc<dyn EventLog>,
    /// The projection that serves.
    pub serving: Arc<dyn Projection>,
    /// Its namespaces.
    pub namespaces: Arc<dyn Namespaces>,
    /// What the fold begins with where the log has lost its beginning.
    pub carried: Arc<dyn Carried>,
    /// The counters.
    pub telemetry: Arc<Telemetry>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("replayer::Parts { .. }")
    }
}

/// Runs a replay.
#[derive(Debug)]
pub struct Replayer {
    parts: Parts,
    watcher: Watcher,
    shutdown: Shutdown,
}

impl Replayer {
    /// A replay that tells `watcher` how far it is, and stops at `shutdown`.
    #[must_use]
    pub const fn new(parts: Parts, watcher: Watcher, shutdown: Shutdown) -> Self {
        Self { parts, watcher, shutdown }
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// [`ReplayError`]; then the same namespace serves as before.
    pub async fn run(self, goal: Goal) -> Result<Report, ReplayError> {
        let begin = if goal == Goal::RollBack { Begin::Former } else { Begin::Anew };
        let candidate = self.parts.namespaces.candidate(begin).await?;
        let candidate = candidate.ok_or(ReplayError::NoFormer)?;
        let mut lanes = self.lanes(&candidate).await?;
        self.watch(&lanes).await?;
        let mut report = Report::default();
        if goal != Goal::RollBack {
            self.catch_up(&mut lanes, UpTo::WhatServes).await?;
            self.compare(&mut lanes, &mut report).await?;
        }
        report.records = self.watcher.borrow().folded;
        let accepts = matches!(goal, Goal::RollBack | Goal::Switch { accept_drift: true });
        if goal == Goal::Verify {
            drop((lanes, candidate));
            self.parts.namespaces.discard().await?;
        } else if report.drift.is_empty() || accepts {
            self.switch(&mut lanes).await?;
            report.switched = true;
            self.carry_anew().await;
        }
        Ok(report)
    }

    /// Becomes the writer of every partition of the candidate.
    async fn lanes(&self, candidate: &Arc<dyn Projection>) -> Result<Vec<Lane>, ReplayError> {
        let logs = [(Stream::Events, &self.parts.events), (Stream::Receipts, &self.parts.receipts)];
        let mut lanes = Vec::new();
        // Both streams of a partition after each other: what is stored of it is stored at once.
        for partition in self.parts.events.identity().partitions() {
            for (stream, log) in logs {
                let (log, candidate) = (log.clone(), candidate.clone());
                lanes.push(Lane::claim(&self.parts, log, candidate, stream, partition).await?);
            }
        }
        Ok(lanes)
    }

    /// Says how much there is to do, as far as that is known now.
    async fn watch(&self, lanes: &[Lane]) -> Result<(), ReplayError> {
        let (mut done, mut total) = (0, 0);
        for lane in lanes {
            let kept = lane.bounds().await?;
            total += kept.end.0.saturating_sub(kept.start.0);
            done += lane.next().0.saturating_sub(kept.start.0);
        }
        self.watcher.send_modify(|it| (it.resumed, it.done, it.total) = (done > 0, done, total));
        Ok(())
    }

    /// Folds what there is by now.
    async fn catch_up(&self, lanes: &mut [Lane], up_to: UpTo) -> Result<(), ReplayError> {
        let all = stream::iter(lanes.iter_mut().map(Ok::<_, ReplayError>));
        let fold = async |lane: &mut Lane| {
            let tail = lane.bounds().await?.end;
            let end = match (up_to, lane.stream()) {
                (UpTo::WhatServes, Stream::Events) => {
                    match self.parts.serving.view(lane.partition(), &[]).await {
                        Ok(views) => views.checkpoint.min(tail),
                        Err(ProjectionError::NotBuilt(_)) => tail,
                        Err(error) => return Err(error.into()),
                    }
                }
                _ => tail,
            };
            lane.advance(end, &self.watcher, &self.shutdown).await
        };
        all.try_for_each_concurrent(AT_ONCE, fold).await
    }

    /// Compares the namespaces, partition by partition, each at one checkpoint.
    async fn compare(&self, lanes: &mut [Lane], report: &mut Report) -> Result<(), ReplayError> {
        self.watcher.send_modify(|it| it.phase = Phase::Comparing);
        let lanes = lanes.iter_mut().filter(|lane| lane.stream() == Stream::Events);
        let compared = stream::iter(lanes.map(|lane| self.compare_one(lane))).buffered(AT_ONCE);
        let compared: Vec<_> = compared.try_collect().await?;
        for drift in compared.into_iter().flatten() {
            report.partitions += 1;
            report.drift.extend(drift);
        }
        self.parts.telemetry.replay_drifted.add(report.drift.len());
        Ok(())
    }

    /// How one partition differs, if it does; `None` if there is nothing yet to compare.
    async fn compare_one(&self, lane: &mut Lane) -> Result<Option<Option<Drift>>, ReplayError> {
        let partition = lane.partition();
        let serving = match self.serving(lane).await {
            Ok(serving) => Some(serving),
            Err(ReplayError::Projection(ProjectionError::NotBuilt(_))) => return Ok(None),
            // One that cannot be read is what a replay is for.
            Err(ReplayError::Projection(ProjectionError::Damaged { .. })) => None,
            Err(error) => return Err(error),
        };
        if let Some(serving) = &serving {
            lane.advance(serving.checkpoint, &self.watcher, &self.shutdown).await?;
        }
        let rebuilt = self.parts.namespaces.digest(Namespace::Candidate, partition).await?;
        let differs = serving != Some(rebuilt);
        Ok(Some(differs.then_some(Drift { partition, serving, rebuilt })))
    }

    /// The serving namespace's digest at or after the checkpoint of `lane`.
    async fn serving(&self, lane: &Lane) -> Result<Digest, ReplayError> {
        let mut waited = Duration::ZERO;
        loop {
            let digest = self.parts.namespaces.digest(Namespace::Serving, lane.partition()).await?;
            if digest.checkpoint >= lane.next() {
                return Ok(digest);
            }
            if waited >= PATIENCE {
                return Err(ReplayError::ServingBehind {
                    partition: lane.partition(),
                    serving: digest.checkpoint,
                    rebuilt: lane.next(),
                });
            }
            if self.shutdown.has_begun() {
                return Err(ReplayError::Interrupted);
            }
            sleep(PAUSE).await;
            waited += PAUSE;
        }
    }

    /// Has the candidate serve, once it is nowhere behind.
    async fn switch(&self, lanes: &mut [Lane]) -> Result<(), ReplayError> {
        self.watcher.send_modify(|it| it.phase = Phase::Switching);
        for _ in 0..ROUNDS {
            self.catch_up(lanes, UpTo::Tail).await?;
        }
        let held = self.parts.namespaces.hold().await?;
        let last = std::pin::pin!(self.catch_up(lanes, UpTo::Tail));
        match select(last, std::pin::pin!(sleep(HELD))).await {
            Either::Left((caught_up, _)) => caught_up?,
            Either::Right(_) => return Err(ReplayError::TooSlow { limit: HELD }),
        }
        held.switch().await?;
        Ok(())
    }
}

impl Replayer {
    /// What is carried was read from the namespace that served before, with whatever was wrong in
    /// it. Where it cannot be renewed now, the keeper does it in its time.
    async fn carry_anew(&self) {
        let carried = &self.parts.carried;
        for partition in self.parts.events.identity().partitions() {
            let renewed = match carried.as_of(partition).await {
                Ok(Some(_)) => carried.carry(partition).await.map(drop),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = renewed {
                tracing::warn!(%partition, %error, "what is carried is not renewed yet");
            }
        }
    }
}

/// How far to fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UpTo {
    /// As far as the serving namespace is, so that the two can be compared.
    WhatServes,
    /// As far as the log goes.
    Tail,
}

/// Where nothing was folded yet.
const START: Offset = Offset(0);
