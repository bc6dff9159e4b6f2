//! One stream of the embedded log, as the ports want it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use campanile_core::port::{
    AppendError, Batch, EventLog, GroupName, GroupReader, LogAdmin, NewRecord, Progress, ReadError,
    ReadLimit, Record, StartAt,
};
use campanile_core::{LogIdentity, Offset, Partition, Position, Timestamp};

use crate::group::{Groups, Member};
use crate::log::StreamLog;

/// One stream of a [`Store`](crate::Store)'s log. Clones are the same stream.
///
/// An append is answered once its records are synced to the disk. It waits for room in the queue
/// for at most [`Options::append_wait`](crate::Options::append_wait).
#[derive(Clone)]
pub struct EmbeddedLog {
    pub(crate) stream: StreamLog,
    pub(crate) groups: Arc<Groups>,
}

#[async_trait]
impl EventLog for EmbeddedLog {
    fn identity(&self) -> &LogIdentity {
        &self.stream.core().identity
    }

    async fn append(&self, batch: Vec<NewRecord>) -> Vec<Result<Position, AppendError>> {
        self.stream.append(batch).await
    }

    async fn read(
        &self,
        partition: Partition,
        from: Offset,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        self.stream.read(partition, from, limit).await
    }

    async fn fetch(
        &self,
        partition: Partition,
        at: &[Offset],
    ) -> Result<Vec<Option<Record>>, ReadError> {
        self.stream.fetch(partition, at).await
    }

    async fn bounds(&self, partition: Partition) -> Result<Range<Offset>, ReadError> {
        self.stream.bounds(partition)
    }

    async fn first_at(&self, partition: Partition, time: Timestamp) -> Result<Offset, ReadError> {
        self.stream.first_at(partition, time).await
    }

    async fn join(&self, group: &GroupName) -> Result<Box<dyn GroupReader>, ReadError> {
        let (stream, groups) = (self.stream.clone(), self.groups.clone());
        Ok(Box::new(Member::join(stream, groups, group)?))
    }
}

#[async_trait]
impl LogAdmin for EmbeddedLog {
    async fn create_group(&self, group: &GroupName, start: StartAt) -> Result<(), ReadError> {
        let first = |partition| {
            let kept = self.stream.bounds(partition)?;
            let next = if start == StartAt::Beginning { kept.start } else { kept.end };
            Ok(Progress::from(partition, next))
        };
        let first = self.identity().partitions().map(first).collect::<Result<_, ReadError>>()?;
        let (stream, groups, group) = (self.stream.stream, self.groups.clone(), group.clone());
        let created = tokio::task::spawn_blocking(move || groups.create(stream, &group, first));
        let cancelled = |_| ReadError::Unavailable { reason: "the call was cancelled".into() };
        created.await.map_err(cancelled)?
    }

    async fn progress(&self, group: &GroupName) -> Result<Vec<Progress>, ReadError> {
        self.groups.progress(self.stream.stream, group)
    }

    async fn retain(
        &self,
        keep: Duration,
        now: Timestamp,
        below: &[Offset],
    ) -> Result<(), ReadError> {
        // A power cut may take back what was committed, but not to before what is dropped: a group
        // that stood there could never go on.
        let groups = self.groups.clone();
        let synced = tokio::task::spawn_blocking(move || groups.sync()).await;
        let unsure = |reason: String| ReadError::Unavailable { reason };
        synced
            .map_err(|_| unsure("the call was cancelled".into()))?
            .map_err(|error| unsure(format!("cannot sync the groups' progress: {error}")))?;
        self.stream.retain(keep, now, below).await
    }
}
