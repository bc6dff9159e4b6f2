//! What is sent: the frames, and how much the peer takes.

use bytes::Bytes;

use super::code::Code;
use super::hpack::Writer;
use super::{BODY_LIMIT, Post, frame};

/// What a connection begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Settings of ours: the server need not remember fields for us, as hardly two of its answers have
/// one in common; it must not push; and the longest body has room in the window of its stream,
/// which is never widened: who fills it with padding is not answered to.
const SETTINGS: [(u16, u32); 3] =
    [(HEADER_TABLE_SIZE, 0), (ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, 2 * BODY_LIMIT as u32)];

pub(super) const HEADER_TABLE_SIZE: u16 = 1;
pub(super) const ENABLE_PUSH: u16 = 2;
pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(super) const MAX_FRAME_SIZE: u16 = 5;

/// The windows that both sides begin with (section 6.9.2).
const INITIAL_WINDOW: i64 = 65_535;
/// How much larger the window for all answers together is made: a thousand of a kilobyte.
const MORE_WINDOW: u32 = 1 << 20;
/// No window may be larger (section 6.9.1).
const LARGEST_WINDOW: i64 = (1 << 31) - 1;
/// So many bytes that the peer does not take are enough: more than a thousand requests of the
/// longest that providers allow.
const FULL: usize = 8 << 20;
/// So many bytes of answers to what a peer sent, unsent, are a flood.
const FLOOD: usize = 64 * 1024;

/// The sending half of a connection.
pub(super) struct Send {
    output: Vec<u8>,
    fields: Writer,
    /// How much of all bodies the server takes now.
    window: i64,
    /// How much of the body of a new stream it takes.
    initial_window: i64,
    /// The longest payload that it takes.
    longest: usize,
    /// Bytes of `output` that answer the peer.
    owed: usize,
}

impl Send {
    pub(super) fn new() -> Self {
        let mut it = Self {
            output: PREFACE.to_vec(),
            fields: Writer::new(),
            window: INITIAL_WINDOW,
            initial_window: INITIAL_WINDOW,
            longest: frame::LONGEST,
            owed: 0,
        };
        frame::begin(&mut it.output, SETTINGS.len() * 6, frame::SETTINGS, 0, 0);
        for (setting, value) in SETTINGS {
            it.output.extend_from_slice(&setting.to_be_bytes());
            it.output.extend_from_slice(&value.to_be_bytes());
        }
        it.window_update(MORE_WINDOW);
        it.owed = 0;
        it
    }

    pub(super) fn initial_window(&self) -> i64 {
        self.initial_window
    }

    /// Sends the head of a request, which may be all of it.
    pub(super) fn head(&mut self, stream: u32, post: &Post<'_>, is_all: bool) {
        let end = if is_all { frame::END_STREAM } else { 0 };
        let begin = self.output.len();
        frame::begin(&mut self.output, 0, frame::HEADERS, end | frame::END_HEADERS, stream);
        self.fields.write(post, &mut self.output);
        let length = self.output.len() - begin - frame::HEADER;
        if length > self.longest {
            let block = self.output.split_off(begin + frame::HEADER);
            self.output.truncate(begin);
            self.long_head(stream, end, &block);
        } else if let Some(at) = self.output.get_mut(begin..begin + 3) {
            let [.., high, mid, low] = length.to_be_bytes();
            at.copy_from_slice(&[high, mid, low]);
        }
    }

    /// Sends the block of a head that is longer than a frame (section 6.10).
    fn long_head(&mut self, stream: u32, end: u8, block: &[u8]) {
        let mut parts = block.chunks(self.longest).peekable();
        let (mut kind, mut flags) = (frame::HEADERS, end);
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                flags |= frame::END_HEADERS;
            }
            frame::begin(&mut self.output, part.len(), kind, flags, stream);
            self.output.extend_from_slice(part);
            (kind, flags) = (frame::CONTINUATION, 0);
        }
    }

    /// Sends of a body what the `window` of its stream and that of the connection allow.
    pub(super) fn body(&mut self, stream: u32, window: &mut i64, unsent: &mut Bytes) {
        while !unsent.is_empty() {
            let allowed = usize::try_from(self.window.min(*window)).unwrap_or(0);
            let length = unsent.len().min(allowed).min(self.longest);
            if length == 0 {
                return;
            }
            let part = unsent.split_to(length);
            let end = if unsent.is_empty() { frame::END_STREAM } else { 0 };
            frame::begin(&mut self.output, length, frame::DATA, end, stream);
            self.output.extend_from_slice(&part);
            let length = i64::try_from(length).unwrap_or(i64::MAX);
            self.window -= length;
            *window -= length;
        }
    }

    /// The server takes `more` of a window. Answers `None` if that is more than there may be.
    pub(super) fn widen(window: &mut i64, more: i64) -> Option<()> {
        *window = window.checked_add(more).filter(|sum| *sum <= LARGEST_WINDOW)?;
        Some(())
    }

    /// The server takes `more` of all bodies together.
    pub(super) fn widen_connection(&mut self, more: i64) -> Option<()> {
        Self::widen(&mut self.window, more)
    }

    /// From now on streams begin with another window. Answers `None` if it is too large.
    pub(super) fn set_initial_window(&mut self, window: u32) -> Option<()> {
        self.initial_window = Some(i64::from(window)).filter(|it| *it <= LARGEST_WINDOW)?;
        Some(())
    }

    pub(super) fn set_longest(&mut self, longest: usize) {
        self.longest = longest;
    }

    pub(super) fn set_table_size(&mut self, size: usize) {
        self.fields.set_limit(size);
    }

    pub(super) fn acknowledge_settings(&mut self) {
        self.answer(frame::SETTINGS, frame::ACK, 0, &[]);
    }

    pub(super) fn acknowledge_ping(&mut self, opaque: [u8; 8]) {
        self.answer(frame::PING, frame::ACK, 0, &opaque);
    }

    pub(super) fn reset(&mut self, stream: u32, code: Code) {
        self.answer(frame::RST_STREAM, 0, stream, &code.0.to_be_bytes());
    }

    pub(super) fn window_update(&mut self, more: u32) {
        self.answer(frame::WINDOW_UPDATE, 0, 0, &more.to_be_bytes());
    }

    pub(super) fn ping(&mut self) {
        self.answer(frame::PING, 0, 0, &[0; 8]);
    }

    /// Says goodbye. No stream of the server's was ever seen.
    pub(super) fn goaway(&mut self, code: Code) {
        let [a, b, c, d] = code.0.to_be_bytes();
        self.answer(frame::GOAWAY, 0, 0, &[0, 0, 0, 0, a, b, c, d]);
    }

    fn answer(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        frame::begin(&mut self.output, payload.len(), kind, flags, stream);
        self.output.extend_from_slice(payload);
        self.owed += frame::HEADER + payload.len();
    }

    pub(super) fn is_full(&self) -> bool {
        self.output.len() > FULL
    }

    pub(super) fn is_flooded(&self) -> bool {
        self.owed > FLOOD
    }

    pub(super) fn take_output(&mut self, buffer: &mut Vec<u8>) {
        std::mem::swap(&mut self.output, buffer);
        self.owed = 0;
    }
}
