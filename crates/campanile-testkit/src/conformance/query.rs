//! The contract of [`Projection`](campanile_core::port::Projection): what is asked of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

use std::time::Duration;

use campanile_core::port::{
    DueEntry, HistoryQuery, ItemOrder, ItemQuery, Items, Piece, PieceKey, PieceWrite, Projection,
    RecordRef, Stream, Write,
};
use campanile_core::{AgendaChange, AgendaEntry, Due, Offset, Partition, Timestamp, UserRef};

use super::writer::{LOG, OpenProjection, P0, ProjectionFactory, Writer, add, agenda, record};
use crate::scenario::{deleted, dismissed, posted, read, registered};
use crate::vocabulary::{START, app, item, phone, user};

/// A second user in the partition of the first.
const OTHER: u16 = 64;

const NEVER: Timestamp = Timestamp::from_millis(u64::MAX);

/// `view` answers a piece per key asked for, in order; what is not there is `None`.
pub async fn view_answers_a_piece_per_key(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    writer.record(user(0), registered(phone(1)).of(user(0)).event(START)).await;
    writer.record(user(0), posted("a").of(user(0)).event(START)).await;
    let id = item(user(0), "a");
    let (reach, posted) = (PieceKey::Reach(user(0)), PieceKey::Item(user(0), id));
    let nobody = PieceKey::Reach(user(OTHER));
    let expected_reach = Some(Piece::Reach(writer.world.reach(user(0))));
    let expected_item = writer.world.item(user(0), id).map(Piece::Item);
    let views = writer.view(&[posted, nobody, reach, posted]).await;
    assert_eq!(views.pieces, [expected_item.clone(), None, expected_reach, expected_item]);
    assert!(writer.view(&[]).await.pieces.is_empty());
}

/// `view` sees one instant: pieces and checkpoint belong together.
pub async fn a_view_sees_one_instant(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    let keys = ["a", "b"].map(|name| PieceKey::Item(user(0), item(user(0), name)));
    let write = async {
        for _ in 0..40 {
            let both = ["a", "b"].map(|name| posted(name).of(user(0)).event(START));
            let both = writer.fold_all(both.map(|event| (user(0), event)));
            writer.put(both).await;
            tokio::task::yield_now().await;
        }
    };
    let read = async {
        loop {
            let views = open.projection().view(P0, &keys).await.unwrap();
            let revisions = views.pieces.iter().map(|piece| match piece {
                Some(Piece::Item(item)) => u64::from(item.revision),
                _ => 0,
            });
            let revisions: Vec<u64> = revisions.collect();
            assert_eq!(revisions, [views.checkpoint.0 / 2; 2], "not of one instant");
            if views.checkpoint == Offset(80) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    super::soon("a reader to see every write", async { futures::join!(write, read) }).await;
}

/// `items` lists by the latest change, either way, page by page.
pub async fn items_are_listed_by_their_latest_change(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    let steps = [posted("a"), posted("b"), posted("c"), dismissed("a"), posted("d"), read("b")];
    for step in steps {
        writer.record(user(0), step.of(user(0)).event(START)).await;
    }
    let order = ["c", "a", "d", "b"];
    let projection = open.projection();
    let all = |order| ItemQuery { order, after: None, limit: 4 };
    let found = list(projection, user(0), all(ItemOrder::OldestFirst)).await;
    assert_eq!((names(user(0), &found), found.more), (order.to_vec(), false));
    assert_eq!(found.checkpoint, Offset(6));
    let reverse: Vec<_> = order.iter().rev().copied().collect();
    let found = list(projection, user(0), all(ItemOrder::NewestFirst)).await;
    assert_eq!((names(user(0), &found), found.more), (reverse.clone(), false));
    for limit in 1..4 {
        for (order, expected) in
            [(ItemOrder::OldestFirst, order.to_vec()), (ItemOrder::NewestFirst, reverse.clone())]
        {
            let found = pages(projection, user(0), order, limit).await;
            assert_eq!(found, expected, "{order:?}, {limit} at a time");
        }
    }
}

async fn pages(
    projection: &dyn Projection,
    whose: UserRef,
    order: ItemOrder,
    limit: usize,
) -> Vec<&'static str> {
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = list(projection, whose, ItemQuery { order, after, limit }).await;
        assert!(page.items.len() <= limit && (page.items.len() == limit || !page.more));
        found.extend(names(whose, &page));
        assert!(found.len() <= 4, "the pages go round in circles: {found:?}");
        after = page.items.last().map(|item| item.changed_at());
        if !page.more {
            return found;
        }
    }
}

