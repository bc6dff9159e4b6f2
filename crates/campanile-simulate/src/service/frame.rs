//! The few HTTP/2 frames that are read or written by hand.
//!
//! Layout: RFC 9113 §4.1; SETTINGS §6.5, GOAWAY §6.8.

use h2::Reason as ErrorCode;

pub(crate) const FRAME_HEAD: usize = 9;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
const FLAG_ACK: u8 = 0x1;
pub(crate) const MAX_CONCURRENT_STREAMS: [u8; 2] = [0, 3];
/// Bytes of one setting: its name and its value.
pub(crate) const SETTING: usize = 6;

/// What a frame head says, as far as it matters here.
pub(crate) struct FrameHead {
    pub(crate) payload: usize,
    pub(crate) kind: u8,
    pub(crate) ack: bool,
    pub(crate) stream: u32,
}

impl FrameHead {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, s0, s1, s2, s3] = *bytes.first_chunk::<FRAME_HEAD>()?;
        Some(Self {
            payload: usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?,
            kind,
            ack: flags & FLAG_ACK != 0,
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
        })
    }
}

/// SETTINGS with another stream limit.
pub(crate) fn stream_limit(streams: u32) -> Vec<u8> {
    let mut frame = head(SETTING, SETTINGS);
    frame.extend_from_slice(&MAX_CONCURRENT_STREAMS);
    frame.extend_from_slice(&streams.to_be_bytes());
    frame
}

/// GOAWAY with debug data.
pub(crate) fn go_away(last_stream: u32, code: ErrorCode, debug: &[u8]) -> Vec<u8> {
    let mut frame = head(8 + debug.len(), GOAWAY);
    frame.extend_from_slice(&last_stream.to_be_bytes());
    frame.extend_from_slice(&u32::from(code).to_be_bytes());
    frame.extend_from_slice(debug);
    frame
}

/// A frame head on the connection (stream 0) without flags. Payloads are far below 2^24 bytes.
fn head(payload: usize, kind: u8) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload).unwrap_or(u32::MAX).to_be_bytes();
    vec![a, b, c, kind, 0, 0, 0, 0, 0]
}
