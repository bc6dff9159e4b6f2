//! What a server says on the wire, kept for what `h2` does not tell of it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// RFC 9113 §4.1.
const FRAME_HEAD: usize = 9;
/// RFC 9113 §6.8.
const GOAWAY: u8 = 0x7;

/// Every byte that was read so far.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    /// The last stream of every GOAWAY, in order.
    pub(crate) fn go_aways(&self) -> Vec<u32> {
        let bytes = self.0.lock().unwrap();
        let mut rest = &bytes[..];
        let mut last_streams = Vec::new();
        while let Some((head, payload)) = rest.split_first_chunk::<FRAME_HEAD>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            if head[3] == GOAWAY {
                last_streams.push(u32::from_be_bytes(payload[..4].try_into().unwrap()));
            }
            rest = payload.get(length..).unwrap_or_default();
        }
        last_streams
    }
}

/// A transport that keeps what is read from it.
pub(crate) struct Tap<S> {
    pub(crate) io: S,
    pub(crate) heard: Heard,
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        self.heard.0.lock().unwrap().extend_from_slice(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
