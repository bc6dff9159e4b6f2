//! The body of a request, collected as its frames arrive.

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;

/// A body on its way in.
pub(crate) struct Collected {
    /// What is read at most, if no more than one frame too much.
    limit: usize,
    first: Bytes,
    more: BytesMut,
}

impl Collected {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, first: Bytes::new(), more: BytesMut::new() }
    }

    /// Ready when there is nothing more to wait for: `true` if the body is complete, or longer
    /// than the limit; `false` if the stream broke.
    pub(crate) fn poll(&mut self, stream: &mut RecvStream, cx: &mut Context<'_>) -> Poll<bool> {
        while self.len() <= self.limit && !stream.is_end_stream() {
            match stream.poll_data(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(false),
                Poll::Ready(Some(Ok(chunk))) => {
                    // A failure means that the stream is gone; the next read tells.
                    let _gone = stream.flow_control().release_capacity(chunk.len());
                    self.add(chunk);
                }
            }
        }
        Poll::Ready(true)
    }

    fn len(&self) -> usize {
        self.first.len().max(self.more.len())
    }

    /// Bodies nearly always come in one piece, which is not copied.
    fn add(&mut self, chunk: Bytes) {
        if self.first.is_empty() {
            self.first = chunk;
            return;
        }
        if self.more.is_empty() {
            self.more.extend_from_slice(&self.first);
        }
        self.more.extend_from_slice(&chunk);
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.freeze() }
    }
}
