//! The layer between HTTP/2 and TLS: it does what the `h2` server cannot do itself.
//!
//! - It announces a stream limit that changes during the connection (`h2` fixes it at the start):
//!   the first SETTINGS frame is rewritten, later ones are put in between, and their
//!   acknowledgements are taken out again, because `h2` would not know them.
//! - It sends GOAWAY with debug data.
//! - It holds written bytes back until the connection has no more to say (a *cork*), so that many
//!   answers share one TLS record and one system call.
//! - It resets the TCP connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::control::{Control, Ending};
use super::frame::{FRAME_HEAD, FrameHead, HEADERS, MAX_CONCURRENT_STREAMS, SETTING, SETTINGS};

/// What a client sends first (RFC 9113 §3.4), before any frame.
const PREFACE: usize = 24;

/// Bytes read at once.
const READ: usize = 32 * 1024;
/// Bytes held back at most before `h2` has to wait for the peer.
const CORKED: usize = 128 * 1024;

/// A transport that can be cut off.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// Makes the end of this transport look like a crash to the peer: TCP RST instead of FIN.
    fn crash(&mut self) -> io::Result<()>;
}

/// The transport that `h2` reads from and writes to.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    io: S,
    control: Control,
    /// Bytes read; `start..cleared` may go to `h2`, `cleared..end` is not yet looked at.
    inbound: Box<[u8]>,
    start: usize,
    cleared: usize,
    end: usize,
    /// Bytes of the current inbound frame still to come.
    skip: usize,
    outbound: Vec<u8>,
    sent: usize,
    greeted: bool,
    finished: bool,
}

impl<S: Transport> Wire<S> {
    pub(crate) fn new(io: S, control: Control) -> Self {
        Self {
            io,
            control,
            inbound: vec![0; READ].into_boxed_slice(),
            start: 0,
            cleared: 0,
            end: 0,
            skip: PREFACE,
            outbound: Vec::with_capacity(READ),
            sent: 0,
            greeted: false,
            finished: false,
        }
    }

    /// Walks over the frames in what was read, up to an acknowledgement that must be taken out or
    /// to the end.
    fn scan(&mut self) {
        let mut wishes = self.control.wishes();
        let settings = &mut wishes.settings;
        while self.cleared < self.end {
            if self.skip > 0 {
                let step = self.skip.min(self.end - self.cleared);
                self.cleared += step;
                self.skip -= step;
                continue;
            }
            let ahead = self.inbound.get(self.cleared..self.end).unwrap_or_default();
            let Some(frame) = FrameHead::parse(ahead) else { return };
            match frame.kind {
                HEADERS => settings.newest_stream = frame.stream,
                SETTINGS if frame.ack && !settings.first_acknowledged => {
                    settings.first_acknowledged = true;
                }
                SETTINGS if frame.ack => {
                    if self.cleared > self.start {
                        return;
                    }
                    settings.acknowledged += 1;
                    settings.acknowledged_after = settings.newest_stream;
                    self.start += FRAME_HEAD;
                    self.cleared = self.start;
                    continue;
                }
                _ => {}
            }
            self.cleared += FRAME_HEAD;
            self.skip = frame.payload;
        }
    }

    /// Reads more; `false` at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.start > 0 {
            self.inbound.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.cleared -= self.start;
            self.start = 0;
        }
        let mut buffer = ReadBuf::new(self.inbound.get_mut(self.end..).unwrap_or_default());
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        let read = buffer.filled().len();
        self.end += read;
        Poll::Ready(Ok(read > 0))
    }

    /// Reads and forgets until the peer closes.
    fn poll_ignore(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.start = self.end;
            self.cleared = self.end;
            if !ready!(self.poll_fill(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn crash<T>(&mut self) -> io::Result<T> {
        self.io.crash()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }

    /// Makes the first SETTINGS frame, with which everything starts, tell the first limit.
    fn greet(&mut self, limit: u32) {
        self.greeted = true;
        let Some(frame) = FrameHead::parse(&self.outbound) else { return };
        let settings = self.outbound.get_mut(FRAME_HEAD..FRAME_HEAD + frame.payload);
        for setting in settings.unwrap_or_default().chunks_exact_mut(SETTING) {
            if let Some((name, value)) = setting.split_first_chunk_mut::<2>()
                && *name == MAX_CONCURRENT_STREAMS
            {
                value.copy_from_slice(&limit.to_be_bytes());
            }
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.outbound.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
        }
        self.outbound.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: Transport> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let ending = this.control.wishes().ending;
        match ending {
            Ending::Crash => return Poll::Ready(this.crash()),
            Ending::Close => return this.poll_ignore(cx),
            Ending::No => {}
        }
        loop {
            if this.cleared == this.start && this.end > this.start {
                this.scan();
            }
            let ready = this.inbound.get(this.start..this.cleared).unwrap_or_default();
            if !ready.is_empty() {
                let step = ready.len().min(buffer.remaining());
                buffer.put_slice(ready.get(..step).unwrap_or_default());
                this.start += step;
                return Poll::Ready(Ok(()));
            }
            if !ready!(this.poll_fill(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: Transport> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        // What `h2` still says after the end, say an acknowledgement, reaches nobody.
        if !this.finished {
            if this.outbound.len() - this.sent > CORKED {
                ready!(this.poll_drain(cx))?;
            }
            this.outbound.extend_from_slice(bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    /// `h2` flushes only between frames: the place to put frames in.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut wishes = this.control.wishes();
        let (first_limit, corked, ending) = (wishes.first_limit, wishes.corked, wishes.ending);
        if !this.greeted && !this.outbound.is_empty() {
            drop(wishes);
            this.greet(first_limit);
        } else {
            this.outbound.append(&mut wishes.insert);
            drop(wishes);
        }
        if ending == Ending::Crash {
            return Poll::Ready(this.crash());
        }
        if corked && ending == Ending::No {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_drain(cx))?;
        if ending == Ending::Close {
            this.finished = true;
            return Pin::new(&mut this.io).poll_shutdown(cx);
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
