//! A store that nobody serves: read whole, backed up, brought back, copied.
//!
//! Whoever holds a [`StoppedStore`] has the directory, so no server can be running on it. Nothing
//! that handles requests has one.

mod backup;
mod copy;
mod fresh;
mod manifest;
mod restore;

use std::path::{Path, PathBuf};

use campanile_core::port::{Progress, Stream};
use campanile_core::{Generation, LogIdentity};

pub use backup::BackedUp;
pub use copy::{Copied, CopyOptions, Renumber, Renumbered};
pub use restore::restore;

use crate::carried;
use crate::directory::{self, DirectoryLock};
use crate::disk::{Disk, RealDisk};
use crate::error::OpenError;
use crate::group::journal::{self, Stored};
use crate::log::verify::{self, Reading};
use crate::log::{Place, TornTail, lane_of, stream_number};

/// A store in a directory that no server runs on.
pub struct StoppedStore {
    dir: PathBuf,
    identity: LogIdentity,
    /// `None` where whoever works with it has it.
    _lock: Option<DirectoryLock>,
}

/// What was read of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Which copy of the log it is.
    pub generation: Generation,
    /// How many partitions it has.
    pub partitions: u16,
    /// Segments that were read to their end.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Events in them.
    pub events: u64,
    /// Receipts in them.
    pub receipts: u64,
    /// Groups whose progress was read.
    pub groups: usize,
    /// Segments whose index is missing or wrong; it is made again when it is needed.
    pub unindexed: u64,
    /// What the next start cuts off: a commit that was never synced, so never acknowledged.
    pub torn: Option<TornTail>,
    /// Bytes of progress that cannot be read: the latest commits before a power cut.
    pub progress_lost: u64,
    /// The first thing that is wrong. What follows it was not read.
    pub damage: Option<Damage>,
}

/// Something that no start can repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, and where in it.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

