//! What a projector takes from its group: as much of all partitions as can be folded in one go.
//!
//! A step has its price, whatever is in it: calls, locks, a write. So what came for several
//! partitions is stored together.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use campanile_core::port::{GroupEvent, GroupReader, Progress, ReadError, Record, Stream};
use campanile_core::{Partition, Timestamp};
use futures::future::FutureExt;

use super::open::check_format;
use super::{Projector, STEP};
use crate::tasks::sleep;

/// With as many records of all partitions, or as many bytes of them, no more is taken before they are
/// folded.
const ROUND: usize = 2048;
const ROUND_BYTES: usize = 4 << 20;
/// How long a projector of events leaves the log alone once it has folded all there is: what comes
/// meanwhile is folded for less than each by itself. An event that comes later than that after the one
/// before is folded at once.
const REST: Duration = Duration::from_millis(10);
/// The same of receipts, which nobody waits for: they make history only. An item's devices mostly
/// answer within that time, and what a step finds about an item is stored together.
const REST_OF_RECEIPTS: Duration = Duration::from_millis(50);
/// How many rests old the newest record may be until a projector is behind. A record is not there
/// before the disk has it, and a slow disk is no reason to fold each commit by itself.
const BEHIND: u32 = 10;

/// Records by partition, in their order.
type Batches = BTreeMap<Partition, Vec<Record>>;

impl Projector {
    /// Takes what the log has by now, beginning with `first`, and folds it. Answers when the newest of
    /// it was appended, unless there was more than a round takes.
    pub(super) async fn read(
        &mut self,
        first: Result<GroupEvent, ReadError>,
        reader: &mut dyn GroupReader,
    ) -> Result<Option<Timestamp>, ReadError> {
        let mut batches = Batches::new();
        let (mut taken, mut bytes) = (0, 0);
        let (mut newest, mut next) = (None, Some(first));
        while let Some(event) = next {
            match event {
                Ok(GroupEvent::Records { partition, records }) => {
                    newest = newest.max(records.last().map(|record| record.time));
                    taken += records.len();
                    bytes += records.iter().map(|record| record.body.len()).sum::<usize>();
                    batches.entry(partition).or_default().extend(records);
                    if taken >= ROUND || bytes >= ROUND_BYTES {
                        self.fold_all(batches, reader).await?;
                        return Ok(None);
                    }
                }
                Ok(change) => {
                    self.fold_all(mem::take(&mut batches), reader).await?;
                    self.on_change(change, reader).await?;
                }
                Err(ReadError::Unavailable { reason }) => {
                    Self::wait_for_log(&reason).await;
                    break;
                }
                Err(error) => return Err(error),
            }
            next = reader.next().now_or_never();
        }
        self.fold_all(batches, reader).await?;
        Ok(newest)
    }

    /// Leaves the log alone for a while, unless the newest record that was folded says that it is
    /// behind: then there is more, also if it takes a moment to be read.
    pub(super) async fn rest(&self, newest: Timestamp) {
        let now = self.parts.clock.now();
        let rest = match self.parts.stream {
            Stream::Events => REST,
            Stream::Receipts => REST_OF_RECEIPTS,
        };
        // A clock that disagrees with the log's says nothing.
        if now.since(newest).max(newest.since(now)) < BEHIND * rest {
            sleep(rest).await;
        }
    }

    /// Folds records of assigned partitions: a step of each at once, and then what that left.
    async fn fold_all(
        &mut self,
        batches: Batches,
        reader: &mut dyn GroupReader,
    ) -> Result<(), ReadError> {
        if batches.is_empty() {
            return Ok(());
        }
        let mut writes = Vec::with_capacity(batches.len());
        for (partition, records) in &batches {
            let step: Vec<_> = records.iter().take(STEP).collect();
            let (Some(first), Some(last)) = (step.first(), step.last()) else { continue };
            let lane = self.lanes.get(partition).copied();
            let Some(lane) = lane.filter(|lane| lane.next == first.offset) else { continue };
            let to = last.offset.next();
            check_format(*partition, step.iter().copied())?;
            // A projection that does not answer is asked again by itself.
            writes.extend(self.prepare(*partition, lane, &step, to).await);
        }
        let steps: Vec<_> = writes.iter().map(|write| (write.partition, write.to)).collect();
        for ((partition, to), applied) in steps.into_iter().zip(self.apply(writes).await) {
            self.advance(partition, to, applied).await?;
        }
        for (partition, records) in &batches {
            self.fold(*partition, records).await?;
        }
        self.commit(batches.into_keys(), reader).await;
        Ok(())
    }

    /// Takes note of a change of what it owns.
    async fn on_change(
        &mut self,
        change: GroupEvent,
        reader: &mut dyn GroupReader,
    ) -> Result<(), ReadError> {
        match change {
            GroupEvent::Assigned { progress } => {
                self.claim(progress.partition).await?;
                self.catch_up(progress.partition, progress.next).await?;
            }
            GroupEvent::Revoking { partition, .. } => self.commit([partition], reader).await,
            GroupEvent::Lost(partition) => drop(self.lanes.remove(&partition)),
            GroupEvent::Records { .. } => {}
        }
        Ok(())
    }

    /// The group's progress is a hint: losing it costs nothing, so a failure is only worth a log
    /// line.
    async fn commit(
        &self,
        partitions: impl IntoIterator<Item = Partition>,
        reader: &mut dyn GroupReader,
    ) {
        let progress =
            |partition| self.lanes.get(&partition).map(|lane| Progress::from(partition, lane.next));
        let done: Vec<_> = partitions.into_iter().filter_map(progress).collect();
        if let Err(error) = reader.commit(&done).await {
            tracing::debug!(%error, "projector progress not committed");
        }
    }
}
