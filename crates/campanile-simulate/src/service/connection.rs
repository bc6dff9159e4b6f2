//! One connection: streams in, answers out, within the stream limit announced to the client.
//!
//! One task serves the whole connection. Requests whose body is already there, which under load
//! are nearly all, are answered in place; only what has to wait becomes a future of its own.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use h2::{Reason as ErrorCode, RecvStream};
use http::Request;
use http::request::Parts;
use tokio::time::Sleep;

use super::body::Collected;
use super::control::Control;
use super::fault::{Action, Fate};
use super::streams::Streams;
use super::waiting::{Waited, Waiting};
use super::wire::{Transport, Wire};
use super::world::Counts;
use super::{Asked, Respond, Serve, Shared, Verdict};

/// How long a connection is kept after its GOAWAY for the client to close it.
const FAREWELL: Duration = Duration::from_secs(1);
/// Flow-control window of the connection: room for the largest payload on 1000 streams.
const WINDOW: u32 = 8 * 1024 * 1024;
/// Streams that ended early and are remembered, so that their late frames do no harm.
const ENDED_STREAMS: usize = 4096;

/// What happens next on the connection.
enum Turn<V> {
    Opened(Request<RecvStream>, Respond),
    Waited(Waited<V>),
    Closed,
}

pub(crate) struct Connection<T: Transport, S: Serve> {
    h2: h2::server::Connection<Wire<T>, Bytes>,
    control: Control,
    shared: Arc<Shared<S>>,
    session: S::Session,
    number: u64,
    waiting: FuturesUnordered<Waiting<S::Verdict>>,
    /// How many of the waiting will never answer.
    stalled: usize,
    streams: Streams,
    /// The newest stream that was judged.
    judged: u32,
    /// Streams above the last one of a GOAWAY. They are never looked at again, but kept until the
    /// end, so that nothing is said about them.
    ignored: Vec<Waiting<S::Verdict>>,
    leaving: Option<Pin<Box<Sleep>>>,
}

/// Serves one connection until it ends.
///
/// # Errors
///
/// What `h2` has against the peer's opening of the connection.
pub(crate) async fn serve<T: Transport, S: Serve>(
    io: T,
    shared: Arc<Shared<S>>,
    number: u64,
    session: S::Session,
) -> Result<(), h2::Error> {
    let control = Control::new(shared.limits.initial);
    let h2 = h2::server::Builder::new()
        // The limit is ours to keep, see `Streams`; `h2` must only mention one.
        .max_concurrent_streams(u32::MAX)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_reset_streams(ENDED_STREAMS)
        .max_pending_accept_reset_streams(ENDED_STREAMS)
        .max_local_error_reset_streams(None)
        .handshake(Wire::new(io, control.clone()))
        .await?;
    let streams = Streams::new(shared.limits, control.clone());
    let connection = Connection {
        h2,
        control,
        shared,
        session,
        number,
        waiting: FuturesUnordered::new(),
        stalled: 0,
        streams,
        judged: 0,
        ignored: Vec::new(),
        leaving: None,
    };
    connection.run().await;
    Ok(())
}

impl<T: Transport, S: Serve> Connection<T, S> {
    async fn run(mut self) {
        loop {
            match poll_fn(|cx| self.poll_turn(cx)).await {
                Turn::Opened(request, respond) => {
                    if let Some((parts, body, respond)) = self.opened(request, respond).await {
                        self.dispatch(&parts, body, respond);
                    }
                }
                Turn::Waited(waited) => self.waited(waited),
                Turn::Closed => return,
            }
        }
    }

