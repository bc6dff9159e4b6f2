//! The writer thread: the only one that changes the log.
//!
//! It takes whatever waits in the queue, writes it in one call, syncs once, makes it visible and
//! answers. While it syncs, the next commit gathers in the queue, so commits grow with the load
//! and nobody waits for a timer.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use campanile_core::port::AppendError;
use campanile_core::{LogIdentity, Timestamp};

use tokio::sync::oneshot;

use super::catalogue::{Active, Segment, index_file, segment_file};
use super::commit::Commit;
use super::format::{Head, Seed, SegmentHeader};
use super::index;
use super::lane::RECORD_COST;
use super::queue::{Job, Work};
use super::{Core, LogOptions};
use crate::disk::{Disk, DiskFile, is_full};

/// How much is written in one commit, in bytes of bodies. A sync of more takes so long that
/// everybody waits for the largest.
const COMMIT_BYTES: usize = 4 << 20;
/// A segment is not written for longer, so that retention can drop it a day late at most.
const SEGMENT_AGE: Duration = Duration::from_secs(86_400);

/// What only the writer knows.
pub(crate) struct Writer {
    core: Arc<Core>,
    options: LogOptions,
    /// The active segment: its file, when it was begun, and its length.
    file: Arc<dyn DiskFile>,
    created: u64,
    end: u64,
    /// Where every lane stands, and the number of the next commit.
    heads: Vec<Head>,
    number: u64,
    commit: Commit,
    /// What is in the lanes' memory, oldest first: lane, records, bytes.
    cached: VecDeque<(usize, usize, usize)>,
    cached_bytes: usize,
}

/// Where the writer goes on.
pub(crate) struct Start {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) created: u64,
    pub(crate) end: u64,
    pub(crate) heads: Vec<Head>,
    pub(crate) number: u64,
}

/// Why a commit was not written.
enum Failure {
    /// No space. The disk is as it was before.
    Full(String),
    /// Nobody knows what is on the disk.
    Broken(String),
}

impl Writer {
    pub(crate) fn new(core: Arc<Core>, options: LogOptions, start: Start) -> Self {
        let Start { file, created, end, heads, number } = start;
        let commit = Commit::new(core.identity);
        let cached = VecDeque::new();
        let cached_bytes = 0;
        Self { core, options, file, created, end, heads, number, commit, cached, cached_bytes }
    }

