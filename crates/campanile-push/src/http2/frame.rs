//! Frames (RFC 9113 section 4): nine octets that say what follows, and what follows.

use super::Violation;
use super::code::Code;

/// The longest payload that is taken: what SETTINGS_MAX_FRAME_SIZE is unless something else is
/// said, and nothing else is.
pub(super) const LONGEST: usize = 16_384;
/// The length of what precedes a payload.
pub(super) const HEADER: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// Of SETTINGS and PING.
pub(super) const ACK: u8 = 0x01;
/// Of DATA and HEADERS.
pub(super) const END_STREAM: u8 = 0x01;
/// Of HEADERS and CONTINUATION.
pub(super) const END_HEADERS: u8 = 0x04;
/// Of DATA and HEADERS.
const PADDED: u8 = 0x08;
/// Of HEADERS.
const PRIORITY: u8 = 0x20;

/// A frame that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// The stream; zero is the connection.
    pub(super) stream: u32,
    pub(super) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes a frame from the front of `input`, if there is a whole one.
    ///
    /// # Errors
    /// [`Violation`] if it is longer than [`LONGEST`].
    pub(super) fn take(input: &mut &'a [u8]) -> Result<Option<Self>, Violation> {
        let Some((&[high, mid, low, kind, flags, s0, s1, s2, s3], rest)) =
            input.split_first_chunk::<HEADER>()
        else {
            return Ok(None);
        };
        let length = usize::from(high) << 16 | usize::from(mid) << 8 | usize::from(low);
        if length > LONGEST {
            return Err(Violation(Code::FRAME_SIZE, "a frame is too long"));
        }
        let Some((payload, rest)) = rest.split_at_checked(length) else { return Ok(None) };
        *input = rest;
        // The first bit is reserved (section 4.1).
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        Ok(Some(Self { kind, flags, stream, payload }))
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The payload of DATA or HEADERS, without padding and priority.
    ///
    /// # Errors
    /// [`Violation`] if there is less of it than it says.
    pub(super) fn content(&self) -> Result<&'a [u8], Violation> {
        const SHORT: Violation = Violation(Code::PROTOCOL, "padding longer than its frame");
        let mut content = self.payload;
        let padding = match self.has(PADDED) {
            true => usize::from(*content.split_off_first().ok_or(SHORT)?),
            false => 0,
        };
        if self.kind == HEADERS && self.has(PRIORITY) {
            content.split_off(..5).ok_or(SHORT)?;
        }
        let length = content.len().checked_sub(padding).ok_or(SHORT)?;
        content.get(..length).ok_or(SHORT)
    }

    /// A payload of exactly `N` octets.
    ///
    /// # Errors
    /// [`Violation`] if it has another length.
    pub(super) fn exactly<const N: usize>(&self) -> Result<[u8; N], Violation> {
        const WRONG: Violation = Violation(Code::FRAME_SIZE, "a frame of the wrong length");
        self.payload.try_into().map_err(|_| WRONG)
    }
}

/// Begins a frame with `length` octets of payload. The length is cut to the 24 bits there are.
pub(super) fn begin(output: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let [.., high, mid, low] = length.to_be_bytes();
    output.extend_from_slice(&[high, mid, low, kind, flags]);
    output.extend_from_slice(&stream.to_be_bytes());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    fn taken(mut input: &[u8]) -> Option<Frame<'_>> {
        Frame::take(&mut input).unwrap()
    }

    #[test]
    fn what_begins_a_frame_is_read_again() {
        let mut bytes = Vec::new();
        begin(&mut bytes, 3, DATA, END_STREAM, 7);
        assert_eq!(taken(&bytes), None);
        bytes.extend_from_slice(b"abcd");
        let frame = Frame { kind: DATA, flags: END_STREAM, stream: 7, payload: b"abc" };
        assert_eq!(taken(&bytes), Some(frame));
    }

    #[test]
    fn padding_and_priority_are_no_content() {
        let of = |flags, payload| Frame { kind: HEADERS, flags, stream: 1, payload };
        assert_eq!(of(0, b"abc").content().unwrap(), b"abc");
        assert_eq!(of(PADDED, b"\x02abc00").content().unwrap(), b"abc");
        assert_eq!(of(PRIORITY, b"ppppwabc").content().unwrap(), b"abc");
        assert_eq!(of(PADDED | PRIORITY, b"\x01ppppwabc0").content().unwrap(), b"abc");
        assert!(of(PADDED, b"\x04abc").content().is_err());
        assert!(of(PADDED, b"").content().is_err());
        assert!(of(PRIORITY, b"ppp").content().is_err());
    }
}
