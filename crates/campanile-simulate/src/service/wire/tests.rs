//! The wire byte by byte, with a peer that is a script.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::collections::VecDeque;
use std::task::Waker;

use super::*;
use crate::service::frame;

/// Gives its input in chunks and keeps what is written to it.
#[derive(Default)]
struct Peer {
    input: VecDeque<Vec<u8>>,
    output: Vec<u8>,
    shut_down: bool,
}

impl Peer {
    fn sends(bytes: &[u8], chunk: usize) -> Self {
        Self { input: bytes.chunks(chunk).map(<[u8]>::to_vec).collect(), ..Self::default() }
    }
}

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(chunk) = self.input.pop_front() {
            buffer.put_slice(&chunk);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.output.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down = true;
        Poll::Ready(Ok(()))
    }
}

impl Transport for Peer {
    fn crash(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const ACK: [u8; 9] = [0, 0, 0, SETTINGS, 1, 0, 0, 0, 0];
const PREFACE_TEXT: &[u8; PREFACE] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn headers(stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, HEADERS, 4, 0, 0, 0, stream], payload].concat()
}

fn read_all(wire: &mut Wire<Peer>) -> Vec<u8> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut all = Vec::new();
    loop {
        let mut bytes = [0; 7];
        let mut buffer = ReadBuf::new(&mut bytes);
        assert!(Pin::new(&mut *wire).poll_read(&mut cx, &mut buffer).is_ready());
        if buffer.filled().is_empty() {
            return all;
        }
        all.extend_from_slice(buffer.filled());
    }
}

fn write(wire: &mut Wire<Peer>, bytes: &[u8]) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut *wire).poll_write(&mut cx, bytes).is_ready());
}

fn flush(wire: &mut Wire<Peer>) -> Poll<io::Result<()>> {
    Pin::new(wire).poll_flush(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn only_acknowledgements_of_inserted_settings_are_taken_out() {
    // A payload that looks like an acknowledgement must pass.
    let before = [&PREFACE_TEXT[..], &ACK, &headers(1, &ACK), &headers(3, b"")].concat();
    let after = [headers(5, b"abc"), headers(7, &ACK)].concat();
    let input = [&before[..], &ACK, &after].concat();
    for chunk in 1..=input.len() {
        let control = Control::new(1);
        control.announce_limit(1000);
        let mut wire = Wire::new(Peer::sends(&input, chunk), control.clone());
        assert_eq!(read_all(&mut wire), [&before[..], &after].concat(), "chunks of {chunk}");
        assert!(!control.limit_known_to(3), "opened before the acknowledgement");
        assert!(control.limit_known_to(5), "opened after it");
    }
}

#[test]
fn a_limit_is_unknown_until_the_newest_one_is_acknowledged() {
    let input = [&PREFACE_TEXT[..], &ACK, &ACK, &headers(1, b"")].concat();
    let control = Control::new(1);
    control.announce_limit(1000);
    control.announce_limit(1);
    let mut wire = Wire::new(Peer::sends(&input, 9), control.clone());
    read_all(&mut wire);
    assert!(!control.limit_known_to(1));
}

#[test]
fn the_first_settings_tell_the_first_limit_and_keep_the_rest() {
    let control = Control::new(1);
    let mut wire = Wire::new(Peer::default(), control);
    let window = [0, 4, 0, 1, 0, 0];
    let greeting = |limit: u32| {
        let limit = [&MAX_CONCURRENT_STREAMS[..], &limit.to_be_bytes()].concat();
        [&[0, 0, 12, SETTINGS, 0, 0, 0, 0, 0], &window[..], &limit].concat()
    };
    write(&mut wire, &greeting(u32::MAX));
    assert!(flush(&mut wire).is_ready());
    assert_eq!(wire.io.output, greeting(1));
    write(&mut wire, &greeting(9));
    assert!(flush(&mut wire).is_ready());
    assert_eq!(wire.io.output[21..], greeting(9), "only the first is rewritten");
}

#[test]
fn a_cork_holds_everything_back_and_inserted_frames_come_last() {
    let control = Control::new(1);
    let mut wire = Wire::new(Peer::default(), control.clone());
    write(&mut wire, &ACK);
    assert!(flush(&mut wire).is_ready());
    let sent = wire.io.output.len();

    control.cork(true);
    control.announce_limit(1000);
    write(&mut wire, b"answer");
    assert!(flush(&mut wire).is_ready());
    assert_eq!(wire.io.output.len(), sent);
    control.cork(false);
    assert!(flush(&mut wire).is_ready());
    assert_eq!(wire.io.output[sent..], [b"answer", &frame::stream_limit(1000)[..]].concat());
}

#[test]
fn closing_sends_what_is_there_and_then_nothing() {
    let control = Control::new(1);
    let mut wire = Wire::new(Peer::sends(b"ignored", 2), control.clone());
    write(&mut wire, &ACK);
    assert!(flush(&mut wire).is_ready());
    control.go_away(1, h2::Reason::NO_ERROR, b"{}");
    control.close();
    assert!(flush(&mut wire).is_ready());
    let goodbye = [0, 0, 10, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, b'{', b'}'];
    assert_eq!(wire.io.output[ACK.len()..], goodbye);
    assert!(wire.io.shut_down);
    write(&mut wire, b"late");
    assert!(flush(&mut wire).is_ready());
    assert_eq!(wire.io.output.len(), ACK.len() + goodbye.len());
    assert_eq!(read_all(&mut wire), b"");
}

#[test]
fn a_crash_shows_in_both_directions() {
    let control = Control::new(1);
    let mut wire = Wire::new(Peer::sends(b"ignored", 2), control.clone());
    control.crash();
    assert!(matches!(flush(&mut wire), Poll::Ready(Err(_))));
    let mut bytes = [0; 8];
    let mut cx = Context::from_waker(Waker::noop());
    let read = Pin::new(&mut wire).poll_read(&mut cx, &mut ReadBuf::new(&mut bytes));
    assert!(matches!(read, Poll::Ready(Err(_))));
}
