//! What a failure looks like to the caller: one table from the engine's errors to gRPC codes.
//!
//! Every status made here carries `google.rpc` details, which is also how the edge tells it from
//! one that the transport made ([`from_transport`]).

use std::time::Duration;

use campanile_engine::Error;
use campanile_proto::convert::Violation;
use campanile_proto::rpc::{self, BadRequest, ErrorInfo, FieldViolation, RetryInfo};
use campanile_proto::v1;
use prost::Message;
use tonic::{Code, Status};

/// Whose words the reasons of [`ErrorInfo`] are.
const DOMAIN: &str = "campanile";

/// How long to wait when what is needed is away.
const AWAY: Duration = Duration::from_secs(1);

/// A failure in the API's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    code: Code,
    /// The kind, in a word that never changes.
    kind: &'static str,
    field: Option<&'static str>,
    reason: String,
    retry_after: Option<Duration>,
}

impl Answer {
    fn new(code: Code, kind: &'static str, reason: impl ToString) -> Self {
        Self { code, kind, field: None, reason: reason.to_string(), retry_after: None }
    }

    fn of(self, field: &'static str) -> Self {
        Self { field: Some(field), ..self }
    }

    fn retry(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }

    /// A field or header with a wrong value.
    pub(crate) fn invalid(field: &'static str, reason: impl ToString) -> Self {
        Self::new(Code::InvalidArgument, "INVALID", reason).of(field)
    }

    /// The request is for a tenant that there is not.
    pub(crate) fn unknown_app() -> Self {
        Self::new(Code::NotFound, "NOT_FOUND", "is not configured on this server").of("app")
    }

    /// The engine said nothing of a part of the request.
    pub(crate) fn unanswered() -> Self {
        campanile_engine::Error::Bug { reason: "no answer".to_owned() }.into()
    }

    /// Too many calls at once.
    pub(crate) fn overloaded() -> Self {
        Self::new(Code::Unavailable, "OVERLOADED", "too many calls at once").retry(Some(AWAY))
    }

    /// The server is about to stop.
    pub(crate) fn stopping() -> Self {
        Self::new(Code::Unavailable, "STOPPING", "the server is stopping").retry(Some(AWAY))
    }

    /// The caller's deadline came before the answer.
    pub(crate) fn too_late() -> Self {
        Self::new(Code::DeadlineExceeded, "DEADLINE", "the deadline of the call has passed")
    }

    /// The message of the call did not come within the time that it has.
    pub(crate) fn too_slow(limit: Duration) -> Self {
        let reason = format!("the message did not arrive within {limit:?}");
        Self::new(Code::DeadlineExceeded, "TOO_SLOW", reason)
    }

    /// As one part of an answer to many.
    pub(crate) fn into_failure(self) -> v1::Failure {
        let millis = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        v1::Failure {
            code: self.code.into(),
            field: self.field.unwrap_or_default().to_owned(),
            reason: self.reason,
            retry_after_ms: self.retry_after.map(millis),
        }
    }

    /// As the answer to the whole call.
    pub(crate) fn into_status(self) -> Status {
        let message = match self.field {
            Some(field) => format!("{}: {field}: {}", self.kind, self.reason),
            None => format!("{}: {}", self.kind, self.reason),
        };
        let info = ErrorInfo { reason: self.kind.to_owned(), domain: DOMAIN.to_owned() };
        let mut status =
            rpc::Status { code: self.code.into(), message: message.clone(), details: Vec::new() }
                .with(&info);
        if let Some(field) = self.field {
            let field = field.to_owned();
            let field_violations = vec![FieldViolation { field, description: self.reason }];
            status = status.with(&BadRequest { field_violations });
        }
        if let Some(wait) = self.retry_after {
            let retry_delay = prost_types::Duration::try_from(wait).ok();
            status = status.with(&RetryInfo { retry_delay });
        }
        Status::with_details(self.code, message, status.encode_to_vec().into())
    }
}

impl From<Violation> for Answer {
    fn from(violation: Violation) -> Self {
        Self::invalid(violation.field, violation.reason)
    }
}

