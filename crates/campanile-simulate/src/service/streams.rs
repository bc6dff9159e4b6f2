//! How many streams a client may have open, and which of them it had open when.

use super::StreamLimits;
use super::control::Control;

/// The stream limit of one connection and what it is measured against.
pub(crate) struct Streams {
    limits: StreamLimits,
    control: Control,
    /// Whether the wide limit was announced last.
    wide: bool,
    newest: u32,
    /// Streams up to this one were open when the limit was narrowed.
    narrowed_after: u32,
    /// Answers not yet on the wire: their streams are still open for the client.
    unflushed: usize,
}

impl Streams {
    pub(crate) fn new(limits: StreamLimits, control: Control) -> Self {
        Self { limits, control, wide: false, newest: 0, narrowed_after: 0, unflushed: 0 }
    }

    pub(crate) fn opened(&mut self, stream: u32) {
        self.newest = stream;
    }

    pub(crate) fn answered(&mut self) {
        self.unflushed += 1;
    }

    pub(crate) fn flushed(&mut self) {
        self.unflushed = 0;
    }

    /// Whether as many streams are open as the client could know to be allowed when it opened this
    /// one; `waiting` of them have no answer yet.
    pub(crate) fn is_full_for(&self, stream: u32, waiting: usize) -> bool {
        let wide = self.wide && self.control.limit_known_to(stream);
        let limit = if wide { self.limits.open } else { self.limits.initial };
        waiting + self.unflushed >= usize::try_from(limit).unwrap_or(usize::MAX)
    }

    /// Whether the limit was narrowed while this stream was open.
    pub(crate) fn is_cut_off(&self, stream: u32) -> bool {
        stream <= self.narrowed_after
    }

    /// The first accepted request widens the limit; a rejection may narrow it again. Announces and
    /// returns the new limit if it changes.
    pub(crate) fn adapt(&mut self, accepted: bool) -> Option<u32> {
        let wide = accepted || (self.wide && !self.limits.narrow_on_rejection);
        if wide == self.wide {
            return None;
        }
        self.wide = wide;
        if !wide {
            self.narrowed_after = self.newest;
        }
        let limit = if wide { self.limits.open } else { self.limits.initial };
        self.control.announce_limit(limit);
        Some(limit)
    }
}
