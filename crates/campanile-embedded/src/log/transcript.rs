//! Writes a log from records that were written before: what a copy is made with.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{Record, Stream};
use campanile_core::{LogIdentity, Offset, Partition, Timestamp};

use super::catalogue::index_file;
use super::commit::Commit;
use super::format::{Head, Seed, SegmentHeader};
use super::index::{self, Entry};
use super::writer::create_segment;
use super::{lane_of, stream_number};
use crate::disk::{Disk, DiskFile};

/// No segment spans more of the records' time, so that retention can drop it a day late at most.
const SEGMENT_SPAN: Duration = Duration::from_secs(86_400);

/// A log being written, of which nobody reads yet.
pub(crate) struct Transcript<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    identity: LogIdentity,
    segment_bytes: u64,
    /// When its segments are begun.
    now: Timestamp,
    heads: Vec<Head>,
    commit: Commit,
    number: u64,
    active: Active,
}

/// The segment being written.
struct Active {
    sequence: u64,
    file: Arc<dyn DiskFile>,
    end: u64,
    lanes: Vec<Vec<Entry>>,
    /// The time of its first record.
    since: Option<u64>,
}

impl<'a> Transcript<'a> {
    /// Begins a log in `dir` whose lanes begin at `heads`.
    ///
    /// # Errors
    /// What the disk said.
    pub(crate) fn begin(
        disk: &'a dyn Disk,
        dir: &'a Path,
        identity: LogIdentity,
        segment_bytes: u64,
        now: Timestamp,
        heads: Vec<Head>,
    ) -> io::Result<Self> {
        disk.make_dir(dir)?;
        let active = Active::begin(disk, dir, &identity, 0, 0, now, &heads)?;
        let commit = Commit::new(identity);
        Ok(Self { disk, dir, identity, segment_bytes, now, heads, commit, number: 0, active })
    }

    /// Takes a record into the commit that is gathered; answers the offset it gets. Its time is
    /// kept, unless its partition's is later already.
    pub(crate) fn add(
        &mut self,
        stream: Stream,
        partition: Partition,
        record: Record,
    ) -> Option<Offset> {
        let lane = lane_of(stream_number(stream), partition.0, self.identity.partitions)?;
        let head = self.heads.get(lane)?;
        let records = self.commit.lanes.get_mut(lane)?;
        if records.is_empty() {
            self.commit.touched.push(lane);
        }
        let offset = Offset(head.next + records.len() as u64);
        // All records of a lane in one commit have one time, as if they had been appended together.
        let before = records.last().map_or(head.time, |before| before.time.as_millis());
        let time = Timestamp::from_millis(before.max(record.time.as_millis()));
        records.iter_mut().for_each(|before| before.time = time);
        records.push(Record { offset, time, ..record });
        Some(offset)
    }

    /// Writes what was gathered as one commit.
    ///
    /// # Errors
    /// What the disk said.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.commit.touched.is_empty() {
            return Ok(());
        }
        let last = |lane: &usize| self.commit.lanes.get(*lane)?.last();
        let time = self.commit.touched.iter().filter_map(last).map(|it| it.time.as_millis()).max();
        let time = time.unwrap_or_default();
        let span = Duration::from_millis(time.saturating_sub(self.active.since.unwrap_or(time)));
        if self.active.end >= self.segment_bytes || span >= SEGMENT_SPAN {
            self.roll()?;
        }
        self.active.since.get_or_insert(time);
        self.commit.encode(self.number);
        self.write()?;
        for lane in &self.commit.touched {
            let last = self.commit.lanes.get(*lane).and_then(|records| records.last());
            if let Some((head, last)) = self.heads.get_mut(*lane).zip(last) {
                *head = Head { next: last.offset.next().0, time: last.time.as_millis() };
            }
        }
        self.commit.clear();
        Ok(())
    }

    /// Ends the log. It survives a power cut then; its directory's name may not.
    ///
    /// # Errors
    /// What the disk said.
    pub(crate) fn finish(mut self) -> io::Result<Vec<Head>> {
        self.flush()?;
        let head = self.heads.first().copied().unwrap_or_default();
        self.commit.encode_mark(self.number, head);
        self.write()?;
        self.active.file.sync()?;
        self.disk.sync_dir(self.dir)?;
        Ok(self.heads)
    }

    fn write(&mut self) -> io::Result<()> {
        let start = self.active.end;
        self.active.file.write_at(&self.commit.bytes, start)?;
        for (lane, entry) in &self.commit.frames {
            let entry = Entry { position: start + entry.position, ..*entry };
            self.active.lanes.get_mut(*lane).into_iter().for_each(|it| it.push(entry));
        }
        self.active.end += self.commit.bytes.len() as u64;
        self.number += 1;
        Ok(())
    }

    fn roll(&mut self) -> io::Result<()> {
        let Active { sequence, end, lanes, .. } = &self.active;
        let (bytes, _) = index::encode(*sequence, *end, lanes, Seed::of(&self.identity));
        self.disk.create(&index_file(self.dir, *sequence))?.write_at(&bytes, 0)?;
        self.active.file.sync()?;
        let next = sequence + 1;
        let (disk, dir, now) = (self.disk, self.dir, self.now);
        self.active =
            Active::begin(disk, dir, &self.identity, next, self.number, now, &self.heads)?;
        Ok(())
    }
}

impl Active {
    fn begin(
        disk: &dyn Disk,
        dir: &Path,
        identity: &LogIdentity,
        sequence: u64,
        first_commit: u64,
        now: Timestamp,
        heads: &[Head],
    ) -> io::Result<Self> {
        let (created, heads) = (now.as_millis(), heads.to_vec());
        let lanes = vec![Vec::new(); heads.len()];
        let header = SegmentHeader { sequence, first_commit, created, heads };
        let file = create_segment(disk, dir, identity, &header)?;
        let end = SegmentHeader::length(identity.partitions) as u64;
        Ok(Self { sequence, file, end, lanes, since: None })
    }
}
