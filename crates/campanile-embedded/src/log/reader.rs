//! Reads records from segments. Every frame is verified before anything in it is believed.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use campanile_core::port::{Batch, ReadError, ReadLimit, Record};
use campanile_core::{LogIdentity, Offset};

use super::catalogue::{Place, Segment, from_offset, index_file, segment_file};
use super::format::{self, FrameHeader, Seed, SegmentHeader};
use super::index::{self, Entry};
use super::lane::is_full;
use super::lane_of;
use super::scan::scan;
use crate::disk::{Disk, DiskFile};

/// How many sealed segments are held open.
const OPEN_FILES: usize = 64;

/// Reads segments, and remembers what it opened.
pub(crate) struct Reader {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    identity: LogIdentity,
    open: Mutex<VecDeque<(u64, Arc<dyn DiskFile>)>>,
    /// The index entries each lane read last.
    slices: Box<[Mutex<Option<Slice>>]>,
}

/// The frames of one lane in one sealed segment.
struct Slice {
    sequence: u64,
    entries: Arc<[Entry]>,
}

impl Reader {
    pub(crate) fn new(dir: PathBuf, disk: Arc<dyn Disk>, identity: LogIdentity) -> Self {
        let lanes = 2 * usize::from(identity.partitions);
        let slices = (0..lanes).map(|_| Mutex::new(None)).collect();
        Self { dir, disk, identity, open: Mutex::default(), slices }
    }

    /// Reads on from `from`, which is in `place`.
    pub(crate) fn read(
        &self,
        place: Place,
        lane: usize,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        match place {
            Place::Active { sequence, file, entries } => {
                self.read_frames(sequence, file.as_ref(), lane, &entries, from, limit)
            }
            Place::Sealed(segment) => {
                let entries = self.entries(&segment, lane)?;
                let file = self.file(segment.sequence)?;
                let entries = from_offset(&entries, from);
                self.read_frames(segment.sequence, file.as_ref(), lane, entries, from, limit)
            }
        }
    }

    fn read_frames(
        &self,
        sequence: u64,
        file: &dyn DiskFile,
        lane: usize,
        entries: &[Entry],
        from: u64,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        let mut batch = Batch { records: Vec::new(), next: Offset(from) };
        let mut bytes = 0;
        for entry in entries {
            let records = self.frame(sequence, file, lane, entry)?;
            for record in records.into_iter().filter(|record| record.offset.0 >= from) {
                bytes += record.body.len();
                if is_full(&batch, bytes, limit) {
                    return Ok(batch);
                }
                if record.offset != batch.next {
                    let reason = format!("offset {} is missing", batch.next);
                    return Err(self.damaged(sequence, entry.position, reason));
                }
                batch.next = record.offset.next();
                batch.records.push(record);
            }
            if batch.records.len() >= limit.records || bytes >= limit.bytes {
                break;
            }
        }
        if batch.records.is_empty() {
            let reason = format!("offset {from} is not where the index says");
            return Err(self.damaged(sequence, 0, reason));
        }
        Ok(batch)
    }

