//! `campanile log verify|backup|restore|copy`: the log of a stopped server.

use std::fmt;
use std::path::PathBuf;

use campanile_embedded::OpenError;
use campanile_embedded::stopped::{self, CopyOptions, Renumbered, StoppedStore, Verified};
use campanile_engine::renumber::renumbered;
use clap::{Subcommand, value_parser};
use serde::Serialize;
use tracing::Level;

use super::serve::StoreArgs;
use crate::compose::unopened;
use crate::config::{Config, LogConfig};
use crate::environment::Environment;
use crate::exit::{Failure, Kind};
use crate::output::{Format, say};
use crate::system::SystemClock;
use crate::{logging, root};

/// What belongs to a log besides its own files.
const BESIDE: [&str; 1] = [root::FILE];

/// What to do with the log. The server must be stopped; one that runs is noticed.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Reads every record and says what is there; fails if anything is damaged.
    Verify {
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Backs the log, the groups' progress and the root secret up, with checksums.
    Backup {
        /// A directory that does not exist, or is empty.
        target: PathBuf,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Brings a backup back into the data directory, which must be empty.
    Restore {
        /// The backup.
        backup: PathBuf,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Copies the log into a new generation, also with another partition count.
    Copy {
        /// A directory that does not exist, or is empty: the data directory of the copy.
        target: PathBuf,
        /// The partitions of the copy [default: as many as before]
        #[arg(long, value_name = "COUNT", value_parser = value_parser!(u16).range(1..=4096))]
        to_partitions: Option<u16>,
        #[command(flatten)]
        store: StoreArgs,
    },
}

/// Does what `command` says.
///
/// # Errors
/// [`Failure`].
pub(crate) fn run(
    command: Command,
    environment: Environment,
    format: Format,
) -> Result<(), Failure> {
    match command {
        Command::Verify { store } => verify(&load(store, environment)?, format),
        Command::Backup { target, store } => {
            let store = open(&load(store, environment)?)?;
            let done = store.backup(&target, &BESIDE).map_err(unopened)?;
            say(format_args!("backed up to {}: {} files", target.display(), done.files));
            Ok(format.write(&Line::of(&done.verified))?)
        }
        Command::Restore { backup, store } => {
            let directory = load(store, environment)?.store.directory;
            let verified = stopped::restore(&backup, &directory).map_err(unopened)?;
            say(format_args!("restored to {}", directory.display()));
            Ok(format.write(&Line::of(&verified))?)
        }
        Command::Copy { target, to_partitions, store } => {
            copy(&load(store, environment)?, &target, to_partitions, format)
        }
    }
}

fn load(store: StoreArgs, environment: Environment) -> Result<Config, Failure> {
    let config = store.load(environment)?;
    logging::start(&LogConfig { level: Level::WARN, ..config.log.clone() });
    Ok(config)
}

fn open(config: &Config) -> Result<StoppedStore, Failure> {
    let directory = &config.store.directory;
    StoppedStore::open(directory).map_err(|error| match error {
        OpenError::Damaged { .. } if !directory.join("identity").exists() => {
            let place = directory.display();
            Failure::new(Kind::Config, format_args!("store.directory: {place}: holds no log"))
        }
        error => unopened(error),
    })
}

fn verify(config: &Config, format: Format) -> Result<(), Failure> {
    let verified = open(config)?.verify().map_err(unopened)?;
    format.write(&Line::of(&verified))?;
    match verified.damage {
        None => Ok(()),
        Some(damage) => {
            let message = format_args!("damaged at {}: {}", damage.place, damage.reason);
            Err(Failure::new(Kind::Failed, message))
        }
    }
}

fn copy(
    config: &Config,
    target: &std::path::Path,
    to_partitions: Option<u16>,
    format: Format,
) -> Result<(), Failure> {
    let store = open(config)?;
    let partitions = to_partitions.unwrap_or(store.identity().partitions);
    let (segment_bytes, now) = (config.store.segment_bytes, SystemClock::start().now());
    let options = CopyOptions { partitions, segment_bytes, now };
    let copied = store.copy(
        target,
        options,
        &|stream, body, new| match renumbered(stream, body, new) {
            Ok(None) => Renumbered::Same,
            Ok(Some(body)) => Renumbered::Changed(body),
            Err(_) => Renumbered::Unreadable,
        },
        &BESIDE,
    );
    let copied = copied.map_err(unopened)?;
    let (generation, partitions) = (copied.identity.generation.0, copied.identity.partitions);
    let target = target.display();
    say(format_args!(
        "copied to {target}: generation {generation}, {partitions} partitions; serve it with \
         --data-dir {target} --partitions {partitions}"
    ));
    if copied.unreadable > 0 {
        say(format_args!("{} records cannot be understood", copied.unreadable));
    }
    Ok(format.write(&Line::of(&copied.verified))?)
}

/// What was read of a log.
#[derive(Debug, Serialize)]
struct Line {
    generation: u32,
    partitions: u16,
    segments: u64,
    bytes: u64,
    events: u64,
    receipts: u64,
    groups: usize,
    /// Segments whose index is made again when it is missed.
    unindexed: u64,
    /// Bytes at the end that were never synced, and are cut by the next start.
    torn_bytes: u64,
    /// Bytes of group progress that were never synced.
    progress_lost_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<Damage>,
}

#[derive(Debug, Serialize)]
struct Damage {
    place: String,
    reason: String,
}

impl Line {
    fn of(verified: &Verified) -> Self {
        let damage = verified.damage.as_ref();
        Self {
            generation: verified.generation.0,
            partitions: verified.partitions,
            segments: verified.segments,
            bytes: verified.bytes,
            events: verified.events,
            receipts: verified.receipts,
            groups: verified.groups,
            unindexed: verified.unindexed,
            torn_bytes: verified.torn.as_ref().map_or(0, |torn| torn.bytes),
            progress_lost_bytes: verified.progress_lost,
            damage: damage.map(|it| Damage { place: it.place.clone(), reason: it.reason.clone() }),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { generation, partitions, segments, bytes, events, receipts, groups, .. } = self;
        write!(
            f,
            "generation {generation}, {partitions} partitions: {events} events and {receipts} \
             receipts in {segments} segments of {bytes} bytes, {groups} groups"
        )?;
        if self.unindexed > 0 {
            write!(f, "; {} indexes to be made again", self.unindexed)?;
        }
        if self.torn_bytes > 0 {
            write!(f, "; a torn tail of {} bytes, never acknowledged", self.torn_bytes)?;
        }
        if self.progress_lost_bytes > 0 {
            write!(f, "; {} bytes of progress lost", self.progress_lost_bytes)?;
        }
        match &self.damage {
            Some(damage) => write!(f, "; DAMAGED at {}: {}", damage.place, damage.reason),
            None => Ok(()),
        }
    }
}
