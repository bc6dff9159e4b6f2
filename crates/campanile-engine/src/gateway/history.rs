//! History: what the log says about an item, and how it stood at any time.

use campanile_core::port::{EventLog, HistoryQuery, Piece, PieceKey, Record, Stream};
use campanile_core::{
    Changes, Item, NotificationId, Offset, Partition, Position, PostVerdict, Receipt, Recorded,
    Timestamp, touches,
};
use std::sync::Arc;

use super::Gateway;
use crate::edge::{Target, Whom};
use crate::pieces::Pieces;
use crate::planted::Planted;
use crate::projector::open::{decode, decode_receipt};
use crate::{Error, RequestContext};

/// Records of one user that a question about the past reads at most.
const MOST: usize = 100_000;
/// Records fetched at once.
const CHUNK: usize = 512;

/// One line of an item's timeline.
#[derive(Clone, Debug)]
pub enum TimelineEntry {
    /// Something happened.
    Event {
        /// What.
        recorded: Box<Recorded>,
        /// What became of it, if it was a post or a redelivery.
        verdict: Option<PostVerdict>,
        /// Whether it changed the item.
        changed: bool,
    },
    /// Deliveries ended.
    Receipt {
        /// Where the receipt stands in the receipts.
        position: Position,
        /// When it was recorded.
        time: Timestamp,
        /// What came of the deliveries.
        receipt: Receipt,
    },
}

impl TimelineEntry {
    /// When it was recorded.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        match self {
            Self::Event { recorded, .. } => recorded.time,
            Self::Receipt { time, .. } => *time,
        }
    }
}

/// Everything that is recorded about an item.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// In order of time.
    pub entries: Vec<TimelineEntry>,
    /// Whether the log reaches back to its beginning; otherwise older entries may be missing, also
    /// all of them.
    pub complete: bool,
}

/// An item at an instant.
#[derive(Clone, Debug)]
pub struct StateAt {
    /// The item, if there was one.
    pub item: Option<Arc<Item>>,
    /// Whether the log reaches back to its beginning; otherwise older records may be missing.
    pub complete: bool,
}

impl Gateway {
    /// Everything recorded about an item, in order of time.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nothing is.
    pub async fn timeline(
        &self,
        context: &RequestContext,
        target: &Target,
        id: NotificationId,
    ) -> Result<Timeline, Error> {
        let whom = self.edge.whom(&context.app, target)?;
        self.edge.belongs(&whom, id)?;
        // What became of a post depends on requests for other items, so all of the user's events
        // are folded, and the item's are shown.
        let mut pieces = Pieces::new(Planted::default());
        let mut entries = Vec::new();
        for recorded in self.events(&whom).await? {
            let Changes { verdict, item: changed, .. } = fold(&mut pieces, &recorded);
            if recorded.fact.event.item() == Some(id) {
                let recorded = Box::new(recorded);
                entries.push(TimelineEntry::Event { recorded, verdict, changed });
            }
        }
        entries.extend(self.receipts(&whom, id).await?);
        let complete = self.edge.events.bounds(whom.partition).await?.start == Offset(0)
            && self.edge.receipts.bounds(whom.partition).await?.start == Offset(0);
        if entries.is_empty() && (complete || !self.is_known(&whom, id).await?) {
            return Err(Error::NotFound { what: "notification" });
        }
        entries.sort_by_key(TimelineEntry::time);
        Ok(Timeline { entries, complete })
    }

    /// Whether the item is remembered, whatever the log still has of it.
    async fn is_known(&self, whom: &Whom, id: NotificationId) -> Result<bool, Error> {
        let key = PieceKey::Item(whom.user, id);
        let views = self.edge.projection.view(whom.partition, &[key]).await?;
        Ok(views.pieces.iter().any(Option::is_some))
    }

