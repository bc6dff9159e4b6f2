//! What is not needed any more goes, in steps of bounded size.

use std::time::Duration;

use campanile_core::port::{
    Applied, Claim, ItemOrder, ItemQuery, Piece, PieceKey, PieceWrite, Write,
};
use campanile_core::{Ended, Item, NotificationId, Offset, Timestamp};
use campanile_testkit::scenario::posted;
use campanile_testkit::strategy::recorded;
use campanile_testkit::vocabulary::{START, item, user};
use campanile_testkit::world::World;

use super::*;

const P0: Partition = Partition(0);
const LOG: LogIdentity =
    LogIdentity { id: [9; 16], generation: campanile_core::Generation(0), partitions: 64 };

pub(super) fn template() -> Item {
    let mut world = World::default();
    world.apply(&recorded(0, START, user(0), posted("a").of(user(0)).event(START)));
    Item::clone(&world.item(user(0), item(user(0), "a")).unwrap())
}

pub(super) fn step(claim: Claim, time: Timestamp) -> Write {
    Write {
        partition: P0,
        stream: Stream::Events,
        epoch: claim.epoch,
        from: claim.next,
        to: claim.next.next(),
        time,
        pieces: Vec::new(),
        agenda: Vec::new(),
        history: Vec::new(),
    }
}

pub(super) async fn put(projection: &dyn Projection, write: Write, claim: &mut Claim) {
    claim.next = write.to;
    applied(projection, write).await;
}

async fn applied(projection: &dyn Projection, write: Write) {
    assert_eq!(projection.apply(write).await, Ok(Applied::Applied));
}

/// How many items are listed; every one of them is there.
pub(super) async fn listed(projection: &EmbeddedProjection) -> usize {
    let query = ItemQuery { order: ItemOrder::OldestFirst, after: None, limit: 100_000 };
    projection.items(P0, user(0), query).await.unwrap().items.len()
}

#[tokio::test]
async fn many_old_pieces_go_over_several_steps() {
    let opened = open(TempDir::new().unwrap(), LOG, None);
    let projection = &opened.projection;
    let mut claim = projection.claim(P0, Stream::Events).await.unwrap();
    let (count, template) = (2000_u64, Item { ended: Some(Ended::Expired), ..template() });
    let key = |number: u64| {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&number.to_be_bytes());
        NotificationId::from_bytes(id)
    };
    let until = |number: u64| START.after(Duration::from_secs(1 + number % 7));
    let pieces = (0..count).map(|number| {
        let item = Item { id: key(number), as_of: Offset(number + 1), ..template.clone() };
        PieceWrite {
            key: PieceKey::Item(user(0), item.id),
            piece: Piece::Item(Arc::new(item)),
            keep_until: Some(until(number)),
            is_new: true,
            comes_again: false,
        }
    });
    let write = Write { pieces: pieces.collect(), ..step(claim, START) };
    put(projection, write, &mut claim).await;
    assert_eq!(listed(projection).await, 2000);
    let later = START.after(Duration::from_secs(60));
    let mut left = vec![2000];
    while left.last() != Some(&0) {
        put(projection, step(claim, later), &mut claim).await;
        left.push(listed(projection).await);
        assert!(left.len() < 10, "{left:?}");
    }
    assert!(left.is_sorted_by(|before, after| before > after), "{left:?}");
    assert!(left[1] > 1000, "too many at once: {left:?}");
    // New pieces that are old already go too.
    let mut late = step(claim, later);
    let item = Item { id: key(1), ..template };
    let (key, piece) = (PieceKey::Item(user(0), item.id), Piece::Item(Arc::new(item)));
    late.pieces.push(PieceWrite {
        key,
        piece,
        keep_until: Some(until(0)),
        is_new: false,
        comes_again: false,
    });
    put(projection, late, &mut claim).await;
    put(projection, step(claim, later.after(Duration::from_secs(1))), &mut claim).await;
    assert_eq!(listed(projection).await, 0);
}

#[tokio::test]
async fn an_item_goes_once_it_was_stored_with_its_end_or_after_its_time() {
    let opened = open(TempDir::new().unwrap(), LOG, None);
    let projection = &opened.projection;
    let mut claim = projection.claim(P0, Stream::Events).await.unwrap();
    let (open, until) = (template(), START.after(Duration::from_secs(1)));
    let seconds = |seconds| START.after(Duration::from_secs(seconds));
    let mut pieces = |time, item: &Item| {
        let (key, piece) = (PieceKey::Item(user(0), item.id), Piece::Item(Arc::new(item.clone())));
        let comes_again = item.ended.is_none() && time < until;
        let keep_until = Some(until);
        let pieces = vec![PieceWrite { key, piece, keep_until, is_new: false, comes_again }];
        let write = Write { pieces, ..step(claim, time) };
        claim.next = write.to;
        write
    };
    let ended = Item { ended: Some(Ended::Expired), ..open.clone() };
    for (last, time) in [(&ended, START), (&open, seconds(10))] {
        for write in [pieces(START, &open), pieces(time, last)] {
            applied(projection, write).await;
            assert_eq!(listed(projection).await, 1);
        }
        for time in [seconds(20), seconds(30)] {
            let write = Write { pieces: Vec::new(), ..pieces(time, &open) };
            applied(projection, write).await;
        }
        assert_eq!(listed(projection).await, 0);
    }
}

#[tokio::test]
async fn a_table_that_failed_is_opened_again() {
    let opened = open(TempDir::new().unwrap(), LOG, None);
    let projection = &opened.projection;
    let mut claim = projection.claim(P0, Stream::Events).await.unwrap();
    put(projection, step(claim, START), &mut claim).await;
    projection.shared.table.read().unwrap().table.as_ref().unwrap().break_it();
    put(projection, step(claim, START), &mut claim).await;
    assert_eq!(projection.shared.table.read().unwrap().times, 1);
    assert_eq!(projection.view(P0, &[]).await.unwrap().checkpoint, Offset(2));
}