impl StoppedStore {
    /// Takes the store in `dir`.
    ///
    /// # Errors
    /// [`OpenError::InUse`] if a server runs on it, [`OpenError::Damaged`] if there is none.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let dir = dir.into();
        if !dir.is_dir() {
            return Err(no_store(&dir));
        }
        let lock = directory::lock(&dir)?;
        Self::within(&dir, Some(lock))
    }

    fn within(dir: &Path, lock: Option<DirectoryLock>) -> Result<Self, OpenError> {
        let identity = directory::read_identity(&RealDisk, dir)?.ok_or_else(|| no_store(dir))?;
        Ok(Self { dir: dir.to_owned(), identity, _lock: lock })
    }

    /// Which log it holds.
    #[must_use]
    pub const fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    /// Reads every record, and changes nothing. May block for as long as that takes.
    ///
    /// # Errors
    /// [`OpenError::Io`] if the disk does not answer; damage is in what is returned.
    pub fn verify(&self) -> Result<Verified, OpenError> {
        self.read().map(|(_, verified)| verified)
    }

    /// Reads everything; also answers what a copy needs to know of it.
    fn read(&self) -> Result<(Found, Verified), OpenError> {
        let log = self.dir.join("log");
        let place = Place { disk: &RealDisk, dir: &log, identity: &self.identity };
        let mut reading = Reading::default();
        let read = verify::read(&place, &mut reading);
        let (groups, lost, known) = match journal::stored(&self.dir, &RealDisk, &self.identity) {
            Ok((groups, lost)) => (groups, lost, Ok(())),
            Err(error) => (Stored::new(), 0, Err(error)),
        };
        let checked = read.and(known).and_then(|()| self.check_groups(&reading, &groups));
        let checked = checked.and_then(|()| self.check_carried(&reading));
        let damage = match checked {
            Ok(()) => None,
            Err(OpenError::Damaged { place, reason }) => Some(Damage { place, reason }),
            Err(error) => return Err(error),
        };
        let verified = self.verified(&reading, groups.len(), lost, damage);
        Ok((Found { reading, groups }, verified))
    }

    fn verified(
        &self,
        reading: &Reading,
        groups: usize,
        progress_lost: u64,
        damage: Option<Damage>,
    ) -> Verified {
        let partitions = usize::from(self.identity.partitions);
        let lengths = reading.first.iter().zip(&reading.last);
        let records = |lanes: &mut dyn Iterator<Item = u64>| lanes.sum();
        let mut lengths = lengths.map(|(first, last)| last.next.saturating_sub(first.next));
        Verified {
            generation: self.identity.generation,
            partitions: self.identity.partitions,
            segments: reading.segments.len() as u64,
            bytes: reading.segments.iter().map(|segment| segment.end).sum(),
            events: records(&mut lengths.by_ref().take(partitions)),
            receipts: records(&mut lengths),
            groups,
            unindexed: reading.unindexed,
            torn: reading.torn.clone(),
            progress_lost,
            damage,
        }
    }

    /// A group that stands where no record is would stop the server: neither may it skip records,
    /// nor repeat them.
    fn check_groups(&self, reading: &Reading, groups: &Stored) -> Result<(), OpenError> {
        for ((stream, name), progress) in groups {
            for Progress { partition, next, .. } in progress {
                let lane = lane_of(stream_number(*stream), partition.0, self.identity.partitions);
                let kept = lane.and_then(|lane| {
                    Some(reading.first.get(lane)?.next..=reading.last.get(lane)?.next)
                });
                if !kept.is_some_and(|kept| kept.contains(&next.0)) {
                    return Err(OpenError::Damaged {
                        place: format!("group {name}, partition {partition}"),
                        reason: format!("stands at {next}, where the log has no record"),
                    });
                }
            }
        }
        Ok(())
    }

    /// What is carried must be whole, and reach to where the log begins: a state that is built anew
    /// begins with it.
    fn check_carried(&self, reading: &Reading) -> Result<(), OpenError> {
        for (partition, first) in self.identity.partitions().zip(&reading.first) {
            let place = || self.dir.join(carried::file(partition)).display().to_string();
            let damaged = |reason: String| OpenError::Damaged { place: place(), reason };
            let as_of = carried::check(&self.dir, &self.identity, partition);
            let as_of = as_of.map_err(|error| damaged(error.to_string()))?;
            if first.next > 0 && as_of.is_none_or(|as_of| as_of.0 < first.next) {
                let reason = format!("does not reach to {}, where the log begins", first.next);
                return Err(damaged(reason));
            }
        }
        Ok(())
    }

    /// The files of what is carried.
    fn carried(&self) -> Vec<String> {
        let files = self.identity.partitions().map(carried::file);
        files.filter(|name| self.dir.join(name).exists()).collect()
    }

    /// Reads everything, for work that needs all of it.
    ///
    /// # Errors
    /// [`OpenError`], also for damage.
    fn whole(&self) -> Result<(Found, Verified), OpenError> {
        let (found, verified) = self.read()?;
        match &verified.damage {
            None => Ok((found, verified)),
            Some(Damage { place, reason }) => {
                Err(OpenError::Damaged { place: place.clone(), reason: reason.clone() })
            }
        }
    }
}

/// What was read.
struct Found {
    reading: Reading,
    groups: Stored,
}

fn no_store(dir: &Path) -> OpenError {
    let reason = "there is no store here".into();
    OpenError::Damaged { place: dir.display().to_string(), reason }
}

/// Refuses a directory that holds anything.
fn refuse_used(dir: &Path) -> Result<(), OpenError> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(OpenError::Used { dir: dir.to_owned() }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(OpenError::io("read", dir)(error)),
    }
}

/// The streams whose records a segment has, by number.
const fn stream_of(number: u8) -> Stream {
    if number == 0 { Stream::Events } else { Stream::Receipts }
}

/// Makes a directory's new name survive a power cut.
fn sync_above(dir: &Path) -> Result<(), OpenError> {
    let above = match dir.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    RealDisk.sync_dir(above).map_err(OpenError::io("sync", above))
}