    /// Starts the thread. It ends when the queue is closed and empty, or the disk fails.
    ///
    /// A thread and not a task: it spends its life in blocking calls.
    pub(crate) fn start(mut self) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("log-writer".into()).spawn(move || self.run())
    }

    fn run(&mut self) {
        while let Some(work) = self.core.queue.take(COMMIT_BYTES) {
            let done = match work {
                Work::Commit(jobs) => self.commit(jobs),
                Work::Roll(done) => self.roll_and_tell(done),
            };
            if let Err(reason) = done {
                return self.core.stop(&reason);
            }
        }
        if let Err(Failure::Broken(reason) | Failure::Full(reason)) = self.mark() {
            tracing::warn!(reason, "the log was closed without its mark");
        }
    }

    /// Writes a commit and answers everybody who waits for it.
    fn commit(&mut self, mut jobs: Vec<Job>) -> Result<(), String> {
        let now = self.core.clock.now().as_millis();
        match self.roll_if_due(now) {
            // Without space the old segment goes on; the write will tell.
            Ok(()) | Err(Failure::Full(_)) => {}
            Err(Failure::Broken(reason)) => {
                self.core.stop(&reason);
                answer(jobs, &AppendError::Refused { reason: reason.clone(), retry: true });
                return Err(reason);
            }
        }
        self.commit.clear();
        let add = |job: &mut Job| self.commit.add(job, &self.heads, now);
        let positions: Vec<_> = jobs.iter_mut().map(add).collect();
        self.commit.encode(self.number);
        match self.write() {
            Ok(()) => {
                self.publish(now);
                jobs.into_iter().zip(positions).for_each(|(job, at)| job.finish(Ok(at)));
                Ok(())
            }
            Err(Failure::Full(reason)) => {
                answer(jobs, &AppendError::Refused { reason, retry: true });
                Ok(())
            }
            Err(Failure::Broken(reason)) => {
                // First, so that whoever hears of the failure can see that the log stopped.
                self.core.stop(&reason);
                answer(jobs, &AppendError::Indefinite { reason: reason.clone() });
                Err(reason)
            }
        }
    }

    /// Puts the encoded commit on the disk. A failed sync is not tried again: the pages it did not
    /// write may look clean to the next one.
    fn write(&mut self) -> Result<(), Failure> {
        let path = || segment_file(&self.core.dir, self.core.active_sequence());
        if let Err(error) = self.file.write_at(&self.commit.bytes, self.end) {
            let reason = format!("cannot write {}: {error}", path().display());
            if !is_full(&error) {
                return Err(Failure::Broken(reason));
            }
            tracing::warn!(reason, "no space: appends are refused");
            return match self.file.truncate(self.end) {
                Ok(()) => Err(Failure::Full(reason)),
                Err(error) => Err(Failure::Broken(format!("{reason}; cannot cut: {error}"))),
            };
        }
        if let Err(error) = self.file.sync() {
            return Err(Failure::Broken(format!("cannot sync {}: {error}", path().display())));
        }
        Ok(())
    }

    /// Makes the commit on the disk visible.
    fn publish(&mut self, now: u64) {
        let start = self.end;
        self.core.with_catalogue(|catalogue| {
            for (lane, entry) in &self.commit.frames {
                let entry = index::Entry { position: start + entry.position, ..*entry };
                catalogue.active.lanes.get_mut(*lane).into_iter().for_each(|it| it.push(entry));
            }
        });
        self.end += self.commit.bytes.len() as u64;
        let partitions = usize::from(self.core.identity.partitions.max(1));
        let mut streams = [false; 2];
        for lane in &self.commit.touched {
            let Some(records) = self.commit.lanes.get_mut(*lane) else { continue };
            let Some(head) = self.heads.get_mut(*lane) else { continue };
            *head = Head { next: head.next + records.len() as u64, time: head.time.max(now) };
            let bytes: usize = records.iter().map(|it| it.body.len() + RECORD_COST).sum();
            self.cached.push_back((*lane, records.len(), bytes));
            self.cached_bytes += bytes;
            if let Some(mut shared) = self.core.lanes.change(*lane) {
                shared.publish(records.drain(..), *head);
            }
            streams.get_mut(*lane / partitions).into_iter().for_each(|touched| *touched = true);
        }
        self.number += 1;
        self.evict();
        for (tail, _) in self.core.tails.iter().zip(streams).filter(|(_, touched)| *touched) {
            tail.send_modify(|commits| *commits += 1);
        }
    }

    fn evict(&mut self) {
        while self.cached_bytes > self.options.tail_bytes {
            let Some((lane, count, bytes)) = self.cached.pop_front() else { return };
            self.cached_bytes -= bytes;
            if let Some(mut lane) = self.core.lanes.change(lane) {
                lane.evict(count);
            }
        }
    }

    /// Writes a commit without records, which shows the next start that everything before it was
    /// synced: what is wrong there is damage, not a torn tail.
    ///
    /// Without space there is none, and nothing else is wrong.
    pub(crate) fn open_mark(&mut self) -> Result<(), String> {
        match self.mark() {
            Ok(()) | Err(Failure::Full(_)) => Ok(()),
            Err(Failure::Broken(reason)) => Err(reason),
        }
    }

    fn mark(&mut self) -> Result<(), Failure> {
        let head = self.heads.first().copied().unwrap_or_default();
        self.commit.encode_mark(self.number, head);
        self.write()?;
        self.end += self.commit.bytes.len() as u64;
        self.number += 1;
        Ok(())
    }

    fn roll_and_tell(&mut self, done: oneshot::Sender<()>) -> Result<(), String> {
        match self.roll() {
            Ok(()) => {
                // Nobody listens if the caller gave up waiting.
                let _ = done.send(());
                Ok(())
            }
            Err(Failure::Full(_)) => Ok(()),
            Err(Failure::Broken(reason)) => Err(reason),
        }
    }

    fn roll_if_due(&mut self, now: u64) -> Result<(), Failure> {
        let age = Timestamp::from_millis(now).since(Timestamp::from_millis(self.created));
        if self.end >= self.options.segment_bytes || age >= SEGMENT_AGE {
            return self.roll();
        }
        Ok(())
    }

    /// Seals the active segment and begins the next, if anything is in it.
    fn roll(&mut self) -> Result<(), Failure> {
        let core = self.core.clone();
        let (sequence, is_empty) = core.with_catalogue(|catalogue| {
            let active = &catalogue.active;
            (active.sequence, active.lanes.iter().all(Vec::is_empty))
        });
        if is_empty {
            return Ok(());
        }
        let failed = |error: io::Error| {
            let reason = format!("cannot begin a segment after {sequence}: {error}");
            if is_full(&error) { Failure::Full(reason) } else { Failure::Broken(reason) }
        };
        let directory = self.write_index(sequence).map_err(failed)?;
        let (header, file) = self.begin(sequence + 1).map_err(failed)?;
        core.with_catalogue(|catalogue| {
            let lanes = vec![Vec::new(); header.heads.len()];
            let (sequence, heads) = (header.sequence, header.heads.clone().into());
            let next = Active { sequence, heads, file: file.clone(), lanes };
            let full = std::mem::replace(&mut catalogue.active, next);
            let Active { sequence, heads, .. } = full;
            catalogue.sealed.push(Arc::new(Segment { sequence, heads, directory }));
        });
        self.created = header.created;
        self.end = SegmentHeader::length(core.identity.partitions) as u64;
        self.file = file;
        Ok(())
    }

    fn write_index(&self, sequence: u64) -> io::Result<index::Directory> {
        let core = &self.core;
        let (bytes, directory) = {
            let catalogue = core.catalogue.read().unwrap_or_else(PoisonError::into_inner);
            let seed = Seed::of(&core.identity);
            index::encode(sequence, self.end, &catalogue.active.lanes, seed)
        };
        core.disk.create(&index_file(&core.dir, sequence))?.write_at(&bytes, 0)?;
        Ok(directory)
    }

    fn begin(&self, sequence: u64) -> io::Result<(SegmentHeader, Arc<dyn DiskFile>)> {
        let created = self.core.clock.now().as_millis();
        let (first_commit, heads) = (self.number, self.heads.clone());
        let header = SegmentHeader { sequence, first_commit, created, heads };
        let core = &self.core;
        let file = create_segment(core.disk.as_ref(), &core.dir, &core.identity, &header)?;
        Ok((header, file))
    }
}

/// Creates the file of a segment, so that it survives a power cut. Leaves nothing on failure.
pub(crate) fn create_segment(
    disk: &dyn Disk,
    dir: &Path,
    identity: &LogIdentity,
    header: &SegmentHeader,
) -> io::Result<Arc<dyn DiskFile>> {
    let path = segment_file(dir, header.sequence);
    let file = disk.create(&path)?;
    let written = file
        .write_at(&header.encode(identity), 0)
        .and_then(|()| file.sync())
        .and_then(|()| disk.sync_dir(dir));
    match written {
        Ok(()) => Ok(file),
        Err(error) => {
            // What is left is an empty segment, which the next start throws away as well.
            drop(disk.remove(&path));
            Err(error)
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if thread::panicking() {
            self.core.stop("the log's writer failed; this is a bug");
        }
    }
}

fn answer(jobs: Vec<Job>, error: &AppendError) {
    jobs.into_iter().for_each(|job| job.finish(Err(error.clone())));
}