    /// How an item stood at `at`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if `at` is in the future or before what the log keeps.
    pub async fn state_at(
        &self,
        context: &RequestContext,
        target: &Target,
        id: NotificationId,
        at: Timestamp,
    ) -> Result<StateAt, Error> {
        let whom = self.edge.whom(&context.app, target)?;
        self.edge.belongs(&whom, id)?;
        if at > self.edge.clock.now() {
            let reason = "is in the future".to_owned();
            return Err(Error::OutOfRange { field: "at", reason });
        }
        let kept = self.edge.events.bounds(whom.partition).await?;
        let complete = kept.start == Offset(0);
        if !complete {
            self.check_kept(whom.partition, kept.start, at).await?;
        }
        let mut pieces = Pieces::new(Planted::default());
        for recorded in self.events(&whom).await? {
            if recorded.time <= at {
                fold(&mut pieces, &recorded);
            }
        }
        let item = match pieces.get(&PieceKey::Item(whom.user, id)) {
            Some(Piece::Item(item)) => Some(item.clone()),
            _ => None,
        };
        Ok(StateAt { item, complete })
    }

    async fn check_kept(
        &self,
        partition: Partition,
        first: Offset,
        at: Timestamp,
    ) -> Result<(), Error> {
        let first = self.edge.events.fetch(partition, &[first]).await?;
        let oldest = first.into_iter().flatten().next().map(|record| record.time);
        match oldest {
            Some(oldest) if at < oldest => {
                let reason = format!("is before {oldest}, where the log begins");
                Err(Error::OutOfRange { field: "at", reason })
            }
            _ => Ok(()),
        }
    }

    /// A user's events, by everything that is durable now. With a projection that is further behind
    /// than a moment, what it knows.
    pub(super) async fn events(&self, whom: &Whom) -> Result<Vec<Recorded>, Error> {
        if !self.is_caught_up(whom.partition).await? {
            self.edge.telemetry.gateway_history_unseen.add(1);
        }
        let found = self.records(whom, None, Stream::Events, &*self.edge.events).await?;
        let generation = self.edge.events.identity().generation;
        let open = |record: &Record| {
            let position =
                Position { generation, partition: whom.partition, offset: record.offset };
            decode(record, position, &self.edge.telemetry)
        };
        Ok(found.iter().filter_map(open).collect())
    }

    pub(super) async fn receipts(
        &self,
        whom: &Whom,
        id: NotificationId,
    ) -> Result<Vec<TimelineEntry>, Error> {
        let found = self.records(whom, Some(id), Stream::Receipts, &*self.edge.receipts).await?;
        let generation = self.edge.receipts.identity().generation;
        let open = |record: Record| {
            let position =
                Position { generation, partition: whom.partition, offset: record.offset };
            let receipt = decode_receipt(&record, &self.edge.telemetry)?;
            Some(TimelineEntry::Receipt { position, time: record.time, receipt })
        };
        Ok(found.into_iter().filter_map(open).collect())
    }

    async fn records(
        &self,
        whom: &Whom,
        of: Option<NotificationId>,
        stream: Stream,
        log: &dyn EventLog,
    ) -> Result<Vec<Record>, Error> {
        let query = HistoryQuery { of, stream: Some(stream), from: Offset(0), limit: MOST + 1 };
        let history = self.edge.projection.history(whom.partition, whom.user, query).await?;
        let at: Vec<_> = history.iter().map(|record| record.offset).collect();
        if at.len() > MOST {
            let reason = format!("the user has more than {MOST} records");
            return Err(Error::Exhausted { reason, retry_after: None });
        }
        let mut records = Vec::with_capacity(at.len());
        for chunk in at.chunks(CHUNK) {
            records.extend(log.fetch(whom.partition, chunk).await?.into_iter().flatten());
        }
        Ok(records)
    }
}

/// Folds an event, where whatever was not met before is known to be absent.
pub(super) fn fold(pieces: &mut Pieces, recorded: &Recorded) -> Changes {
    for key in touches(recorded.fact.user, &recorded.fact.event) {
        if !pieces.is_known(&key) {
            pieces.put(key, None, Offset(0));
        }
    }
    pieces.fold(recorded).0
}
