//! One request in flight.

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use super::{Answer, BODY_LIMIT, Ended, Failure, Kept};

/// The longest value of a header that is kept; ids and dates are shorter.
const VALUE_LIMIT: usize = 256;

/// One request in flight, and what came of its answer.
pub(super) struct Stream<R> {
    pub(super) reply: R,
    /// When it is given up; `None` if nobody said yet.
    pub(super) deadline: Option<Instant>,
    /// How much of the body the server takes now. It may be less than nothing (RFC 9113 section
    /// 6.9.2).
    pub(super) window: i64,
    /// What of the body is not sent yet.
    pub(super) unsent: Bytes,
    /// The final status, once it is there.
    pub(super) status: Option<StatusCode>,
    headers: Kept,
    body: Vec<u8>,
}

/// What a block of fields was.
pub(super) enum Read {
    /// The answer's head, or its trailers.
    Taken,
    /// A preliminary answer (1xx), which says nothing.
    Preliminary,
    /// None of it.
    Malformed,
}

impl<R> Stream<R> {
    pub(super) fn new(reply: R, window: i64, unsent: Bytes) -> Self {
        let (headers, body) = (Kept::default(), Vec::new());
        Self { reply, deadline: None, window, unsent, status: None, headers, body }
    }

    /// A field of the answer's head came.
    pub(super) fn keep(&mut self, name: &'static str, value: &[u8]) {
        match std::str::from_utf8(value) {
            Ok(value) if value.len() <= VALUE_LIMIT => self.headers.insert(name, value),
            _ => {}
        }
    }

    /// A block of fields is complete; `status` is what it said of that.
    pub(super) fn read(&mut self, status: Option<StatusCode>, is_end: bool) -> Read {
        match (self.status, status) {
            (None, Some(status)) if status.is_informational() => match is_end {
                true => Read::Malformed,
                false => {
                    self.headers = Kept::default();
                    Read::Preliminary
                }
            },
            (None, Some(status)) => {
                self.status = Some(status);
                Read::Taken
            }
            // Trailers end a stream (section 8.1).
            (Some(_), None) if is_end => Read::Taken,
            _ => Read::Malformed,
        }
    }

    /// More of the answer's body came. Answers whether there is still room for it.
    pub(super) fn append(&mut self, data: &[u8]) -> bool {
        let fits = self.body.len() + data.len() <= BODY_LIMIT;
        match fits {
            true => self.body.extend_from_slice(data),
            false => self.body = Vec::new(),
        }
        fits
    }

    /// The answer is complete, if it has a head.
    pub(super) fn answered(self) -> Option<Ended<R>> {
        let (headers, body) = (self.headers, Bytes::from(self.body));
        Some((self.reply, Ok(Answer { status: self.status?, headers, body })))
    }

    /// Nothing more will come, because of `failure`.
    pub(super) fn broken_off(self, failure: Failure) -> Ended<R> {
        let end = match (self.status, failure) {
            // It was taken; why the rest is missing does not matter.
            (Some(status), _) if status.is_success() => {
                Ok(Answer { status, headers: self.headers, body: Bytes::new() })
            }
            // Whoever answers has processed something, whatever is said later.
            (Some(_), Failure::Unprocessed(why)) => Err(Failure::Broken(why)),
            (_, failure) => Err(failure),
        };
        (self.reply, end)
    }
}
