//! A partition amounts to the same, whether its bytes were seen before or not.

use std::sync::Mutex;

use campanile_core::port::{Digest, Piece, PieceKey, PieceWrite};
use campanile_core::{Item, NotificationId, Offset, Timestamp};
use campanile_testkit::vocabulary::{START, user};

use super::removal::{put, step, template};
use super::*;
use crate::projection::sums::{self, Known};

const P0: Partition = Partition(0);
const LOG: LogIdentity =
    LogIdentity { id: [9; 16], generation: campanile_core::Generation(0), partitions: 64 };

/// A projection with an item of each of these numbers, told at its offset and kept as long as
/// asked; all in one step.
async fn with(items: &[(u8, u64, Option<Timestamp>)]) -> Opened {
    let opened = open(TempDir::new().unwrap(), LOG, None);
    let mut claim = opened.projection.claim(P0, Stream::Events).await.unwrap();
    let mut write = step(claim, START);
    for (number, offset, keep_until) in items {
        let id = NotificationId::from_bytes([*number; 16]);
        let item = Item { id, as_of: Offset(*offset), ..template() };
        let (key, piece) = (PieceKey::Item(user(0), id), Piece::Item(Arc::new(item)));
        write.pieces.push(PieceWrite {
            key,
            piece,
            keep_until: *keep_until,
            is_new: false,
            comes_again: false,
        });
    }
    put(&opened.projection, write, &mut claim).await;
    opened
}

fn digest(of: &Opened, known: &Mutex<Known>) -> Digest {
    let shared = &of.projection.shared;
    shared.with_table(|table, _| sums::digest(table, P0, known)).unwrap()
}

#[tokio::test]
async fn what_was_seen_before_changes_no_sum() {
    let long_ago = Timestamp::from_millis(1);
    let same = [
        with(&[(1, 1, None), (2, 2, None)]).await,
        with(&[(1, 1, None), (2, 2, None)]).await,
        // Storage may drop it, but it is listed.
        with(&[(1, 1, None), (2, 2, Some(long_ago))]).await,
    ];
    let other = [
        with(&[(1, 1, None)]).await,
        with(&[(1, 1, None), (3, 2, None)]).await,
        with(&[(1, 1, Some(long_ago)), (2, 2, None), (3, 2, Some(long_ago))]).await,
    ];
    let new = |of: &Opened| digest(of, &Mutex::default());
    let sum = new(&same[0]);
    assert_eq!(sum.items.count, 2);
    for others in same.iter().chain(&other) {
        let known = Mutex::default();
        assert_eq!(digest(&same[0], &known), sum);
        assert_eq!(digest(others, &known), new(others));
        assert_eq!(digest(&same[0], &known), sum);
    }
    assert!(same.iter().all(|it| new(it) == sum));
    assert!(other.iter().all(|it| new(it) != sum));
}
