//! Why a request was not served. Each kind answers what the caller can do.

use std::time::Duration;

use campanile_core::port::{AppendError, ProjectionError, ReadError};

/// The failure of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request is wrong, and will be wrong again.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field at fault.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// What the request names is not there, or not the caller's.
    #[error("{what} not found")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// The idempotency key was used for another request.
    #[error("idempotency_key: was used for a request with another body")]
    Conflict,
    /// A cursor or time that what is kept does not reach.
    #[error("{field}: {reason}")]
    OutOfRange {
        /// The field at fault.
        field: &'static str,
        /// What there is instead.
        reason: String,
    },
    /// A limit is reached.
    #[error("{reason}")]
    Exhausted {
        /// Which limit.
        reason: String,
        /// When it may be tried again; `None`: not without a change.
        retry_after: Option<Duration>,
    },
    /// Something it needs is away. Nothing happened; try again.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// What is away.
        reason: String,
    },
    /// It may or may not have happened. Try again with the same idempotency key.
    #[error("may or may not have happened: {reason}")]
    Indefinite {
        /// What went wrong.
        reason: String,
    },
    /// Our mistake.
    #[error("internal: {reason}")]
    Bug {
        /// What should not have happened.
        reason: String,
    },
}

impl Error {
    /// A field with a wrong value.
    pub(crate) fn invalid(field: &'static str, reason: impl ToString) -> Self {
        Self::Invalid { field, reason: reason.to_string() }
    }
}

impl From<AppendError> for Error {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Refused { reason, retry: true } => {
                Self::Exhausted { reason, retry_after: Some(Duration::from_secs(1)) }
            }
            AppendError::Refused { reason, retry: false } => Self::Unavailable { reason },
            AppendError::Indefinite { reason } => Self::Indefinite { reason },
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

impl From<ProjectionError> for Error {
    fn from(error: ProjectionError) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}
