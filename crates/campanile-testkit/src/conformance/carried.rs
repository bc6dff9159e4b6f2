//! The contract of [`Carried`]: what is carried is what there was, at one instant, and never goes
//! back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::collections::BTreeMap;

use async_trait::async_trait;
use campanile_core::port::{Carried, CarriedState, Projection, ProjectionError, Stream, Write};
use campanile_core::{AgendaChange, Offset, Partition, Timestamp};

use super::writer::{P0, Writer};
use crate::scenario::{dismissed, posted, registered};
use crate::vocabulary::{START, phone, user};

/// Makes places to carry state to for the suite.
#[async_trait]
pub trait CarriedFactory: Send + Sync {
    /// One that is open, with the projection whose state it carries.
    type Open: OpenCarried;

    /// A new one, for a projection of which nothing is built, of at least two partitions.
    async fn create(&self) -> Self::Open;

    /// Closes both and opens the same storage again; an adapter that stores nothing answers the same.
    async fn reopen(&self, open: Self::Open) -> Self::Open;

    /// The same, with a projection that has lost everything.
    async fn lose_projection(&self, open: Self::Open) -> Self::Open;
}

/// One, open.
pub trait OpenCarried: Send + Sync {
    /// What is carried.
    fn carried(&self) -> &dyn Carried;

    /// What serves.
    fn projection(&self) -> &dyn Projection;
}

/// A user with a phone who is told something.
async fn told(writer: &mut Writer<'_>) {
    for step in [registered(phone(1)), posted("a")] {
        writer.record(user(0), step.of(user(0)).event(START)).await;
    }
}

async fn handled(writer: &mut Writer<'_>) {
    writer.record(user(0), dismissed("a").of(user(0)).event(START)).await;
}

async fn events(open: &impl OpenCarried, partition: Partition) -> Writer<'_> {
    Writer::of(open.projection(), partition, Stream::Events).await
}

async fn state(open: &impl OpenCarried) -> CarriedState {
    open.carried().state(P0).await.unwrap().unwrap()
}

/// The state is what `writer` folded.
#[track_caller]
fn assert_is(state: &CarriedState, writer: &Writer<'_>) {
    assert_eq!((state.as_of, state.time), (writer.claim.next, writer.time));
    let found: BTreeMap<_, _> = state.pieces.iter().map(|it| (it.key, &it.piece)).collect();
    assert_eq!(found.len(), state.pieces.len(), "a piece is carried twice");
    assert_eq!(found, writer.world.pieces().map(|(key, piece)| (*key, piece)).collect());
    let mut agenda: Vec<_> = state.agenda.iter().map(|it| (it.user, it.change)).collect();
    let expected = writer.world.agenda(user(0)).map(|entry| (user(0), AgendaChange::Add(entry)));
    let mut expected: Vec<_> = expected.collect();
    let by_time = |(_, change): &(_, AgendaChange)| match change {
        AgendaChange::Add(entry) | AgendaChange::Remove(entry) => *entry,
    };
    agenda.sort_by_key(by_time);
    expected.sort_by_key(by_time);
    assert_eq!(agenda, expected);
}

/// Nothing is carried of what was never carried.
pub async fn nothing_is_carried_at_first(factory: &impl CarriedFactory) {
    let open = factory.create().await;
    told(&mut events(&open, P0).await).await;
    assert_eq!(open.carried().as_of(P0).await, Ok(None));
    assert_eq!(open.carried().state(P0).await, Ok(None));
}

/// State that is unknown is not carried as empty.
pub async fn what_is_not_built_is_not_carried(factory: &impl CarriedFactory) {
    let open = factory.create().await;
    assert_eq!(open.carried().carry(P0).await, Err(ProjectionError::NotBuilt(P0)));
    assert_eq!(open.carried().as_of(P0).await, Ok(None));
}

/// Pieces, agenda, time and checkpoint are those of one instant.
pub async fn what_is_carried_is_what_was_folded(factory: &impl CarriedFactory) {
    let open = factory.create().await;
    let mut writer = events(&open, P0).await;
    told(&mut writer).await;
    assert_eq!(open.carried().carry(P0).await, Ok(writer.claim.next));
    assert_eq!(open.carried().as_of(P0).await, Ok(Some(writer.claim.next)));
    assert_is(&state(&open).await, &writer);
}