/// Ended items, and items that were handled before they were posted, are listed; other users'
/// are not.
pub async fn items_are_those_of_the_user(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    for step in [posted("a"), deleted("a"), dismissed("b")] {
        writer.record(user(0), step.of(user(0)).event(START)).await;
    }
    writer.record(user(OTHER), posted("c").of(user(OTHER)).event(START)).await;
    let query = ItemQuery { order: ItemOrder::OldestFirst, after: None, limit: 10 };
    let found = list(open.projection(), user(0), query).await;
    assert_eq!(names(user(0), &found), ["a", "b"]);
    let found = list(open.projection(), user(OTHER), query).await;
    assert_eq!(names(user(OTHER), &found), ["c"]);
    let found = list(open.projection(), user(2 * OTHER), query).await;
    assert!(found.items.is_empty());
    let after = ItemQuery { after: Some(Offset(100)), ..query };
    assert!(list(open.projection(), user(0), after).await.items.is_empty());
}

/// `history` has a user's records, or those of one item, each stream in log order.
pub async fn history_is_in_log_order(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    for step in [registered(phone(1)), posted("a"), posted("b"), dismissed("a")] {
        writer.record(user(0), step.of(user(0)).event(START)).await;
    }
    writer.record(user(OTHER), posted("a").of(user(OTHER)).event(START)).await;
    let mut receipts = Writer::of(open.projection(), P0, Stream::Receipts).await;
    let id = item(user(0), "a");
    for offset in 0..3 {
        let history = vec![(user(0), Some(id), record(Stream::Receipts, offset))];
        receipts.put(Write { history, ..receipts.nothing() }).await;
    }
    writer.record(user(0), read("a").of(user(0)).event(START)).await;
    let of = |of| history(open.projection(), user(0), of);
    assert_eq!(of(None).await, [vec![0, 1, 2, 3, 5], vec![0, 1, 2]]);
    assert_eq!(of(Some(id)).await, [vec![1, 3, 5], vec![0, 1, 2]]);
    assert_eq!(of(Some(item(user(0), "b"))).await, [vec![2], vec![]]);
    assert_eq!(of(Some(item(user(0), "c"))).await, [vec![], vec![]]);
    assert_eq!(history(open.projection(), user(OTHER), None).await, [vec![4], vec![]]);
    let all = HistoryQuery { from: Offset(1), limit: 3, ..HistoryQuery::default() };
    let page = async |query| open.projection().history(P0, user(0), query).await.unwrap();
    let (events, receipts) = (Stream::Events, Stream::Receipts);
    assert_eq!(page(all).await, [1, 2, 3].map(|at| record(events, at)));
    let later = HistoryQuery { stream: Some(receipts), ..all };
    assert_eq!(page(later).await, [1, 2].map(|at| record(receipts, at)));
    let about = HistoryQuery { of: Some(id), from: Offset(2), limit: 2, stream: None };
    assert_eq!(page(about).await, [3, 5].map(|at| record(events, at)));
}

/// The offsets of each stream, in the order answered.
async fn history(
    projection: &dyn Projection,
    whose: UserRef,
    of: Option<campanile_core::NotificationId>,
) -> [Vec<u64>; 2] {
    let found = projection
        .history(P0, whose, HistoryQuery { of, ..HistoryQuery::default() })
        .await
        .unwrap();
    Stream::ALL.map(|stream| {
        let own = found.iter().filter(|found: &&RecordRef| found.stream == stream);
        own.map(|found| found.offset.0).collect()
    })
}

fn entry(at: u64, whose: UserRef, name: &str) -> AgendaEntry {
    let due = Due::Expire { id: item(whose, name), revision: 1 };
    AgendaEntry { at: Timestamp::from_millis(at), due }
}

/// `due` answers the entries at or before a time, earliest first, at most so many.
pub async fn due_answers_the_earliest_first(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    let (one, other) = (user(0), user(OTHER));
    let added = [(one, 300, "a"), (other, 100, "b"), (one, 200, "c"), (one, u64::MAX, "d")];
    let added = added.map(|(whose, at, name)| (whose, entry(at, whose, name)));
    let agenda = added.iter().map(|(whose, entry)| add(*whose, *entry)).collect();
    writer.put(Write { agenda, ..writer.nothing() }).await;
    let mut expected = added.map(|(user, entry)| DueEntry { app: app(), user, entry });
    expected.sort_by_key(|due| due.entry.at);
    let due = async |until, limit| {
        open.projection().due(P0, Timestamp::from_millis(until), limit).await.unwrap()
    };
    assert_eq!(due(u64::MAX, 10).await, expected);
    assert_eq!(due(u64::MAX, 2).await, expected[..2]);
    assert_eq!(due(300, 10).await, expected[..3]);
    assert_eq!(due(299, 10).await, expected[..2]);
    assert_eq!(due(99, 10).await, []);
    let elsewhere = Writer::of(open.projection(), Partition(1), Stream::Events).await;
    let found = open.projection().due(elsewhere.partition, NEVER, 10).await;
    assert_eq!(found, Ok(Vec::new()));
}

