//! The contract of [`ChangeFeed`](campanile_core::port::ChangeFeed).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

use campanile_core::port::{Applied, ChangeFeed, FeedEvent, PieceKey, Stream, Write};
use campanile_core::{Offset, Partition, UserRef};
use futures::FutureExt;

use super::soon;
use super::writer::{LOG, OpenProjection, P0, ProjectionFactory, Writer, record};
use crate::scenario::posted;
use crate::vocabulary::{START, item, user};

/// A second user in the partition of the first.
const OTHER: u16 = 64;

async fn next(feed: &mut Box<dyn ChangeFeed>) -> FeedEvent {
    soon("a change", feed.next()).await.unwrap()
}

fn changed(checkpoint: u64, users: &[UserRef]) -> FeedEvent {
    FeedEvent::Changed { checkpoint: Offset(checkpoint), users: users.to_vec() }
}

/// A change is told after it is visible; what came before the subscription is not told.
pub async fn a_change_is_told_once_it_is_visible(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    writer.record(user(0), posted("a").of(user(0)).event(START)).await;
    let mut feed = open.projection().feed(P0).await.unwrap();
    let key = PieceKey::Item(user(0), item(user(0), "a"));
    for revision in 2..10 {
        writer.record(user(0), posted("a").of(user(0)).event(START)).await;
        assert_eq!(next(&mut feed).await, changed(revision, &[user(0)]));
        let views = writer.view(&[key]).await;
        assert_eq!(views.checkpoint, Offset(revision));
    }
}

/// Each user touched is told once.
pub async fn each_user_is_told_once(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    let mut feed = open.projection().feed(P0).await.unwrap();
    let posts = [(user(0), "a"), (user(OTHER), "a"), (user(0), "b")];
    let posts = posts.map(|(whose, name)| (whose, posted(name).of(whose).event(START)));
    let write = writer.fold_all(posts);
    writer.put(write).await;
    let FeedEvent::Changed { checkpoint, mut users } = next(&mut feed).await else {
        panic!("the feed lags after one change")
    };
    users.sort();
    assert_eq!((checkpoint, users), (Offset(3), vec![user(0), user(OTHER)]));
}

/// Other partitions, receipts, and writes that were not applied are not told.
pub async fn only_folded_events_of_the_partition_are_told(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    let mut feed = open.projection().feed(P0).await.unwrap();
    let mut neighbour = Writer::of(open.projection(), Partition(1), Stream::Events).await;
    neighbour.record(user(1), posted("a").of(user(1)).event(START)).await;
    let mut receipts = Writer::of(open.projection(), P0, Stream::Receipts).await;
    let history = vec![(user(0), Some(item(user(0), "a")), record(Stream::Receipts, 0))];
    receipts.put(Write { history, ..receipts.nothing() }).await;
    let event = writer.fold(user(0), posted("a").of(user(0)).event(START));
    let gap = Write { from: Offset(9), to: Offset(10), ..event.clone() };
    assert_eq!(open.projection().apply(gap).await, Ok(Applied::Gap(Offset(0))));
    writer.put(event).await;
    assert_eq!(next(&mut feed).await, changed(1, &[user(0)]));
}

/// The feed is bounded: a slow reader is told that it lags, and goes on.
pub async fn a_slow_reader_lags_and_goes_on(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    let mut slow = open.projection().feed(P0).await.unwrap();
    let writes = factory.feed_holds() + 1;
    for _ in 0..writes {
        writer.record(user(0), posted("a").of(user(0)).event(START)).await;
    }
    let mut told = Some(next(&mut slow).await);
    let mut lagged = false;
    while let Some(event) = told {
        lagged |= event == FeedEvent::Lagged;
        told = slow.next().now_or_never().map(Result::unwrap);
    }
    assert!(lagged, "{writes} changes were kept for a reader that took none");
    writer.record(user(0), posted("a").of(user(0)).event(START)).await;
    let latest = changed(writer.claim.next.0, &[user(0)]);
    while next(&mut slow).await != latest {}
}

/// `next` may be dropped while it waits without losing anything.
pub async fn a_dropped_wait_loses_no_change(factory: &impl ProjectionFactory) {
    let open = factory.create(LOG).await;
    let mut writer = Writer::new(&open).await;
    let mut feed = open.projection().feed(P0).await.unwrap();
    for checkpoint in 1..20 {
        assert!(feed.next().now_or_never().is_none(), "told something, but nothing happened");
        {
            let mut waiting = std::pin::pin!(feed.next());
            drop(waiting.as_mut().now_or_never());
            writer.record(user(0), posted("a").of(user(0)).event(START)).await;
        }
        assert_eq!(next(&mut feed).await, changed(checkpoint, &[user(0)]));
    }
}
