//! The protocol state of one connection, between those who send on it and the task that moves its
//! bytes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::http2::{Answer, Failure, Http2, Post, Violation};

/// The headers of answers that somebody reads.
const READ: [&str; 2] = ["apns-id", "retry-after"];

type Reply = oneshot::Sender<Result<Answer, Failure>>;

/// One connection's protocol. It never waits: its lock is held for the length of a call.
pub(super) struct Link {
    state: Mutex<State>,
    /// Told of every answered PING.
    pub(super) pong: Notify,
}

struct State {
    http2: Http2<Reply>,
    /// Wakes the driver, if it sleeps.
    driver: Option<Waker>,
}

/// A request on its way. Nobody answers it any more once this is dropped.
pub(crate) struct Exchange {
    answer: oneshot::Receiver<Result<Answer, Failure>>,
    stream: u32,
    link: Arc<Link>,
    ended: bool,
}

/// What a driver has to know of its connection.
pub(super) struct News {
    /// How many streams the server allows at once; `None` until it said so.
    pub(super) allowed: Option<usize>,
    /// Why the server goes away, if that is new.
    pub(super) goaway: Option<String>,
}

impl Link {
    pub(super) fn new() -> Self {
        let state = State { http2: Http2::new(&READ), driver: None };
        Self { state: Mutex::new(state), pong: Notify::new() }
    }

    /// Begins a request, unless the connection takes none any more.
    pub(super) fn begin(self: &Arc<Self>, post: &Post<'_>, body: Bytes) -> Option<Exchange> {
        let (reply, answer) = oneshot::channel();
        let mut state = self.state();
        let stream = state.http2.begin(post, body, reply).ok()?;
        wake(state);
        Some(Exchange { answer, stream, link: self.clone(), ended: false })
    }

    /// Asks the peer for a sign of life; [`Link::pong`] tells when it comes.
    pub(super) fn ping(&self) {
        let mut state = self.state();
        state.http2.ping();
        wake(state);
    }

    /// Says goodbye.
    pub(super) fn close(&self) {
        self.change(Http2::close);
    }

    /// The connection is gone.
    pub(super) fn end(&self, why: &str) {
        self.change(|http2| http2.end(why));
    }

    /// See [`Http2::expire`]. What is begun from now on has no deadline yet, so `driver` is woken by
    /// it, and must call this again.
    pub(super) fn expire(&self, now: Instant, next: Instant, driver: &Waker) -> Option<Instant> {
        self.state().driver = Some(driver.clone());
        self.change(|http2| http2.expire(now, next))
    }

    /// Takes the frames at the front of `input`, and answers how long they are.
    ///
    /// # Errors
    /// [`Violation`] if the peer broke a rule. The connection is over.
    pub(super) fn receive(&self, input: &[u8]) -> Result<usize, Violation> {
        let (length, pong) = self.change(|http2| (http2.receive(input), http2.take_pong()));
        if pong {
            self.pong.notify_waiters();
        }
        length
    }

    /// Exchanges what is to be sent for an empty `buffer`.
    pub(super) fn take_output(&self, buffer: &mut Vec<u8>) {
        self.state().http2.take_output(buffer);
    }

    /// See [`Http2::is_flooded`].
    pub(super) fn is_flooded(&self) -> bool {
        self.state().http2.is_flooded()
    }

    pub(super) fn news(&self) -> News {
        let mut state = self.state();
        News { allowed: state.http2.allowed(), goaway: state.http2.take_goaway() }
    }

    /// Changes the state, then answers what ended by it.
    fn change<T>(&self, change: impl FnOnce(&mut Http2<Reply>) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state.http2);
        let ended = state.http2.ended();
        // Outside of the lock: whoever hears of an answer may begin another request at once.
        drop(state);
        for (reply, end) in ended {
            let reply: Reply = reply;
            // If nobody listens, nobody wants to know.
            let _ = reply.send(end);
        }
        result
    }

    /// The state. A panic elsewhere leaves it as usable as it was: no step on it is half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let driver = state.driver.take();
    drop(state);
    if let Some(driver) = driver {
        driver.wake();
    }
}

impl Exchange {
    /// Waits for the answer.
    ///
    /// # Errors
    /// [`Failure`] if there is none.
    pub(super) async fn answer(mut self) -> Result<Answer, Failure> {
        let end = (&mut self.answer).await;
        self.ended = true;
        end.unwrap_or_else(|_| Err(Failure::Broken("the connection is gone".to_owned())))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.ended {
            let mut state = self.link.state();
            state.http2.forget(self.stream);
            wake(state);
        }
    }
}
