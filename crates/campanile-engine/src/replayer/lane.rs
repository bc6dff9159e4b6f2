//! The fold of one stream of one partition into the candidate.

use std::ops::Range;
use std::sync::Arc;

use campanile_core::port::{
    Applied, Epoch, EventLog, Projection, ReadLimit, Record, Stream, Write,
};
use campanile_core::{Offset, Partition, Timestamp};

use super::report::{ReplayError, Watcher};
use super::{Parts, START};
use crate::pieces::Pieces;
use crate::planted::Planted;
use crate::projector::beginning::{Beginning, Trouble};
use crate::projector::open::check_format;
use crate::projector::step::Steps;
use crate::tasks::Shutdown;

/// How much is folded in one write: more than the projector does, which nobody waits for.
const STEP: ReadLimit = ReadLimit { records: 4096, bytes: 4 << 20 };
/// Pieces kept in memory, so that they are not read again; with more, all are forgotten.
const PIECES: usize = 20_000;

/// One stream of one partition, and how far it is folded.
pub(super) struct Lane {
    log: Arc<dyn EventLog>,
    candidate: Arc<dyn Projection>,
    steps: Steps,
    partition: Partition,
    epoch: Epoch,
    next: Offset,
    /// What was folded lately; nobody else writes the candidate.
    known: Pieces,
}

impl Lane {
    /// Becomes the only writer of it.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub(super) async fn claim(
        parts: &Parts,
        log: Arc<dyn EventLog>,
        candidate: Arc<dyn Projection>,
        stream: Stream,
        partition: Partition,
    ) -> Result<Self, ReplayError> {
        let telemetry = parts.telemetry.clone();
        let claim = candidate.claim(partition, stream).await?;
        let beginning = Beginning {
            log: log.as_ref(),
            projection: candidate.as_ref(),
            carried: Some(parts.carried.as_ref()),
            stream,
            partition,
            telemetry: &telemetry,
            planted: Planted::default(),
        };
        let next = beginning.reach(claim).await.map_err(|trouble| match trouble {
            Trouble::Log(error) => ReplayError::from(error),
            Trouble::Projection(error) => ReplayError::from(error),
        })?;
        let epoch = claim.epoch;
        let steps = Steps {
            stream,
            generation: log.identity().generation,
            projection: candidate.clone(),
            telemetry,
            // Nothing is in a projection of which nothing was folded.
            is_all_known: next == START,
        };
        let known = Pieces::new(Planted::default());
        Ok(Self { log, candidate, steps, partition, epoch, next, known })
    }

    pub(super) const fn stream(&self) -> Stream {
        self.steps.stream
    }

    pub(super) const fn partition(&self) -> Partition {
        self.partition
    }

    /// The next offset to fold.
    pub(super) const fn next(&self) -> Offset {
        self.next
    }

    /// What the log keeps of it.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub(super) async fn bounds(&self) -> Result<Range<Offset>, ReplayError> {
        Ok(self.log.bounds(self.partition).await?)
    }

    /// Folds up to `to`.
    ///
    /// # Errors
    /// [`ReplayError::Interrupted`] at a shutdown; what was folded stays.
    pub(super) async fn advance(
        &mut self,
        to: Offset,
        watcher: &Watcher,
        shutdown: &Shutdown,
    ) -> Result<(), ReplayError> {
        self.check().await?;
        while self.next < to {
            if shutdown.has_begun() {
                return Err(ReplayError::Interrupted);
            }
            let batch = self.log.read(self.partition, self.next, STEP).await?;
            let records: Vec<_> = batch.records.iter().filter(|it| it.offset < to).collect();
            check_format(self.partition, records.iter().copied())?;
            let before = self.next;
            self.step(&records, batch.next.min(to)).await?;
            self.steps.telemetry.replay_records.add(records.len());
            let (folded, passed) = (records.len() as u64, self.next.0 - before.0);
            watcher.send_modify(|it| {
                it.folded += folded;
                it.done += passed;
                it.total = it.total.max(it.done);
            });
        }
        self.forget();
        Ok(())
    }

    /// The log must reach back to where the fold goes on. It may have dropped records since the
    /// replay began; of receipts, the history of those is dropped with them.
    async fn check(&mut self) -> Result<(), ReplayError> {
        let kept = self.bounds().await?;
        if self.next < kept.start && self.stream() == Stream::Receipts {
            return self.step(&[], kept.start).await;
        }
        if self.next < kept.start {
            let (stream, partition, next) = (self.stream(), self.partition, self.next);
            return Err(ReplayError::Forgotten { stream, partition, next, first: kept.start });
        }
        Ok(())
    }

    async fn step(&mut self, records: &[&Record], to: Offset) -> Result<(), ReplayError> {
        let mut write = Write {
            partition: self.partition,
            stream: self.stream(),
            epoch: self.epoch,
            from: self.next,
            to,
            time: records.last().map_or(Timestamp::ZERO, |record| record.time),
            pieces: Vec::new(),
            agenda: Vec::new(),
            history: Vec::new(),
        };
        self.steps.fill(&mut self.known, records, &mut write).await?;
        match self.candidate.apply(write).await? {
            Applied::Applied => self.next = to,
            Applied::Fenced | Applied::Gap(_) => return Err(ReplayError::Fenced),
        }
        if self.known.len() > PIECES {
            self.forget();
        }
        Ok(())
    }

    /// What comes next reads again what it needs.
    fn forget(&mut self) {
        self.steps.is_all_known &= self.known.len() == 0;
        self.known = Pieces::new(Planted::default());
    }
}
