//! What the suites of the projection stand on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use async_trait::async_trait;
use campanile_core::port::{
    AgendaWrite, Applied, Claim, PieceKey, Projection, ProjectionError, RecordRef, Stream, Views,
    Write,
};
use campanile_core::{
    AgendaChange, AgendaEntry, Event, Generation, LogIdentity, Offset, Partition, Recorded,
    Timestamp, UserRef,
};

use crate::strategy::recorded;
use crate::vocabulary::{START, app};
use crate::world::World;

/// Makes projections for the suites.
#[async_trait]
pub trait ProjectionFactory: Send + Sync {
    /// A projection that is open, and whatever its storage lives in.
    type Open: OpenProjection;

    /// A new projection of `log`, of which nothing is built.
    async fn create(&self, log: LogIdentity) -> Self::Open;

    /// Closes a projection and opens the same storage again, for `log`; an adapter that stores
    /// nothing answers the same projection.
    ///
    /// # Errors
    /// [`ProjectionError::OtherLog`] if it is a projection of another log.
    async fn reopen(
        &self,
        open: Self::Open,
        log: LogIdentity,
    ) -> Result<Self::Open, ProjectionError>;

    /// After how many changes that nobody took a feed certainly lags.
    fn feed_holds(&self) -> usize;
}

/// A projection, open.
pub trait OpenProjection: Send + Sync {
    /// It.
    fn projection(&self) -> &dyn Projection;
}

/// The log whose projections are made.
pub(super) const LOG: LogIdentity =
    LogIdentity { id: [9; 16], generation: Generation(1), partitions: 64 };

/// The partition most checks write.
pub(super) const P0: Partition = Partition(0);

/// A fold of one stream of one partition, written step by step.
pub(super) struct Writer<'a> {
    pub(super) projection: &'a dyn Projection,
    pub(super) partition: Partition,
    pub(super) stream: Stream,
    pub(super) claim: Claim,
    pub(super) time: Timestamp,
    pub(super) world: World,
}

impl<'a> Writer<'a> {
    /// Claims the events of [`P0`].
    pub(super) async fn new(open: &'a impl OpenProjection) -> Self {
        Self::of(open.projection(), P0, Stream::Events).await
    }

    pub(super) async fn of(
        projection: &'a dyn Projection,
        partition: Partition,
        stream: Stream,
    ) -> Self {
        let claim = projection.claim(partition, stream).await.unwrap();
        let (time, world) = (START, World::default());
        Self { projection, partition, stream, claim, time, world }
    }

    /// A step over one offset that changes nothing else.
    pub(super) fn nothing(&self) -> Write {
        let Claim { epoch, next: from } = self.claim;
        Write {
            partition: self.partition,
            stream: self.stream,
            epoch,
            from,
            to: from.next(),
            time: self.time,
            pieces: Vec::new(),
            agenda: Vec::new(),
            history: Vec::new(),
        }
    }

    /// The step that folds `event`, about `user`, at the next offset.
    pub(super) fn fold(&mut self, user: UserRef, event: Event) -> Write {
        self.fold_all([(user, event)])
    }

    /// The step that folds these events at the next offsets.
    pub(super) fn fold_all(&mut self, events: impl IntoIterator<Item = (UserRef, Event)>) -> Write {
        let mut step = Write { to: self.claim.next, ..self.nothing() };
        for (user, event) in events {
            let record = recorded(step.to.0, self.time, user, event);
            step = Self::then(&mut self.world, step, &record);
        }
        step
    }

    /// The step that does what `step` does, and folds `record` after it.
    pub(super) fn then(world: &mut World, mut step: Write, record: &Recorded) -> Write {
        let (offset, user) = (record.position.offset, record.fact.user);
        let changes = world.apply(record);
        for piece in world.written(record, &changes) {
            step.pieces.retain(|earlier| earlier.key != piece.key);
            step.pieces.push(piece);
        }
        step.agenda.extend(changes.agenda.iter().map(|change| agenda(user, *change)));
        let about = RecordRef { stream: Stream::Events, offset };
        step.history.push((user, record.fact.event.item(), about));
        Write { to: offset.next(), time: record.time, ..step }
    }

    /// Stores a step that must be taken.
    pub(super) async fn put(&mut self, write: Write) {
        let to = write.to;
        let applied = self.projection.apply(write).await;
        assert_eq!(applied, Ok(Applied::Applied));
        self.claim.next = to;
    }

    /// Folds and stores an event.
    pub(super) async fn record(&mut self, user: UserRef, event: Event) {
        let write = self.fold(user, event);
        self.put(write).await;
    }

    /// Lets the partition's time come to `time`.
    pub(super) async fn wait_until(&mut self, time: Timestamp) {
        self.time = time;
        self.put(self.nothing()).await;
    }

    pub(super) async fn view(&self, keys: &[PieceKey]) -> Views {
        self.projection.view(self.partition, keys).await.unwrap()
    }
}

/// A change of a user's agenda.
pub(super) fn agenda(user: UserRef, change: AgendaChange) -> AgendaWrite {
    AgendaWrite { app: app(), user, change }
}

/// An entry of a user's agenda put down.
pub(super) fn add(user: UserRef, entry: AgendaEntry) -> AgendaWrite {
    agenda(user, AgendaChange::Add(entry))
}

/// A mention of the record at `offset`.
pub(super) fn record(stream: Stream, offset: u64) -> RecordRef {
    RecordRef { stream, offset: Offset(offset) }
}
