//! What a connection waits for without standing still.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use h2::RecvStream;
use http::request::Parts;

use super::Respond;
use super::body::Collected;

/// A request that cannot be dealt with yet.
pub(crate) struct Waiting<V> {
    /// The stream, as long as its body is not complete: it is not judged yet.
    unread: Option<u32>,
    end: BoxFuture<'static, Waited<V>>,
}

/// What the wait ends with.
pub(crate) enum Waited<V> {
    /// The body is complete; without one the stream broke.
    Body(Box<Parts>, Option<Bytes>, Respond),
    /// The answer is due.
    Answer(V, Respond),
    /// The client gave up.
    Abandoned { stalled: bool },
}

impl<V: Send + 'static> Waiting<V> {
    /// For the rest of a body.
    pub(crate) fn body(
        parts: Parts,
        mut collected: Collected,
        mut stream: RecvStream,
        respond: Respond,
    ) -> Self {
        let unread = Some(respond.stream_id().as_u32());
        let end = Box::pin(async move {
            let complete = poll_fn(|cx| collected.poll(&mut stream, cx)).await;
            let body = complete.then(|| collected.into_bytes());
            Waited::Body(Box::new(parts), body, respond)
        });
        Self { unread, end }
    }

    /// For the time of an answer.
    pub(crate) fn answer(verdict: V, delay: Duration, mut respond: Respond) -> Self {
        let end = Box::pin(async move {
            let given_up = poll_fn(|cx| respond.poll_reset(cx));
            tokio::select! {
                biased;
                _ = given_up => Waited::Abandoned { stalled: false },
                () = tokio::time::sleep(delay) => Waited::Answer(verdict, respond),
            }
        });
        Self { unread: None, end }
    }

    /// For the client to give up.
    pub(crate) fn stalled(mut respond: Respond) -> Self {
        let end = Box::pin(async move {
            // The connection's end drops this future, so any way out means the client left.
            let _given_up = poll_fn(|cx| respond.poll_reset(cx)).await;
            Waited::Abandoned { stalled: true }
        });
        Self { unread: None, end }
    }

    /// Whether this is a stream above `last` of which nothing was judged.
    pub(crate) fn is_unread_above(&self, last: u32) -> bool {
        self.unread.is_some_and(|stream| stream > last)
    }
}

impl<V> Future for Waiting<V> {
    type Output = Waited<V>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Waited<V>> {
        self.end.as_mut().poll(cx)
    }
}
