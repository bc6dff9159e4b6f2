//! Moving the bytes of a connection: what its [`Link`] has to send goes out, what comes in goes to
//! it, and its deadlines pass.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::link::Link;

/// What is read at a time. The longest frame, of 16 KiB and its header, always has room.
const INPUT: usize = 32 * 1024;
/// A buffer that grew larger is not kept. A thousand requests, which a connection may be given at
/// once, have room in this one.
const KEPT: usize = 1024 * 1024;
/// Reads in a row before others on the runtime get their turn.
const READS: usize = 16;

/// The bytes of one connection.
pub(super) struct Wire<T> {
    io: T,
    link: Arc<Link>,
    /// What came and is no whole frame yet: the first `held` bytes.
    input: Box<[u8]>,
    held: usize,
    /// What is being sent, without the first `sent` bytes.
    output: Vec<u8>,
    sent: usize,
    /// Why nothing can be sent any more.
    broken: Option<String>,
    /// Rings at a deadline, if it `is_set`.
    alarm: Pin<Box<Sleep>>,
    is_set: bool,
    request_timeout: Duration,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    /// Must be called on a runtime.
    pub(super) fn new(io: T, link: Arc<Link>, request_timeout: Duration) -> Self {
        let (input, output) = (vec![0; INPUT].into_boxed_slice(), Vec::new());
        let alarm = Box::pin(sleep(request_timeout));
        let (held, sent, broken, is_set) = (0, 0, None, false);
        Self { io, link, input, held, output, sent, broken, alarm, is_set, request_timeout }
    }

    /// Moves what can be moved. Ready with the reason when the connection is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        for _ in 0..READS {
            self.expire(cx);
            // Whoever takes no more may have answered, and said why, before: that is read to its end.
            if self.broken.is_none()
                && let Poll::Ready(Err(error)) = self.poll_write(cx)
            {
                self.broken = Some(error.to_string());
            }
            if self.broken.is_none() && self.link.is_flooded() {
                return Poll::Pending;
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) => {
                    let why = self.broken.take();
                    return Poll::Ready(why.unwrap_or_else(|| "closed by the server".to_owned()));
                }
                Ok(length) => self.held += length,
                Err(error) => return Poll::Ready(error.to_string()),
            }
            if let Err(why) = self.receive() {
                // The peer is told, if it listens.
                let _ = self.poll_write(cx);
                return Poll::Ready(why);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sends what there is, then closes the connection.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// Ready when nothing is left to send.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.sent >= self.output.len() {
                (self.sent, self.output) = (0, emptied(std::mem::take(&mut self.output)));
                self.link.take_output(&mut self.output);
            }
            let Some(rest) = self.output.get(self.sent..).filter(|rest| !rest.is_empty()) else {
                return Pin::new(&mut self.io).poll_flush(cx);
            };
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                length => self.sent += length,
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let room = self.input.get_mut(self.held..).unwrap_or_default();
        let mut buffer = ReadBuf::new(room);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Hands whole frames over and keeps the rest.
    fn receive(&mut self) -> Result<(), String> {
        let held = self.input.get(..self.held).unwrap_or_default();
        let taken = self.link.receive(held).map_err(|violation| violation.to_string())?;
        self.input.copy_within(taken..self.held, 0);
        self.held -= taken;
        Ok(())
    }

    /// Ends requests whose time is over, and sees to it that the next are looked at in time.
    fn expire(&mut self, cx: &mut Context<'_>) {
        loop {
            #[expect(
                clippy::disallowed_methods,
                reason = "the time-outs of a transport; under test it is the runtime's own clock"
            )]
            let now = Instant::now();
            let deadline = now + self.request_timeout;
            let Some(next) = self.link.expire(now, deadline, cx.waker()) else { return };
            // Set for a request that is answered by now, it rings too early, which does no harm.
            if !self.is_set {
                self.alarm.as_mut().reset(next);
                self.is_set = true;
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return;
            }
            self.is_set = false;
        }
    }
}

/// The same buffer, empty; or a new one.
fn emptied(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    if buffer.capacity() <= KEPT { buffer } else { Vec::new() }
}

impl<T> Drop for Wire<T> {
    /// Whatever ends the task of a connection, nobody waits for its answers in vain.
    fn drop(&mut self) {
        self.link.end("the connection is gone");
    }
}

#[cfg(test)]
mod tests;
