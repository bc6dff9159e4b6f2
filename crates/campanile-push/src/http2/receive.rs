//! What is received: every frame, and what it changes.

use http::StatusCode;

use super::frame::{self, Frame};
use super::send::{self, Send};
use super::stream::Read;
use super::{Code, Failure, Http2, Violation};

/// The longest block of fields, in all its frames.
const LONGEST_BLOCK: usize = 64 * 1024;
/// What no window may be.
const TOO_WIDE: Violation = Violation(Code::FLOW_CONTROL, "a window too large");
/// After so many bytes of bodies the peer's window is given back.
const GIVE_BACK: usize = 256 * 1024;

impl<R> Http2<R> {
    /// Takes the whole frames at the front of `input`, and answers how long they are.
    ///
    /// # Errors
    /// [`Violation`] if the peer broke a rule. It is told so, and the connection is over.
    pub(crate) fn receive(&mut self, mut input: &[u8]) -> Result<usize, Violation> {
        let length = input.len();
        while let Some(frame) = Frame::take(&mut input).transpose() {
            let taken = frame.and_then(|frame| self.take(frame));
            if let Err(violation) = taken {
                self.send.goaway(violation.0);
                self.end(&violation.to_string());
                return Err(violation);
            }
        }
        // Once for all frames: each may widen every window, and there are a thousand.
        if std::mem::take(&mut self.widened) {
            self.flush_all();
        }
        Ok(length - input.len())
    }

    fn take(&mut self, frame: Frame<'_>) -> Result<(), Violation> {
        if self.allowed.is_none() && (frame.kind != frame::SETTINGS || frame.has(frame::ACK)) {
            return Err(Violation(Code::PROTOCOL, "no SETTINGS first"));
        }
        if self.block.is_some() && frame.kind != frame::CONTINUATION {
            return Err(Violation(Code::PROTOCOL, "a block of fields is interrupted"));
        }
        if matches!(frame.kind, frame::SETTINGS | frame::PING | frame::GOAWAY) && frame.stream != 0
        {
            return Err(Violation(Code::PROTOCOL, "a stream where there is none"));
        }
        match frame.kind {
            frame::DATA => self.data(frame),
            frame::HEADERS => self.headers(frame),
            frame::RST_STREAM => self.reset(frame),
            frame::SETTINGS => self.settings(frame),
            frame::PUSH_PROMISE => Err(Violation(Code::PROTOCOL, "a promise nobody asked for")),
            frame::PING => self.pinged(frame),
            frame::GOAWAY => self.going_away(frame),
            frame::WINDOW_UPDATE => self.window_update(frame),
            frame::CONTINUATION => self.continuation(frame),
            // Priorities, and what others may add (section 5.5).
            _ => Ok(()),
        }
    }

    /// Whether the stream of `frame` was begun at some time.
    fn check_begun(&self, frame: Frame<'_>) -> Result<(), Violation> {
        match frame.stream % 2 == 1 && frame.stream < self.next {
            true => Ok(()),
            false => Err(Violation(Code::PROTOCOL, "a frame of a stream that never was")),
        }
    }

    fn data(&mut self, frame: Frame<'_>) -> Result<(), Violation> {
        self.check_begun(frame)?;
        let content = frame.content()?;
        // Padding counts, and so does what comes for a stream that is gone (section 6.9.1).
        self.taken += frame.payload.len();
        if self.taken >= GIVE_BACK {
            self.send.window_update(u32::try_from(self.taken).unwrap_or(u32::MAX));
            self.taken = 0;
        }
        let Some(stream) = self.streams.get_mut(&frame.stream) else { return Ok(()) };
        if stream.status.is_none() {
            self.malformed(frame.stream, Code::PROTOCOL);
            return Ok(());
        }
        let (fits, is_end) = (stream.append(content), frame.has(frame::END_STREAM));
        if is_end || !fits {
            self.complete(frame.stream, is_end);
        }
        Ok(())
    }

