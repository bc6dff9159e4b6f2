//! The contract of [`Pusher`](campanile_core::port::Pusher) and of its slots.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

use std::sync::Arc;

use async_trait::async_trait;
use campanile_core::port::{Push, PushBody, Pusher, RouteDown, Slot, SyncState};
use campanile_core::{
    Address, Content, DeliveryId, EndpointId, HoldReason, NotificationId, Offset, Outcome,
    Priority, Route, Timestamp, UserAction, Visual,
};

use super::soon;
use crate::vocabulary::{item, user};

/// What goes wrong with a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The platform refuses to begin with it, and says so.
    Refuse,
    /// The platform takes it, and the connection ends before an answer.
    Cut,
    /// The platform takes it, and never answers.
    Silence,
}

/// Makes senders for the suite.
#[async_trait]
pub trait PusherFactory: Send + Sync {
    /// A sender, and the platform it sends to.
    type Open: OpenPusher;

    /// A sender with a platform of its own that works.
    async fn create(&self) -> Self::Open;
}

/// A sender, and the platform it sends to.
#[async_trait]
pub trait OpenPusher: Send + Sync {
    /// The sender. Its bounds and time-outs are short.
    fn pusher(&self) -> &dyn Pusher;

    /// A route that works.
    fn route(&self) -> Route;

    /// A route for which there is no credential.
    fn route_without_credential(&self) -> Route;

    /// An address on the route that the platform knows.
    fn address(&self) -> Arc<Address>;

    /// For how many pushes at once there is room on the route.
    fn room(&self) -> usize;

    /// Makes this happen to the next push.
    async fn trouble(&self, next: Trouble);

    /// What the platform took so far, in order: for each push, the name under which a later one
    /// replaces it.
    async fn taken(&self) -> Vec<String>;

    /// Ends every connection of the platform, and takes no new one.
    async fn go_down(&self);
}

/// Runs the suite of the platforms as tests of the calling module:
/// `pusher_conformance!(factory)`, where `factory` is an expression that makes a
/// [`PusherFactory`].
#[macro_export]
macro_rules! pusher_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            pusher,
            $factory,
            [
                a_push_is_taken_and_answered,
                a_slot_starts_nothing,
                beyond_the_room_there_is_no_slot,
                a_dropped_slot_gives_its_room_back,
                a_finished_push_gives_its_room_back,
                all_room_can_be_used_at_once,
                the_same_push_replaces_itself,
                what_was_refused_was_not_processed,
                without_an_answer_nothing_is_certain,
                a_platform_that_never_answers_is_not_waited_for,
                a_route_without_credential_is_held,
                a_platform_that_is_down_is_unreachable,
            ]
        );
    };
}

/// A push that shows the revision of an item.
fn push(open: &impl OpenPusher, name: &str, revision: u32) -> Push {
    let id = item(user(1), name);
    let title = format!("{name}, revision {revision}");
    let visual = Some(Visual { title, ..Visual::default() });
    let content = Arc::new(Content { visual, raw: None });
    addressed(open, id, PushBody::Show { content, group: None }, revision)
}

/// A push that tells silently of the state of an item.
fn silent(open: &impl OpenPusher, name: &str) -> Push {
    let id = item(user(1), name);
    let action = UserAction::Dismissed;
    addressed(open, id, PushBody::Sync(SyncState { id, read: true, action, clear: true }), 1)
}

fn addressed(open: &impl OpenPusher, id: NotificationId, body: PushBody, revision: u32) -> Push {
    let (endpoint, cause) = (EndpointId::from_bytes([1; 16]), Offset(revision.into()));
    Push {
        delivery: DeliveryId::new(id, cause, endpoint),
        address: open.address(),
        item: id,
        sequence: cause.0,
        priority: Priority::High,
        // The year 2100: never, whatever clock the adapter has.
        expires_at: Timestamp::from_millis(4_102_444_800_000),
        body,
        along: Vec::new(),
    }
}

async fn slot(open: &impl OpenPusher) -> Result<Box<dyn Slot>, RouteDown> {
    let route = open.route();
    soon("a slot or an error", open.pusher().slot(&route)).await
}

async fn send(open: &impl OpenPusher, push: Push) -> Outcome {
    let slot = slot(open).await.unwrap_or_else(|down| panic!("no slot: {down}"));
    soon("an outcome", slot.send(push)).await
}

#[track_caller]
fn assert_accepted(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
}

/// A push is taken by the platform once, and its answer is the outcome.
pub async fn a_push_is_taken_and_answered(factory: &impl PusherFactory) {
    let open = factory.create().await;
    assert_accepted(&send(&open, push(&open, "a", 1)).await);
    assert_accepted(&send(&open, silent(&open, "b")).await);
    assert_eq!(open.taken().await.len(), 2);
}

/// `slot` starts nothing at the platform.
pub async fn a_slot_starts_nothing(factory: &impl PusherFactory) {
    let open = factory.create().await;
    for _ in 0..3 {
        drop(slot(&open).await.unwrap_or_else(|down| panic!("no slot: {down}")));
    }
    assert_eq!(open.taken().await, [""; 0]);
    assert_accepted(&send(&open, push(&open, "a", 1)).await);
    assert_eq!(open.taken().await.len(), 1);
}

