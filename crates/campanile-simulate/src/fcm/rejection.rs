//! What Google answers when it refuses a request.
//!
//! Source: Google, "ErrorCode" of FCM HTTP v1 and "FCM error codes"; the error model of Google's
//! APIs (`google.rpc.Status` in JSON); for sign-ins RFC 6749 §5.2.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

/// The documented values of `errorCode` in an `FcmError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are Google's, and Google's table explains them")]
pub enum Code {
    InvalidArgument,
    Unregistered,
    SenderIdMismatch,
    QuotaExceeded,
    Unavailable,
    Internal,
    ThirdPartyAuthError,
}

impl Code {
    /// The string in `errorCode`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::Unregistered => "UNREGISTERED",
            Self::SenderIdMismatch => "SENDER_ID_MISMATCH",
            Self::QuotaExceeded => "QUOTA_EXCEEDED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
            Self::ThirdPartyAuthError => "THIRD_PARTY_AUTH_ERROR",
        }
    }

    /// The HTTP status, and the `status` of the error, that go with it.
    pub fn status(self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidArgument => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            Self::Unregistered => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::SenderIdMismatch => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            Self::QuotaExceeded => (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
            Self::ThirdPartyAuthError => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        }
    }
}

/// A refusal as it goes over the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// The `:status`.
    pub status: StatusCode,
    /// The word it is counted under: the `errorCode`, or else the `status` or `error`.
    pub reason: Cow<'static, str>,
    /// The body.
    pub body: Value,
    /// A `retry-after` header: seconds, or a date.
    pub retry_after: Option<String>,
}

impl Rejection {
    /// An error of FCM: with an `FcmError` among its details.
    pub fn fcm(code: Code, message: &str) -> Self {
        let (http, status) = code.status();
        let detail = json!({
            "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
            "errorCode": code.as_str(),
        });
        let refusal = Self::api(http, status, message).detail(detail);
        Self { reason: code.as_str().into(), ..refusal }
    }

    /// An error of what stands before every API of Google: without an `FcmError`.
    pub fn api(http: StatusCode, status: &'static str, message: &str) -> Self {
        let error = json!({ "code": http.as_u16(), "message": message, "status": status });
        Self {
            status: http,
            reason: status.into(),
            body: json!({ "error": error }),
            retry_after: None,
        }
    }

    /// A refused sign-in (RFC 6749 §5.2).
    pub fn sign_in(error: &'static str, description: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            reason: error.into(),
            body: json!({ "error": error, "error_description": description }),
            retry_after: None,
        }
    }

    /// Adds an entry to `details`.
    #[must_use]
    pub fn detail(mut self, detail: Value) -> Self {
        if let Some(error) = self.body.get_mut("error").and_then(Value::as_object_mut) {
            let details = error.entry("details").or_insert_with(|| json!([]));
            if let Some(details) = details.as_array_mut() {
                details.push(detail);
            }
        }
        self
    }

    /// Adds a `google.rpc.BadRequest` that names what is wrong, field by field.
    #[must_use]
    pub fn violations(self, violations: &[(String, String)]) -> Self {
        let fields: Vec<Value> = violations
            .iter()
            .map(|(field, description)| json!({ "field": field, "description": description }))
            .collect();
        self.detail(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": fields,
        }))
    }

    /// Adds a `google.rpc.QuotaFailure` that names the limit that was exceeded.
    #[must_use]
    pub fn quota(self, subject: &str, description: &str) -> Self {
        self.detail(json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{ "subject": subject, "description": description }],
        }))
    }

    /// Adds a `retry-after` header: seconds, or a date (RFC 9110 §10.2.3).
    #[must_use]
    pub fn retry_after(mut self, value: impl ToString) -> Self {
        self.retry_after = Some(value.to_string());
        self
    }

    /// The body as it goes over the wire.
    pub fn bytes(&self) -> Bytes {
        Bytes::from(self.body.to_string())
    }
}

impl From<Code> for Rejection {
    fn from(code: Code) -> Self {
        Self::fcm(code, code.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_fcm_error_names_its_code_in_its_details() {
        let refusal = Rejection::fcm(Code::Unregistered, "gone");
        let expected = json!({ "error": {
            "code": 404,
            "message": "gone",
            "status": "NOT_FOUND",
            "details": [{
                "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
                "errorCode": "UNREGISTERED",
            }],
        }});
        assert_eq!((refusal.status, refusal.body), (StatusCode::NOT_FOUND, expected));
    }

    #[test]
    fn an_error_before_fcm_has_no_details() {
        let refusal = Rejection::api(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "who?");
        assert_eq!(refusal.body.pointer("/error/details"), None);
    }
}
