//! Which segments there are, and which of them holds an offset.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::Head;
use super::index::{Directory, Entry};
use crate::disk::DiskFile;

/// The name of a segment's file. Names sort in order.
pub(crate) fn segment_file(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("{sequence:020}.segment"))
}

/// The name of the index file beside it.
pub(crate) fn index_file(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("{sequence:020}.index"))
}

/// A segment that takes no more records.
pub(crate) struct Segment {
    pub(crate) sequence: u64,
    /// Where every lane stood before it. Where they stand after it, the next segment says.
    pub(crate) heads: Box<[Head]>,
    pub(crate) directory: Directory,
}

/// The segment being written.
pub(crate) struct Active {
    pub(crate) sequence: u64,
    /// Where every lane stood before it.
    pub(crate) heads: Box<[Head]>,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Its frames, lane by lane.
    pub(crate) lanes: Vec<Vec<Entry>>,
}

/// All segments. They follow each other without a gap.
pub(crate) struct Catalogue {
    pub(crate) sealed: Vec<Arc<Segment>>,
    pub(crate) active: Active,
}

/// Where an offset is.
pub(crate) enum Place {
    /// In a sealed segment.
    Sealed(Arc<Segment>),
    /// In the active one, in these frames and the ones after them.
    Active { sequence: u64, file: Arc<dyn DiskFile>, entries: Vec<Entry> },
}

/// How many frames of the active segment one look returns.
const ENTRIES_AT_ONCE: usize = 256;

impl Catalogue {
    /// Finds an offset. The caller knows that it is kept.
    pub(crate) fn find(&self, lane: usize, offset: u64) -> Place {
        let next = |heads: &[Head]| heads.get(lane).map_or(0, |head| head.next);
        if offset >= next(&self.active.heads) {
            let entries = self.active.lanes.get(lane).map(Vec::as_slice).unwrap_or_default();
            let entries = from_offset(entries, offset).iter().take(ENTRIES_AT_ONCE).copied();
            let (sequence, file) = (self.active.sequence, self.active.file.clone());
            return Place::Active { sequence, file, entries: entries.collect() };
        }
        // Segments in which the lane has nothing have the same head as the one after them: the
        // last one whose head is not past the offset is the one that has it.
        let after = self.sealed.partition_point(|segment| next(&segment.heads) <= offset);
        let found = after.checked_sub(1).and_then(|at| self.sealed.get(at));
        match found.or_else(|| self.sealed.first()) {
            Some(segment) => Place::Sealed(segment.clone()),
            None => {
                let (sequence, file) = (self.active.sequence, self.active.file.clone());
                Place::Active { sequence, file, entries: Vec::new() }
            }
        }
    }

    /// The first segment that may hold a record of `lane` appended at or after `time`, if it is
    /// sealed.
    pub(crate) fn find_time(&self, lane: usize, time: u64) -> Option<Arc<Segment>> {
        let after = self.sealed.iter().skip(1).map(|segment| &segment.heads);
        let ends = after.chain([&self.active.heads]);
        let reaches = |start: &[Head], end: &[Head]| {
            let heads = start.get(lane).zip(end.get(lane));
            heads.is_some_and(|(start, end)| start.next < end.next && end.time >= time)
        };
        let mut pairs = self.sealed.iter().zip(ends);
        pairs.find(|(segment, end)| reaches(&segment.heads, end)).map(|(it, _)| it.clone())
    }
}

/// The entries from the one with `offset` on.
pub(crate) fn from_offset(entries: &[Entry], offset: u64) -> &[Entry] {
    let start = entries.partition_point(|entry| entry.end() <= offset);
    entries.get(start..).unwrap_or_default()
}
