//! Records that share an entry are found like any other, and go when the last of them does.

use std::collections::BTreeSet;

use campanile_core::port::{HistoryQuery, RecordRef, Write};
use campanile_core::{NotificationId, Offset};
use campanile_testkit::vocabulary::{START, item, user};
use proptest::prelude::{Just, Strategy, any};
use proptest::test_runner::Config;
use proptest::{collection, option, prop_assert_eq, prop_oneof, proptest};

use super::removal::{put, step};
use super::*;
use crate::projection::history::Found;
use crate::projection::keys::{self, Kind};

const P0: Partition = Partition(0);
const LOG: LogIdentity =
    LogIdentity { id: [9; 16], generation: campanile_core::Generation(0), partitions: 64 };

fn some_item() -> impl Strategy<Value = NotificationId> {
    prop_oneof![Just(item(user(0), "a")), Just(item(user(0), "b"))]
}

/// Steps of records, each further on; now and then further than an entry reaches.
fn steps() -> impl Strategy<Value = Vec<Vec<Found>>> {
    let ahead = prop_oneof![8 => 1..4_u64, 1 => 500..520_u64, 1 => Just(100_000)];
    let about = (0..2_u16, option::weighted(0.9, some_item()));
    let record = (ahead, about);
    collection::vec(collection::vec(record, 0..40), 1..5).prop_map(|steps| {
        let mut offset = Offset(0);
        let mut place = |(ahead, (whose, about)): (u64, (u16, _))| {
            offset = Offset(offset.0 + ahead);
            (user(whose), about, RecordRef { stream: Stream::Events, offset })
        };
        let place = |step: Vec<_>| step.into_iter().map(&mut place).collect();
        steps.into_iter().map(place).collect()
    })
}

proptest! {
    #![proptest_config(Config { cases: 100, ..Config::default() })]

    #[test]
    fn records_that_share_an_entry_are_found_like_any_other(
        steps in steps(),
        of in option::of(some_item()),
        at in any::<proptest::sample::Index>(),
        limit in 1..60_usize,
        floor in any::<proptest::sample::Index>(),
        is_twice in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let opened = open(TempDir::new().unwrap(), LOG, None);
            let mut claim = opened.projection.claim(P0, Stream::Events).await.unwrap();
            let all: Vec<Found> = steps.concat();
            // As after a crash before a fold began: the same again, in other steps.
            let again = all.chunks(7).map(<[Found]>::to_vec).filter(|_| is_twice);
            for history in steps.into_iter().chain(again) {
                let write = Write { history, ..step(claim, START) };
                put(&opened.projection, write, &mut claim).await;
            }
            let some = |index: proptest::sample::Index| {
                all.get(index.index(all.len().max(1))).map_or(Offset(0), |found| found.2.offset)
            };
            let floor = some(floor);
            floors(&opened.projection).set(0, floor.0);
            let query = HistoryQuery { of, from: some(at), limit, stream: None };
            let found = opened.projection.history(P0, user(0), query).await.unwrap();
            let wanted = all.iter().filter(|(whose, about, record)| {
                *whose == user(0)
                    && (of.is_none() || *about == of)
                    && record.offset >= query.from
                    && record.offset >= floor
            });
            let wanted: BTreeSet<_> = wanted.map(|found| found.2).collect();
            prop_assert_eq!(found, wanted.into_iter().take(limit).collect::<Vec<_>>());
            Ok(())
        })?;
    }
}

fn floors(projection: &EmbeddedProjection) -> &Floors {
    &projection.shared.options.floors
}

/// Merges all files of the table; what may be forgotten is gone then.
fn merge(projection: &EmbeddedProjection) {
    let open = projection.shared.table.read().unwrap();
    let keyspace = &open.table.as_ref().unwrap().keyspace;
    keyspace.rotate_memtable_and_wait().unwrap();
    keyspace.major_compact().unwrap();
}

/// How many entries the history has.
fn entries(projection: &EmbeddedProjection) -> usize {
    let open = projection.shared.table.read().unwrap();
    let keyspace = &open.table.as_ref().unwrap().keyspace;
    keyspace.prefix(keys::prefix(P0, Kind::History)).count()
}

#[tokio::test]
async fn what_one_step_finds_about_an_item_is_one_entry() {
    let opened = open(TempDir::new().unwrap(), LOG, None);
    let mut claim = opened.projection.claim(P0, Stream::Receipts).await.unwrap();
    let record = |offset| RecordRef { stream: Stream::Receipts, offset: Offset(offset) };
    let about = |offset| Some(item(user(0), if offset % 2 == 0 { "a" } else { "b" }));
    let history = (0..100).map(|offset| (user(0), about(offset), record(offset))).collect();
    let write = Write { stream: Stream::Receipts, history, ..step(claim, START) };
    put(&opened.projection, write, &mut claim).await;
    assert_eq!(entries(&opened.projection), 2);
}

#[tokio::test]
async fn an_entry_goes_when_its_last_record_is_dropped() {
    let opened = open(TempDir::new().unwrap(), LOG, None);
    let projection = &opened.projection;
    let mut claim = projection.claim(P0, Stream::Events).await.unwrap();
    let record = |offset| RecordRef { stream: Stream::Events, offset: Offset(offset) };
    let about = |offset| Some(item(user(0), if offset < 50 { "a" } else { "b" }));
    let history = (0..100).map(|offset| (user(0), about(offset), record(offset))).collect();
    put(projection, Write { history, ..step(claim, START) }, &mut claim).await;
    for (floor, left) in [(49, 2), (50, 1), (99, 1), (100, 0)] {
        floors(projection).set(0, floor);
        let found = projection.history(P0, user(0), HistoryQuery::default()).await.unwrap();
        assert_eq!(found, (floor..100).map(record).collect::<Vec<_>>());
        merge(projection);
        assert_eq!(entries(projection), left, "below {floor}");
    }
}

#[tokio::test]
async fn history_of_dropped_records_is_hidden_and_then_gone() {
    let opened = open(TempDir::new().unwrap(), LOG, None);
    let projection = &opened.projection;
    let mut claim = projection.claim(P0, Stream::Events).await.unwrap();
    let record = |offset| RecordRef { stream: Stream::Events, offset: Offset(offset) };
    let history = (0..100).map(|offset| (user(0), None, record(offset))).collect();
    put(projection, Write { history, ..step(claim, START) }, &mut claim).await;
    floors(projection).set(0, 60);
    let found = projection.history(P0, user(0), HistoryQuery::default()).await.unwrap();
    assert_eq!(found, (60..100).map(record).collect::<Vec<_>>());
    // With the floor back, the merge is all that can have removed them.
    merge(projection);
    floors(projection).set(0, 0);
    let found = projection.history(P0, user(0), HistoryQuery::default()).await.unwrap();
    assert_eq!(found, (60..100).map(record).collect::<Vec<_>>());
}
