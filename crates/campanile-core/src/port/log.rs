//! The event log: the only truth, and the only queue.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::Progress;
use crate::{LogIdentity, Offset, Partition, Position, Tick, Timestamp, UserRef};

/// Which of a log's streams. Streams share a partitioning, not offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// What happened: the truth.
    Events,
    /// What came of deliveries.
    Receipts,
}

impl Stream {
    /// Every stream.
    pub const ALL: [Self; 2] = [Self::Events, Self::Receipts];

    /// The name in files, topics and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Receipts => "receipts",
        }
    }
}

/// A record about to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Where to: the partition of `user`.
    pub partition: Partition,
    /// Whose it is.
    pub user: UserRef,
    /// The encoded fact, opaque to adapters. At most [`NewRecord::LARGEST`] bytes.
    pub body: Bytes,
}

impl NewRecord {
    /// The largest body, in bytes.
    pub const LARGEST: usize = 1 << 20;
}

/// A record in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The index in its partition.
    pub offset: Offset,
    /// When it was appended; never decreases within a partition.
    pub time: Timestamp,
    /// Whose it is.
    pub user: UserRef,
    /// The encoded fact.
    pub body: Bytes,
}

/// Why a record was not, or perhaps not, appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Certainly not appended: no room in the queue or on the disk, or shutting down.
    #[error("not appended: {reason}")]
    Refused {
        /// Why.
        reason: String,
        /// Whether the same append may succeed later.
        retry: bool,
    },
    /// It may or may not be in the log: the write or the sync failed, or no answer came.
    #[error("may or may not be appended: {reason}")]
    Indefinite {
        /// Why.
        reason: String,
    },
}

/// How much one read returns at most. At least one record is returned if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// Records.
    pub records: usize,
    /// Bytes of bodies.
    pub bytes: usize,
}

/// Consecutive records of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The records, in offset order.
    pub records: Vec<Record>,
    /// Where to read on. Past the last record even if offsets have gaps.
    pub next: Offset,
}

/// Why a log could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The offset is before the first record kept, or past the tail.
    #[error("offset {offset} of partition {partition} is outside {kept:?}")]
    OutOfRange {
        /// The partition.
        partition: Partition,
        /// The offset asked for.
        offset: Offset,
        /// The offsets there are.
        kept: Range<u64>,
    },
    /// There is no such partition.
    #[error("no partition {0}")]
    NoPartition(Partition),
    /// The group was never created: positions are never guessed.
    #[error("no group {0}; create it first")]
    NoGroup(GroupName),
    /// A record is damaged. Nothing after it can be trusted.
    #[error("damaged at {place}: {reason}")]
    Damaged {
        /// The file and position, or the partition and offset.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A later release wrote a record, in a format that this one cannot read. To pass over it would
    /// lose what it says: this release is not to go on.
    #[error("{place} is of a later release: {reason}")]
    Newer {
        /// The partition and offset.
        place: String,
        /// Which format it has.
        reason: String,
    },
    /// The log cannot be reached now.
    #[error("log unavailable: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

/// The name of a consumer group; it never changes between releases.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(pub String);

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One stream of a log.
///
/// # Contract
/// - `append` answers once per record, in order, and stores it once at most. After `Ok` the record is
///   durable, and visible to `read` and to every group from then on. Records of one call and partition
///   are stored in the order given. After [`AppendError::Refused`] the record is not and never will be there.
/// - A record is visible only once it is durable, at the same offset and with the same bytes
///   forever.
/// - Append times never decrease within a partition, whatever the clock does.
/// - `read` from the tail returns an empty batch; it never waits and never skips a record.
/// - `fetch` answers once per offset, in order; `None` where no record is kept.
/// - A log opened with another partition count than it was created with is an error.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// What log this is.
    fn identity(&self) -> &LogIdentity;

    /// Appends every record of `batch`, each for itself.
    async fn append(&self, batch: Vec<NewRecord>) -> Vec<Result<Position, AppendError>>;

    /// Reads on from `from`.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] if `from` is before the first kept record or past the tail.
    async fn read(
        &self,
        partition: Partition,
        from: Offset,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError>;

    /// Reads single records.
    ///
    /// # Errors
    /// [`ReadError`] if the log cannot be read; a missing record is `None`, not an error.
    async fn fetch(
        &self,
        partition: Partition,
        at: &[Offset],
    ) -> Result<Vec<Option<Record>>, ReadError>;

    /// The first kept offset, and the tail (the offset the next record gets at least).
    ///
    /// # Errors
    /// [`ReadError`] if the log cannot be read.
    async fn bounds(&self, partition: Partition) -> Result<Range<Offset>, ReadError>;

    /// The first offset whose record was appended at or after `time`; the tail if there is none.
    ///
    /// # Errors
    /// [`ReadError`] if the log cannot be read.
    async fn first_at(&self, partition: Partition, time: Timestamp) -> Result<Offset, ReadError>;

    /// Joins a group, to be given partitions.
    ///
    /// # Errors
    /// [`ReadError::NoGroup`] if it was never created.
    async fn join(&self, group: &GroupName) -> Result<Box<dyn GroupReader>, ReadError>;
}

/// What a group member is told. Assignment is data, not a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// The partition is this member's from now on; records follow from `progress.next`, the
    /// finished ones among them too.
    Assigned {
        /// Where the group stands.
        progress: Progress,
    },
    /// Records of an assigned partition, in order, right after the ones before.
    Records {
        /// The partition.
        partition: Partition,
        /// At least one record.
        records: Vec<Record>,
    },
    /// The partition will be another member's: finish, commit, and start nothing more.
    Revoking {
        /// The partition.
        partition: Partition,
        /// When it is taken, finished or not.
        drain_by: Tick,
    },
    /// The partition is gone; nothing may be started or committed for it any more.
    Lost(Partition),
}

