//! The projection: current state, a fold of the log that can be thrown away.

use std::sync::Arc;

use async_trait::async_trait;

use crate::port::Stream;
use crate::{
    AgendaChange, AgendaEntry, AppId, Holder, Item, NotificationId, Offset, Partition, Reach,
    RequestKey, RequestRecord, Timestamp, UserRef,
};

/// What state is made of: small pieces, so that an event rewrites little.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A user's endpoints.
    Reach(Arc<Reach>),
    /// One notification.
    Item(Arc<Item>),
    /// One remembered request.
    Request(RequestRecord),
    /// Who holds an address.
    Holder(Holder),
}

/// Names a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PieceKey {
    /// The endpoints of a user.
    Reach(UserRef),
    /// A notification of a user.
    Item(UserRef, NotificationId),
    /// A request for a user.
    Request(UserRef, RequestKey),
    /// An address, by [`crate::IdentityKey::address`].
    Holder(UserRef),
}

impl PieceKey {
    /// Whose piece it is.
    #[must_use]
    pub const fn user(&self) -> UserRef {
        match self {
            Self::Reach(user)
            | Self::Item(user, _)
            | Self::Request(user, _)
            | Self::Holder(user) => *user,
        }
    }
}

/// Counts the writers of one stream's fold of a partition; a later one fences the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// The right to write what one stream adds to a partition. The streams are folded apart: events
/// make state, agenda and history; receipts make history only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// This writer's number.
    pub epoch: Epoch,
    /// The checkpoint: the next offset of the stream to fold.
    pub next: Offset,
}

/// A record in one of the streams of a user's partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordRef {
    /// The stream.
    pub stream: Stream,
    /// The offset in it.
    pub offset: Offset,
}

/// The new value of one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceWrite {
    /// Which piece.
    pub key: PieceKey,
    /// Its value.
    pub piece: Piece,
    /// After this time of the partition the storage may drop the piece; `None`: never.
    pub keep_until: Option<Timestamp>,
    /// Certainly nothing is stored under the key before the step: storage need not look.
    pub is_new: bool,
    /// An item that has not ended: it is written again with its end, which may come after
    /// `keep_until`. Storage may wait for that before it looks for the piece.
    pub comes_again: bool,
}

/// A step of the fold of one stream of a partition: changes and checkpoint, stored together or
/// not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The partition.
    pub partition: Partition,
    /// The stream whose fold this is.
    pub stream: Stream,
    /// The writer.
    pub epoch: Epoch,
    /// The checkpoint this step starts from.
    pub from: Offset,
    /// The checkpoint after it.
    pub to: Offset,
    /// The latest append time folded: the partition's time.
    pub time: Timestamp,
    /// New values, each key once.
    pub pieces: Vec<PieceWrite>,
    /// Changes of users' agendas, in order. Removing an entry that is not there changes nothing.
    pub agenda: Vec<AgendaWrite>,
    /// Records to find again by user, and by item if they are about one.
    pub history: Vec<(UserRef, Option<NotificationId>, RecordRef)>,
}

/// A change of one user's agenda.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgendaWrite {
    /// The tenant, kept with the entry, so that the event it becomes can name it.
    pub app: AppId,
    /// Whose agenda.
    pub user: UserRef,
    /// The change.
    pub change: AgendaChange,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is stored.
    Applied,
    /// A later writer claimed the stream of the partition; this one must stop.
    Fenced,
    /// The stored checkpoint is not where the step starts; claim again.
    Gap(Offset),
}

/// States and the checkpoint they belong to, read at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Views {
    /// The next event to fold at that instant.
    pub checkpoint: Offset,
    /// A piece per key asked for, in order.
    pub pieces: Vec<Option<Piece>>,
}

/// Which order items are listed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemOrder {
    /// Latest change first; `after` is exclusive and descending.
    NewestFirst,
    /// Earliest change first; `after` is exclusive and ascending: what a reader needs to catch up.
    OldestFirst,
}

/// Asks for a user's items, ordered by the offset of their latest change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemQuery {
    /// The order.
    pub order: ItemOrder,
    /// Where the page before ended.
    pub after: Option<Offset>,
    /// How many at most, at least 1.
    pub limit: usize,
}

/// A page of items, ended ones among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    /// The next event to fold at the instant of reading.
    pub checkpoint: Offset,
    /// The items.
    pub items: Vec<Arc<Item>>,
    /// Whether there are more.
    pub more: bool,
}

/// Asks for records about a user. By default, for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Only those about this item.
    pub of: Option<NotificationId>,
    /// Only those of this stream.
    pub stream: Option<Stream>,
    /// Only those at this offset of their stream or after.
    pub from: Offset,
    /// How many at most.
    pub limit: usize,
}

impl Default for HistoryQuery {
    fn default() -> Self {
        Self { of: None, stream: None, from: Offset(0), limit: usize::MAX }
    }
}

