//! Bytes in, bytes out: what a server may say, must not say, and what is said to it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "test code"
)]

mod answers;
mod endings;
mod violations;
mod windows;

use super::*;

/// The fields of an answer: `:status: 200` by its index, and `apns-id: 7` in full.
const OK: &[u8] = b"\x88\x00\x07apns-id\x017";

/// A connection whose server said how many streams it allows, and its first bytes are gone.
fn connected() -> Http2<u32> {
    let mut http2 = Http2::new(&["apns-id", "retry-after"]);
    http2.receive(&settings(&[(send::MAX_CONCURRENT_STREAMS, 100)])).unwrap();
    output(&mut http2);
    http2
}

fn begin(http2: &mut Http2<u32>, body: &[u8], reply: u32) -> u32 {
    let post = Post { authority: "push.example", path: "/1".into(), fields: Vec::new() };
    http2.begin(&post, Bytes::copy_from_slice(body), reply).unwrap()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::begin(&mut bytes, payload.len(), kind, flags, stream);
    bytes.extend_from_slice(payload);
    bytes
}

fn settings(all: &[(u16, u32)]) -> Vec<u8> {
    let one = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    let payload: Vec<u8> = all.iter().flat_map(one).collect();
    frame(frame::SETTINGS, 0, 0, &payload)
}

fn head(stream: u32, flags: u8) -> Vec<u8> {
    frame(frame::HEADERS, frame::END_HEADERS | flags, stream, OK)
}

fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(frame::GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

/// What is sent, without what else there is in it.
fn output(http2: &mut Http2<u32>) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let mut bytes = Vec::new();
    http2.take_output(&mut bytes);
    let mut rest = bytes.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap_or(&bytes);
    let mut frames = Vec::new();
    while let Some(it) = frame::Frame::take(&mut rest).unwrap() {
        frames.push((it.kind, it.flags, it.stream, it.payload.to_vec()));
    }
    assert!(rest.is_empty());
    frames
}

/// The kinds of what is sent.
fn kinds(http2: &mut Http2<u32>) -> Vec<u8> {
    output(http2).into_iter().map(|frame| frame.0).collect()
}

#[test]
fn a_connection_begins_with_preface_settings_and_window() {
    let mut http2 = Http2::<u32>::new(&[]);
    let mut bytes = Vec::new();
    http2.take_output(&mut bytes);
    assert!(bytes.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00"));
    assert_eq!(http2.allowed(), None);
    http2.receive(&settings(&[])).unwrap();
    assert_eq!(http2.allowed(), Some(usize::MAX));
    assert_eq!(output(&mut http2), [(frame::SETTINGS, frame::ACK, 0, Vec::new())]);
    http2.receive(&settings(&[(send::MAX_CONCURRENT_STREAMS, 7)])).unwrap();
    assert_eq!(http2.allowed(), Some(7));
}

#[test]
fn a_request_is_a_head_and_a_body() {
    let mut http2 = connected();
    assert_eq!([begin(&mut http2, b"body", 1), begin(&mut http2, b"", 2)], [1, 3]);
    let sent = output(&mut http2);
    let parts: Vec<_> =
        sent.iter().map(|(kind, flags, stream, _)| (*kind, *flags, *stream)).collect();
    let expected = [
        (frame::HEADERS, frame::END_HEADERS, 1),
        (frame::DATA, frame::END_STREAM, 1),
        (frame::HEADERS, frame::END_HEADERS | frame::END_STREAM, 3),
    ];
    assert_eq!(parts, expected);
    assert_eq!(sent[1].3, b"body");
}

#[test]
fn a_head_longer_than_a_frame_is_continued() {
    let mut http2 = connected();
    let long = "x".repeat(40_000);
    let post = Post { authority: "push.example", path: long.as_str().into(), fields: Vec::new() };
    http2.begin(&post, Bytes::new(), 1).unwrap();
    let sent = output(&mut http2);
    let parts: Vec<_> = sent.iter().map(|it| (it.0, it.1, it.3.len())).collect();
    assert_eq!(
        parts[..2],
        [(frame::HEADERS, frame::END_STREAM, 16_384), (frame::CONTINUATION, 0, 16_384),]
    );
    assert_eq!((parts[2].0, parts[2].1, parts.len()), (frame::CONTINUATION, frame::END_HEADERS, 3));
    let block: Vec<u8> = sent.into_iter().flat_map(|it| it.3).collect();
    let mut path = Vec::new();
    let each = |name: &[u8], value: &[u8]| {
        if name == b":path" {
            path = value.to_vec();
        }
    };
    Reader::new().read(&block, each).unwrap();
    assert_eq!(path, long.as_bytes());
}

#[test]
fn pings_are_answered_and_asked() {
    let mut http2 = connected();
    http2.receive(&frame(frame::PING, 0, 0, b"opaque!!")).unwrap();
    assert_eq!(output(&mut http2), [(frame::PING, frame::ACK, 0, b"opaque!!".to_vec())]);
    assert!(!http2.take_pong());
    http2.ping();
    assert_eq!(kinds(&mut http2), [frame::PING]);
    http2.receive(&frame(frame::PING, frame::ACK, 0, &[0; 8])).unwrap();
    assert!(http2.take_pong());
    assert!(!http2.take_pong());
}

#[test]
fn what_a_server_makes_us_say_is_bounded() {
    let mut http2 = connected();
    let ping = frame(frame::PING, 0, 0, b"opaque!!");
    let mut said = 0;
    while !http2.is_flooded() {
        http2.receive(&ping).unwrap();
        said += ping.len();
        assert!(said < 128 * 1024);
    }
    output(&mut http2);
    assert!(!http2.is_flooded());
}