    /// Reads and verifies one frame.
    fn frame(
        &self,
        sequence: u64,
        file: &dyn DiskFile,
        lane: usize,
        entry: &Entry,
    ) -> Result<Vec<Record>, ReadError> {
        let damaged = |reason: &str| self.damaged(sequence, entry.position, reason.to_owned());
        let mut bytes = vec![0; entry.length as usize];
        file.read_at(&mut bytes, entry.position).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("the segment is cut off"),
            _ => self.unavailable(sequence, &error),
        })?;
        let bytes = Bytes::from(bytes);
        let header = FrameHeader::decode(&bytes, Seed::of(&self.identity)).map_err(damaged)?;
        let found = lane_of(header.stream, header.partition, self.identity.partitions);
        if found != Some(lane) || (header.base, header.count) != (entry.base, entry.count) {
            return Err(damaged("another frame than the index says"));
        }
        format::records(&header, &bytes).map_err(damaged)
    }

    /// The first offset of a lane appended at or after `time` in `segment`.
    pub(crate) fn first_at(
        &self,
        segment: &Segment,
        lane: usize,
        time: u64,
    ) -> Result<Option<u64>, ReadError> {
        let entries = self.entries(segment, lane)?;
        let later = entries.partition_point(|entry| entry.time < time);
        Ok(entries.get(later).map(|entry| entry.base))
    }

    fn entries(&self, segment: &Segment, lane: usize) -> Result<Arc<[Entry]>, ReadError> {
        let Some(slot) = self.slices.get(lane) else { return Ok(Arc::default()) };
        let sequence = segment.sequence;
        let mut slot = slot.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(slice) = slot.as_ref().filter(|slice| slice.sequence == sequence) {
            return Ok(slice.entries.clone());
        }
        let index = self.disk.open(&index_file(&self.dir, sequence)).ok();
        let read = |index: Arc<dyn DiskFile>| {
            segment.directory.entries(index.as_ref(), lane, Seed::of(&self.identity))
        };
        let entries: Arc<[Entry]> = match index.and_then(read) {
            Some(entries) => entries.into(),
            None => self.make_index_again(sequence, lane)?.into(),
        };
        *slot = Some(Slice { sequence, entries: entries.clone() });
        Ok(entries)
    }

    /// Reads the whole segment, writes its index again, and answers the entries of `lane`.
    fn make_index_again(&self, sequence: u64, lane: usize) -> Result<Vec<Entry>, ReadError> {
        let file = self.file(sequence)?;
        let failed = |error: io::Error| self.unavailable(sequence, &error);
        let mut header = vec![0; SegmentHeader::length(self.identity.partitions)];
        file.read_at(&mut header, 0).map_err(failed)?;
        let header = SegmentHeader::decode(&header, &self.identity);
        let header = header.map_err(|reason| self.damaged(sequence, 0, reason.into()))?;
        let mut found = scan(file.as_ref(), &header, &self.identity).map_err(failed)?;
        if let Some(flaw) = found.flaw {
            return Err(self.damaged(sequence, flaw.at, flaw.reason.into()));
        }
        let (bytes, _) = index::encode(sequence, found.end, &found.lanes, Seed::of(&self.identity));
        let path = index_file(&self.dir, sequence);
        match self.disk.create(&path).and_then(|file| file.write_at(&bytes, 0)) {
            Ok(()) => tracing::warn!(file = %path.display(), "made a damaged index again"),
            Err(error) => tracing::warn!(file = %path.display(), %error, "cannot write an index"),
        }
        Ok(found.lanes.get_mut(lane).map(std::mem::take).unwrap_or_default())
    }

    fn file(&self, sequence: u64) -> Result<Arc<dyn DiskFile>, ReadError> {
        let mut open = self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, file)) = open.iter().find(|(opened, _)| *opened == sequence) {
            return Ok(file.clone());
        }
        let file = self.disk.open(&segment_file(&self.dir, sequence));
        let file = file.map_err(|error| self.unavailable(sequence, &error))?;
        if open.len() >= OPEN_FILES {
            open.pop_front();
        }
        open.push_back((sequence, file.clone()));
        Ok(file)
    }

    /// Forgets a segment that is about to be removed.
    pub(crate) fn forget(&self, sequence: u64) {
        let mut open = self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        open.retain(|(opened, _)| *opened != sequence);
    }

    fn damaged(&self, sequence: u64, position: u64, reason: String) -> ReadError {
        let file = segment_file(&self.dir, sequence);
        let place = format!("{} byte {position}", file.display());
        tracing::error!(place, reason, "damaged segment");
        ReadError::Damaged { place, reason }
    }

    fn unavailable(&self, sequence: u64, error: &io::Error) -> ReadError {
        let file = segment_file(&self.dir, sequence);
        ReadError::Unavailable { reason: format!("{}: {error}", file.display()) }
    }
}
