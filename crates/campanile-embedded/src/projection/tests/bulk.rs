//! A table that is built at once loses whole steps at most, and serves like any other afterwards.

use campanile_core::port::{ItemOrder, ItemQuery, Piece, PieceKey, PieceWrite};
use campanile_core::{Item, NotificationId, Offset};
use campanile_testkit::vocabulary::{START, user};

use super::removal::{put, step, template};
use super::*;

const P0: Partition = Partition(0);
const LOG: LogIdentity =
    LogIdentity { id: [9; 16], generation: campanile_core::Generation(0), partitions: 64 };

/// Folds `steps`; each posts an item.
async fn fold(projection: &EmbeddedProjection, steps: std::ops::Range<u64>) {
    let mut claim = projection.claim(P0, Stream::Events).await.unwrap();
    assert_eq!(claim.next, Offset(steps.start));
    for number in steps {
        let id = NotificationId::from_bytes([u8::try_from(number).unwrap(); 16]);
        let item = Item { id, as_of: Offset(number + 1), ..template() };
        let (key, piece) = (PieceKey::Item(user(0), id), Piece::Item(Arc::new(item)));
        let mut write = step(claim, START);
        write.pieces.push(PieceWrite {
            key,
            piece,
            keep_until: None,
            is_new: false,
            comes_again: false,
        });
        put(projection, write, &mut claim).await;
    }
}

async fn listed(projection: &EmbeddedProjection) -> (Offset, usize) {
    let query = ItemQuery { order: ItemOrder::OldestFirst, after: None, limit: 1000 };
    let items = projection.items(P0, user(0), query).await.unwrap();
    (items.checkpoint, items.items.len())
}

/// Ends like a process that is killed.
fn kill(opened: Opened, gathers: Option<u64>) -> Opened {
    let Opened { projection, dir } = opened;
    projection.shared.table.read().unwrap().table.as_ref().unwrap().break_it();
    drop(projection);
    open(dir, LOG, gathers)
}

#[tokio::test]
async fn who_is_killed_loses_whole_steps_and_folds_them_again() {
    let gathers = Some(1 << 20);
    let mut opened = open(TempDir::new().unwrap(), LOG, gathers);
    fold(&opened.projection, 0..5).await;
    // Whoever lists has it stored.
    assert_eq!(listed(&opened.projection).await, (Offset(5), 5));
    fold(&opened.projection, 5..9).await;
    opened = kill(opened, gathers);
    assert_eq!(listed(&opened.projection).await, (Offset(5), 5));
    fold(&opened.projection, 5..9).await;
    assert_eq!(listed(&opened.projection).await, (Offset(9), 9));
}

#[tokio::test]
async fn no_more_is_gathered_than_may_be() {
    let gathers = Some(4000);
    let mut opened = open(TempDir::new().unwrap(), LOG, gathers);
    fold(&opened.projection, 0..200).await;
    opened = kill(opened, gathers);
    let (checkpoint, items) = listed(&opened.projection).await;
    assert!((180..=200).contains(&checkpoint.0), "{checkpoint}");
    assert_eq!(checkpoint.0, items as u64);
}
