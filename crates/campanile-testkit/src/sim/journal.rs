//! What clients asked for, and what they were told.

use campanile_core::{NotificationId, Position};
use campanile_engine::Error;

/// What a client knows of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing: no answer came, or one that leaves it open.
    Open,
    /// It certainly did not happen.
    Failed,
    /// It happened, and is at this position, as far as the answer tells.
    Done(Option<Position>),
    /// It had happened before, at this position.
    Repeated(Position),
}

impl Answer {
    /// What an error means for the caller.
    pub(crate) const fn of_error(error: &Error) -> Self {
        match error {
            Error::Indefinite { .. } | Error::Bug { .. } => Self::Open,
            _ => Self::Failed,
        }
    }
}

/// One call that would append an event.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The trace that the event carries.
    pub(crate) tag: String,
    /// The item it is about, if it is about one.
    pub(crate) item: Option<NotificationId>,
    /// Whether it is a publish.
    pub(crate) is_publish: bool,
    pub(crate) answer: Answer,
}
