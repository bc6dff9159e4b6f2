//! Sweeps: an event that names many items becomes an event for each of them, step by step.
//!
//! A step reads a bounded number of items, records what follows for each, and then that it is
//! done. If something fails in between, the step is repeated: of an item that has its event
//! already nothing is left to do.

use std::collections::BTreeSet;
use std::ops::Range;

use campanile_core::port::{
    DueEntry, HistoryQuery, ItemOrder, ItemQuery, NewRecord, Piece, PieceKey, ProjectionError,
    ReadLimit, Stream,
};
use campanile_core::{
    Event, Fact, Limits, NotificationId, Offset, Partition, Position, Recorded, Sweep, SweepStep,
    UserRef, swept,
};
use campanile_proto::codec;

use super::{BATCH, Scheduler};
use crate::projector::open::decode;

/// Items looked at in one step at most.
const STEP: usize = 1024;

/// What a step found: an event for each item that is meant, and where to go on.
#[derive(Debug, Default)]
struct Found {
    events: Vec<(UserRef, Event)>,
    next: Option<Offset>,
}

impl Scheduler {
    /// Does the next step of a sweep, with state that is folded up to `folded` at least; answers
    /// where it is recorded.
    pub(super) async fn sweep(
        &self,
        partition: Partition,
        due: &DueEntry,
        sweep: Sweep,
        folded: Offset,
    ) -> Result<Offset, String> {
        let begun = self.open(partition, &[sweep.event]).await?.pop();
        let found = match &begun {
            Some(begun) if matches!(begun.fact.event, Event::CampaignRecalled { .. }) => {
                self.of_campaign(partition, sweep, folded, begun).await?
            }
            Some(begun) => self.of_user(partition, sweep, folded, begun).await?,
            // The log has it no more: what it meant ended before.
            None => Found::default(),
        };
        let fact = |user, event| {
            let cause = begun.as_ref().and_then(|begun| begun.fact.cause.clone());
            let fact = Fact { app: due.app.clone(), user, cause, event };
            NewRecord { partition, user, body: codec::encode_fact(&fact) }
        };
        self.parts.telemetry.scheduler_swept.add(found.events.len());
        let records = found.events.into_iter().map(|(user, event)| fact(user, event));
        let records: Vec<_> = records.collect();
        for batch in records.chunks(BATCH) {
            self.record(batch.to_vec()).await?;
        }
        let step = SweepStep { at: due.entry.at, sweep, next: found.next };
        let at = self.record(vec![fact(due.user, Event::SweepAdvanced(step))]).await?;
        if let Some(begun) = begun.as_ref().filter(|_| sweep.from == Offset(0)) {
            self.tell_if_cut(partition, begun).await;
        }
        at.ok_or_else(|| "log gave no answer".to_owned())
    }

    /// Items of a campaign: those posted with its name, as far as they still have it.
    async fn of_campaign(
        &self,
        partition: Partition,
        sweep: Sweep,
        folded: Offset,
        begun: &Recorded,
    ) -> Result<Found, String> {
        let Event::CampaignRecalled { campaign } = &begun.fact.event else {
            return Ok(Found::default());
        };
        let campaign = UserRef::of_campaign(&begun.fact.app, campaign, partition);
        let projection = &self.parts.projection;
        let (stream, from) = (Some(Stream::Events), sweep.from);
        let query = HistoryQuery { stream, from, limit: STEP, ..HistoryQuery::default() };
        let listed = projection.history(partition, campaign, query).await.map_err(text)?;
        let places: Vec<_> = listed.iter().map(|record| record.offset).collect();
        let earlier: Vec<_> = places.iter().copied().filter(|at| *at < sweep.event).collect();
        let mut items: BTreeSet<(UserRef, NotificationId)> = BTreeSet::new();
        for chunk in earlier.chunks(BATCH) {
            let posts = self.open(partition, chunk).await?.into_iter();
            items.extend(posts.filter_map(|post| Some((post.fact.user, post.fact.event.item()?))));
        }
        let keys: Vec<_> = items.iter().map(|(user, id)| PieceKey::Item(*user, *id)).collect();
        let views = projection.view(partition, &keys).await.map_err(text)?;
        check(views.checkpoint, sweep, folded)?;
        let mut events = Vec::new();
        for (key, piece) in keys.iter().zip(views.pieces) {
            let Some(Piece::Item(item)) = piece else { continue };
            let event = swept(&begun.fact.event, sweep.event, &item);
            events.extend(event.map(|event| (key.user(), event)));
        }
        let is_last = listed.len() < STEP || earlier.len() < places.len();
        let next = places.last().filter(|_| !is_last).map(|last| last.next());
        Ok(Found { events, next })
    }

