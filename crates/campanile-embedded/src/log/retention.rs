//! Drops old segments, whole.

use std::io;
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::{Buf, BufMut};
use campanile_core::port::{ReadError, Stream};
use campanile_core::{Offset, Timestamp};

use super::catalogue::{Catalogue, index_file, segment_file};
use super::format::{Head, Seed};
use super::stream::StreamLog;
use super::{Core, stream_number};
use crate::disk::Disk;

impl StreamLog {
    /// See `LogAdmin::retain`. The streams share segments: a segment goes once every record in it
    /// is older than what was last asked to be kept of its stream, and not needed any more.
    pub(crate) async fn retain(
        &self,
        keep: Duration,
        now: Timestamp,
        below: &[Offset],
    ) -> Result<(), ReadError> {
        let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
        let (time, below) = (now.as_millis().saturating_sub(keep), below.to_vec());
        self.core().set_horizon(self.stream, Horizon { time, below });
        if self.core().is_active_old() {
            // A log that is closing does not answer; its active segment then stays.
            drop(self.core().queue.roll().await);
        }
        self.blocking(Core::drop_old).await
    }
}

/// Which records of a stream may be dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct Horizon {
    /// Those appended before, in milliseconds of the Unix epoch…
    time: u64,
    /// …and below the offset of their partition, if it has one here.
    below: Vec<Offset>,
}

impl Horizon {
    /// Whether all records of the partition `at` that lie between two heads may be dropped.
    fn covers(&self, at: usize, start: &Head, end: &Head) -> bool {
        let is_free = || self.below.get(at).is_some_and(|below| end.next <= below.0);
        start.next == end.next || (end.time < self.time && is_free())
    }
}

impl Core {
    fn set_horizon(&self, stream: Stream, horizon: Horizon) {
        let mut horizons = self.horizons.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = horizons.get_mut(usize::from(stream_number(stream)));
        if let Some(mine) = mine {
            *mine = horizon;
        }
    }

    /// Whether a segment holds only old records, given where the lanes stood before and after it.
    fn is_old(&self, start: &[Head], end: &[Head]) -> bool {
        let horizons = self.horizons.lock().unwrap_or_else(PoisonError::into_inner);
        let partitions = usize::from(self.identity.partitions);
        let streams = start.chunks(partitions).zip(end.chunks(partitions)).zip(horizons.iter());
        let mut lanes = streams.flat_map(|((start, end), horizon)| {
            let lanes = start.iter().zip(end).enumerate();
            lanes.map(move |(at, (start, end))| horizon.covers(at, start, end))
        });
        lanes.all(|is_covered| is_covered)
    }

    /// Whether the active segment has records, all of them old.
    fn is_active_old(&self) -> bool {
        let lanes = 0..2 * usize::from(self.identity.partitions);
        let now: Vec<Head> = lanes.filter_map(|lane| Some(self.lanes.get(lane)?.head)).collect();
        let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        let start = &catalogue.active.heads;
        self.is_old(start, &now) && start.iter().zip(&now).any(|(start, end)| start.next < end.next)
    }

    /// Removes the old segments at the start of the log.
    fn drop_old(&self) -> Result<(), ReadError> {
        let _alone = self.dropping.lock().unwrap_or_else(PoisonError::into_inner);
        let old = {
            let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
            let old = self.count_old(&catalogue);
            catalogue.sealed.iter().take(old).map(|segment| segment.sequence).next_back()
        };
        let Some(last) = old else { return Ok(()) };
        let stored = store_first(self.disk.as_ref(), &self.dir, last + 1, Seed::of(&self.identity));
        stored.map_err(|error| ReadError::Unavailable {
            reason: format!("cannot write where {} begins: {error}", self.dir.display()),
        })?;
        let dropped = self.with_catalogue(|catalogue| {
            let old = catalogue.sealed.partition_point(|segment| segment.sequence <= last);
            let dropped: Vec<u64> = catalogue.sealed.drain(..old).map(|it| it.sequence).collect();
            let first = catalogue.sealed.first().map_or(&catalogue.active.heads, |it| &it.heads);
            // Before anybody looks into the catalogue again: an offset is in it, or out of range.
            for (lane, head) in first.iter().enumerate() {
                self.floors.set(lane, head.next);
                if let Some(mut lane) = self.lanes.change(lane) {
                    lane.first = head.next;
                }
            }
            dropped
        });
        for sequence in &dropped {
            self.reader.forget(*sequence);
            let removed = remove_segment(self.disk.as_ref(), &self.dir, *sequence);
            removed.map_err(|error| ReadError::Unavailable {
                reason: format!("cannot remove segment {sequence}: {error}"),
            })?;
        }
        tracing::info!(segments = dropped.len(), "dropped old segments");
        Ok(())
    }

    fn count_old(&self, catalogue: &Catalogue) -> usize {
        let after = catalogue.sealed.iter().skip(1).map(|segment| &segment.heads);
        let pairs = catalogue.sealed.iter().zip(after.chain([&catalogue.active.heads]));
        pairs.take_while(|(segment, end)| self.is_old(&segment.heads, end)).count()
    }
}

/// Removes a segment and its index.
pub(super) fn remove_segment(disk: &dyn Disk, dir: &Path, sequence: u64) -> io::Result<()> {
    disk.remove(&segment_file(dir, sequence))?;
    // An index without its segment is never read.
    drop(disk.remove(&index_file(dir, sequence)));
    Ok(())
}

/// Stores which segment is the first to be kept. Without it, a segment that is missing could not
/// be told from one that was dropped.
fn store_first(disk: &dyn Disk, dir: &Path, sequence: u64, seed: Seed) -> io::Result<()> {
    let mut bytes = sequence.to_le_bytes().to_vec();
    bytes.put_u32_le(seed.checksum(&bytes));
    let (new, path) = (dir.join("first.new"), dir.join("first"));
    let file = disk.create(&new)?;
    file.write_at(&bytes, 0)?;
    file.sync()?;
    disk.rename(&new, &path)?;
    disk.sync_dir(dir)
}

/// Reads what [`store_first`] stored; 0 if nothing was dropped yet. `None` if it cannot be read.
pub(super) fn read_first(disk: &dyn Disk, dir: &Path, seed: Seed) -> io::Result<Option<u64>> {
    let file = match disk.open(&dir.join("first")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(0)),
        Err(error) => return Err(error),
    };
    let mut bytes = [0; 12];
    if file.len()? != bytes.len() as u64 {
        return Ok(None);
    }
    file.read_at(&mut bytes, 0)?;
    let (sequence, mut checksum) = bytes.split_at(8);
    let is_whole = checksum.get_u32_le() == seed.checksum(sequence);
    Ok(sequence.try_into().ok().map(u64::from_le_bytes).filter(|_| is_whole))
}
