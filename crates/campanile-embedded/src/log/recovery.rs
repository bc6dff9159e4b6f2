//! Opens the segments of a log.
//!
//! Only the last segment is read in full. A torn tail there is cut: records of a commit that was
//! never synced, so never acknowledged. Anything else that is wrong stops the start and names the
//! place; nothing is skipped.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use campanile_core::LogIdentity;

use super::catalogue::{Active, Catalogue, Segment, index_file, segment_file};
use super::format::{Head, Seed, SegmentHeader};
use super::index::{self, Directory};
use super::retention::{read_first, remove_segment};
use super::scan::{Scan, other_commit_after, scan};
use super::writer::{Start, create_segment};
use crate::disk::{Disk, DiskFile};
use crate::error::OpenError;

/// A tail that was cut when a log was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub file: PathBuf,
    /// Where it was cut, in bytes.
    pub at: u64,
    /// How many bytes were cut.
    pub bytes: u64,
    /// What was wrong with them.
    pub reason: &'static str,
}

/// What was found.
pub(crate) struct Recovered {
    pub(crate) catalogue: Catalogue,
    /// Where every lane starts.
    pub(crate) first: Box<[Head]>,
    pub(crate) start: Start,
    pub(crate) torn: Option<TornTail>,
    pub(crate) indexes_rebuilt: usize,
}

/// Where the segments are.
pub(crate) struct Place<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) dir: &'a Path,
    pub(crate) identity: &'a LogIdentity,
}

/// Begins an empty log.
///
/// # Errors
/// [`OpenError`], [`OpenError::Damaged`] if there are records already.
pub(crate) fn create(place: &Place<'_>, now: u64) -> Result<(), OpenError> {
    let Place { disk, dir, identity } = place;
    disk.make_dir(dir).map_err(OpenError::io("create", *dir))?;
    for sequence in place.sequences()? {
        let path = segment_file(dir, sequence);
        let file = disk.open(&path).map_err(OpenError::io("open", &path))?;
        let length = file.len().map_err(OpenError::io("measure", &path))?;
        if sequence > 0 || length > SegmentHeader::length(identity.partitions) as u64 {
            return Err(damaged(&path, 0, "a segment without the log's identity file"));
        }
    }
    let heads = vec![Head::default(); 2 * usize::from(identity.partitions)];
    let header = SegmentHeader { sequence: 0, first_commit: 0, created: now, heads };
    let path = segment_file(dir, 0);
    create_segment(*disk, dir, identity, &header).map_err(OpenError::io("create", path))?;
    Ok(())
}

/// Opens what is there.
///
/// # Errors
/// [`OpenError`]. Nothing was changed then, except that a torn tail may have been cut.
pub(crate) fn open(place: &Place<'_>) -> Result<Recovered, OpenError> {
    let mut sequences = place.kept()?;
    let mut synced = 0;
    let (last, header, file) = loop {
        let last = sequences.pop().ok_or_else(|| missing(place.dir, 0))?;
        if let Some(before) = sequences.last().filter(|before| **before + 1 != last) {
            return Err(missing(place.dir, before + 1));
        }
        match place.last(last, sequences.is_empty())? {
            Last::Begun(header, file) => break (last, header, file),
            Last::Empty { first_commit } => synced = synced.max(first_commit),
        }
    };
    let mut sealed = place.sealed(&sequences)?;
    let indexes_rebuilt = place.indexes(&mut sealed, &header)?;
    let path = segment_file(place.dir, last);
    let found = scan(file.as_ref(), &header, place.identity);
    let found = found.map_err(OpenError::io("read", &path))?;
    if found.commit < synced {
        return Err(damaged(&path, found.end, "synced records are missing"));
    }
    let torn = place.cut_torn_tail(&path, file.as_ref(), &found)?;
    rewrite_last(file.as_ref(), &found).map_err(OpenError::io("rewrite the end of", &path))?;
    let heads: Box<[Head]> = header.heads.clone().into();
    let first =
        sealed.first().map_or_else(|| heads.clone(), |found| found.header.heads.clone().into());
    let Scan { lanes, heads: now, commit: number, end, .. } = found;
    let active = Active { sequence: last, heads, file: file.clone(), lanes };
    let sealed = sealed.into_iter().filter_map(Sealed::segment).collect();
    let start = Start { file, created: header.created, end, heads: now, number };
    Ok(Recovered { catalogue: Catalogue { sealed, active }, first, start, torn, indexes_rebuilt })
}

