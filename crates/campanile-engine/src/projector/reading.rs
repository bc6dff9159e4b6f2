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
/// How long a projector leaves the log alone for each record that it folded, once it has folded all
/// there is: what comes meanwhile is folded for less than each by itself. With more than one record
/// in that time the rests grow, up to the longest; with fewer there is none, and who looks for what
/// was just published finds it.
const REST_PER_RECORD: Duration = Duration::from_micros(500);
/// Less is no rest.
const SHORTEST_REST: Duration = Duration::from_millis(1);
/// The longest rest from events.
const LONGEST_REST: Duration = Duration::from_millis(10);
/// The longest from receipts, which make history only. An item's devices mostly answer within that
/// time, and what a step finds about an item is stored together.
const LONGEST_REST_OF_RECEIPTS: Duration = Duration::from_millis(50);
/// How many of its longest rests old the newest record may be until a projector is behind. A record
/// is not there before the disk has it, and a slow disk is no reason to fold each commit by itself.
const BEHIND: u32 = 10;

/// Records by partition, in their order.
type Batches = BTreeMap<Partition, Vec<Record>>;

impl Projector {
    /// Takes what the log has by now, beginning with `first`, and folds it. Answers how many records
    /// that was, and when the newest was appended, unless there was more than a round takes.
    pub(super) async fn read(
        &mut self,
        first: Result<GroupEvent, ReadError>,
        reader: &mut dyn GroupReader,
    ) -> Result<Option<(usize, Timestamp)>, ReadError> {
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
        Ok(newest.map(|newest| (taken, newest)))
    }

    /// Leaves the log alone for a while, unless the newest record that was folded says that it is
    /// behind: then there is more, also if it takes a moment to be read.
    pub(super) async fn rest(&self, folded: usize, newest: Timestamp) {
        let now = self.parts.clock.now();
        let longest = match self.parts.stream {
            Stream::Events => LONGEST_REST,
            Stream::Receipts => LONGEST_REST_OF_RECEIPTS,
        };
        let folded = u32::try_from(folded).unwrap_or(u32::MAX);
        let rest = REST_PER_RECORD.saturating_mul(folded).min(longest);
        // A clock that disagrees with the log's says nothing.
        let is_behind = now.since(newest).max(newest.since(now)) >= BEHIND * longest;
        if rest >= SHORTEST_REST && !is_behind {
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
