//! Where frames are: in memory for the active segment, in a file beside each sealed one.
//!
//! An index file says nothing that the segment does not say; one that is missing or damaged is
//! made again from the segment, so it need not be synced. Only its directory is kept in memory.

use bytes::{Buf, BufMut};

use super::format::{FrameHeader, Seed};
use crate::disk::DiskFile;

/// Bytes of an entry in the file.
const ENTRY: usize = 32;
const MAGIC: &[u8; 8] = b"CAMPIDX1";
const FIXED: usize = 28;

/// One frame of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The offset of its first record.
    pub(crate) base: u64,
    /// When it was appended.
    pub(crate) time: u64,
    /// Where it starts in the segment.
    pub(crate) position: u64,
    /// Its bytes, header included.
    pub(crate) length: u32,
    /// Its records.
    pub(crate) count: u32,
}

impl Entry {
    /// The entry of the frame with `header` at `position`, `length` bytes long.
    pub(crate) fn of(header: &FrameHeader, position: u64, length: usize) -> Self {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        Self { base: header.base, time: header.time, position, length, count: header.count }
    }

    /// The offset after its last record.
    pub(crate) fn end(&self) -> u64 {
        self.base.saturating_add(u64::from(self.count))
    }
}

/// What an index file holds of every lane, without the entries.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    lanes: Box<[LaneSlice]>,
}

#[derive(Clone, Copy, Debug)]
struct LaneSlice {
    count: u32,
    checksum: u32,
}

/// The file for a segment of `segment_length` bytes whose frames are in `lanes`.
pub(crate) fn encode(
    sequence: u64,
    segment_length: u64,
    lanes: &[Vec<Entry>],
    seed: Seed,
) -> (Vec<u8>, Directory) {
    let mut entries = Vec::new();
    let mut slices = Vec::with_capacity(lanes.len());
    for lane in lanes {
        let start = entries.len();
        for entry in lane {
            entries.put_u64_le(entry.base);
            entries.put_u64_le(entry.time);
            entries.put_u64_le(entry.position);
            entries.put_u32_le(entry.length);
            entries.put_u32_le(entry.count);
        }
        let count = u32::try_from(lane.len()).unwrap_or(u32::MAX);
        let checksum = seed.checksum(entries.get(start..).unwrap_or_default());
        slices.push(LaneSlice { count, checksum });
    }
    let mut bytes = Vec::with_capacity(FIXED + 8 * lanes.len() + 4 + entries.len());
    bytes.put_slice(MAGIC);
    bytes.put_u64_le(sequence);
    bytes.put_u64_le(segment_length);
    bytes.put_u32_le(u32::try_from(lanes.len()).unwrap_or(u32::MAX));
    for slice in &slices {
        bytes.put_u32_le(slice.count);
        bytes.put_u32_le(slice.checksum);
    }
    let checksum = seed.checksum(&bytes);
    bytes.put_u32_le(checksum);
    bytes.extend(entries);
    (bytes, Directory { lanes: slices.into() })
}

impl Directory {
    /// Reads the directory of the segment `sequence`, or answers `None` if it cannot be used.
    pub(crate) fn read(
        file: &dyn DiskFile,
        sequence: u64,
        segment_length: u64,
        lanes: usize,
        seed: Seed,
    ) -> Option<Self> {
        let mut bytes = vec![0; FIXED + 8 * lanes + 4];
        file.read_at(&mut bytes, 0).ok()?;
        let (mut rest, mut checksum) = bytes.split_at_checked(bytes.len() - 4)?;
        let is_whole = checksum.try_get_u32_le().ok()? == seed.checksum(rest);
        let is_ours = rest.get(..8) == Some(MAGIC);
        rest.advance(8);
        let describes = rest.try_get_u64_le().ok()? == sequence
            && rest.try_get_u64_le().ok()? == segment_length
            && usize::try_from(rest.try_get_u32_le().ok()?) == Ok(lanes);
        let mut slice = || {
            let count = rest.try_get_u32_le().ok()?;
            Some(LaneSlice { count, checksum: rest.try_get_u32_le().ok()? })
        };
        let slices = (0..lanes).map(|_| slice()).collect::<Option<_>>()?;
        (is_whole && is_ours && describes).then_some(Self { lanes: slices })
    }

    /// Reads the entries of `lane`, in offset order. `None` if they cannot be used.
    pub(crate) fn entries(
        &self,
        file: &dyn DiskFile,
        lane: usize,
        seed: Seed,
    ) -> Option<Vec<Entry>> {
        let slice = self.lanes.get(lane)?;
        let before: u64 = self.lanes.iter().take(lane).map(|slice| u64::from(slice.count)).sum();
        let start = (FIXED + 8 * self.lanes.len() + 4) as u64 + before * ENTRY as u64;
        let mut bytes = vec![0; slice.count as usize * ENTRY];
        file.read_at(&mut bytes, start).ok()?;
        let is_whole = seed.checksum(&bytes) == slice.checksum;
        is_whole.then(|| bytes.chunks_exact(ENTRY).filter_map(entry).collect())
    }
}

fn entry(mut bytes: &[u8]) -> Option<Entry> {
    Some(Entry {
        base: bytes.try_get_u64_le().ok()?,
        time: bytes.try_get_u64_le().ok()?,
        position: bytes.try_get_u64_le().ok()?,
        length: bytes.try_get_u32_le().ok()?,
        count: bytes.try_get_u32_le().ok()?,
    })
}