    fn headers(&mut self, frame: Frame<'_>) -> Result<(), Violation> {
        self.check_begun(frame)?;
        let (block, is_end) = (frame.content()?, frame.has(frame::END_STREAM));
        if frame.has(frame::END_HEADERS) {
            return self.fields(frame.stream, is_end, block);
        }
        self.block = Some((frame.stream, is_end, block.to_vec()));
        Ok(())
    }

    fn continuation(&mut self, frame: Frame<'_>) -> Result<(), Violation> {
        match self.block.take() {
            Some((stream, is_end, mut block)) if stream == frame.stream => {
                block.extend_from_slice(frame.payload);
                if block.len() > LONGEST_BLOCK {
                    return Err(Violation(Code::CALM, "an endless block of fields"));
                }
                if frame.has(frame::END_HEADERS) {
                    return self.fields(stream, is_end, &block);
                }
                self.block = Some((stream, is_end, block));
                Ok(())
            }
            _ => Err(Violation(Code::PROTOCOL, "a continuation of nothing")),
        }
    }

    /// A whole block of fields came.
    fn fields(&mut self, id: u32, is_end: bool, block: &[u8]) -> Result<(), Violation> {
        let mut stream = self.streams.get_mut(&id);
        let (kept, mut status, mut statuses) = (self.kept, None, 0);
        let read = self.fields.read(block, |name, value| {
            let Some(stream) = stream.as_mut() else { return };
            if name == b":status" {
                status = StatusCode::from_bytes(value).ok();
                statuses += 1;
            } else if stream.status.is_none()
                && let Some(name) = kept.iter().find(|kept| kept.as_bytes() == name)
            {
                stream.keep(name, value);
            }
        });
        read.map_err(|malformed| Violation(Code::COMPRESSION, malformed.0))?;
        // Two of them say nothing (RFC 9113 section 8.3).
        if statuses > 1 {
            self.malformed(id, Code::PROTOCOL);
            return Ok(());
        }
        match stream.map(|stream| stream.read(status, is_end)) {
            Some(Read::Malformed) => self.malformed(id, Code::PROTOCOL),
            Some(Read::Taken) if is_end => self.complete(id, true),
            Some(Read::Taken | Read::Preliminary) | None => {}
        }
        Ok(())
    }

    /// The server broke off a stream.
    fn reset(&mut self, frame: Frame<'_>) -> Result<(), Violation> {
        self.check_begun(frame)?;
        let code = Code(u32::from_be_bytes(frame.exactly()?));
        let Some(stream) = self.streams.remove(&frame.stream) else { return Ok(()) };
        let failure = match code {
            Code::REFUSED_STREAM => Failure::Unprocessed(code.to_string()),
            _ => Failure::Broken(format!("stream reset: {code}")),
        };
        self.ended.push(stream.broken_off(failure));
        Ok(())
    }

    fn settings(&mut self, frame: Frame<'_>) -> Result<(), Violation> {
        let (settings, rest) = frame.payload.as_chunks::<6>();
        if frame.has(frame::ACK) && frame.payload.is_empty() {
            return Ok(());
        }
        if frame.has(frame::ACK) || !rest.is_empty() {
            return Err(Violation(Code::FRAME_SIZE, "SETTINGS of the wrong form"));
        }
        // Unless it says otherwise, a server allows any number.
        self.allowed.get_or_insert(usize::MAX);
        let window = self.send.initial_window();
        for [id0, id1, a, b, c, d] in settings {
            let value = u32::from_be_bytes([*a, *b, *c, *d]);
            self.setting(u16::from_be_bytes([*id0, *id1]), value)?;
        }
        self.send.acknowledge_settings();
        self.widen_streams(self.send.initial_window() - window)
    }

