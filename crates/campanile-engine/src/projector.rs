//! The projector: folds the log into the projection.
//!
//! One projector folds one stream. The checkpoint in the projection is the truth about how far the
//! fold is; the group's progress only gives out partitions and says when there is something to do.
//! State and checkpoint are one write, so a crash repeats a step, and the fold ignores what it has
//! seen.

pub(crate) mod beginning;
pub(crate) mod open;
mod reading;
pub(crate) mod step;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{
    Applied, Carried, Claim, Clock, Epoch, EventLog, GroupName, GroupReader, Projection,
    ProjectionError, ReadError, ReadLimit, Record, Stream, Write,
};
use campanile_core::{Offset, Partition, Timestamp};

use crate::pieces::Pieces;
use crate::planted::{Bug, Planted};
use crate::projector::beginning::{Beginning, Trouble};
use crate::projector::open::check_format;
use crate::projector::step::Steps;
use crate::tasks::{Shutdown, sleep};
use crate::telemetry::Telemetry;

/// Records of a partition folded in one write at most.
const STEP: usize = 512;
/// Bytes read at once to close a gap.
const READ_BYTES: usize = 4 << 20;
/// The wait before a projection that failed is asked again.
const RETRY: Duration = Duration::from_millis(100);
/// How often it is asked whether the projection still stands where it was left: one that lost its
/// content is rebuilt also where nothing happens.
const PULSE: Duration = Duration::from_secs(1);

/// Folds one stream into the projection.
#[derive(Debug)]
pub struct Projector {
    lanes: BTreeMap<Partition, Lane>,
    parts: Parts,
}

/// What a projector works with.
#[derive(Clone)]
pub struct Parts {
    /// The stream that is folded.
    pub log: Arc<dyn EventLog>,
    /// Which stream that is.
    pub stream: Stream,
    /// Where the fold is kept.
    pub projection: Arc<dyn Projection>,
    /// What the fold begins with where the log has lost its beginning.
    pub carried: Option<Arc<dyn Carried>>,
    /// The group that shares out the partitions.
    pub group: GroupName,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The counters.
    pub telemetry: Arc<Telemetry>,
    /// For tests of the tests.
    pub planted: Planted,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("projector::Parts").field("stream", &self.stream).finish_non_exhaustive()
    }
}

/// The fold of one partition.
#[derive(Clone, Copy, Debug)]
struct Lane {
    epoch: Epoch,
    next: Offset,
}

impl Projector {
    /// A projector that owns no partition yet.
    #[must_use]
    pub const fn new(parts: Parts) -> Self {
        Self { lanes: BTreeMap::new(), parts }
    }

    /// Folds until shutdown.
    ///
    /// # Errors
    /// [`ReadError`] if the log is damaged or of a later release, the group is missing or the
    /// checkpoint is not in the log any more: a human must look.
    pub async fn run(mut self, mut shutdown: Shutdown) -> Result<(), ReadError> {
        let mut reader = self.parts.log.join(&self.parts.group).await?;
        let mut pulse: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(sleep(PULSE));
        loop {
            // Dropping work half done is safe: a step is one write, and is repeated.
            tokio::select! {
                biased;
                () = shutdown.begun() => return Ok(()),
                worked = self.work(reader.as_mut(), &mut pulse) => worked?,
            }
        }
    }

    /// Waits for the next thing to do, and does it.
    async fn work(
        &mut self,
        reader: &mut dyn GroupReader,
        pulse: &mut Pin<Box<dyn Future<Output = ()> + Send>>,
    ) -> Result<(), ReadError> {
        let event = tokio::select! {
            biased;
            () = &mut *pulse => {
                self.check_all().await?;
                *pulse = Box::pin(sleep(PULSE));
                return Ok(());
            }
            event = reader.next() => event,
        };
        if let Some((folded, newest)) = self.read(event, reader).await? {
            self.rest(folded, newest).await;
        }
        Ok(())
    }

    /// Becomes the writer of `partition`.
    async fn claim(&mut self, partition: Partition) -> Result<(), ReadError> {
        loop {
            match self.parts.projection.claim(partition, self.parts.stream).await {
                Ok(claim) => {
                    let Some(next) = self.begin(partition, claim).await? else { continue };
                    let epoch = claim.epoch;
                    self.check(partition, next).await?;
                    self.lanes.insert(partition, Lane { epoch, next });
                    return Ok(());
                }
                Err(error) => self.pause(&error).await?,
            }
        }
    }

    /// Finds out where the fold that was claimed goes on; `None` if it has to be claimed again.
    async fn begin(&self, partition: Partition, claim: Claim) -> Result<Option<Offset>, ReadError> {
        let beginning = Beginning {
            log: self.parts.log.as_ref(),
            projection: self.parts.projection.as_ref(),
            carried: self.parts.carried.as_deref(),
            stream: self.parts.stream,
            partition,
            telemetry: &self.parts.telemetry,
            planted: self.parts.planted,
        };
        match beginning.reach(claim).await {
            Ok(next) => return Ok(Some(next)),
            Err(Trouble::Log(ReadError::Unavailable { reason })) => {
                Self::wait_for_log(&reason).await;
            }
            Err(Trouble::Log(error)) => return Err(error),
            Err(Trouble::Projection(error)) => self.pause(&error).await?,
        }
        Ok(None)
    }

    /// A checkpoint past the tail belongs to a log that lost its end; what was folded from there
    /// must not be served.
    async fn check(&self, partition: Partition, next: Offset) -> Result<(), ReadError> {
        let tail = loop {
            match self.parts.log.bounds(partition).await {
                Err(ReadError::Unavailable { reason }) => Self::wait_for_log(&reason).await,
                kept => break kept?.end,
            }
        };
        if next <= tail {
            return Ok(());
        }
        let reason = format!("checkpoint {next} is past the tail {tail}; rebuild it");
        Err(ReadError::Damaged { place: format!("projection of partition {partition}"), reason })
    }

