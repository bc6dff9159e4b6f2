//! The table answers what a projection in memory does, whatever is folded and however often the
//! process starts again.

use campanile_core::port::{
    AgendaWrite, Applied, Epoch, HistoryQuery, ItemOrder, ItemQuery, PieceKey, RecordRef, Write,
};
use campanile_core::{Offset, Recorded, Timestamp};
use campanile_testkit::memory::MemoryProjection;
use campanile_testkit::strategy::{ITEMS, USERS, logs, some_user};
use campanile_testkit::vocabulary::{app, item};
use campanile_testkit::world::World;
use proptest::prelude::{Just, any};
use proptest::test_runner::{Config, TestCaseError};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;

const LOG: LogIdentity =
    LogIdentity { id: [9; 16], generation: campanile_core::Generation(0), partitions: 64 };
const P0: Partition = Partition(0);

/// The step that folds `records` from `from` on.
fn step(world: &mut World, from: Offset, records: &[Recorded]) -> Write {
    let mut write = Write {
        partition: P0,
        stream: Stream::Events,
        epoch: Epoch(0),
        from,
        to: from,
        time: Timestamp::ZERO,
        pieces: Vec::new(),
        agenda: Vec::new(),
        history: Vec::new(),
    };
    for record in records {
        let (user, offset) = (record.fact.user, record.position.offset);
        let changes = world.apply(record);
        for piece in world.written(record, &changes) {
            write.pieces.retain(|earlier| earlier.key != piece.key);
            write.pieces.push(piece);
        }
        let agenda = changes.agenda.iter();
        write.agenda.extend(agenda.map(|change| AgendaWrite { app: app(), user, change: *change }));
        let about = RecordRef { stream: Stream::Events, offset };
        write.history.push((user, record.fact.event.item(), about));
        (write.to, write.time) = (offset.next(), record.time);
    }
    write
}

async fn put(projection: &dyn Projection, write: &Write) {
    let epoch = projection.claim(P0, Stream::Events).await.unwrap().epoch;
    let applied = projection.apply(Write { epoch, ..write.clone() }).await;
    assert_eq!(applied, Ok(Applied::Applied));
}

/// Compares everything that can be asked. What memory dropped the moment it might, the table may
/// still have.
async fn compare(
    table: &dyn Projection,
    memory: &dyn Projection,
    world: &World,
) -> Result<(), TestCaseError> {
    let keys: Vec<PieceKey> = world.pieces().map(|(key, _)| *key).collect();
    let (found, expected) = (table.view(P0, &keys).await, memory.view(P0, &keys).await);
    let (found, expected) = (found.unwrap(), expected.unwrap());
    prop_assert_eq!(found.checkpoint, expected.checkpoint);
    for (found, expected) in found.pieces.iter().zip(&expected.pieces) {
        prop_assert!(expected.is_none() || found == expected, "{:?} is not {:?}", found, expected);
    }
    for user in (0..USERS).map(some_user) {
        for order in [ItemOrder::NewestFirst, ItemOrder::OldestFirst] {
            let query = ItemQuery { order, after: None, limit: 100 };
            let mut found = table.items(P0, user, query).await.unwrap();
            let expected = memory.items(P0, user, query).await.unwrap();
            found.items.retain(|it| expected.items.contains(it));
            prop_assert_eq!(&found, &expected);
            for last in &expected.items {
                let query = ItemQuery { order, after: Some(last.changed_at()), limit: 1 };
                let mut found = table.items(P0, user, query).await.unwrap();
                let expected = memory.items(P0, user, query).await.unwrap();
                found.items.retain(|it| expected.items.contains(it));
                prop_assert!(found.items == expected.items || found.more);
            }
        }
        let about = ITEMS.iter().map(|name| Some(item(user, name)));
        for of in about.chain([None]) {
            let found =
                table.history(P0, user, HistoryQuery { of, ..HistoryQuery::default() }).await;
            prop_assert_eq!(
                found,
                memory.history(P0, user, HistoryQuery { of, ..HistoryQuery::default() }).await
            );
        }
    }
    let never = Timestamp::from_millis(u64::MAX);
    let mut found = table.due(P0, never, 1000).await.unwrap();
    prop_assert!(found.is_sorted_by_key(|due| due.entry.at));
    found.sort_by_key(|due| (due.entry, due.user));
    prop_assert_eq!(found, memory.due(P0, never, 1000).await.unwrap());
    Ok(())
}

proptest! {
    #![proptest_config(Config { cases: 60, ..Config::default() })]

    #[test]
    fn the_table_answers_as_memory_does(
        log in logs(60),
        sizes in any::<[u8; 8]>(),
        // Nothing, everything, or some of it gathered.
        gathers in prop_oneof![Just(None), Just(Some(1 << 20)), Just(Some(2000))],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let memory = MemoryProjection::new(LOG);
            let mut opened = open(TempDir::new().unwrap(), LOG, gathers);
            let (mut world, mut from, mut rest) = (World::default(), Offset(0), &log[..]);
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (records, after) = rest.split_at(usize::from(*size % 20 + 1).min(rest.len()));
                let write = step(&mut world, from, records);
                if size % 2 == 0 {
                    // As the projector does, so that the step knows what is not there.
                    let keys: Vec<_> = write.pieces.iter().map(|piece| piece.key).collect();
                    let before = memory.view(P0, &keys).await.map(|views| views.checkpoint);
                    let found = opened.projection.view(P0, &keys).await;
                    prop_assert_eq!(found.map(|views| views.checkpoint), before);
                }
                put(&memory, &write).await;
                put(&opened.projection, &write).await;
                (from, rest) = (write.to, after);
                if size % 4 == 0 {
                    let Opened { projection, dir } = opened;
                    drop(projection);
                    opened = open(dir, LOG, gathers);
                }
                // Whoever asks has everything stored that is gathered.
                if gathers.is_some() && size % 3 != 0 && !rest.is_empty() {
                    continue;
                }
                compare(&opened.projection, &memory, &world).await?;
                // Asking in between moves what `due` jumps over.
                let now = Timestamp::from_millis(u64::from(*size) * 100_000_000_000);
                prop_assert_eq!(
                    opened.projection.due(P0, now, 1000).await.unwrap().len(),
                    memory.due(P0, now, 1000).await.unwrap().len()
                );
            }
            Ok(())
        })?;
    }
}
