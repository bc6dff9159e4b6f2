//! A projection in memory.

mod feed;
mod namespace;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use campanile_core::port::{
    AgendaWrite, Applied, CarriedState, ChangeFeed, Claim, DueEntry, Epoch, HistoryQuery,
    ItemOrder, ItemQuery, Items, Piece, PieceKey, PieceWrite, Projection, ProjectionError,
    RecordRef, Stream, Views, Write,
};
use campanile_core::{
    AgendaChange, AgendaEntry, AppId, Item, LogIdentity, NotificationId, Offset, Partition,
    Timestamp, UserRef,
};
use tokio::sync::RwLock;

use super::lock;
use feed::Feeds;

/// Current state, in memory. Clones are the same projection.
///
/// A write is durable at once, feeds are not. A piece is dropped as soon as its `keep_until`
/// allows, so that whoever counts on it longer is found out.
#[derive(Clone)]
pub struct MemoryProjection {
    log: LogIdentity,
    state: Arc<Mutex<State>>,
    /// Shared by whoever applies a step; taken alone to make another namespace serve.
    writers: Arc<RwLock<()>>,
}

#[derive(Default)]
struct State {
    durable: BTreeMap<Partition, Built>,
    feeds: BTreeMap<Partition, Feeds>,
}

/// What a crash leaves of one partition.
#[derive(Clone, Default)]
struct Built {
    /// The fold of each stream that was claimed: epoch and checkpoint.
    folds: BTreeMap<Stream, (Epoch, Offset)>,
    /// How far the events' time has come. Receipts do not move it: what they are ahead of, events
    /// that are still to be folded may need.
    time: Timestamp,
    pieces: BTreeMap<PieceKey, (Piece, Option<Timestamp>)>,
    agenda: BTreeMap<(AgendaEntry, UserRef), AppId>,
    history: BTreeMap<UserRef, Vec<(Option<NotificationId>, RecordRef)>>,
}

/// A whole projection as it was at one moment.
#[derive(Clone)]
pub struct ProjectionSnapshot(BTreeMap<Partition, Built>);

impl MemoryProjection {
    /// How many changes a feed holds for a slow reader.
    pub const FEED_HOLDS: usize = feed::HOLDS;

    /// A projection of `log`, of which nothing is built.
    #[must_use]
    pub fn new(log: LogIdentity) -> Self {
        Self { log, state: Arc::default(), writers: Arc::default() }
    }

    /// Opens it again, for `log`.
    ///
    /// # Errors
    /// [`ProjectionError::OtherLog`] if it is a projection of another.
    pub fn reopen(&self, log: LogIdentity) -> Result<Self, ProjectionError> {
        if log == self.log { Ok(self.clone()) } else { Err(ProjectionError::OtherLog) }
    }

    /// Loses everything, as when the storage is flushed. Nothing is built then, and feeds break.
    pub fn wipe(&self) {
        *self.lock() = State::default();
    }

    /// Keeps the present content, to be restored later.
    #[must_use]
    pub fn snapshot(&self) -> ProjectionSnapshot {
        ProjectionSnapshot(self.lock().durable.clone())
    }

    /// Goes back to `snapshot`, as when a stale replica takes over: every later write is lost,
    /// claims among them, and feeds break.
    pub fn restore(&self, snapshot: ProjectionSnapshot) {
        *self.lock() = State { durable: snapshot.0, feeds: BTreeMap::new() };
    }

