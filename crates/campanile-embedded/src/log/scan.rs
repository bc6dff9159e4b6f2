//! Reads a segment from its first frame to its last, trusting nothing.

use std::io;

use bytes::Bytes;
use campanile_core::LogIdentity;
use campanile_core::port::Record;

use super::format::{
    FRAME_HEADER, FRAME_LONGEST, FRAME_MAGIC, FrameHeader, Head, Seed, SegmentHeader, records,
};
use super::index::Entry;
use super::lane_of;
use crate::disk::DiskFile;

/// How much is read from the file at a time.
const WINDOW: usize = 1 << 20;

/// What a segment holds, up to the end or the first thing wrong with it.
pub(crate) struct Scan {
    /// The frames of every lane.
    pub(crate) lanes: Vec<Vec<Entry>>,
    /// Where every lane stands after them.
    pub(crate) heads: Vec<Head>,
    /// The number that the next commit gets.
    pub(crate) commit: u64,
    /// Where the last complete commit starts; the end of the header if there is none.
    pub(crate) last: u64,
    /// Where it ends.
    pub(crate) end: u64,
    /// What is wrong with the bytes after `end`, if there are any.
    pub(crate) flaw: Option<Flaw>,
}

/// Something wrong in a segment.
pub(crate) struct Flaw {
    /// Where, in bytes from the start of the segment.
    pub(crate) at: u64,
    /// What.
    pub(crate) reason: &'static str,
}

/// Scans the segment with `header`.
///
/// # Errors
/// What the disk said; damage is not an error but a [`Flaw`].
pub(crate) fn scan(
    file: &dyn DiskFile,
    header: &SegmentHeader,
    identity: &LogIdentity,
) -> io::Result<Scan> {
    let start = SegmentHeader::length(identity.partitions) as u64;
    let mut reader = Window { file, length: file.len()?, at: 0, bytes: Vec::new() };
    let mut scan = Scan {
        lanes: vec![Vec::new(); header.heads.len()],
        heads: header.heads.clone(),
        commit: header.first_commit,
        last: start,
        end: start,
        flaw: None,
    };
    let mut commit = Commit::default();
    let mut position = start;
    while position < reader.length {
        let checked = match reader.frame(position, Seed::of(identity))? {
            Ok(frame) => commit.add(&scan, &frame, position, identity.partitions).map(|()| frame),
            Err(reason) => Err(reason),
        };
        let frame = match checked {
            Ok(frame) => frame,
            Err(reason) => {
                scan.flaw = Some(Flaw { at: position, reason });
                return Ok(scan);
            }
        };
        position += FRAME_HEADER as u64 + u64::from(frame.length);
        if frame.ordinal + 1 == frame.total {
            std::mem::take(&mut commit).complete(&mut scan, position);
        }
    }
    if !commit.frames.is_empty() {
        scan.flaw = Some(Flaw { at: position, reason: "the last commit is incomplete" });
    }
    Ok(scan)
}

/// Hands every frame with records from the header to `end` to `visit`, with its records, in the
/// order in which they were appended, and says which frames complete their commit.
///
/// # Errors
/// [`Unread`]: what the disk said, what is damaged, or what `visit` said.
pub(crate) fn records_of<E>(
    file: &dyn DiskFile,
    identity: &LogIdentity,
    end: u64,
    mut visit: impl FnMut(&FrameHeader, Vec<Record>) -> Result<(), E>,
) -> Result<(), Unread<E>> {
    let mut reader = Window { file, length: end, at: 0, bytes: Vec::new() };
    let mut position = SegmentHeader::length(identity.partitions) as u64;
    while position < end {
        let frame = reader.frame(position, Seed::of(identity)).map_err(Unread::Disk)?;
        let flaw = |reason| Unread::Flaw(Flaw { at: position, reason });
        let frame = frame.map_err(flaw)?;
        let length = FRAME_HEADER + frame.length as usize;
        let bytes = reader.get(position).get(..length).ok_or("cut off").map_err(flaw)?;
        let found = records(&frame, &Bytes::copy_from_slice(bytes)).map_err(flaw)?;
        visit(&frame, found).map_err(Unread::Refused)?;
        position += length as u64;
    }
    Ok(())
}

