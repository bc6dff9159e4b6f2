//! The contract of [`Projection`](campanile_core::port::Projection): claims and writes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

use campanile_core::port::{
    Applied, Epoch, HistoryQuery, ItemOrder, ItemQuery, PieceKey, Projection, ProjectionError,
    Stream, Write,
};
use campanile_core::{LogIdentity, Offset, Partition, Timestamp};

use super::writer::{LOG, OpenProjection, P0, ProjectionFactory, Writer, record};
use crate::scenario::{dismissed, posted, registered};
use crate::vocabulary::{START, item, phone, user};

const NEVER: Timestamp = Timestamp::from_millis(u64::MAX);
const QUERY: ItemQuery = ItemQuery { order: ItemOrder::OldestFirst, after: None, limit: 100 };

/// The first claim starts at offset 0.
pub async fn the_first_claim_starts_at_zero(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    for stream in Stream::ALL {
        assert_eq!(open.projection().claim(P0, stream).await.unwrap().next, Offset(0));
    }
    assert_eq!(open.projection().view(P0, &[]).await.unwrap().checkpoint, Offset(0));
}

/// A partition whose events were never claimed is an error, never an empty state.
pub async fn what_is_not_built_is_an_error(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    assert_not_built(open.projection(), P0).await;
    open.projection().claim(P0, Stream::Receipts).await.unwrap();
    assert_not_built(open.projection(), P0).await;
    open.projection().claim(Partition(1), Stream::Events).await.unwrap();
    assert_not_built(open.projection(), P0).await;
}

async fn assert_not_built(projection: &dyn Projection, p: Partition) {
    let not_built = ProjectionError::NotBuilt(p);
    let key = PieceKey::Reach(user(0));
    assert_eq!(projection.view(p, &[key]).await, Err(not_built.clone()));
    assert_eq!(projection.items(p, user(0), QUERY).await, Err(not_built.clone()));
    assert_eq!(
        projection.history(p, user(0), HistoryQuery::default()).await,
        Err(not_built.clone())
    );
    assert_eq!(projection.due(p, NEVER, 10).await, Err(not_built.clone()));
    assert_eq!(projection.feed(p).await.err(), Some(not_built));
}

/// Who never claimed stores nothing.
pub async fn a_write_needs_a_claim(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let elsewhere = Writer::of(open.projection(), Partition(1), Stream::Events).await;
    let write = Write { partition: P0, ..elsewhere.nothing() };
    let applied = open.projection().apply(write).await;
    assert!(matches!(applied, Err(_) | Ok(Applied::Fenced)), "{applied:?}");
    assert_not_built(open.projection(), P0).await;
    assert_eq!(open.projection().claim(P0, Stream::Events).await.unwrap().next, Offset(0));
}

/// `claim` fences every earlier claim of the same stream and partition.
pub async fn a_later_claim_fences_the_earlier(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    for stream in Stream::ALL {
        let mut earlier = Writer::of(open.projection(), P0, stream).await;
        earlier.put(earlier.nothing()).await;
        let mut later = Writer::of(open.projection(), P0, stream).await;
        assert_eq!(later.claim.next, earlier.claim.next, "a claim goes on at the checkpoint");
        assert!(later.claim.epoch > earlier.claim.epoch);
        let applied = open.projection().apply(earlier.nothing()).await;
        assert_eq!(applied, Ok(Applied::Fenced), "{stream:?}");
        later.put(later.nothing()).await;
        let applied = open.projection().apply(earlier.nothing()).await;
        assert_eq!(applied, Ok(Applied::Fenced), "{stream:?}");
    }
}

/// `claim` fences no other stream and no other partition.
pub async fn a_claim_fences_nobody_else(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut events = Writer::of(open.projection(), P0, Stream::Events).await;
    let mut receipts = Writer::of(open.projection(), P0, Stream::Receipts).await;
    let mut neighbour = Writer::of(open.projection(), Partition(1), Stream::Events).await;
    for writer in [&mut events, &mut receipts, &mut neighbour] {
        for _ in 0..2 {
            writer.put(writer.nothing()).await;
        }
    }
    drop(Writer::of(open.projection(), P0, Stream::Receipts).await);
    for writer in [&mut events, &mut neighbour] {
        writer.put(writer.nothing()).await;
    }
    let applied = open.projection().apply(receipts.nothing()).await;
    assert_eq!(applied, Ok(Applied::Fenced));
}

/// A step that does not start at the checkpoint is answered with the checkpoint.
pub async fn a_gap_is_answered_with_the_checkpoint(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    for stream in Stream::ALL {
        let mut writer = Writer::of(open.projection(), P0, stream).await;
        let sparse = Write { to: Offset(7), ..writer.nothing() };
        writer.put(sparse).await;
        for from in [0, 6, 8].map(Offset) {
            let write = Write { from, to: Offset(9), ..writer.nothing() };
            let applied = open.projection().apply(write).await;
            assert_eq!(applied, Ok(Applied::Gap(Offset(7))), "{stream:?} from {from}");
        }
        writer.put(writer.nothing()).await;
    }
}

/// What is fenced or leaves a gap is not stored, not even in part.
pub async fn what_is_not_applied_leaves_no_trace(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    writer.record(user(0), posted("a").of(user(0)).event(START)).await;
    let before = everything(open.projection()).await;
    let change = dismissed("a").of(user(0)).event(START);
    let good = writer.fold(user(0), change);
    let gap = Write { from: Offset(5), ..good.clone() };
    assert_eq!(open.projection().apply(gap).await, Ok(Applied::Gap(Offset(1))));
    assert_eq!(everything(open.projection()).await, before);
    let fenced = Write { epoch: Epoch(good.epoch.0.wrapping_sub(1)), ..good.clone() };
    assert_eq!(open.projection().apply(fenced).await, Ok(Applied::Fenced));
    assert_eq!(everything(open.projection()).await, before);
    writer.put(good).await;
    assert_ne!(everything(open.projection()).await, before);
}