    /// Asks of every partition whether its fold still stands where this projector left it, with a
    /// step that changes nothing; if not, folds up to there again.
    async fn check_all(&mut self) -> Result<(), ReadError> {
        let stood: Vec<_> =
            self.lanes.iter().map(|(partition, lane)| (*partition, *lane)).collect();
        for (partition, lane) in stood {
            self.step(partition, lane, &[], lane.next).await?;
            self.catch_up(partition, lane.next).await?;
        }
        Ok(())
    }

    /// Folds records of an assigned partition, after whatever lies between the checkpoint and
    /// them. The checkpoint may fall back at any time, when the projection lost its content.
    async fn fold(&mut self, partition: Partition, records: &[Record]) -> Result<(), ReadError> {
        let Some(first) = records.first().map(|record| record.offset) else { return Ok(()) };
        loop {
            self.catch_up(partition, first).await?;
            let Some(lane) = self.lanes.get(&partition).copied() else { return Ok(()) };
            let fresh = records.iter().filter(|record| record.offset >= lane.next).take(STEP);
            let fresh: Vec<_> = fresh.collect();
            let Some(last) = fresh.last() else { return Ok(()) };
            self.step(partition, lane, &fresh, last.offset.next()).await?;
        }
    }

    /// Folds from the checkpoint up to `end`, from the log.
    async fn catch_up(&mut self, partition: Partition, end: Offset) -> Result<(), ReadError> {
        while let Some(lane) = self.lanes.get(&partition).copied().filter(|lane| lane.next < end) {
            let limit = ReadLimit { records: STEP, bytes: READ_BYTES };
            let gap = match self.parts.log.read(partition, lane.next, limit).await {
                Err(ReadError::Unavailable { reason }) => {
                    Self::wait_for_log(&reason).await;
                    continue;
                }
                gap => gap?,
            };
            let before: Vec<_> = gap.records.iter().filter(|it| it.offset < end).collect();
            self.step(partition, lane, &before, gap.next.min(end)).await?;
        }
        Ok(())
    }

    /// Tries to fold `records`, which begin at the checkpoint of `lane`, and moves it to `to`. If
    /// the projection does not stand there any more, the partition is claimed again.
    async fn step(
        &mut self,
        partition: Partition,
        lane: Lane,
        records: &[&Record],
        to: Offset,
    ) -> Result<(), ReadError> {
        check_format(partition, records.iter().copied())?;
        let applied = match self.prepare(partition, lane, records, to).await {
            Ok(write) => self.parts.projection.apply(write).await,
            Err(error) => Err(error),
        };
        self.advance(partition, to, applied).await
    }

    /// Goes on where a step led, if it was stored.
    async fn advance(
        &mut self,
        partition: Partition,
        to: Offset,
        applied: Result<Applied, ProjectionError>,
    ) -> Result<(), ReadError> {
        match applied {
            Ok(Applied::Applied) => {
                if let Some(lane) = self.lanes.get_mut(&partition) {
                    lane.next = to;
                }
                Ok(())
            }
            Ok(Applied::Fenced | Applied::Gap(_)) => self.claim(partition).await,
            Err(error) => {
                self.pause(&error).await?;
                self.claim(partition).await
            }
        }
    }

    async fn apply(&self, mut writes: Vec<Write>) -> Vec<Result<Applied, ProjectionError>> {
        if self.parts.planted.has(Bug::CheckpointInSecondWrite) {
            let mut checkpoints = writes.clone();
            for write in &mut checkpoints {
                (write.pieces, write.agenda, write.history) = Default::default();
            }
            writes.iter_mut().for_each(|write| write.to = write.from);
            self.parts.projection.apply_all(writes).await;
            writes = checkpoints;
        }
        self.parts.projection.apply_all(writes).await
    }

    async fn prepare(
        &self,
        partition: Partition,
        lane: Lane,
        records: &[&Record],
        to: Offset,
    ) -> Result<Write, ProjectionError> {
        let mut write = Write {
            partition,
            stream: self.parts.stream,
            epoch: lane.epoch,
            from: lane.next,
            to,
            time: records.last().map_or(Timestamp::ZERO, |record| record.time),
            pieces: Vec::new(),
            agenda: Vec::new(),
            history: Vec::new(),
        };
        let steps = Steps {
            stream: self.parts.stream,
            generation: self.parts.log.identity().generation,
            projection: self.parts.projection.clone(),
            telemetry: self.parts.telemetry.clone(),
            is_all_known: false,
        };
        let mut known = Pieces::new(self.parts.planted);
        let folded = steps.fill(&mut known, records, &mut write).await?;
        match self.parts.stream {
            Stream::Events => self.parts.telemetry.projector_events.add(folded),
            Stream::Receipts => self.parts.telemetry.projector_receipts.add(folded),
        }
        Ok(write)
    }

    async fn wait_for_log(reason: &str) {
        tracing::warn!(reason, "log unavailable");
        sleep(RETRY).await;
    }

    /// A projection of another log must not be waited for.
    async fn pause(&self, error: &ProjectionError) -> Result<(), ReadError> {
        if matches!(error, ProjectionError::OtherLog | ProjectionError::Damaged { .. }) {
            let place = "projection".to_owned();
            return Err(ReadError::Damaged { place, reason: error.to_string() });
        }
        self.parts.telemetry.projector_waits.add(1);
        tracing::warn!(%error, "projection unavailable");
        sleep(RETRY).await;
        Ok(())
    }
}