    /// Items are found by the records that posted them. Those whose record is dropped while they
    /// live, because the log keeps less than the longest life, are not found: that must not pass
    /// unsaid.
    async fn tell_if_cut(&self, partition: Partition, begun: &Recorded) {
        if !matches!(begun.fact.event, Event::CampaignRecalled { .. }) {
            return;
        }
        let log = &self.parts.log;
        let Ok(Range { start: first @ Offset(1..), .. }) = log.bounds(partition).await else {
            return;
        };
        let limit = ReadLimit { records: 1, bytes: 1 };
        let Ok(kept) = log.read(partition, first, limit).await else { return };
        let kept = kept.records.first().map_or(begun.time, |record| record.time);
        if begun.time.since(kept) < Limits::LONGEST_LIFE {
            self.parts.telemetry.scheduler_sweeps_cut.add(1);
            tracing::warn!(%partition, since = %kept, "a campaign's recall finds nothing older");
        }
    }

    /// Items of a user, in the order in which they changed: one that changes meanwhile comes
    /// later.
    async fn of_user(
        &self,
        partition: Partition,
        sweep: Sweep,
        folded: Offset,
        begun: &Recorded,
    ) -> Result<Found, String> {
        let (order, user) = (ItemOrder::OldestFirst, begun.fact.user);
        let after = sweep.from.0.checked_sub(1).map(Offset);
        let query = ItemQuery { order, after, limit: STEP };
        let found = self.parts.projection.items(partition, user, query).await.map_err(text)?;
        check(found.checkpoint, sweep, folded)?;
        let next = found.items.last().filter(|_| found.more).map(|item| item.changed_at().next());
        let events = found.items.iter();
        let events = events.filter_map(|item| swept(&begun.fact.event, sweep.event, item));
        Ok(Found { events: events.map(|event| (user, event)).collect(), next })
    }

    async fn open(&self, partition: Partition, at: &[Offset]) -> Result<Vec<Recorded>, String> {
        let log = &self.parts.log;
        let generation = log.identity().generation;
        let records = log.fetch(partition, at).await.map_err(|error| error.to_string())?;
        let open = |record: campanile_core::port::Record| {
            let position = Position { generation, partition, offset: record.offset };
            decode(&record, position, &self.parts.telemetry)
        };
        Ok(records.into_iter().flatten().filter_map(open).collect())
    }

    /// Appends all of `records`; answers where the last one stands.
    pub(super) async fn record(&self, records: Vec<NewRecord>) -> Result<Option<Offset>, String> {
        let mut last = None;
        for answer in self.parts.log.append(records).await {
            last = Some(answer.map_err(|error| error.to_string())?.offset);
        }
        Ok(last)
    }
}

/// Refuses state that does not have everything in it that the sweep means.
fn check(checkpoint: Offset, sweep: Sweep, folded: Offset) -> Result<(), String> {
    if checkpoint <= sweep.event || checkpoint < folded {
        return Err(format!("folded to {checkpoint} only, for {sweep:?}"));
    }
    Ok(())
}

fn text(error: ProjectionError) -> String {
    error.to_string()
}
