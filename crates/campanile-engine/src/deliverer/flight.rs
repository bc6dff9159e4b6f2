//! What a deliverer has begun and waits for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use campanile_core::{Outcome, RegistrationId, Route};
use futures::future::BoxFuture;

use super::Wake;
use super::lanes::LaneKey;
use super::silence::Along;

/// A push that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    /// Whose first job it was for.
    pub(super) lane: LaneKey,
    /// The lanes whose first jobs it told of, too.
    pub(super) along: Option<Box<Along>>,
    /// Which attempt.
    pub(super) attempt: u64,
    /// Which way it went.
    pub(super) route: Route,
    /// Whose it was for.
    pub(super) registration: RegistrationId,
}

/// Something that ends with a [`Wake`]. There are thousands of pushes: what belongs to one lies
/// beside its place in the queue, not somewhere else in memory that is cold when the answer comes.
pub(super) enum Flight {
    /// A push, and what comes of it.
    Push(Option<Sent>, BoxFuture<'static, Outcome>),
    /// Anything else.
    Other(BoxFuture<'static, Wake>),
}

impl Future for Flight {
    type Output = Wake;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Wake> {
        match &mut *self {
            Self::Push(sent, outcome) => {
                let outcome = ready!(outcome.as_mut().poll(cx));
                match sent.take() {
                    Some(sent) => Poll::Ready(Wake::Sent(sent, outcome)),
                    // It ended before, and is polled by mistake.
                    None => Poll::Pending,
                }
            }
            Self::Other(other) => other.as_mut().poll(cx),
        }
    }
}