    fn setting(&mut self, setting: u16, value: u32) -> Result<(), Violation> {
        let size = usize::try_from(value).unwrap_or(usize::MAX);
        match setting {
            send::HEADER_TABLE_SIZE => self.send.set_table_size(size),
            send::ENABLE_PUSH if value != 0 => {
                return Err(Violation(Code::PROTOCOL, "a server that can be pushed to"));
            }
            send::MAX_CONCURRENT_STREAMS => self.allowed = Some(size),
            send::INITIAL_WINDOW_SIZE => {
                self.send.set_initial_window(value).ok_or(TOO_WIDE)?;
            }
            send::MAX_FRAME_SIZE => match size {
                frame::LONGEST..=0xff_ffff => self.send.set_longest(size),
                _ => return Err(Violation(Code::PROTOCOL, "no length of a frame")),
            },
            _ => {}
        }
        Ok(())
    }

    /// Streams begin with a window that is larger by `more`, which counts for those there are, too.
    fn widen_streams(&mut self, more: i64) -> Result<(), Violation> {
        if more != 0 {
            for stream in self.streams.values_mut() {
                Send::widen(&mut stream.window, more).ok_or(TOO_WIDE)?;
            }
            self.widened = true;
        }
        Ok(())
    }

    fn pinged(&mut self, frame: Frame<'_>) -> Result<(), Violation> {
        let opaque = frame.exactly()?;
        match frame.has(frame::ACK) {
            true => self.pong = true,
            false => self.send.acknowledge_ping(opaque),
        }
        Ok(())
    }

    /// What is above the last stream that the server names was not and will not be processed; the
    /// rest goes on.
    fn going_away(&mut self, frame: Frame<'_>) -> Result<(), Violation> {
        const WRONG: Violation = Violation(Code::FRAME_SIZE, "GOAWAY of the wrong form");
        let (fixed, said) = frame.payload.split_first_chunk::<8>().ok_or(WRONG)?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *fixed;
        let last = u32::from_be_bytes([l0 & 0x7f, l1, l2, l3]);
        let code = Code(u32::from_be_bytes([c0, c1, c2, c3]));
        let said = String::from_utf8_lossy(said.get(..128).unwrap_or(said));
        let why = format!("going away: {code} {}", said.escape_debug());
        let above = self.streams.split_off(&last.saturating_add(1));
        let ends = above.into_values();
        self.ended.extend(ends.map(|it| it.broken_off(Failure::Unprocessed(why.clone()))));
        // Servers say it twice, the second time with the last stream; once is news.
        if !std::mem::replace(&mut self.goes_away, true) {
            self.goaway = Some(why);
        }
        Ok(())
    }

    fn window_update(&mut self, frame: Frame<'_>) -> Result<(), Violation> {
        let [a, b, c, d] = frame.exactly()?;
        let more = i64::from(u32::from_be_bytes([a & 0x7f, b, c, d]));
        if frame.stream == 0 {
            if more == 0 {
                return Err(Violation(Code::PROTOCOL, "a window that grows by nothing"));
            }
            self.widened = true;
            return self.send.widen_connection(more).ok_or(TOO_WIDE);
        }
        self.check_begun(frame)?;
        let Some(stream) = self.streams.get_mut(&frame.stream) else { return Ok(()) };
        match Send::widen(&mut stream.window, more) {
            _ if more == 0 => self.malformed(frame.stream, Code::PROTOCOL),
            Some(()) => self.flush(frame.stream),
            None => self.malformed(frame.stream, Code::FLOW_CONTROL),
        }
        Ok(())
    }

    /// The answer is there, or as much of it as is kept. What the server has not done with is
    /// broken off.
    fn complete(&mut self, id: u32, by_server: bool) {
        let Some(stream) = self.streams.remove(&id) else { return };
        if !by_server || !stream.unsent.is_empty() {
            self.send.reset(id, Code::CANCEL);
        }
        self.ended.extend(stream.answered());
    }

    /// A stream brought what is no answer (RFC 9113 section 8.1.1), or not allowed.
    fn malformed(&mut self, id: u32, code: Code) {
        let Some(stream) = self.streams.remove(&id) else { return };
        self.send.reset(id, code);
        let failure = Failure::Broken("what came is no answer".to_owned());
        self.ended.push((stream.reply, Err(failure)));
    }
}
