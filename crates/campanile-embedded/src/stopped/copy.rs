//! Copies a log into a new generation, also with another partition count.
//!
//! Records keep their order within a user, their times and their order of being appended. Where
//! the partitions stay the same, so do all offsets. Otherwise records of several partitions come
//! to stand in one, and what refers to an offset has to be told the new one: the copy does not
//! know what is in a record, so whoever asks for it brings a [`Renumber`].
//!
//! The offsets of records that were dropped long ago stay what they were, in every user's order:
//! the new partitions begin above them.

mod progress;

use std::path::Path;

use bytes::Bytes;
use campanile_core::port::{Record, Stream};
use campanile_core::{Generation, LogIdentity, Offset, Partition, Timestamp};

use self::progress::Carried;
use super::fresh::Fresh;
use super::{Found, StoppedStore, Verified, manifest, stream_of};
use crate::carried;
use crate::directory;
use crate::disk::{Disk, RealDisk};
use crate::error::OpenError;
use crate::group::journal::{self, Stored};
use crate::log::format::Head;
use crate::log::scan::{Unread, records_of};
use crate::log::transcript::Transcript;
use crate::log::{lane_of, stream_number};

/// Tells a record of a stream the new offsets of the records it refers to.
pub type Renumber<'a> = dyn Fn(Stream, &Bytes, &dyn Fn(Offset) -> Offset) -> Renumbered + 'a;

/// What became of a record.
pub enum Renumbered {
    /// It refers to nothing.
    Same,
    /// This is what it says now.
    Changed(Bytes),
    /// It cannot be understood; it is copied as it is, and passed over as before.
    Unreadable,
}

/// How a log is copied.
#[derive(Clone, Copy, Debug)]
pub struct CopyOptions {
    /// The partitions of the copy, 1 to 4096.
    pub partitions: u16,
    /// How large its segments grow, in bytes.
    pub segment_bytes: u64,
    /// The time.
    pub now: Timestamp,
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// What was read.
    pub verified: Verified,
    /// Which log the copy is.
    pub identity: LogIdentity,
    /// Records that could not be understood.
    pub unreadable: u64,
}

impl StoppedStore {
    /// Copies the log and the groups' progress into a store of the next generation in `target`,
    /// and `beside`: files of the directory that belong to it. `target` appears whole or not at
    /// all. Cursors of this log mean nothing in the copy.
    ///
    /// # Errors
    /// [`OpenError`]: [`OpenError::Scattered`] if a group is so far behind in parts that its
    /// progress cannot be carried over, [`OpenError::Used`] if `target` holds anything.
    pub fn copy(
        &self,
        target: &Path,
        options: CopyOptions,
        renumber: &Renumber<'_>,
        beside: &[&str],
    ) -> Result<Copied, OpenError> {
        if !(1..=4096).contains(&options.partitions) {
            let reason = "must be 1 to 4096".into();
            return Err(OpenError::Option { field: "partitions", reason });
        }
        let (found, verified) = self.whole()?;
        let carried = self.carried();
        if !carried.is_empty() && options.partitions != self.identity.partitions {
            let reason = "cannot change where state was carried forward by retention".into();
            return Err(OpenError::Option { field: "partitions", reason });
        }
        let fresh = Fresh::begin(target)?;
        let generation = Generation(self.identity.generation.0.saturating_add(1));
        let identity = LogIdentity { generation, partitions: options.partitions, ..self.identity };
        let (groups, unreadable) =
            Copy::run(self, &found, fresh.path(), identity, options, renumber)?;
        journal::put(fresh.path(), &RealDisk, &identity, &groups)?;
        let kept = fresh.path().join(carried::DIRECTORY);
        if !carried.is_empty() {
            std::fs::create_dir(&kept).map_err(OpenError::io("create", &kept))?;
        }
        let carried = carried.iter().map(String::as_str);
        for name in beside.iter().copied().chain(carried) {
            let from = self.dir.join(name);
            if !from.exists() {
                continue;
            }
            let length = std::fs::metadata(&from).map_err(OpenError::io("measure", &from))?.len();
            manifest::copy(&from, &fresh.path().join(name), length)?;
        }
        if kept.exists() {
            RealDisk.sync_dir(&kept).map_err(OpenError::io("sync", &kept))?;
        }
        directory::write_identity(&RealDisk, fresh.path(), &identity)?;
        fresh.finish()?;
        Ok(Copied { verified, identity, unreadable })
    }
}

