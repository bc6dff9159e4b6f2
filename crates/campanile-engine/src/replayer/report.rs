//! What a replay says: how far it is, what it found, why it did not come to its end.

use std::time::Duration;

use campanile_core::port::{Digest, ProjectionError, ReadError, Stream};
use campanile_core::{Offset, Partition};
use tokio::sync::watch;

/// Where a replay tells how far it is. Nobody has to look.
pub type Watcher = watch::Sender<Progress>;

/// What a replay is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It folds the log.
    #[default]
    Building,
    /// It compares what it built with what serves.
    Comparing,
    /// It has the new namespace serve.
    Switching,
}

impl Phase {
    /// The name in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Comparing => "comparing",
            Self::Switching => "switching",
        }
    }
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What it is at.
    pub phase: Phase,
    /// Whether it goes on with what an earlier one built.
    pub resumed: bool,
    /// Offsets that are behind it.
    pub done: u64,
    /// Offsets that there are, as far as it knows; more may come.
    pub total: u64,
    /// Records it folded itself.
    pub folded: u64,
}

/// A partition of which the serving namespace is not what the log amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Which.
    pub partition: Partition,
    /// What serves; absent if it cannot be read.
    pub serving: Option<Digest>,
    /// What the log amounts to.
    pub rebuilt: Digest,
}

impl Drift {
    /// What differs, in words.
    #[must_use]
    pub fn differences(&self) -> String {
        let Some(serving) = &self.serving else { return "it cannot be read".to_owned() };
        let kinds = [
            ("reach", serving.reach, self.rebuilt.reach),
            ("items", serving.items, self.rebuilt.items),
            ("agenda", serving.agenda, self.rebuilt.agenda),
        ];
        let differ = kinds.into_iter().filter(|(_, serving, rebuilt)| serving != rebuilt);
        let told = differ.map(|(kind, serving, rebuilt)| {
            format!("{kind}: {} serve, {} in the log", serving.count, rebuilt.count)
        });
        told.collect::<Vec<_>>().join("; ")
    }
}

/// What came of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Records that were folded.
    pub records: u64,
    /// Partitions that were compared.
    pub partitions: usize,
    /// Those that differ.
    pub drift: Vec<Drift>,
    /// Whether another namespace serves now.
    pub switched: bool,
}

/// Why a replay did not come to its end. The namespace that served still does; but for
/// [`ReplayError::NoFormer`] and [`ReplayError::Forgotten`], what was built is gone on with by the
/// next one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// A namespace cannot be read or written.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// It was asked to stop.
    #[error("interrupted; the next replay goes on from here")]
    Interrupted,
    /// There is nothing to go back to.
    #[error("there is no former namespace")]
    NoFormer,
    /// The log begins later than the fold would have to go on.
    #[error(
        "the log keeps the {} of partition {partition} from offset {first} on, and the fold would \
         go on at {next}: what was before would be missing; begin afresh, with what is carried",
        .stream.name()
    )]
    Forgotten {
        /// The stream.
        stream: Stream,
        /// The partition.
        partition: Partition,
        /// Where the fold stands.
        next: Offset,
        /// Where the log begins.
        first: Offset,
    },
    /// Another writer claimed the candidate.
    #[error("another replay is at work")]
    Fenced,
    /// The serving namespace does not come to where the candidate is.
    #[error(
        "partition {partition} that serves stands at {serving}, behind {rebuilt}: its projector \
         does not come along"
    )]
    ServingBehind {
        /// The partition.
        partition: Partition,
        /// Where the serving namespace is.
        serving: Offset,
        /// Where the candidate is.
        rebuilt: Offset,
    },
    /// The candidate did not catch up while the writers waited.
    #[error("the new namespace did not catch up within {limit:?}; try when there is less to fold")]
    TooSlow {
        /// How long they wait.
        limit: Duration,
    },
}