    /// All of a partition's state, at one instant.
    ///
    /// # Errors
    /// [`ProjectionError::NotBuilt`].
    pub fn whole(&self, partition: Partition) -> Result<CarriedState, ProjectionError> {
        let state = self.lock();
        let built = state.built(partition)?;
        let piece =
            |(key, (piece, keep_until)): (&PieceKey, &(Piece, Option<Timestamp>))| PieceWrite {
                key: *key,
                piece: piece.clone(),
                keep_until: *keep_until,
                is_new: false,
                comes_again: false,
            };
        let entry = |((entry, user), app): (&(AgendaEntry, UserRef), &AppId)| AgendaWrite {
            app: app.clone(),
            user: *user,
            change: AgendaChange::Add(*entry),
        };
        Ok(CarriedState {
            as_of: built.checkpoint(),
            time: built.time,
            pieces: built.pieces.iter().map(piece).collect(),
            agenda: built.agenda.iter().map(entry).collect(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn built(&self, partition: Partition) -> Result<&Built, ProjectionError> {
        let built = self.durable.get(&partition);
        let built = built.filter(|built| built.folds.contains_key(&Stream::Events));
        built.ok_or(ProjectionError::NotBuilt(partition))
    }

    fn apply(&mut self, write: Write) -> Result<Applied, ProjectionError> {
        let (partition, stream, checkpoint) = (write.partition, write.stream, write.to);
        let built = self.durable.get_mut(&partition);
        let built = built.ok_or(ProjectionError::NotBuilt(partition))?;
        let fold = built.folds.get(&stream).copied();
        let (epoch, next) = fold.ok_or(ProjectionError::NotBuilt(partition))?;
        if write.epoch != epoch {
            return Ok(Applied::Fenced);
        }
        if write.from != next {
            return Ok(Applied::Gap(next));
        }
        let users: BTreeSet<UserRef> = write.pieces.iter().map(|it| it.key.user()).collect();
        built.store(write);
        if stream == Stream::Events
            && let Some(feeds) = self.feeds.get(&partition)
        {
            feeds.tell(checkpoint, users);
        }
        Ok(Applied::Applied)
    }
}

impl Built {
    /// The next event to fold.
    fn checkpoint(&self) -> Offset {
        self.folds.get(&Stream::Events).map_or(Offset(0), |(_, next)| *next)
    }

    fn store(&mut self, write: Write) {
        for piece in write.pieces {
            let is_there = self.pieces.contains_key(&piece.key);
            assert!(!(piece.is_new && is_there), "{:?} is there already", piece.key);
            self.pieces.insert(piece.key, (piece.piece, piece.keep_until));
        }
        for AgendaWrite { app, user, change } in write.agenda {
            match change {
                AgendaChange::Add(entry) => self.agenda.insert((entry, user), app),
                AgendaChange::Remove(entry) => self.agenda.remove(&(entry, user)),
            };
        }
        for (user, item, record) in write.history {
            self.history.entry(user).or_default().push((item, record));
        }
        self.folds.insert(write.stream, (write.epoch, write.to));
        if write.stream == Stream::Events {
            let now = self.time.max(write.time);
            self.time = now;
            self.pieces.retain(|_, (_, keep_until)| keep_until.is_none_or(|until| now <= until));
        }
    }

    fn items(&self, user: UserRef, query: ItemQuery) -> Items {
        let from = PieceKey::Item(user, NotificationId::from_bytes([0; 16]));
        let to = PieceKey::Item(user, NotificationId::from_bytes([u8::MAX; 16]));
        let mut items: Vec<Arc<Item>> = self
            .pieces
            .range(from..=to)
            .filter_map(|(_, (piece, _))| match piece {
                Piece::Item(item) => Some(item.clone()),
                Piece::Reach(_) | Piece::Request(_) | Piece::Holder(_) => None,
            })
            .collect();
        items.sort_by_key(|item| item.changed_at());
        match query.order {
            ItemOrder::OldestFirst => items.retain(|it| Some(it.changed_at()) > query.after),
            ItemOrder::NewestFirst => {
                items.retain(|it| query.after.is_none_or(|after| it.changed_at() < after));
                items.reverse();
            }
        }
        let more = items.len() > query.limit;
        items.truncate(query.limit);
        Items { checkpoint: self.checkpoint(), items, more }
    }
}

#[async_trait]
impl Projection for MemoryProjection {
    async fn claim(&self, partition: Partition, stream: Stream) -> Result<Claim, ProjectionError> {
        if partition.0 >= self.log.partitions {
            return Err(ProjectionError::NotBuilt(partition));
        }
        let mut state = self.lock();
        let built = state.durable.entry(partition).or_default();
        let (epoch, next) = built.folds.entry(stream).or_insert((Epoch(0), Offset(0)));
        epoch.0 += 1;
        Ok(Claim { epoch: *epoch, next: *next })
    }

    async fn apply_all(&self, writes: Vec<Write>) -> Vec<Result<Applied, ProjectionError>> {
        let _others_may_write = self.writers.read().await;
        let mut state = self.lock();
        writes.into_iter().map(|write| state.apply(write)).collect()
    }

    async fn view(
        &self,
        partition: Partition,
        keys: &[PieceKey],
    ) -> Result<Views, ProjectionError> {
        let state = self.lock();
        let built = state.built(partition)?;
        let piece = |key| built.pieces.get(key).map(|(piece, _)| piece.clone());
        Ok(Views { checkpoint: built.checkpoint(), pieces: keys.iter().map(piece).collect() })
    }

    async fn items(
        &self,
        partition: Partition,
        user: UserRef,
        query: ItemQuery,
    ) -> Result<Items, ProjectionError> {
        Ok(self.lock().built(partition)?.items(user, query))
    }

    async fn history(
        &self,
        partition: Partition,
        user: UserRef,
        query: HistoryQuery,
    ) -> Result<Vec<RecordRef>, ProjectionError> {
        let state = self.lock();
        let records = state.built(partition)?.history.get(&user).into_iter().flatten();
        let HistoryQuery { of, stream, from, limit } = query;
        let is_wanted = |(item, record): &&(Option<NotificationId>, RecordRef)| {
            (of.is_none() || *item == of)
                && stream.is_none_or(|stream| record.stream == stream)
                && record.offset >= from
        };
        let mut wanted: Vec<_> = records.filter(is_wanted).map(|(_, record)| *record).collect();
        wanted.sort_unstable();
        wanted.truncate(limit);
        Ok(wanted)
    }

    async fn due(
        &self,
        partition: Partition,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueEntry>, ProjectionError> {
        let state = self.lock();
        let agenda = state.built(partition)?.agenda.iter().take(limit);
        let due = agenda.take_while(|((entry, _), _)| entry.at <= until);
        let named = due.map(|((entry, user), app)| {
            let app = app.clone();
            DueEntry { app, user: *user, entry: *entry }
        });
        Ok(named.collect())
    }

    async fn feed(&self, partition: Partition) -> Result<Box<dyn ChangeFeed>, ProjectionError> {
        let mut state = self.lock();
        state.built(partition)?;
        Ok(state.feeds.entry(partition).or_default().subscribe())
    }
}
