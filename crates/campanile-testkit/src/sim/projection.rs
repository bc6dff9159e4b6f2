//! The projection in memory, with trouble between the steps.

use std::sync::Arc;

use async_trait::async_trait;
use campanile_core::port::{
    Applied, ChangeFeed, Claim, DueEntry, HistoryQuery, ItemQuery, Items, PieceKey, Projection,
    ProjectionError, RecordRef, Stream, Views, Write,
};
use campanile_core::{Partition, Timestamp, UserRef};

use super::faults::Fault;
use super::fuse::Fuse;
use super::stage::Stage;
use crate::memory::MemoryProjection;

/// One role's way to the projection.
pub(crate) struct SimProjection {
    pub(crate) stage: Arc<Stage>,
    pub(crate) inner: MemoryProjection,
    pub(crate) who: &'static str,
    pub(crate) fuse: Arc<Fuse>,
}

fn unavailable() -> ProjectionError {
    ProjectionError::Unavailable { reason: "simulated".to_owned() }
}

impl SimProjection {
    async fn reach(&self) -> Result<(), ProjectionError> {
        self.fuse.step().await;
        if self.stage.strikes(Fault::ProjectionSlow) {
            self.stage.dawdle(1, 300).await;
        }
        if self.stage.is_open(Fault::ProjectionDown) || self.stage.strikes(Fault::ProjectionFails) {
            return Err(unavailable());
        }
        Ok(())
    }

    /// A role may die, or fail to hear, between two steps that are stored together.
    async fn step(&self, write: Write) -> Result<Applied, ProjectionError> {
        if self.stage.is_open(Fault::ProjectorLags) {
            self.stage.dawdle(200, 15_000).await;
        }
        self.reach().await?;
        let Write { partition, stream, from, to, .. } = write;
        let applied = (&self.inner as &dyn Projection).apply(write).await?;
        let (who, stream) = (self.who, stream.name());
        if from < to || applied != Applied::Applied {
            let line = format_args!("{who} folds {stream} {partition} {from}..{to}: {applied:?}");
            self.stage.note(line);
        }
        match applied {
            Applied::Applied => {}
            Applied::Fenced => self.stage.reach("projector fenced"),
            Applied::Gap(_) => self.stage.reach("projector met a gap"),
        }
        self.fuse.step().await;
        if self.stage.strikes(Fault::ApplyUnanswered) {
            return Err(unavailable());
        }
        Ok(applied)
    }
}

#[async_trait]
impl Projection for SimProjection {
    async fn claim(&self, partition: Partition, stream: Stream) -> Result<Claim, ProjectionError> {
        self.reach().await?;
        let claim = self.inner.claim(partition, stream).await?;
        let (who, stream, next) = (self.who, stream.name(), claim.next);
        self.stage.note(format_args!("{who} claims {stream} {partition} at {next}"));
        Ok(claim)
    }

    async fn apply_all(&self, writes: Vec<Write>) -> Vec<Result<Applied, ProjectionError>> {
        let mut applied = Vec::with_capacity(writes.len());
        for write in writes {
            applied.push(self.step(write).await);
        }
        applied
    }

    async fn view(
        &self,
        partition: Partition,
        keys: &[PieceKey],
    ) -> Result<Views, ProjectionError> {
        self.reach().await?;
        let views = self.inner.view(partition, keys).await;
        if matches!(views, Err(ProjectionError::NotBuilt(_))) {
            self.stage.reach("partition not built");
        }
        self.fuse.step().await;
        views
    }

    async fn items(
        &self,
        partition: Partition,
        user: UserRef,
        query: ItemQuery,
    ) -> Result<Items, ProjectionError> {
        self.reach().await?;
        self.inner.items(partition, user, query).await
    }

    async fn history(
        &self,
        partition: Partition,
        user: UserRef,
        query: HistoryQuery,
    ) -> Result<Vec<RecordRef>, ProjectionError> {
        self.reach().await?;
        self.inner.history(partition, user, query).await
    }

    async fn due(
        &self,
        partition: Partition,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueEntry>, ProjectionError> {
        self.reach().await?;
        self.inner.due(partition, until, limit).await
    }

    async fn feed(&self, partition: Partition) -> Result<Box<dyn ChangeFeed>, ProjectionError> {
        self.reach().await?;
        self.inner.feed(partition).await
    }
}