async fn all_slots(open: &impl OpenPusher) -> Vec<Box<dyn Slot>> {
    let mut slots = Vec::new();
    for number in 1..=open.room() {
        let taken = slot(open).await;
        slots.push(taken.unwrap_or_else(|down| panic!("no slot number {number}: {down}")));
    }
    slots
}

/// A slot is room for one push: when all room is reserved, the wait for more is bounded.
pub async fn beyond_the_room_there_is_no_slot(factory: &impl PusherFactory) {
    let open = factory.create().await;
    let held = all_slots(&open).await;
    let beyond = slot(&open).await.err();
    assert!(matches!(beyond, Some(RouteDown::Unreachable { .. })), "{beyond:?}");
    drop(held);
    assert_accepted(&send(&open, push(&open, "a", 1)).await);
}

/// Dropping a slot gives the room back to who waits for it.
pub async fn a_dropped_slot_gives_its_room_back(factory: &impl PusherFactory) {
    let open = factory.create().await;
    let mut held = all_slots(&open).await;
    let release = async {
        tokio::task::yield_now().await;
        drop(held.pop());
    };
    let (waited, ()) = futures::join!(slot(&open), release);
    assert!(waited.is_ok(), "room was given back, but: {:?}", waited.err());
}

/// A push that ended gives its room back.
pub async fn a_finished_push_gives_its_room_back(factory: &impl PusherFactory) {
    let open = factory.create().await;
    let _held: Vec<_> = all_slots(&open).await.into_iter().skip(1).collect();
    for revision in 1..6 {
        assert_accepted(&send(&open, push(&open, "a", revision)).await);
    }
    assert_eq!(open.taken().await.len(), 5);
}

/// Each slot is good for a push, all at the same time.
pub async fn all_room_can_be_used_at_once(factory: &impl PusherFactory) {
    let open = factory.create().await;
    let slots = all_slots(&open).await;
    let sends = slots.into_iter().map(|slot| slot.send(push(&open, "a", 1)));
    let outcomes = soon("every outcome", futures::future::join_all(sends)).await;
    outcomes.iter().for_each(assert_accepted);
    assert_eq!(open.taken().await.len(), open.room());
}

/// The same push twice is the same thing on the device, as are two revisions of one item, but not
/// two items.
pub async fn the_same_push_replaces_itself(factory: &impl PusherFactory) {
    let open = factory.create().await;
    let pushes = [("a", 1), ("a", 1), ("a", 2), ("b", 1)];
    for (name, revision) in pushes {
        assert_accepted(&send(&open, push(&open, name, revision)).await);
    }
    for _ in 0..2 {
        assert_accepted(&send(&open, silent(&open, "a")).await);
    }
    let names = open.taken().await;
    assert_eq!((&names[0], &names[0]), (&names[1], &names[2]));
    assert_ne!(names[0], names[3]);
    assert_eq!(names[4], names[5]);
}

/// The outcome is `Unprocessed` when the platform certainly did nothing.
pub async fn what_was_refused_was_not_processed(factory: &impl PusherFactory) {
    let open = factory.create().await;
    open.trouble(Trouble::Refuse).await;
    let outcome = send(&open, push(&open, "a", 1)).await;
    assert!(matches!(outcome, Outcome::Unprocessed { .. }), "{outcome:?}");
    assert_eq!(open.taken().await, [""; 0]);
    assert_accepted(&send(&open, push(&open, "a", 1)).await);
}

/// The outcome is `Indefinite` when the platform may have acted and no answer came.
pub async fn without_an_answer_nothing_is_certain(factory: &impl PusherFactory) {
    let open = factory.create().await;
    open.trouble(Trouble::Cut).await;
    let outcome = send(&open, push(&open, "a", 1)).await;
    assert!(matches!(outcome, Outcome::Indefinite { .. }), "{outcome:?}");
    assert_accepted(&send(&open, push(&open, "a", 1)).await);
    let names = open.taken().await;
    assert_eq!((names.len(), &names[0]), (2, &names[1]));
}

/// `send` ends within the adapter's time-out.
pub async fn a_platform_that_never_answers_is_not_waited_for(factory: &impl PusherFactory) {
    let open = factory.create().await;
    open.trouble(Trouble::Silence).await;
    let outcome = send(&open, push(&open, "a", 1)).await;
    assert!(matches!(outcome, Outcome::Indefinite { .. }), "{outcome:?}");
    assert_accepted(&send(&open, push(&open, "b", 1)).await);
}

/// A route without credential is held.
pub async fn a_route_without_credential_is_held(factory: &impl PusherFactory) {
    let open = factory.create().await;
    let route = open.route_without_credential();
    let down = soon("an error", open.pusher().slot(&route)).await.err();
    assert_eq!(down, Some(RouteDown::Held(HoldReason::Credential)));
}

/// A platform that is down has no room.
pub async fn a_platform_that_is_down_is_unreachable(factory: &impl PusherFactory) {
    let open = factory.create().await;
    assert_accepted(&send(&open, push(&open, "a", 1)).await);
    open.go_down().await;
    let down = slot(&open).await.err();
    assert!(matches!(down, Some(RouteDown::Unreachable { .. })), "{down:?}");
}
