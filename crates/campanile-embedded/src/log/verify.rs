//! Reads every byte of a log and changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::catalogue::{index_file, segment_file};
use super::format::{Head, Seed, SegmentHeader};
use super::index::Directory;
use super::recovery::{Opened, Place, TornTail};
use super::retention::read_first;
use super::scan::{Scan, Unread, other_commit_after, records_of, scan};
use crate::disk::DiskFile;
use crate::error::OpenError;

/// What was read of a log, up to its end or the first thing wrong with it.
#[derive(Default)]
pub(crate) struct Reading {
    /// The segments that hold it, oldest first.
    pub(crate) segments: Vec<Whole>,
    /// Where every lane begins.
    pub(crate) first: Vec<Head>,
    /// Where every lane ends.
    pub(crate) last: Vec<Head>,
    /// Segments without an index that can be used. It is made again when it is missed.
    pub(crate) unindexed: u64,
    /// What the next start will cut off.
    pub(crate) torn: Option<TornTail>,
}

/// A segment without a flaw.
pub(crate) struct Whole {
    pub(crate) path: PathBuf,
    /// Where its last complete commit ends, in bytes.
    pub(crate) end: u64,
    pub(crate) file: Arc<dyn DiskFile>,
}

/// Reads the log in `place`; what was read stays in `reading` also if something is wrong.
///
/// # Errors
/// [`OpenError::Damaged`] with the first place that is wrong, or [`OpenError::Io`].
pub(crate) fn read(place: &Place<'_>, reading: &mut Reading) -> Result<(), OpenError> {
    let first = first(place)?;
    let kept: Vec<u64> = place.sequences()?.into_iter().filter(|it| *it >= first).collect();
    let mut commit = None;
    let Some(last) = kept.last().copied() else {
        return Err(damaged(&segment_file(place.dir, first), None, "the segment is missing"));
    };
    for (expected, sequence) in (first..).zip(kept) {
        let path = segment_file(place.dir, expected);
        if sequence != expected {
            return Err(damaged(&path, None, "the segment is missing"));
        }
        let opened = place.opened(sequence)?;
        let is_last = sequence == last;
        let length = SegmentHeader::length(place.identity.partitions) as u64;
        if is_last && opened.length <= length && !reading.segments.is_empty() {
            // Begun and never used; the next start removes it.
            break;
        }
        let header = opened.header.as_ref().map_err(|reason| damaged(&path, Some(0), reason))?;
        if reading.segments.is_empty() {
            (reading.first, reading.last) = (header.heads.clone(), header.heads.clone());
        }
        let follows = commit.is_none_or(|commit| commit == header.first_commit);
        if !follows || reading.last != header.heads {
            return Err(damaged(&path, Some(0), "does not follow on the segment before it"));
        }
        let found = segment(place, &path, &opened, header, is_last, reading)?;
        commit = Some(found.commit);
        let (end, file) = (found.end, opened.file);
        reading.last = found.heads;
        reading.segments.push(Whole { path, end, file });
    }
    Ok(())
}

fn first(place: &Place<'_>) -> Result<u64, OpenError> {
    let path = place.dir.join("first");
    let first = read_first(place.disk, place.dir, Seed::of(place.identity));
    let first = first.map_err(OpenError::io("read", &path))?;
    first.ok_or_else(|| damaged(&path, Some(0), "not the number of a segment"))
}

/// Reads one segment to its end; a torn tail may only be at the end of the last.
fn segment(
    place: &Place<'_>,
    path: &Path,
    opened: &Opened,
    header: &SegmentHeader,
    is_last: bool,
    reading: &mut Reading,
) -> Result<Scan, OpenError> {
    let (file, seed) = (opened.file.as_ref(), Seed::of(place.identity));
    let found = scan(file, header, place.identity).map_err(OpenError::io("read", path))?;
    if let Some(flaw) = &found.flaw {
        let is_torn = is_last
            && other_commit_after(file, flaw.at, found.commit, seed)
                .map_err(OpenError::io("read", path))?
                .is_none();
        if !is_torn {
            return Err(damaged(path, Some(flaw.at), flaw.reason));
        }
        let bytes = opened.length.saturating_sub(found.end);
        let (file, reason) = (path.to_owned(), flaw.reason);
        reading.torn = Some(TornTail { file, at: found.end, bytes, reason });
    }
    let read = records_of::<()>(file, place.identity, found.end, |_, _| Ok(()));
    match read {
        Ok(()) | Err(Unread::Refused(())) => {}
        Err(Unread::Disk(error)) => return Err(OpenError::io("read", path)(error)),
        Err(Unread::Flaw(flaw)) => return Err(damaged(path, Some(flaw.at), flaw.reason)),
    }
    if !is_last {
        let (sequence, lanes) = (header.sequence, header.heads.len());
        let index = place.disk.open(&index_file(place.dir, sequence)).ok();
        let read = |index: Arc<dyn DiskFile>| {
            let directory = Directory::read(index.as_ref(), sequence, opened.length, lanes, seed)?;
            (0..lanes).try_for_each(|lane| {
                let indexed = directory.entries(index.as_ref(), lane, seed)?;
                (found.lanes.get(lane) == Some(&indexed)).then_some(())
            })
        };
        reading.unindexed += u64::from(index.and_then(read).is_none());
    }
    Ok(found)
}

fn damaged(path: &Path, at: Option<u64>, reason: &str) -> OpenError {
    let place = match at {
        Some(at) => format!("{} byte {at}", path.display()),
        None => path.display().to_string(),
    };
    OpenError::Damaged { place, reason: reason.into() }
}
