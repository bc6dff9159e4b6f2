//! What one partition's writers need to know without asking the table.

use bytes::{Buf, BufMut};
use campanile_core::port::{Applied, Claim, Epoch, Stream, Write};
use campanile_core::{Offset, Partition};
use fjall::{Readable, Snapshot};

use super::database::Table;
use super::keys;

/// How far one stream is folded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fold {
    pub(super) epoch: u64,
    pub(super) next: u64,
    /// The latest append time folded.
    pub(super) time: u64,
}

/// A partition's folds, and where its lists of things to come begin.
///
/// The table keeps a mark of every removed key until it merges files. Lists that are emptied from
/// the front would be read through all of those marks; the floors jump over them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Folds {
    events: Option<Fold>,
    receipts: Option<Fold>,
    /// No agenda entry is due before.
    pub(super) due_floor: u64,
    /// No piece is kept until before.
    pub(super) keep_floor: u64,
}

impl Folds {
    /// Reads the folds of a partition.
    pub(super) fn read(table: &Table, partition: Partition) -> fjall::Result<Self> {
        let mut keys = Stream::ALL.into_iter().map(|stream| keys::fold(partition, stream));
        let stored = table.values(partition, &mut keys)?;
        let mut folds = stored.iter().map(|value| value.as_deref().and_then(Fold::decode));
        let (events, receipts) = (folds.next().flatten(), folds.next().flatten());
        Ok(Self { events, receipts, due_floor: 0, keep_floor: 0 })
    }

    pub(super) fn of(&mut self, stream: Stream) -> &mut Option<Fold> {
        match stream {
            Stream::Events => &mut self.events,
            Stream::Receipts => &mut self.receipts,
        }
    }

    /// Why `write` cannot be applied, if it cannot.
    pub(super) fn refuse(&mut self, write: &Write) -> Option<Applied> {
        let fold = self.of(write.stream).unwrap_or_default();
        if write.epoch.0 != fold.epoch || fold.epoch == 0 {
            Some(Applied::Fenced)
        } else if write.from.0 != fold.next {
            Some(Applied::Gap(Offset(fold.next)))
        } else {
            None
        }
    }
}

impl Fold {
    pub(super) fn read(
        table: &Table,
        snapshot: &Snapshot,
        partition: Partition,
        stream: Stream,
    ) -> fjall::Result<Option<Self>> {
        let value = snapshot.get(&table.keyspace, keys::fold(partition, stream))?;
        Ok(value.as_deref().and_then(Self::decode))
    }

    /// The fold after another writer claimed it.
    pub(super) fn claimed(self) -> Self {
        Self { epoch: self.epoch + 1, ..self }
    }

    /// The fold after `write`.
    pub(super) fn after(self, write: &Write) -> Self {
        Self { next: write.to.0, time: self.time.max(write.time.as_millis()), ..self }
    }

    pub(super) fn claim(self) -> Claim {
        Claim { epoch: Epoch(self.epoch), next: Offset(self.next) }
    }

    pub(super) fn encode(self) -> Vec<u8> {
        let mut value = Vec::with_capacity(24);
        value.put_u64(self.epoch);
        value.put_u64(self.next);
        value.put_u64(self.time);
        value
    }

    pub(super) fn decode(mut value: &[u8]) -> Option<Self> {
        let epoch = value.try_get_u64().ok()?;
        let next = value.try_get_u64().ok()?;
        Some(Self { epoch, next, time: value.try_get_u64().ok()? })
    }
}
