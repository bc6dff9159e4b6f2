//! What namespaces do with projections in memory: add them up, hold their writers, change places.

use std::collections::BTreeMap;

use campanile_core::Partition;
use campanile_core::port::{Digest, DueEntry, Epoch, ProjectionError, Stream};
use campanile_proto::digest::Digester;
use tokio::sync::OwnedRwLockWriteGuard;

use super::{Built, MemoryProjection, State};

impl MemoryProjection {
    /// Adds a partition up.
    pub(crate) fn digest(&self, partition: Partition) -> Result<Digest, ProjectionError> {
        let state = self.lock();
        let built = state.built(partition)?;
        let mut digester = Digester::default();
        for (key, (piece, _)) in &built.pieces {
            digester.piece(key, piece, built.time);
        }
        for ((entry, user), app) in &built.agenda {
            digester.agenda(&DueEntry { app: app.clone(), user: *user, entry: *entry });
        }
        let [reach, items, agenda] = digester.finish();
        Ok(Digest { checkpoint: built.checkpoint(), reach, items, agenda })
    }

    /// Makes whoever writes it wait.
    pub(crate) async fn held(&self) -> OwnedRwLockWriteGuard<()> {
        self.writers.clone().write_owned().await
    }

    /// Has what `next` is take its place, and leaves `next` nothing. Answers what it was.
    pub(crate) fn give_way_to(&self, next: &Self) -> Result<Self, ProjectionError> {
        let (mut serving, mut candidate) = (self.lock(), next.lock());
        let mut fenced = candidate.durable.clone();
        for partition in self.log.partitions() {
            fence(partition, serving.durable.get(&partition), fenced.get_mut(&partition))?;
        }
        // Feeds of both break.
        let switched = State { durable: fenced, feeds: BTreeMap::new() };
        let before = std::mem::replace(&mut *serving, switched);
        *candidate = State::default();
        let former = Self::new(self.log);
        former.lock().durable = before.durable;
        Ok(former)
    }
}

/// Sees that `after` is nowhere behind `before`, and gives it epochs that nobody has.
fn fence(
    partition: Partition,
    before: Option<&Built>,
    after: Option<&mut Built>,
) -> Result<(), ProjectionError> {
    let reason = || format!("the candidate is behind in partition {partition}");
    let behind = || ProjectionError::Unavailable { reason: reason() };
    let after = after.ok_or_else(behind)?;
    for stream in Stream::ALL {
        let (epoch, next) = after.folds.get_mut(&stream).ok_or_else(behind)?;
        if let Some((known, reached)) = before.and_then(|before| before.folds.get(&stream)) {
            if *next < *reached {
                return Err(behind());
            }
            *epoch = (*epoch).max(*known);
        }
        *epoch = Epoch(epoch.0 + 1);
    }
    Ok(())
}