/// The table.
impl From<Error> for Answer {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid { field, reason } => Self::invalid(field, reason),
            Error::NotFound { what } => {
                Self::new(Code::NotFound, "NOT_FOUND", format_args!("{what} not found"))
            }
            Error::Conflict => {
                let reason = "was used for a request with another body";
                Self::new(Code::AlreadyExists, "CONFLICT", reason).of("idempotency_key")
            }
            Error::OutOfRange { field, reason } => {
                Self::new(Code::OutOfRange, "OUT_OF_RANGE", reason).of(field)
            }
            Error::Exhausted { reason, retry_after } => {
                Self::new(Code::ResourceExhausted, "EXHAUSTED", reason).retry(retry_after)
            }
            Error::Unavailable { reason } => {
                Self::new(Code::Unavailable, "UNAVAILABLE", reason).retry(Some(AWAY))
            }
            // Not UNAVAILABLE, which clients repeat by themselves: only a request that names
            // itself may be repeated safely.
            Error::Indefinite { reason } => {
                Self::new(Code::Unknown, "INDEFINITE", reason).retry(Some(AWAY))
            }
            Error::Bug { reason } => {
                tracing::error!(reason, "a request met a bug");
                Self::new(Code::Internal, "INTERNAL", "a mistake of the server; see its log")
            }
        }
    }
}

/// The status for a failure of any kind.
pub(crate) fn status(failure: impl Into<Answer>) -> Status {
    failure.into().into_status()
}

/// A status that the transport made while it read the request, in our words.
///
/// tonic calls a message it cannot decode, a message that is cut off and a missing message
/// INTERNAL, and one over the limit OUT_OF_RANGE. All of them are the caller's doing.
pub(crate) fn from_transport(status: Status) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    let answer = match status.code() {
        Code::Internal => Answer::new(Code::InvalidArgument, "INVALID", status.message()),
        Code::OutOfRange => Answer::new(Code::ResourceExhausted, "TOO_LARGE", status.message()),
        Code::Unimplemented => Answer::new(Code::Unimplemented, "UNIMPLEMENTED", status.message()),
        _ => return status,
    };
    answer.into_status()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    fn details(status: &Status) -> rpc::Status {
        rpc::Status::decode(status.details()).unwrap()
    }

    #[test]
    fn every_error_of_the_engine_has_its_code() {
        let reason = || "why".to_owned();
        let second = Some(Duration::from_secs(1));
        let table = [
            (Error::Invalid { field: "title", reason: reason() }, Code::InvalidArgument),
            (Error::NotFound { what: "endpoint" }, Code::NotFound),
            (Error::Conflict, Code::AlreadyExists),
            (Error::OutOfRange { field: "cursor", reason: reason() }, Code::OutOfRange),
            (Error::Exhausted { reason: reason(), retry_after: second }, Code::ResourceExhausted),
            (Error::Unavailable { reason: reason() }, Code::Unavailable),
            (Error::Indefinite { reason: reason() }, Code::Unknown),
            (Error::Bug { reason: reason() }, Code::Internal),
        ];
        for (error, code) in table {
            let answer = status(error.clone());
            assert_eq!(answer.code(), code, "{error}");
            let details = details(&answer);
            assert_eq!(details.code, i32::from(code));
            assert_eq!(details.message, answer.message());
            assert!(details.detail::<ErrorInfo>().is_some(), "{error}");
        }
    }

    #[test]
    fn a_wrong_field_is_named_for_people_and_programs() {
        let answer = status(Violation::new("content.visual.title", "must be 1 to 256 characters"));
        assert_eq!(answer.message(), "INVALID: content.visual.title: must be 1 to 256 characters");
        let bad = details(&answer).detail::<BadRequest>().unwrap();
        assert_eq!(bad.field_violations[0].field, "content.visual.title");
        assert_eq!(bad.field_violations[0].description, "must be 1 to 256 characters");
    }

    #[test]
    fn a_wait_is_told_where_waiting_helps() {
        let retry_after = Some(Duration::from_millis(1500));
        let error = Error::Exhausted { reason: "full".into(), retry_after };
        let retry = details(&status(error.clone())).detail::<RetryInfo>().unwrap();
        assert_eq!(retry.retry_delay.unwrap().nanos, 500_000_000);
        assert_eq!(Answer::from(error).into_failure().retry_after_ms, Some(1500));
        let forever = status(Error::NotFound { what: "user" });
        assert_eq!(details(&forever).detail::<RetryInfo>(), None);
    }

    #[test]
    fn a_bug_says_nothing_of_the_inside() {
        let answer = status(Error::Bug { reason: "password is 1234".into() });
        assert!(!answer.message().contains("1234"));
    }

    #[test]
    fn what_the_transport_calls_internal_is_the_callers_doing() {
        let mapped = |code| from_transport(Status::new(code, "cut off")).code();
        assert_eq!(mapped(Code::Internal), Code::InvalidArgument);
        assert_eq!(mapped(Code::OutOfRange), Code::ResourceExhausted);
        assert_eq!(mapped(Code::Unimplemented), Code::Unimplemented);
        assert_eq!(mapped(Code::Cancelled), Code::Cancelled);
        let ours = status(Error::OutOfRange { field: "cursor", reason: "too old".into() });
        assert_eq!(from_transport(ours).code(), Code::OutOfRange);
    }
}
