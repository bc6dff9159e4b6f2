//! The contract of [`Namespaces`]: another projection is built beside the one that serves, and takes
//! its place at once or not at all.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use campanile_core::port::{
    Applied, Begin, Digest, FeedEvent, Namespace, Namespaces, Projection, ProjectionError, Stream,
};
use campanile_core::{Offset, Partition};
use futures::poll;

use super::soon;
use super::writer::{P0, Writer};
use crate::scenario::{dismissed, posted, registered};
use crate::vocabulary::{START, phone, user};

/// Makes namespaces for the suite.
#[async_trait]
pub trait NamespacesFactory: Send + Sync {
    /// Namespaces that are open, and whatever their storage lives in.
    type Open: OpenNamespaces;

    /// New ones, of a projection of two partitions of which nothing is built.
    async fn create(&self) -> Self::Open;

    /// Closes them and opens the same storage again; an adapter that stores nothing answers the
    /// same.
    async fn reopen(&self, open: Self::Open) -> Self::Open;
}

/// Namespaces, open.
pub trait OpenNamespaces: Send + Sync {
    /// They.
    fn namespaces(&self) -> &dyn Namespaces;

    /// What serves, as everybody holds it who reads or writes it.
    fn serving(&self) -> &dyn Projection;
}

const PARTITIONS: [Partition; 2] = [P0, Partition(1)];

/// Begins to write all of a projection; answers who writes the events of [`P0`].
async fn written(projection: &dyn Projection) -> Writer<'_> {
    for partition in PARTITIONS {
        for stream in Stream::ALL {
            if (partition, stream) != (P0, Stream::Events) {
                projection.claim(partition, stream).await.unwrap();
            }
        }
    }
    Writer::of(projection, P0, Stream::Events).await
}

/// A user with a phone who is told something: three things to add up, over two events.
async fn told(writer: &mut Writer<'_>) {
    for step in [registered(phone(1)), posted("a")] {
        writer.record(user(0), step.of(user(0)).event(START)).await;
    }
}

/// The same, with another end.
async fn handled(writer: &mut Writer<'_>) {
    told(writer).await;
    writer.record(user(0), dismissed("a").of(user(0)).event(START)).await;
}

async fn candidate(open: &impl OpenNamespaces, begin: Begin) -> Arc<dyn Projection> {
    open.namespaces().candidate(begin).await.unwrap().unwrap()
}

async fn digest(open: &impl OpenNamespaces, of: Namespace) -> Digest {
    open.namespaces().digest(of, P0).await.unwrap()
}

/// Builds a candidate that says more than what serves, and has it serve. Answers what it was.
async fn switched(open: &impl OpenNamespaces) -> Digest {
    let next = candidate(open, Begin::Anew).await;
    handled(&mut written(next.as_ref()).await).await;
    let built = digest(open, Namespace::Candidate).await;
    open.namespaces().hold().await.unwrap().switch().await.unwrap();
    built
}

/// Nothing served before, and nothing is built.
pub async fn there_is_nothing_beside_what_serves_at_first(factory: &impl NamespacesFactory) {
    let open = factory.create().await;
    told(&mut written(open.serving()).await).await;
    assert!(open.namespaces().candidate(Begin::Former).await.unwrap().is_none());
    let found = open.namespaces().digest(Namespace::Candidate, P0).await;
    assert!(matches!(found, Err(ProjectionError::Unavailable { .. })), "{found:?}");
}

/// A candidate begins with nothing. What serves is served and written as ever, and neither has what
/// is written to the other.
pub async fn a_candidate_is_built_beside_what_serves(factory: &impl NamespacesFactory) {
    let open = factory.create().await;
    let mut serving = written(open.serving()).await;
    told(&mut serving).await;
    let next = candidate(&open, Begin::Anew).await;
    assert_eq!(next.view(P0, &[]).await, Err(ProjectionError::NotBuilt(P0)));
    let mut building = written(next.as_ref()).await;
    assert_eq!(building.claim.next, Offset(0));
    building.wait_until(START).await;
    serving.record(user(0), dismissed("a").of(user(0)).event(START)).await;
    assert_eq!(digest(&open, Namespace::Serving).await.checkpoint, Offset(3));
    assert_eq!(digest(&open, Namespace::Candidate).await.checkpoint, Offset(1));
    assert_eq!(serving.view(&[]).await.checkpoint, Offset(3));
}

