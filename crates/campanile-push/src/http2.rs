//! The client's side of an HTTP/2 connection (RFC 9113) for many small POSTs, without I/O: requests
//! and received bytes go in, bytes to send and answers come out. Pure.
//!
//! - Only what such a client needs: no server push, no priorities, no tunnels, bodies short enough
//!   to be kept. What the standard makes a connection error is one here, and ends it.
//! - Three ends of a request, never mixed up: an answer, [`Failure::Unprocessed`], and the rest.
//! - Bounded: as many streams as the caller begins, each with a body of at most [`BODY_LIMIT`] and a
//!   few short headers; what waits to be sent; and, by [`Http2::is_flooded`], what the peer makes us
//!   say.
//!
//! Why it is our own: docs/adr/0023-http2-client.md.

mod code;
mod frame;
mod hpack;
mod receive;
mod send;
mod stream;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use code::Code;
use hpack::Reader;
use send::Send;
use stream::Stream;

/// The longest body of an answer that is kept. Providers answer with less than a hundred bytes;
/// what is longer comes from something else.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// A request. Its method is POST and its scheme https.
#[derive(Clone)]
pub(crate) struct Post<'a> {
    /// The host, and the port if it is an unusual one.
    pub(crate) authority: &'a str,
    /// The path, which is a secret: it may name a device.
    pub(crate) path: Cow<'a, str>,
    /// The other fields.
    pub(crate) fields: Vec<Field<'a>>,
}

/// A field of a request. Its value must be one (RFC 9110 section 5.5), which the types of
/// [`http`] see to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// The name, in lower case.
    pub(crate) name: &'static str,
    /// The value.
    pub(crate) value: Cow<'a, [u8]>,
    /// What of it is remembered, so that it need not be sent again.
    pub(crate) remember: Remember,
}

/// What the two sides of a connection remember of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remember {
    /// All of it: many requests have the same.
    Whole,
    /// The name: the value is another in every request.
    Name,
    /// Nothing, and nobody on the way may (RFC 7541 section 7.1.3): it is a secret.
    Nothing,
}

impl<'a> Field<'a> {
    /// A field that many requests have in common.
    pub(crate) fn shared(name: &'static str, value: &'a [u8]) -> Self {
        Self { name, value: value.into(), remember: Remember::Whole }
    }

    /// A field that is another in every request.
    pub(crate) fn own(name: &'static str, value: impl Into<String>) -> Self {
        let value = Cow::Owned(value.into().into_bytes());
        Self { name, value, remember: Remember::Name }
    }

    /// A field that is a secret.
    pub(crate) fn secret(name: &'static str, value: &'a [u8]) -> Self {
        Self { name, value: value.into(), remember: Remember::Nothing }
    }
}

impl fmt::Debug for Field<'_> {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match self.remember {
            Remember::Nothing => "…".into(),
            Remember::Whole | Remember::Name => String::from_utf8_lossy(&self.value),
        };
        write!(f, "{}: {value}", self.name)
    }
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// Those of the headers that the connection was asked to keep.
    pub(crate) headers: Kept,
    /// The body; empty if it was longer than [`BODY_LIMIT`].
    pub(crate) body: Bytes,
}

/// Headers of an answer by their names, each once. There are none or few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept(Vec<(&'static str, String)>);

impl Kept {
    /// Keeps a header in place of an earlier one of that name.
    pub(crate) fn insert(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.retain(|(kept, _)| *kept != name);
        // Most answers have one of them, and there are many answers.
        self.0.reserve_exact(1);
        self.0.push((name, value.into()));
    }

    /// The value of a header, if it was there and is text.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(kept, _)| *kept == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The server certainly did nothing: REFUSED_STREAM (RFC 9113 section 8.7), above the last
    /// stream of a GOAWAY (section 6.8), or never sent.
    #[error("{0}")]
    Unprocessed(String),
    /// The stream or the connection broke; the server may have acted.
    #[error("{0}")]
    Broken(String),
    /// No answer came in time; the server may have acted.
    #[error("no answer in time")]
    TimedOut,
}

/// The peer broke a rule that ends the connection: the code to tell it, and which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: {1}")]
pub(crate) struct Violation(Code, &'static str);

/// One request's end, with what its caller gave to recognise it.
pub(crate) type Ended<R> = (R, Result<Answer, Failure>);

/// A connection. `R` is what callers recognise their requests by.
pub(crate) struct Http2<R> {
    send: Send,
    fields: Reader,
    /// By number, and so in the order in which they were begun.
    streams: BTreeMap<u32, Stream<R>>,
    /// The number of the next stream.
    next: u32,
    /// The first stream that has no deadline yet.
    undated: u32,
    /// A block of fields of which more is to come: its stream, whether that ends with it, and what
    /// there is.
    block: Option<(u32, bool, Vec<u8>)>,
    /// Bytes of bodies that were taken and not given back to the peer's window yet.
    taken: usize,
    /// How many streams the server allows, once it said so.
    allowed: Option<usize>,
    /// Whether the server goes away, and why, as long as nobody heard of it.
    goes_away: bool,
    goaway: Option<String>,
    /// Whether more of bodies may be sent since they were last looked at.
    widened: bool,
    /// Whether a PING was answered.
    pong: bool,
    /// The headers of answers that are kept.
    kept: &'static [&'static str],
    /// Whether it ended; nothing is begun any more.
    over: bool,
    ended: Vec<Ended<R>>,
}

