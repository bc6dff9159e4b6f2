//! The error details of `google.rpc` that Campanile answers with, wire-compatible with
//! `google/rpc/status.proto` and `google/rpc/error_details.proto` as far as they are used.

use prost::{Message, Name};
use prost_types::Any;

/// An error and its details: what `grpc-status-details-bin` carries.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Status {
    /// The gRPC status code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
    /// For programs.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// Which fields of a request are wrong.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct BadRequest {
    /// The fields.
    #[prost(message, repeated, tag = "1")]
    pub field_violations: Vec<FieldViolation>,
}

/// A wrong field.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FieldViolation {
    /// The path of the field in the request.
    #[prost(string, tag = "1")]
    pub field: String,
    /// What is wrong with it.
    #[prost(string, tag = "2")]
    pub description: String,
}

/// The kind of an error, in a word that never changes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ErrorInfo {
    /// The word.
    #[prost(string, tag = "1")]
    pub reason: String,
    /// Whose word it is.
    #[prost(string, tag = "2")]
    pub domain: String,
}

/// How long to wait before trying again.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RetryInfo {
    /// The wait.
    #[prost(message, optional, tag = "1")]
    pub retry_delay: Option<prost_types::Duration>,
}

macro_rules! details {
    ($($name:ident),*) => {$(
        impl Name for $name {
            const NAME: &'static str = stringify!($name);
            const PACKAGE: &'static str = "google.rpc";

            fn type_url() -> String {
                concat!("type.googleapis.com/google.rpc.", stringify!($name)).to_owned()
            }
        }
    )*};
}

details!(BadRequest, ErrorInfo, RetryInfo);

impl Status {
    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, detail: &impl Name) -> Self {
        self.details.push(Any { type_url: type_url_of(detail), value: detail.encode_to_vec() });
        self
    }

    /// The first detail of a kind.
    #[must_use]
    pub fn detail<D: Name + Default>(&self) -> Option<D> {
        let found = self.details.iter().find(|any| any.type_url == D::type_url())?;
        D::decode(found.value.as_slice()).ok()
    }
}

fn type_url_of<D: Name>(_detail: &D) -> String {
    D::type_url()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_found_by_kind() {
        let info = ErrorInfo { reason: "INVALID".into(), domain: "campanile".into() };
        let status = Status { code: 3, message: "no".into(), details: Vec::new() }.with(&info);
        let bytes = status.encode_to_vec();
        let read = Status::decode(bytes.as_slice()).ok();
        assert_eq!(read.as_ref().and_then(Status::detail::<ErrorInfo>), Some(info));
        assert_eq!(read.as_ref().and_then(Status::detail::<RetryInfo>), None);
        // The name that other implementations look for.
        assert!(bytes.windows(40).any(|part| part == b"type.googleapis.com/google.rpc.ErrorInfo"));
    }
}