/// Equal entries of a user are one, removing one that is not there changes nothing, and changes
/// count in order.
pub async fn agenda_changes_count_in_order(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    let (one, other) = (user(0), user(OTHER));
    let entries = ["a", "b", "c", "d"].map(|name| entry(100, one, name));
    let remove = |whose, entry| agenda(whose, AgendaChange::Remove(entry));
    let first = vec![add(one, entries[0]), add(one, entries[0]), add(other, entries[0])];
    writer.put(Write { agenda: first, ..writer.nothing() }).await;
    let second = vec![
        remove(other, entries[0]),
        remove(one, entries[1]),
        add(one, entries[2]),
        remove(one, entries[2]),
        remove(one, entries[3]),
        add(one, entries[3]),
    ];
    writer.put(Write { agenda: second, ..writer.nothing() }).await;
    let found = open.projection().due(P0, NEVER, 10).await.unwrap();
    let mut found: Vec<_> = found.into_iter().map(|it| (it.user, it.entry)).collect();
    found.sort();
    let mut expected = [(one, entries[0]), (one, entries[3])];
    expected.sort();
    assert_eq!(found, expected);
}

/// A piece stays until the partition's time is after its `keep_until`, forever without one, and a
/// later write of it moves the time.
pub async fn pieces_are_kept_as_long_as_asked(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    let fold = writer.fold(user(0), posted("a").with_key("k").of(user(0)).event(START));
    let seconds = |n| START.after(Duration::from_secs(n));
    let kept = |piece: &PieceWrite, keep_until| PieceWrite { keep_until, ..piece.clone() };
    let [one, two] = &fold.pieces[..] else { panic!("expected an item and a request") };
    let keys = [one.key, two.key];
    let pieces = vec![kept(one, Some(seconds(10))), kept(two, Some(seconds(10)))];
    writer.put(Write { pieces, ..fold.clone() }).await;
    let pieces = vec![kept(two, Some(seconds(20)))];
    writer.put(Write { pieces, ..writer.nothing() }).await;
    let there = Some(two.piece.clone());
    writer.wait_until(seconds(10)).await;
    assert_eq!(writer.view(&keys).await.pieces, [Some(one.piece.clone()), there.clone()]);
    writer.wait_until(seconds(20)).await;
    assert_eq!(writer.view(&keys).await.pieces[1], there, "dropped by its former time");
    let pieces = vec![kept(two, None)];
    writer.put(Write { pieces, ..writer.nothing() }).await;
    writer.wait_until(seconds(1_000_000)).await;
    assert_eq!(writer.view(&keys).await.pieces[1], there, "dropped, but to be kept forever");
}

/// The partition's time is that of its events: receipts that are ahead drop nothing which events
/// still to be folded may need.
pub async fn receipts_drop_nothing(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut events = Writer::new(&open).await;
    let fold = events.fold(user(0), posted("a").with_key("k").of(user(0)).event(START));
    let (keys, pieces): (Vec<_>, Vec<_>) =
        fold.pieces.iter().map(|it| (it.key, Some(it.piece.clone()))).unzip();
    events.put(fold).await;
    let mut receipts = Writer::of(open.projection(), P0, Stream::Receipts).await;
    receipts.wait_until(START.after(Duration::from_secs(366 * 86_400))).await;
    assert_eq!(events.view(&keys).await.pieces, pieces);
    events.put(events.nothing()).await;
    assert_eq!(events.view(&keys).await.pieces, pieces);
}

async fn list(projection: &dyn Projection, whose: UserRef, query: ItemQuery) -> Items {
    projection.items(P0, whose, query).await.unwrap()
}

/// The names of the items listed.
fn names(whose: UserRef, found: &Items) -> Vec<&'static str> {
    let name = |id| ["a", "b", "c", "d"].into_iter().find(|name| item(whose, name) == id);
    found.items.iter().map(|found| name(found.id).unwrap_or("unknown")).collect()
}