/// What is folded later is carried the next time, and takes the place of what was there.
pub async fn carrying_again_replaces_it(factory: &impl CarriedFactory) {
    let open = factory.create().await;
    let mut writer = events(&open, P0).await;
    told(&mut writer).await;
    open.carried().carry(P0).await.unwrap();
    let before = state(&open).await;
    handled(&mut writer).await;
    assert_eq!(state(&open).await, before, "only carrying carries");
    assert_eq!(open.carried().carry(P0).await, Ok(writer.claim.next));
    assert_is(&state(&open).await, &writer);
}

/// Partitions are carried each for itself.
pub async fn partitions_are_carried_apart(factory: &impl CarriedFactory) {
    let open = factory.create().await;
    told(&mut events(&open, P0).await).await;
    let mut elsewhere = events(&open, Partition(1)).await;
    elsewhere.wait_until(START).await;
    assert_eq!(open.carried().carry(Partition(1)).await, Ok(elsewhere.claim.next));
    assert_eq!(open.carried().as_of(P0).await, Ok(None));
    let empty = open.carried().state(Partition(1)).await.unwrap().unwrap();
    assert_eq!((empty.pieces, empty.agenda), (Vec::new(), Vec::new()));
}

/// What an answer said is carried is carried after a restart.
pub async fn what_is_carried_outlives_a_restart(factory: &impl CarriedFactory) {
    let open = factory.create().await;
    told(&mut events(&open, P0).await).await;
    let as_of = open.carried().carry(P0).await.unwrap();
    let before = state(&open).await;
    let open = factory.reopen(open).await;
    assert_eq!(open.carried().as_of(P0).await, Ok(Some(as_of)));
    assert_eq!(state(&open).await, before);
}

/// A projection that is behind what is carried does not take its place.
pub async fn what_is_carried_never_goes_back(factory: &impl CarriedFactory) {
    let open = factory.create().await;
    let mut writer = events(&open, P0).await;
    told(&mut writer).await;
    let as_of = open.carried().carry(P0).await.unwrap();
    let before = state(&open).await;
    drop(writer);
    let open = factory.lose_projection(open).await;
    assert_eq!(open.carried().as_of(P0).await, Ok(Some(as_of)));
    let mut behind = events(&open, P0).await;
    assert_eq!(behind.claim.next, Offset(0), "the projection is lost");
    behind.wait_until(START).await;
    assert_eq!(open.carried().carry(P0).await, Ok(as_of));
    assert_eq!(state(&open).await, before);
}

/// At the same place, what is there now is carried: what was carried may have been of a projection
/// that was repaired since.
pub async fn at_the_same_place_the_latest_counts(factory: &impl CarriedFactory) {
    let open = factory.create().await;
    let mut writer = events(&open, P0).await;
    told(&mut writer).await;
    let as_of = open.carried().carry(P0).await.unwrap();
    drop(writer);
    let open = factory.lose_projection(open).await;
    let mut repaired = events(&open, P0).await;
    while repaired.claim.next < as_of {
        repaired.wait_until(START).await;
    }
    assert_eq!(open.carried().carry(P0).await, Ok(as_of));
    assert_is(&state(&open).await, &repaired);
}

/// A fold that begins with what is carried is where the one was that it is of.
pub async fn a_fold_begins_with_what_is_carried(factory: &impl CarriedFactory) {
    let open = factory.create().await;
    let mut writer = events(&open, P0).await;
    told(&mut writer).await;
    handled(&mut writer).await;
    open.carried().carry(P0).await.unwrap();
    let CarriedState { as_of, time, pieces, agenda } = state(&open).await;
    let keys: Vec<_> = pieces.iter().map(|piece| piece.key).collect();
    let before = writer.view(&keys).await;
    let end = Timestamp::from_millis(u64::MAX);
    let due = open.projection().due(P0, end, 100).await.unwrap();
    drop(writer);
    let open = factory.lose_projection(open).await;
    let mut again = events(&open, P0).await;
    let step = Write { to: as_of, time, pieces, agenda, ..again.nothing() };
    again.put(step).await;
    assert_eq!(again.view(&keys).await, before);
    assert_eq!(open.projection().due(P0, end, 100).await, Ok(due));
}
