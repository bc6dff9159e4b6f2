//! The settings that every simulator has.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Tap;
use crate::Clock;

/// `SETTINGS_MAX_CONCURRENT_STREAMS` over the life of a connection. Streams beyond the limit are
/// reset with `REFUSED_STREAM` (RFC 9113 §5.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Until the first accepted request; Apple allows one stream.
    pub initial: u32,
    /// From then on. No provider names a number; 1000 is what is met at Apple, 100 at Google.
    pub open: u32,
    /// Whether a refusal takes the limit back to `initial`, refusing what is in flight, until the
    /// next accepted request. Met at Apple, documented nowhere.
    pub narrow_on_rejection: bool,
}

impl Default for StreamLimits {
    /// As Apple has it.
    fn default() -> Self {
        Self { initial: 1, open: 1000, narrow_on_rejection: false }
    }
}

/// How much is kept of each push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// Devices have a screen and a history.
    Full,
    /// Only counts, for load: every check is made, but devices show and store nothing.
    CountsOnly,
}

/// All that a simulator is started with.
pub(crate) struct Setup<S> {
    pub(crate) address: SocketAddr,
    /// The names that the certificate is for; the first is the one of a client that names none.
    pub(crate) hosts: Vec<String>,
    pub(crate) streams: StreamLimits,
    pub(crate) recording: Recording,
    pub(crate) tap: Option<Tap>,
    pub(crate) seed: u64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) service: S,
}