/// A copy under way.
struct Copy<'a> {
    from: &'a LogIdentity,
    to: LogIdentity,
    renumber: &'a Renumber<'a>,
    transcript: Transcript<'a>,
    /// Where the events of each old partition begin.
    first: Vec<u64>,
    /// The new offsets of the events of each old partition; empty if they stay the same.
    moved: Vec<Vec<u64>>,
    groups: Vec<Carried<'a>>,
    unreadable: u64,
}

impl<'a> Copy<'a> {
    fn run(
        store: &'a StoppedStore,
        found: &'a Found,
        dir: &Path,
        to: LogIdentity,
        options: CopyOptions,
        renumber: &'a Renumber<'a>,
    ) -> Result<(Stored, u64), OpenError> {
        let dir = dir.join("log");
        let failed = || OpenError::io("write to the log in", &dir);
        let heads = heads(&store.identity, &to, &found.reading.first);
        let groups = found.groups.iter().map(|(key, old)| Carried::new(key, old, &to));
        let groups = groups.collect();
        let transcript =
            Transcript::begin(&RealDisk, &dir, to, options.segment_bytes, options.now, heads);
        let partitions = usize::from(store.identity.partitions);
        let mut copy = Copy {
            from: &store.identity,
            to,
            renumber,
            transcript: transcript.map_err(failed())?,
            first: found.reading.first.iter().take(partitions).map(|head| head.next).collect(),
            moved: vec![Vec::new(); partitions],
            groups,
            unreadable: 0,
        };
        for segment in &found.reading.segments {
            let file = segment.file.as_ref();
            let read = records_of(file, copy.from, segment.end, |frame, records| {
                let (stream, partition) = (stream_of(frame.stream), Partition(frame.partition));
                records.into_iter().for_each(|record| copy.add(stream, partition, record));
                if frame.ordinal + 1 == frame.total { copy.transcript.flush() } else { Ok(()) }
            });
            read.map_err(|unread| match unread {
                Unread::Disk(error) => OpenError::io("read", &segment.path)(error),
                Unread::Refused(error) => failed()(error),
                Unread::Flaw(flaw) => OpenError::Damaged {
                    place: format!("{} byte {}", segment.path.display(), flaw.at),
                    reason: flaw.reason.into(),
                },
            })?;
        }
        let Copy { transcript, groups, unreadable, .. } = copy;
        let heads = transcript.finish().map_err(failed())?;
        let carried = groups.into_iter().map(|group| group.finish(&heads));
        Ok((carried.collect::<Result<_, _>>()?, unreadable))
    }

    fn add(&mut self, stream: Stream, partition: Partition, mut record: Record) {
        let old = record.offset;
        if self.from.partitions != self.to.partitions {
            self.renumber(stream, partition, &mut record);
        }
        let to = self.to.partition_of(record.user);
        let Some(new) = self.transcript.add(stream, to, record) else { return };
        if stream == Stream::Events
            && let Some(moved) = self.moved.get_mut(usize::from(partition.0))
            && self.from.partitions != self.to.partitions
        {
            moved.push(new.0);
        }
        let groups = self.groups.iter_mut().filter(|group| group.stream() == stream);
        groups.for_each(|group| group.take((partition, old), (to, new)));
    }

    fn renumber(&mut self, stream: Stream, partition: Partition, record: &mut Record) {
        let at = usize::from(partition.0);
        let first = self.first.get(at).copied().unwrap_or_default();
        let moved = self.moved.get(at).map(Vec::as_slice).unwrap_or_default();
        let new = |old: Offset| {
            let index = old.0.checked_sub(first).and_then(|index| usize::try_from(index).ok());
            index.and_then(|index| moved.get(index)).map_or(old, |new| Offset(*new))
        };
        match (self.renumber)(stream, &record.body, &new) {
            Renumbered::Same => {}
            Renumbered::Changed(body) => record.body = body,
            Renumbered::Unreadable => self.unreadable += 1,
        }
    }
}

/// Where the lanes of a copy begin: above whatever was dropped from the old lanes that come to be
/// in them.
fn heads(from: &LogIdentity, to: &LogIdentity, first: &[Head]) -> Vec<Head> {
    let mut heads = vec![Head::default(); 2 * usize::from(to.partitions)];
    for prefix in 0..=u16::MAX {
        let (old, new) = (prefix % from.partitions.max(1), prefix % to.partitions.max(1));
        for stream in Stream::ALL.map(stream_number) {
            let old = lane_of(stream, old, from.partitions).and_then(|lane| first.get(lane));
            let new = lane_of(stream, new, to.partitions).and_then(|lane| heads.get_mut(lane));
            if let Some((old, new)) = old.zip(new) {
                new.next = new.next.max(old.next);
                new.time = new.time.max(old.time);
            }
        }
    }
    heads
}
