//! What a connection asks of its [`Wire`](super::wire::Wire), and learns from it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use h2::Reason as ErrorCode;

use super::frame;

/// How the connection may ask the wire for something.
#[derive(Clone, Debug)]
pub(crate) struct Control(Arc<Mutex<Wishes>>);

#[derive(Debug)]
pub(crate) struct Wishes {
    pub(crate) first_limit: u32,
    pub(crate) corked: bool,
    pub(crate) insert: Vec<u8>,
    pub(crate) ending: Ending,
    pub(crate) settings: Settings,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    No,
    /// Send what is there, then FIN, then ignore the peer until it closes too.
    Close,
    Crash,
}

/// Which of our SETTINGS frames the client has acknowledged, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    sent: u32,
    pub(crate) acknowledged: u32,
    /// The last stream the client had opened at the last acknowledgement.
    pub(crate) acknowledged_after: u32,
    /// The last stream that the client opened.
    pub(crate) newest_stream: u32,
    /// Whether the acknowledgement of the first SETTINGS frame, which is `h2`'s, has come.
    pub(crate) first_acknowledged: bool,
}

impl Control {
    /// `first_limit`: the streams that the first SETTINGS frame allows.
    pub(crate) fn new(first_limit: u32) -> Self {
        Self(Arc::new(Mutex::new(Wishes {
            first_limit,
            corked: false,
            insert: Vec::new(),
            ending: Ending::No,
            settings: Settings::default(),
        })))
    }

    pub(crate) fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds written bytes back, or lets them go with the next flush.
    pub(crate) fn cork(&self, corked: bool) {
        self.wishes().corked = corked;
    }

    /// Announces another stream limit.
    pub(crate) fn announce_limit(&self, streams: u32) {
        let mut wishes = self.wishes();
        wishes.settings.sent += 1;
        wishes.insert.append(&mut frame::stream_limit(streams));
    }

    /// Whether the client knew the limit announced last when it opened this stream.
    pub(crate) fn limit_known_to(&self, stream: u32) -> bool {
        let settings = self.wishes().settings;
        settings.sent == settings.acknowledged && stream > settings.acknowledged_after
    }

    /// Says good-bye. Streams above `last_stream` are not processed.
    pub(crate) fn go_away(&self, last_stream: u32, code: ErrorCode, debug: &[u8]) {
        self.wishes().insert.append(&mut frame::go_away(last_stream, code, debug));
    }

    /// Ends the connection properly with the next flush, by which `h2` must have said everything.
    pub(crate) fn close(&self) {
        self.wishes().ending = Ending::Close;
    }

    /// Ends the connection with a TCP reset at the next read or flush.
    pub(crate) fn crash(&self) {
        self.wishes().ending = Ending::Crash;
    }
}