impl<R> Http2<R> {
    /// A connection that begins with its preface, and keeps of each answer's headers `kept`.
    pub(crate) fn new(kept: &'static [&'static str]) -> Self {
        Self {
            send: Send::new(),
            fields: Reader::new(),
            streams: BTreeMap::new(),
            next: 1,
            undated: 1,
            block: None,
            taken: 0,
            allowed: None,
            goes_away: false,
            goaway: None,
            widened: false,
            pong: false,
            kept,
            over: false,
            ended: Vec::new(),
        }
    }

    /// Begins a request and answers the number of its stream. How many there are at once is the
    /// caller's affair: see [`Http2::allowed`].
    ///
    /// # Errors
    /// `reply`, if the connection takes no request any more. The server did nothing.
    pub(crate) fn begin(&mut self, post: &Post<'_>, body: Bytes, reply: R) -> Result<u32, R> {
        // The number of a stream has 31 bits (section 5.1.1).
        if self.over || self.goes_away || self.next >= 1 << 31 || self.send.is_full() {
            return Err(reply);
        }
        let id = self.next;
        self.next += 2;
        self.send.head(id, post, body.is_empty());
        self.streams.insert(id, Stream::new(reply, self.send.initial_window(), body));
        self.flush(id);
        Ok(id)
    }

    /// Nobody waits for a stream any more.
    pub(crate) fn forget(&mut self, id: u32) {
        if self.streams.remove(&id).is_some() {
            self.send.reset(id, Code::CANCEL);
        }
    }

    /// Gives streams that were begun since the last call until `deadline`, ends those whose
    /// deadline `now` is past, and answers the next one.
    pub(crate) fn expire(&mut self, now: Instant, deadline: Instant) -> Option<Instant> {
        for stream in self.streams.range_mut(self.undated..).map(|(_, stream)| stream) {
            stream.deadline = Some(deadline);
        }
        self.undated = self.next;
        while let Some(first) = self.streams.first_entry() {
            match first.get().deadline {
                Some(deadline) if deadline <= now => {
                    let (id, stream) = first.remove_entry();
                    self.send.reset(id, Code::CANCEL);
                    self.ended.push(stream.broken_off(Failure::TimedOut));
                }
                next => return next,
            }
        }
        None
    }

    /// Asks the peer for a sign of life: [`Http2::take_pong`] tells when it came.
    pub(crate) fn ping(&mut self) {
        self.send.ping();
    }

    /// Says goodbye; to be called when nothing is in flight.
    pub(crate) fn close(&mut self) {
        self.send.goaway(Code::NO_ERROR);
        self.end("closed");
    }

    /// The connection is gone, and with it what is in flight.
    pub(crate) fn end(&mut self, why: &str) {
        self.over = true;
        let streams = std::mem::take(&mut self.streams).into_values();
        self.ended.extend(streams.map(|it| it.broken_off(Failure::Broken(why.to_owned()))));
    }

    /// Exchanges what is to be sent for an empty `buffer`.
    pub(crate) fn take_output(&mut self, buffer: &mut Vec<u8>) {
        self.send.take_output(buffer);
    }

    /// Whether the peer made us say so much that nothing of its should be read before that is sent.
    pub(crate) fn is_flooded(&self) -> bool {
        self.send.is_flooded()
    }

    /// The requests that ended since the last call.
    pub(crate) fn ended(&mut self) -> Vec<Ended<R>> {
        std::mem::take(&mut self.ended)
    }

    /// How many streams the server allows at once; `None` until it said so.
    pub(crate) fn allowed(&self) -> Option<usize> {
        self.allowed
    }

    /// Why the server is going away, if it said so since the last call. No request is taken any
    /// more.
    pub(crate) fn take_goaway(&mut self) -> Option<String> {
        self.goaway.take()
    }

    /// Whether a PING of ours was answered since the last call.
    pub(crate) fn take_pong(&mut self) -> bool {
        std::mem::take(&mut self.pong)
    }

    /// Sends of the body of a stream what its windows allow.
    fn flush(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            self.send.body(id, &mut stream.window, &mut stream.unsent);
        }
    }

    /// Sends of all bodies what their windows allow, the oldest first.
    fn flush_all(&mut self) {
        for (id, stream) in &mut self.streams {
            self.send.body(*id, &mut stream.window, &mut stream.unsent);
        }
    }
}

#[cfg(test)]
mod tests;
