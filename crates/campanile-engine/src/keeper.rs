//! The keeper: has the log keep what is young or needed, and nothing else.
//!
//! Before anything is dropped, the state it makes is carried forward; and nothing is dropped that
//! is not below what is carried, below what every group has finished, and below where the projection
//! stands. A group that nobody works as keeps the log from being shortened, which is counted; so
//! does a projection that is being built again.
//!
//! A partition is carried as it is now, which is good for everything that is old until now: so each
//! is carried once in about the time that records are kept.

use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{
    Carried, Clock, EventLog, GroupName, LogAdmin, Projection, ProjectionError, ReadError,
};
use campanile_core::{Offset, Partition, Timestamp};
use futures::future::{Either, select};

use crate::tasks::{Shutdown, sleep};
use crate::telemetry::Telemetry;

/// The longest and the shortest time between two turns.
const LONGEST: Duration = Duration::from_secs(600);
const SHORTEST: Duration = Duration::from_millis(100);

/// A stream, its administration, and the groups that read it.
#[derive(Clone)]
pub struct Kept {
    /// To see what is old.
    pub log: Arc<dyn EventLog>,
    /// To drop it.
    pub admin: Arc<dyn LogAdmin>,
    /// Whose positions it must not pass.
    pub groups: Vec<GroupName>,
}

/// What a keeper works with.
#[derive(Clone)]
pub struct Parts {
    /// What happened.
    pub events: Kept,
    /// What came of deliveries.
    pub receipts: Kept,
    /// The projection that serves.
    pub projection: Arc<dyn Projection>,
    /// Where state is carried.
    pub carried: Arc<dyn Carried>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The counters.
    pub telemetry: Arc<Telemetry>,
    /// How long records are kept at least.
    pub keep: Duration,
}

/// Drops what is old and not needed.
pub struct Keeper {
    parts: Parts,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("keep", &self.parts.keep).finish_non_exhaustive()
    }
}

/// Why a turn came to nothing; the next one tries again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error(transparent)]
    Projection(#[from] ProjectionError),
}

impl Keeper {
    /// A keeper.
    #[must_use]
    pub const fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Works until shutdown.
    ///
    /// # Errors
    /// [`ReadError`] if a group is missing or the log is damaged.
    pub async fn run(self, mut shutdown: Shutdown) -> Result<(), ReadError> {
        let wait = (self.parts.keep / 8).clamp(SHORTEST, LONGEST);
        loop {
            let pause = std::pin::pin!(sleep(wait));
            if let Either::Left(_) = select(std::pin::pin!(shutdown.begun()), pause).await {
                return Ok(());
            }
            match self.turn().await {
                Ok(()) => {}
                Err(Trouble::Log(error @ (ReadError::NoGroup(_) | ReadError::Damaged { .. }))) => {
                    return Err(error);
                }
                Err(error) => tracing::warn!(%error, "nothing is dropped from the log"),
            }
        }
    }

    async fn turn(&self) -> Result<(), Trouble> {
        let Parts { events, receipts, clock, keep, .. } = &self.parts;
        let now = clock.now();
        let until = Timestamp::from_millis(
            now.as_millis().saturating_sub(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX)),
        );
        let finished = finished(events).await?;
        let mut below = Vec::with_capacity(finished.len());
        for (partition, finished) in events.log.identity().partitions().zip(finished) {
            let old = events.log.first_at(partition, until).await?;
            let first = events.log.bounds(partition).await?.start;
            let finished = finished.min(self.folded(partition).await?);
            if finished < old {
                self.parts.telemetry.keeper_held.add(1);
            }
            let carried = self.carried(partition, first, old.min(finished)).await?;
            below.push(finished.min(carried));
        }
        events.admin.retain(*keep, now, &below).await?;
        let below = self::finished(receipts).await?;
        Ok(receipts.admin.retain(*keep, now, &below).await?)
    }

    /// Where the projection of the partition stands. Its group may have been further: a projection
    /// can be lost, and begins again.
    async fn folded(&self, partition: Partition) -> Result<Offset, Trouble> {
        match self.parts.projection.view(partition, &[]).await {
            Ok(views) => Ok(views.checkpoint),
            Err(ProjectionError::NotBuilt(_)) => Ok(Offset(0)),
            Err(error) => Err(error.into()),
        }
    }

    /// Up to where the partition is carried, once it is carried up to `wanted` if that can be.
    async fn carried(
        &self,
        partition: Partition,
        first: Offset,
        wanted: Offset,
    ) -> Result<Offset, Trouble> {
        let carried = &self.parts.carried;
        let as_of = carried.as_of(partition).await?.unwrap_or_default();
        if wanted <= first || wanted <= as_of {
            return Ok(as_of);
        }
        self.parts.telemetry.keeper_carried.add(1);
        Ok(carried.carry(partition).await?)
    }
}

/// Below what every group has finished and no held route owes, partition by partition.
async fn finished(kept: &Kept) -> Result<Vec<Offset>, ReadError> {
    let mut below: Vec<_> = kept.log.identity().partitions().map(|_| Offset(u64::MAX)).collect();
    for group in &kept.groups {
        for (below, progress) in below.iter_mut().zip(kept.admin.progress(group).await?) {
            let owed = progress.holds.iter().map(|hold| hold.next);
            *below = owed.fold(progress.next.min(*below), Offset::min);
        }
    }
    Ok(below)
}