/// Why records were not read to the end.
pub(crate) enum Unread<E> {
    /// The disk failed.
    Disk(io::Error),
    /// Something is wrong with the segment.
    Flaw(Flaw),
    /// Whoever wanted them did not go on.
    Refused(E),
}

/// The frames of a commit that is not complete yet.
#[derive(Default)]
struct Commit {
    frames: Vec<(usize, Entry)>,
}

impl Commit {
    /// Takes the next frame, if it is the one that must come next.
    fn add(
        &mut self,
        scan: &Scan,
        frame: &FrameHeader,
        position: u64,
        partitions: u16,
    ) -> Result<(), &'static str> {
        let lane = lane_of(frame.stream, frame.partition, partitions);
        let head = lane.and_then(|lane| scan.heads.get(lane));
        let (Some(lane), Some(head)) = (lane, head) else {
            return Err("the frame is of no lane of this log");
        };
        let is_next = frame.commit == scan.commit
            && frame.ordinal as usize == self.frames.len()
            && frame.ordinal < frame.total;
        if !is_next {
            return Err("the frame is not the next one: something is missing before it");
        }
        let before = self.frames.iter().rev().find(|(other, _)| *other == lane);
        let next = before.map_or(head.next, |(_, entry)| entry.end());
        if frame.base != next || frame.time < head.time {
            return Err("the frame does not follow the one before it in its partition");
        }
        let length = FRAME_HEADER + frame.length as usize;
        self.frames.push((lane, Entry::of(frame, position, length)));
        Ok(())
    }

    fn complete(self, scan: &mut Scan, end: u64) {
        for (lane, entry) in self.frames {
            if entry.count == 0 {
                continue;
            }
            if let Some(head) = scan.heads.get_mut(lane) {
                *head = Head { next: entry.end(), time: entry.time };
            }
            if let Some(entries) = scan.lanes.get_mut(lane) {
                entries.push(entry);
            }
        }
        scan.commit += 1;
        scan.last = scan.end;
        scan.end = end;
    }
}

/// Looks behind a flaw for a frame of a commit other than `torn`. A commit is only written after
/// the one before it was synced, so such a frame shows that the flaw is not a torn tail.
///
/// # Errors
/// What the disk said.
pub(crate) fn other_commit_after(
    file: &dyn DiskFile,
    from: u64,
    torn: u64,
    seed: Seed,
) -> io::Result<Option<u64>> {
    let length = file.len()?.saturating_sub(from);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_at(&mut bytes, from)?;
    let starts = bytes.windows(FRAME_MAGIC.len()).enumerate();
    let mut candidates = starts.filter(|(_, window)| window == FRAME_MAGIC).map(|(at, _)| at);
    let found = candidates.find(|at| {
        let frame = bytes.get(*at..).and_then(|rest| FrameHeader::decode(rest, seed).ok());
        frame.is_some_and(|frame| frame.commit != torn)
    });
    Ok(found.map(|at| from + at as u64))
}

/// A file read in large pieces.
struct Window<'a> {
    file: &'a dyn DiskFile,
    length: u64,
    /// Where `bytes` begin.
    at: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    fn frame(
        &mut self,
        position: u64,
        seed: Seed,
    ) -> io::Result<Result<FrameHeader, &'static str>> {
        let longest = FRAME_HEADER + FRAME_LONGEST;
        let have = self.get(position).len();
        let left = self.length.saturating_sub(position);
        if have < longest && (have as u64) < left {
            let want = left.min((longest + WINDOW) as u64);
            self.bytes.resize(usize::try_from(want).unwrap_or(usize::MAX), 0);
            self.file.read_at(&mut self.bytes, position)?;
            self.at = position;
        }
        Ok(FrameHeader::decode(self.get(position), seed))
    }

    fn get(&self, position: u64) -> &[u8] {
        let skip = position.checked_sub(self.at).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.bytes.get(skip..)).unwrap_or_default()
    }
}