/// Whoever asks for the candidate again gets the same.
pub async fn there_is_one_candidate(factory: &impl NamespacesFactory) {
    let open = factory.create().await;
    let first = candidate(&open, Begin::Anew).await;
    told(&mut written(first.as_ref()).await).await;
    let second = candidate(&open, Begin::Anew).await;
    assert_eq!(second.view(P0, &[]).await.unwrap().checkpoint, Offset(2));
}

/// What is built of a candidate survives the process.
pub async fn what_is_built_outlives_a_restart(factory: &impl NamespacesFactory) {
    let open = factory.create().await;
    let next = candidate(&open, Begin::Anew).await;
    told(&mut written(next.as_ref()).await).await;
    let built = digest(&open, Namespace::Candidate).await;
    drop(next);
    let open = factory.reopen(open).await;
    let next = candidate(&open, Begin::Anew).await;
    assert_eq!(digest(&open, Namespace::Candidate).await, built);
    assert_eq!(written(next.as_ref()).await.claim.next, Offset(2));
}

/// Two folds of the same events add up to the same; what differs shows.
pub async fn equal_folds_have_equal_digests(factory: &impl NamespacesFactory) {
    let open = factory.create().await;
    let next = candidate(&open, Begin::Anew).await;
    let (mut serving, mut building) = (written(open.serving()).await, written(next.as_ref()).await);
    told(&mut serving).await;
    told(&mut building).await;
    let before = digest(&open, Namespace::Serving).await;
    assert_eq!(digest(&open, Namespace::Candidate).await, before);
    assert_eq!((before.checkpoint, before.reach.count, before.items.count), (Offset(2), 1, 1));
    assert!(before.agenda.count > 0, "a lease and an item end some time");

    serving.record(user(0), dismissed("a").of(user(0)).event(START)).await;
    let Digest { checkpoint, reach, items, agenda } = digest(&open, Namespace::Serving).await;
    assert_eq!((checkpoint, reach, agenda), (Offset(3), before.reach, before.agenda));
    assert!(items.count == 1 && items.hash != before.items.hash, "the item is another");
    assert_eq!(digest(&open, Namespace::Candidate).await, before);
}

/// Writers wait while the serving namespace is held, and readers do not. Dropped, it changes nothing.
pub async fn writers_wait_while_it_is_held(factory: &impl NamespacesFactory) {
    let open = factory.create().await;
    let mut serving = written(open.serving()).await;
    told(&mut serving).await;
    let held = open.namespaces().hold().await.unwrap();
    let mut applying = pin!(open.serving().apply(serving.nothing()));
    for _ in 0..20 {
        assert!(poll!(&mut applying).is_pending(), "a writer does not wait");
        let views = soon("a reader", open.serving().view(P0, &[])).await.unwrap();
        assert_eq!(views.checkpoint, Offset(2));
    }
    drop(held);
    assert_eq!(soon("a writer", applying).await, Ok(Applied::Applied));
    assert_eq!(serving.view(&[]).await.checkpoint, Offset(3));
}

/// A candidate that has not come as far as what serves is refused, and nothing changes.
pub async fn a_candidate_that_is_behind_is_refused(factory: &impl NamespacesFactory) {
    let open = factory.create().await;
    let mut serving = written(open.serving()).await;
    handled(&mut serving).await;
    let next = candidate(&open, Begin::Anew).await;
    told(&mut written(next.as_ref()).await).await;
    refused(&open).await;
    assert_eq!(digest(&open, Namespace::Serving).await.checkpoint, Offset(3));
    serving.wait_until(START).await;
    assert_eq!(
        digest(&open, Namespace::Candidate).await.checkpoint,
        Offset(2),
        "it is still there"
    );
}

/// One that is not built in every partition is behind also a projection that is empty there.
pub async fn a_candidate_that_nobody_built_is_refused(factory: &impl NamespacesFactory) {
    let open = factory.create().await;
    let next = candidate(&open, Begin::Anew).await;
    told(&mut Writer::of(next.as_ref(), P0, Stream::Events).await).await;
    refused(&open).await;
    assert_eq!(open.serving().view(P0, &[]).await, Err(ProjectionError::NotBuilt(P0)));
}

async fn refused(open: &impl OpenNamespaces) {
    let switched = open.namespaces().hold().await.unwrap().switch().await;
    assert!(matches!(switched, Err(ProjectionError::Unavailable { .. })), "{switched:?}");
}

