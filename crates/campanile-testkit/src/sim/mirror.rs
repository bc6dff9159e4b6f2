//! G5: the projection at its checkpoint equals the fold of the log up to there, whatever crashed.

use std::collections::{BTreeMap, BTreeSet};

use campanile_core::port::{
    EventLog, HistoryQuery, ItemOrder, ItemQuery, Piece, PieceKey, Projection, RecordRef, Stream,
};
use campanile_core::{AgendaEntry, Offset, Partition, Recorded, Timestamp, UserRef, found_under};

use super::past::{Past, open};
use super::roles::Ground;
use crate::world::World;

/// Everything.
const MANY: usize = 100_000;

/// The fold of every partition up to where the projection was last seen.
#[derive(Default)]
pub(crate) struct Mirror {
    partitions: BTreeMap<Partition, Folded>,
}

#[derive(Default)]
struct Folded {
    world: World,
    next: Offset,
    time: Timestamp,
    users: BTreeMap<UserRef, Vec<Offset>>,
}

impl Folded {
    fn fold(&mut self, recorded: &Recorded) {
        self.world.forget(recorded.time);
        let changes = self.world.apply(recorded);
        (self.next, self.time) = (recorded.position.offset.next(), recorded.time);
        // After a rebuild from what is carried, retirements to no effect may be listed too.
        let retired = UserRef::of_retired(&recorded.fact.app, recorded.position.partition);
        for (user, _) in found_under(recorded, &changes).filter(|(user, _)| *user != retired) {
            self.users.entry(user).or_default().push(recorded.position.offset);
        }
    }

    /// Until when a projection must keep a piece.
    fn may_be_dropped(&self, piece: &Piece) -> bool {
        match piece {
            Piece::Reach(_) => false,
            Piece::Item(item) => item.keep_until() < self.time,
            Piece::Request(request) => request.until < self.time,
            Piece::Holder(holder) => holder.keep_until() < self.time,
        }
    }
}

impl Mirror {
    /// Compares every partition that is built.
    pub(crate) async fn check(&mut self, ground: &Ground) {
        for partition in ground.logs.events.identity().partitions() {
            let Ok(views) = ground.projection.view(partition, &[]).await else { continue };
            let checkpoint = views.checkpoint;
            let folded = self.partitions.entry(partition).or_default();
            if folded.next > checkpoint {
                *folded = Folded::default();
            }
            for recorded in open(&ground.logs, partition, folded.next).await {
                if recorded.position.offset < checkpoint {
                    folded.fold(&recorded);
                }
            }
            if let Some(wrong) = compare(ground, partition, folded).await {
                let line = format!("partition {partition} at {checkpoint}: {wrong}");
                ground.stage.broken("G5", line);
            }
        }
    }
}

/// The first difference, in words.
async fn compare(ground: &Ground, partition: Partition, folded: &Folded) -> Option<String> {
    let keys: Vec<PieceKey> = folded.world.pieces().map(|(key, _)| *key).collect();
    let views = ground.projection.view(partition, &keys).await.ok()?;
    for ((key, expected), found) in folded.world.pieces().zip(&views.pieces) {
        let name = Past::name(key);
        match found {
            Some(found) if found == expected => {}
            None if folded.may_be_dropped(expected) => {}
            found => return Some(format!("{name} is {found:?}, not {expected:?}")),
        }
    }
    let mut agenda = BTreeSet::new();
    for (user, events) in &folded.users {
        agenda.extend(folded.world.agenda(*user).map(|entry| (entry, *user)));
        let query = ItemQuery { order: ItemOrder::OldestFirst, after: None, limit: MANY };
        let items = ground.projection.items(partition, *user, query).await.ok()?.items;
        if let Some(item) = items.iter().find(|it| folded.world.item(*user, it.id).is_none()) {
            return Some(format!("{item:?} came from nowhere, at {}", folded.time));
        }
        let history =
            ground.projection.history(partition, *user, HistoryQuery::default()).await.ok()?;
        let history = history.into_iter().filter(|it| it.stream == Stream::Events);
        let history: Vec<_> = history.map(|RecordRef { offset, .. }| offset).collect();
        // What the log has forgotten is not found.
        let floor = ground.logs.floor(partition);
        let kept = |offset: &&Offset| **offset >= floor;
        if !history.iter().filter(kept).eq(events.iter().filter(kept)) {
            return Some(format!("history of {user} is {history:?}, not {events:?}"));
        }
    }
    let end = Timestamp::from_millis(u64::MAX);
    let due = ground.projection.due(partition, end, MANY).await.ok()?;
    let due: BTreeSet<(AgendaEntry, UserRef)> =
        due.into_iter().map(|due| (due.entry, due.user)).collect();
    (due != agenda).then(|| {
        let (extra, missing) = (due.difference(&agenda), agenda.difference(&due));
        let (extra, missing): (Vec<_>, Vec<_>) = (extra.collect(), missing.collect());
        format!("the agenda has {extra:?} too much and lacks {missing:?}")
    })
}