    /// Everything that is ready is dealt with before anything is sent: answers travel together.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn<S::Verdict>> {
        self.control.cork(true);
        if let Poll::Ready(turn) = self.poll_open(cx) {
            return Poll::Ready(turn);
        }
        if let Poll::Ready(Some(waited)) = self.waiting.poll_next_unpin(cx) {
            return Poll::Ready(Turn::Waited(waited));
        }
        if let Some(leaving) = &mut self.leaving
            && leaving.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Turn::Closed);
        }
        self.control.cork(false);
        self.streams.flushed();
        if let Poll::Ready(turn) = self.poll_open(cx) {
            return Poll::Ready(turn);
        }
        if self.leaving.is_some() && self.waiting.len() == self.stalled {
            self.control.close();
            return self.poll_open(cx);
        }
        Poll::Pending
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Turn<S::Verdict>> {
        self.h2.poll_accept(cx).map(|next| match next {
            Some(Ok((request, respond))) => Turn::Opened(request, respond),
            Some(Err(_)) | None => Turn::Closed,
        })
    }

    /// Admits a stream and reads its body if it is there already.
    async fn opened(
        &mut self,
        request: Request<RecvStream>,
        mut respond: Respond,
    ) -> Option<(Parts, Option<Bytes>, Respond)> {
        let (parts, mut stream) = request.into_parts();
        let id = respond.stream_id().as_u32();
        self.streams.opened(id);
        let mut full = self.streams.is_full_for(id, self.waiting.len());
        if full {
            // A client may reset a stream and open another in one breath: first look who is gone.
            self.settle_waiting().await;
            full = self.streams.is_full_for(id, self.waiting.len());
        }
        // Only now: what was settled may have set off a GOAWAY.
        if self.leaving.is_some() {
            self.ignored.push(Waiting::body(parts, Collected::new(S::BODY_LIMIT), stream, respond));
            return None;
        }
        self.count(|counts| counts.requests += 1);
        if full {
            self.refuse(&mut respond);
            return None;
        }
        let mut collected = Collected::new(S::BODY_LIMIT);
        let first = poll_fn(|cx| Poll::Ready(collected.poll(&mut stream, cx))).await;
        match first {
            Poll::Ready(complete) => {
                let body = complete.then(|| collected.into_bytes());
                Some((parts, body, respond))
            }
            Poll::Pending => {
                self.waiting.push(Waiting::body(parts, collected, stream, respond));
                None
            }
        }
    }

    fn waited(&mut self, waited: Waited<S::Verdict>) {
        match waited {
            Waited::Body(parts, body, mut respond) => {
                if self.streams.is_cut_off(respond.stream_id().as_u32()) {
                    self.refuse(&mut respond);
                } else {
                    self.dispatch(&parts, body, respond);
                }
            }
            Waited::Answer(verdict, respond) => self.answer(verdict, respond),
            Waited::Abandoned { stalled } => {
                self.stalled -= usize::from(stalled);
                self.count(|counts| counts.abandoned += 1);
            }
        }
    }

    /// Deals with every waiting request that has come to its end by now.
    async fn settle_waiting(&mut self) {
        while let Poll::Ready(Some(waited)) =
            poll_fn(|cx| Poll::Ready(self.waiting.poll_next_unpin(cx))).await
        {
            self.waited(waited);
        }
    }

    fn refuse(&mut self, respond: &mut Respond) {
        respond.send_reset(ErrorCode::REFUSED_STREAM);
        self.count(|counts| counts.refused += 1);
    }

    /// Follows the script for a request, if there is one, and judges it if it is not lost.
    fn dispatch(&mut self, parts: &Parts, body: Option<Bytes>, mut respond: Respond) {
        let Some(body) = body else {
            self.count(|counts| counts.lost += 1);
            return;
        };
        let plan = self.shared.plan(self.number, parts, &body);
        if plan.judges() {
            self.judged = self.judged.max(respond.stream_id().as_u32());
        }
        match plan.action {
            None => {
                let verdict = self.judge(parts, &body);
                self.answer_later(verdict, plan.delay, respond);
            }
            Some(Action::Reject(rejection)) => {
                let request = Asked { connection: self.number, parts, body: &body };
                let verdict = S::reject(&self.shared, &request, rejection);
                self.answer_later(verdict, plan.delay, respond);
            }
            Some(Action::Stall(fate)) => {
                self.suffer(fate, parts, &body);
                self.stall(respond);
            }
            Some(Action::Reset(code, fate)) => {
                self.suffer(fate, parts, &body);
                respond.send_reset(code);
            }
            Some(Action::GoAway { code, reason, fate }) => {
                let verdict = self.suffer(fate, parts, &body);
                self.go_away(code, &reason, verdict, respond);
            }
            Some(Action::Disconnect(fate)) => {
                self.suffer(fate, parts, &body);
                self.control.crash();
            }
        }
    }

    /// The fate of a push whose client will not hear of it, or not in the usual way.
    fn suffer(&mut self, fate: Fate, parts: &Parts, body: &Bytes) -> Option<S::Verdict> {
        match fate {
            Fate::Taken => Some(self.judge(parts, body)),
            Fate::Lost => {
                self.count(|counts| counts.lost += 1);
                None
            }
        }
    }

    fn judge(&mut self, parts: &Parts, body: &Bytes) -> S::Verdict {
        let request = Asked { connection: self.number, parts, body };
        S::judge(&self.shared, &mut self.session, &request)
    }

    fn answer_later(&mut self, verdict: S::Verdict, delay: Option<Duration>, respond: Respond) {
        match delay {
            None => self.answer(verdict, respond),
            Some(delay) => self.waiting.push(Waiting::answer(verdict, delay, respond)),
        }
    }

    fn stall(&mut self, respond: Respond) {
        self.stalled += 1;
        self.waiting.push(Waiting::stalled(respond));
    }

    /// Says good-bye. RFC 9113 §6.8: no stream above the last one was or will be processed, so the
    /// last one is at least the newest that was judged, and those above it are never judged.
    fn go_away(
        &mut self,
        code: ErrorCode,
        reason: &str,
        verdict: Option<S::Verdict>,
        respond: Respond,
    ) {
        let before = respond.stream_id().as_u32().saturating_sub(2);
        let last = self.judged.max(before);
        let debug = serde_json::json!({ "reason": reason }).to_string();
        self.control.go_away(last, code, debug.as_bytes());
        self.leaving = Some(Box::pin(tokio::time::sleep(FAREWELL)));
        self.ignore_above(last);
        match verdict {
            Some(verdict) => self.answer(verdict, respond),
            None => self.stall(respond),
        }
    }

    fn ignore_above(&mut self, last: u32) {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let (above, others): (Vec<_>, Vec<_>) = waiting.partition(|it| it.is_unread_above(last));
        self.waiting.extend(others);
        self.count(|counts| counts.lost += u64::try_from(above.len()).unwrap_or(u64::MAX));
        self.ignored.extend(above);
    }

    /// Sends an answer. A client that has reset the stream meanwhile does not get it.
    fn answer(&mut self, verdict: S::Verdict, mut respond: Respond) {
        self.streams.answered();
        let accepted = verdict.accepted();
        if verdict.send(&mut respond).is_err() {
            self.count(|counts| counts.abandoned += 1);
        }
        if let Some(limit) = self.streams.adapt(accepted) {
            self.shared.change(|state| state.world.limited(self.number, limit));
        }
    }

    fn count(&self, add: impl Fn(&mut Counts)) {
        self.shared.count(self.number, add);
    }
}