/// The newest file of a log.
enum Last {
    Begun(SegmentHeader, Arc<dyn DiskFile>),
    /// It was being created, or nothing came after; it is removed.
    Empty {
        first_commit: u64,
    },
}

/// A segment's file.
pub(super) struct Opened {
    pub(super) header: Result<SegmentHeader, &'static str>,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) length: u64,
}

/// A sealed segment whose index may be missing yet.
struct Sealed {
    header: SegmentHeader,
    file: Arc<dyn DiskFile>,
    length: u64,
    directory: Option<Directory>,
}

impl Sealed {
    fn segment(self) -> Option<Arc<Segment>> {
        let (sequence, heads) = (self.header.sequence, self.header.heads.into());
        Some(Arc::new(Segment { sequence, heads, directory: self.directory? }))
    }
}

impl Place<'_> {
    pub(super) fn sequences(&self) -> Result<Vec<u64>, OpenError> {
        let names = self.disk.list(self.dir).map_err(OpenError::io("list", self.dir))?;
        let numbers = names.iter().filter_map(|name| name.strip_suffix(".segment")?.parse().ok());
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The segments that are kept. Ones that were being dropped are gone then.
    fn kept(&self) -> Result<Vec<u64>, OpenError> {
        let path = self.dir.join("first");
        let first = read_first(self.disk, self.dir, Seed::of(self.identity));
        let first = first.map_err(OpenError::io("read", &path))?;
        let first = first.ok_or_else(|| damaged(&path, 0, "not the number of a segment"))?;
        let mut sequences = self.sequences()?;
        let kept = sequences.split_off(sequences.partition_point(|sequence| *sequence < first));
        if kept.first() != Some(&first) {
            return Err(missing(self.dir, first));
        }
        for dropped in sequences {
            let removed = remove_segment(self.disk, self.dir, dropped);
            removed.map_err(OpenError::io("remove", segment_file(self.dir, dropped)))?;
        }
        Ok(kept)
    }

    pub(super) fn opened(&self, sequence: u64) -> Result<Opened, OpenError> {
        let path = segment_file(self.dir, sequence);
        let file = self.disk.open(&path).map_err(OpenError::io("open", &path))?;
        let length = file.len().map_err(OpenError::io("measure", &path))?;
        let mut bytes = vec![0; SegmentHeader::length(self.identity.partitions)];
        if length < bytes.len() as u64 {
            return Ok(Opened { header: Err("the header is cut off"), file, length });
        }
        file.read_at(&mut bytes, 0).map_err(OpenError::io("read", &path))?;
        let header = SegmentHeader::decode(&bytes, self.identity);
        let header = header.and_then(|header| match header.sequence == sequence {
            true => Ok(header),
            false => Err("the file has another segment's name"),
        });
        Ok(Opened { header, file, length })
    }

    fn last(&self, sequence: u64, is_only: bool) -> Result<Last, OpenError> {
        let path = segment_file(self.dir, sequence);
        let Opened { header, file, length } = self.opened(sequence)?;
        let has_frames = length > SegmentHeader::length(self.identity.partitions) as u64;
        match header {
            Ok(header) if has_frames || is_only => Ok(Last::Begun(header, file)),
            Err(reason) if has_frames || is_only => Err(damaged(&path, 0, reason)),
            // Whatever it says, the log ends in the segment before it.
            unused => {
                self.disk.remove(&path).map_err(OpenError::io("remove", &path))?;
                tracing::warn!(file = %path.display(), "removed a segment that was never used");
                Ok(Last::Empty { first_commit: unused.map_or(0, |header| header.first_commit) })
            }
        }
    }

    fn sealed(&self, sequences: &[u64]) -> Result<Vec<Sealed>, OpenError> {
        let mut sealed = Vec::with_capacity(sequences.len());
        let lanes = 2 * usize::from(self.identity.partitions);
        for (sequence, expected) in sequences.iter().zip(sequences.first().copied().unwrap_or(0)..)
        {
            if *sequence != expected {
                return Err(missing(self.dir, expected));
            }
            let path = segment_file(self.dir, *sequence);
            let Opened { header, file, length } = self.opened(*sequence)?;
            let header = header.map_err(|reason| damaged(&path, 0, reason))?;
            let index = self.disk.open(&index_file(self.dir, *sequence)).ok();
            let seed = Seed::of(self.identity);
            let read = |index: Arc<dyn DiskFile>| {
                Directory::read(index.as_ref(), *sequence, length, lanes, seed)
            };
            sealed.push(Sealed { header, file, length, directory: index.and_then(read) });
        }
        Ok(sealed)
    }

    /// Makes missing indexes from the segments.
    fn indexes(&self, sealed: &mut [Sealed], last: &SegmentHeader) -> Result<usize, OpenError> {
        let mut rebuilt = 0;
        let mut next = last;
        for segment in sealed.iter_mut().rev() {
            if segment.directory.is_none() {
                segment.directory = Some(self.index(segment, next)?);
                rebuilt += 1;
            }
            next = &segment.header;
        }
        Ok(rebuilt)
    }

    fn index(&self, segment: &Sealed, next: &SegmentHeader) -> Result<Directory, OpenError> {
        let sequence = segment.header.sequence;
        let path = segment_file(self.dir, sequence);
        let found = scan(segment.file.as_ref(), &segment.header, self.identity);
        let found = found.map_err(OpenError::io("read", &path))?;
        if let Some(flaw) = &found.flaw {
            return Err(damaged(&path, flaw.at, flaw.reason));
        }
        if (found.commit, &found.heads) != (next.first_commit, &next.heads) {
            return Err(damaged(&path, found.end, "the next segment does not follow on it"));
        }
        let seed = Seed::of(self.identity);
        let (bytes, directory) = index::encode(sequence, segment.length, &found.lanes, seed);
        let path = index_file(self.dir, sequence);
        let written = self.disk.create(&path).and_then(|file| file.write_at(&bytes, 0));
        written.map_err(OpenError::io("write", &path))?;
        tracing::info!(file = %path.display(), "made an index again");
        Ok(directory)
    }

    fn cut_torn_tail(
        &self,
        path: &Path,
        file: &dyn DiskFile,
        found: &Scan,
    ) -> Result<Option<TornTail>, OpenError> {
        let Some(flaw) = &found.flaw else { return Ok(None) };
        let seed = Seed::of(self.identity);
        let other = other_commit_after(file, flaw.at, found.commit, seed);
        if other.map_err(OpenError::io("read", path))?.is_some() {
            return Err(damaged(path, flaw.at, flaw.reason));
        }
        let length = file.len().map_err(OpenError::io("measure", path))?;
        let (at, bytes) = (found.end, length.saturating_sub(found.end));
        tracing::warn!(file = %path.display(), at, bytes, reason = flaw.reason, "cut a torn tail");
        file.truncate(at).map_err(OpenError::io("cut", path))?;
        Ok(Some(TornTail { file: path.to_owned(), at, bytes, reason: flaw.reason }))
    }
}

/// Writes the last commit again and syncs. It may never have been synced, and after a failed sync
/// its pages may look clean though they are not on the disk; only a new write makes them dirty.
fn rewrite_last(file: &dyn DiskFile, found: &Scan) -> io::Result<()> {
    let length = usize::try_from(found.end.saturating_sub(found.last)).unwrap_or(0);
    let mut bytes = vec![0; length];
    file.read_at(&mut bytes, found.last)?;
    file.write_at(&bytes, found.last)?;
    file.sync()
}

fn damaged(path: &Path, at: u64, reason: &str) -> OpenError {
    OpenError::Damaged { place: format!("{} byte {at}", path.display()), reason: reason.into() }
}

fn missing(dir: &Path, sequence: u64) -> OpenError {
    OpenError::Damaged {
        place: segment_file(dir, sequence).display().to_string(),
        reason: "the segment is missing".into(),
    }
}