/// Whether records of a partition are wanted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Not now.
    Pause,
    /// Again.
    Resume,
}

/// Why progress was not committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Another member owns the partition now.
    #[error("partition {0} belongs to another member")]
    Fenced(Partition),
    /// The log cannot be reached now; the progress may or may not be stored.
    #[error("log unavailable: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

/// A member of a consumer group.
///
/// # Contract
/// - Each partition is assigned to at most one live member at a time.
/// - After `Assigned` come the partition's records from `progress.next` on, each once and in
///   order, until `Lost`.
/// - `next` waits until there is something to tell, and may be dropped while it waits without
///   losing anything.
/// - What `commit` stored is what a later `Assigned` tells, in this process or another.
///   Losing the very last commits in a power cut is allowed, inventing progress is not.
/// - Dropping the member gives its partitions back.
#[async_trait]
pub trait GroupReader: Send {
    /// Waits for the next thing to know.
    ///
    /// # Errors
    /// [`ReadError`]; a member that got one may call again.
    async fn next(&mut self) -> Result<GroupEvent, ReadError>;

    /// Stops or restarts the records of a partition.
    ///
    /// # Errors
    /// [`ReadError::NoPartition`] if it is not assigned.
    fn flow(&mut self, partition: Partition, flow: Flow) -> Result<(), ReadError>;

    /// Says whether something is under way that no position tells of: what a hold owes and is being
    /// sent. A partition that is revoked then stays until it is taken, or until a commit that comes
    /// after the word that nothing is under way any more.
    ///
    /// # Errors
    /// [`ReadError::NoPartition`] if it is not assigned.
    fn busy(&mut self, partition: Partition, is_busy: bool) -> Result<(), ReadError>;

    /// Stores progress.
    ///
    /// # Errors
    /// [`CommitError`]; with several partitions, none or some may have been stored.
    async fn commit(&mut self, done: &[Progress]) -> Result<(), CommitError>;

    /// Until when the partition is certainly this member's; no send is started past it. `None`
    /// if it is not assigned, [`Tick::NEVER`] if nobody else could be given it.
    fn lease(&self, partition: Partition) -> Option<Tick>;
}

/// Where a new group starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// With the first record kept.
    Beginning,
    /// With the next record appended.
    End,
}

/// Administration of one stream, which request handlers do not hold.
///
/// # Contract
/// - Creating a group that exists changes nothing.
/// - `retain` drops whole prefixes only, never a record younger than asked, or one that is not below
///   its partition's offset in `below`.
#[async_trait]
pub trait LogAdmin: Send + Sync {
    /// Creates a group.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] if it could not be stored.
    async fn create_group(&self, group: &GroupName, start: StartAt) -> Result<(), ReadError>;

    /// How far a group has come, partition by partition.
    ///
    /// # Errors
    /// [`ReadError::NoGroup`] if it was never created.
    async fn progress(&self, group: &GroupName) -> Result<Vec<Progress>, ReadError>;

    /// Drops records older than `keep` before `now`, as far as the storage can in one piece.
    /// `below` has an offset for each partition, in order; where it has none, nothing is dropped.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] if the storage failed.
    async fn retain(
        &self,
        keep: Duration,
        now: Timestamp,
        below: &[Offset],
    ) -> Result<(), ReadError>;
}