/// Pieces, agenda, history and checkpoint are there together.
pub async fn a_write_is_stored_whole(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    writer.record(user(0), registered(phone(1)).of(user(0)).event(START)).await;
    writer.record(user(0), posted("a").with_key("k").of(user(0)).event(START)).await;
    let id = item(user(0), "a");
    let keys: Vec<_> = writer.world.pieces().map(|(key, _)| *key).collect();
    assert_eq!(keys.len(), 3, "reach, item and request");
    let views = writer.view(&keys).await;
    assert_eq!(views.checkpoint, Offset(2));
    let expected: Vec<_> = writer.world.pieces().map(|(_, piece)| Some(piece.clone())).collect();
    assert_eq!(views.pieces, expected);
    let due = open.projection().due(P0, NEVER, 10).await.unwrap();
    let due: Vec<_> = due.into_iter().map(|it| it.entry).collect();
    assert_eq!(due, writer.world.agenda(user(0)).collect::<Vec<_>>());
    let history = open.projection().history(P0, user(0), HistoryQuery::about(id)).await.unwrap();
    assert_eq!(history, [record(Stream::Events, 1)]);
}

/// What views and items tell is how far the events are folded; receipts do not move it.
pub async fn receipts_do_not_move_the_events(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut events = Writer::new(&open).await;
    events.put(events.nothing()).await;
    let mut receipts = Writer::of(open.projection(), P0, Stream::Receipts).await;
    for _ in 0..5 {
        receipts.put(receipts.nothing()).await;
    }
    assert_eq!(events.view(&[]).await.checkpoint, Offset(1));
    let items = open.projection().items(P0, user(0), QUERY).await.unwrap();
    assert_eq!(items.checkpoint, Offset(1));
    events.put(events.nothing()).await;
}

/// Steps that are stored together are each for itself, in whatever order they come.
pub async fn steps_of_several_partitions_are_each_for_itself(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writers = Vec::new();
    for partition in [0, 1, 2, 3] {
        writers.push(Writer::of(open.projection(), Partition(partition), Stream::Events).await);
    }
    drop(Writer::of(open.projection(), Partition(1), Stream::Events).await);
    let (event, gap) = (posted("a").of(user(0)).event(START), Offset(5));
    let first = writers[0].fold(user(0), event);
    let key = first.pieces[0].key;
    let after = Write { from: first.to, to: first.to.next(), ..writers[0].nothing() };
    let steps = vec![
        first,
        writers[1].nothing(),
        Write { from: gap, to: gap.next(), ..writers[2].nothing() },
        writers[3].nothing(),
        after,
    ];
    let applied = open.projection().apply_all(steps).await;
    let expected = [
        Ok(Applied::Applied),
        Ok(Applied::Fenced),
        Ok(Applied::Gap(Offset(0))),
        Ok(Applied::Applied),
        Ok(Applied::Applied),
    ];
    assert_eq!(applied, expected);
    let mut checkpoints = Vec::new();
    for partition in [0, 1, 2, 3].map(Partition) {
        checkpoints.push(open.projection().view(partition, &[]).await.unwrap().checkpoint.0);
    }
    assert_eq!(checkpoints, [2, 0, 0, 1]);
    assert!(open.projection().view(P0, &[key]).await.unwrap().pieces[0].is_some());
    assert_eq!(open.projection().apply_all(Vec::new()).await, []);
}

/// A restart loses a whole suffix of the writes at most, and the earlier claim is fenced.
pub async fn a_restart_loses_whole_writes_at_most(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    let mut states = vec![everything(open.projection()).await];
    for event in [posted("a"), dismissed("a"), posted("b").with_key("k"), posted("a")] {
        writer.record(user(0), event.of(user(0)).event(START)).await;
        states.push(everything(open.projection()).await);
    }
    let stale = writer.nothing();
    drop(writer);
    let open = factory.reopen(open, LOG).await.unwrap();
    let claim = open.projection().claim(P0, Stream::Events).await.unwrap();
    let found = everything(open.projection()).await;
    assert_eq!(Some(&found), states.get(usize::try_from(claim.next.0).unwrap()));
    let applied = open.projection().apply(stale).await.unwrap();
    assert_ne!(applied, Applied::Applied, "a claim from before the restart still counts");
}

/// A projection of another log is refused.
pub async fn another_log_is_refused(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    open.projection().claim(P0, Stream::Events).await.unwrap();
    let other = LogIdentity { id: [8; 16], ..LOG };
    let opened = factory.reopen(open, other).await;
    assert_eq!(opened.err(), Some(ProjectionError::OtherLog));
}

/// Everything the projection tells of the first user of [`P0`].
async fn everything(projection: &dyn Projection) -> impl PartialEq + std::fmt::Debug + use<> {
    let names = ["a", "b"].map(|name| PieceKey::Item(user(0), item(user(0), name)));
    (
        projection.view(P0, &names).await.unwrap(),
        projection.items(P0, user(0), QUERY).await.unwrap(),
        projection.history(P0, user(0), HistoryQuery::default()).await.unwrap(),
        projection.due(P0, NEVER, 100).await.unwrap(),
    )
}