/// What was the candidate serves everybody at once, also who held the other, and nobody writes it
/// who wrote one of the two.
pub async fn a_switch_is_for_everybody_and_fences_the_writers(factory: &impl NamespacesFactory) {
    let open = factory.create().await;
    let mut serving = written(open.serving()).await;
    told(&mut serving).await;
    let next = candidate(&open, Begin::Anew).await;
    let mut building = written(next.as_ref()).await;
    handled(&mut building).await;
    // The serving one's writer has stood at the same place, which is no reason to take its step.
    serving.claim.next = building.claim.next;
    let built = digest(&open, Namespace::Candidate).await;
    open.namespaces().hold().await.unwrap().switch().await.unwrap();
    assert_eq!(digest(&open, Namespace::Serving).await, built);
    assert_eq!(serving.view(&[]).await.checkpoint, Offset(3));
    assert_eq!(open.serving().apply(serving.nothing()).await, Ok(Applied::Fenced));
    assert_eq!(open.serving().apply(building.nothing()).await, Ok(Applied::Fenced));
    let late = next.apply(building.nothing()).await;
    assert!(!matches!(late, Ok(Applied::Applied)), "it is written under its former name");
    let mut again = written(open.serving()).await;
    assert_eq!(again.claim.next, Offset(3));
    again.wait_until(START).await;
    let none = open.namespaces().digest(Namespace::Candidate, P0).await;
    assert!(none.is_err(), "what serves is no candidate any more: {none:?}");
}

/// What serves is what served when the process ended.
pub async fn a_switch_outlives_a_restart(factory: &impl NamespacesFactory) {
    let open = factory.create().await;
    told(&mut written(open.serving()).await).await;
    let built = switched(&open).await;
    let open = factory.reopen(open).await;
    assert_eq!(digest(&open, Namespace::Serving).await, built);
}

/// A feed of what served tells that anything may have changed, or breaks; it does not wait for a
/// change that nobody will write.
pub async fn who_follows_what_served_looks_again(factory: &impl NamespacesFactory) {
    let open = factory.create().await;
    told(&mut written(open.serving()).await).await;
    let mut feed = open.serving().feed(P0).await.unwrap();
    switched(&open).await;
    let told = soon("a word about the switch", feed.next()).await;
    assert!(matches!(told, Ok(FeedEvent::Lagged) | Err(_)), "{told:?}");
}

/// What served before is the former namespace: it can be built further, and serve again.
pub async fn what_served_can_serve_again(factory: &impl NamespacesFactory) {
    let open = factory.create().await;
    told(&mut written(open.serving()).await).await;
    let before = digest(&open, Namespace::Serving).await;
    switched(&open).await;
    let former = candidate(&open, Begin::Former).await;
    let mut building = written(former.as_ref()).await;
    assert_eq!(building.claim.next, Offset(2));
    refused(&open).await;
    building.wait_until(START).await;
    open.namespaces().hold().await.unwrap().switch().await.unwrap();
    let Digest { reach, items, agenda, .. } = digest(&open, Namespace::Serving).await;
    assert_eq!((reach, items, agenda), (before.reach, before.items, before.agenda));
    let former = candidate(&open, Begin::Former).await;
    assert_eq!(
        former.view(P0, &[]).await.unwrap().checkpoint,
        Offset(3),
        "and the other way round"
    );
}

/// A candidate that is not wanted leaves nothing, and takes neither what serves nor the former.
pub async fn a_discarded_candidate_is_gone(factory: &impl NamespacesFactory) {
    let open = factory.create().await;
    told(&mut written(open.serving()).await).await;
    let serving = switched(&open).await;
    let next = candidate(&open, Begin::Anew).await;
    told(&mut written(next.as_ref()).await).await;
    drop(next);
    open.namespaces().discard().await.unwrap();
    assert!(open.namespaces().digest(Namespace::Candidate, P0).await.is_err());
    assert_eq!(digest(&open, Namespace::Serving).await, serving);
    let former = candidate(&open, Begin::Former).await;
    assert_eq!(former.view(P0, &[]).await.unwrap().checkpoint, Offset(2));
    let anew = candidate(&open, Begin::Anew).await;
    assert_eq!(anew.view(P0, &[]).await, Err(ProjectionError::NotBuilt(P0)));
}