impl HistoryQuery {
    /// All records about one item.
    #[must_use]
    pub fn about(item: NotificationId) -> Self {
        Self { of: Some(item), ..Self::default() }
    }
}

/// An agenda entry that came due, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueEntry {
    /// The tenant.
    pub app: AppId,
    /// Whose.
    pub user: UserRef,
    /// What.
    pub entry: AgendaEntry,
}

/// Why the projection did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionError {
    /// The partition was never claimed: its state is unknown, which is not the same as empty.
    #[error("partition {0} is not built")]
    NotBuilt(Partition),
    /// The projection belongs to another log.
    #[error("projection belongs to another log")]
    OtherLog,
    /// What is stored cannot be read.
    #[error("damaged: {reason}")]
    Damaged {
        /// What is wrong.
        reason: String,
    },
    /// The storage cannot be reached now.
    #[error("projection unavailable: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

/// What a feed tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedEvent {
    /// Events were folded that touched pieces of these users.
    Changed {
        /// The next event to fold after it.
        checkpoint: Offset,
        /// The users, each once.
        users: Vec<UserRef>,
    },
    /// The reader was too slow; anything may have changed.
    Lagged,
}

/// Tells of changes of a partition's state.
///
/// # Contract
/// - A change is told after it is visible; what came before the subscription is not told.
/// - The feed is bounded: a slow reader gets [`FeedEvent::Lagged`] and goes on.
/// - `next` may be dropped while it waits without losing anything.
#[async_trait]
pub trait ChangeFeed: Send {
    /// Waits for the next change.
    ///
    /// # Errors
    /// [`ProjectionError`] if the feed broke; subscribe again.
    async fn next(&mut self) -> Result<FeedEvent, ProjectionError>;
}

/// Current state.
///
/// # Contract
/// - `claim` fences every earlier claim of the same stream and partition, and no other; the first
///   claim starts at offset 0.
/// - `apply_all` stores pieces, agenda, history and checkpoint of each step in one atomic write, if
///   the epoch is the latest claimed and `from` is the stored checkpoint; otherwise it stores nothing
///   of that step. It may store several in one write, and does so best if there is one of each
///   partition, in their order.
/// - `view`, `items` and `due` see one instant each: the state and the checkpoint belong together.
/// - A partition whose events were never claimed answers [`ProjectionError::NotBuilt`], never an
///   empty state.
/// - A crash may lose the latest writes, but always a whole suffix of them, checkpoint included.
#[async_trait]
pub trait Projection: Send + Sync {
    /// Becomes the only writer of what `stream` adds to the partition.
    ///
    /// # Errors
    /// [`ProjectionError`].
    async fn claim(&self, partition: Partition, stream: Stream) -> Result<Claim, ProjectionError>;

    /// Stores steps of folds. Answers once per step, in order. After a [`ProjectionError`] a step may
    /// be stored or not; `claim` tells.
    async fn apply_all(&self, writes: Vec<Write>) -> Vec<Result<Applied, ProjectionError>>;

    /// Reads pieces. All keys belong to users of `partition`.
    ///
    /// # Errors
    /// [`ProjectionError`].
    async fn view(&self, partition: Partition, keys: &[PieceKey])
    -> Result<Views, ProjectionError>;

    /// Lists a user's items.
    ///
    /// # Errors
    /// [`ProjectionError`].
    async fn items(
        &self,
        partition: Partition,
        user: UserRef,
        query: ItemQuery,
    ) -> Result<Items, ProjectionError>;

    /// Records about a user, or about one of the user's items, in the order of [`RecordRef`].
    /// Records about the user but no item (registrations) are among the former only.
    ///
    /// # Errors
    /// [`ProjectionError`].
    async fn history(
        &self,
        partition: Partition,
        user: UserRef,
        query: HistoryQuery,
    ) -> Result<Vec<RecordRef>, ProjectionError>;

    /// The agenda entries of the partition due at or before `until`, earliest first, at most
    /// `limit`.
    ///
    /// # Errors
    /// [`ProjectionError`].
    async fn due(
        &self,
        partition: Partition,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueEntry>, ProjectionError>;

    /// Subscribes to changes of the partition from now on.
    ///
    /// # Errors
    /// [`ProjectionError`].
    async fn feed(&self, partition: Partition) -> Result<Box<dyn ChangeFeed>, ProjectionError>;
}

impl dyn Projection + '_ {
    /// Stores one step, as [`Projection::apply_all`] does.
    ///
    /// # Errors
    /// [`ProjectionError`]; the step may then be stored or not, `claim` tells.
    pub async fn apply(&self, write: Write) -> Result<Applied, ProjectionError> {
        let silent = || ProjectionError::Unavailable { reason: "it gave no answer".into() };
        self.apply_all(vec![write]).await.pop().ok_or_else(silent)?
    }
}
