//! What APNs answers when it refuses a push.
//!
//! Source: Apple, "Handling notification responses from APNs", tables of status codes and of
//! response error strings.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::StatusCode;

/// The documented reasons, each with its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are Apple's, and Apple's table explains them")]
pub enum Reason {
    BadCollapseId,
    BadDeviceToken,
    BadExpirationDate,
    BadMessageId,
    BadPriority,
    BadTopic,
    DeviceTokenNotForTopic,
    DuplicateHeaders,
    IdleTimeout,
    InvalidPushType,
    MissingDeviceToken,
    MissingTopic,
    PayloadEmpty,
    TopicDisallowed,
    BadCertificate,
    BadCertificateEnvironment,
    BadEnvironmentKeyIdInToken,
    ExpiredProviderToken,
    Forbidden,
    InvalidProviderToken,
    MissingProviderToken,
    UnrelatedKeyIdInToken,
    BadPath,
    MethodNotAllowed,
    ExpiredToken,
    Unregistered,
    PayloadTooLarge,
    TooManyProviderTokenUpdates,
    TooManyRequests,
    InternalServerError,
    ServiceUnavailable,
    Shutdown,
}

impl Reason {
    /// The status that goes with the reason.
    pub fn status(self) -> StatusCode {
        use Reason as R;
        match self {
            R::BadCollapseId
            | R::BadDeviceToken
            | R::BadExpirationDate
            | R::BadMessageId
            | R::BadPriority
            | R::BadTopic
            | R::DeviceTokenNotForTopic
            | R::DuplicateHeaders
            | R::IdleTimeout
            | R::InvalidPushType
            | R::MissingDeviceToken
            | R::MissingTopic
            | R::PayloadEmpty
            | R::TopicDisallowed => StatusCode::BAD_REQUEST,
            R::BadCertificate
            | R::BadCertificateEnvironment
            | R::BadEnvironmentKeyIdInToken
            | R::ExpiredProviderToken
            | R::Forbidden
            | R::InvalidProviderToken
            | R::MissingProviderToken
            | R::UnrelatedKeyIdInToken => StatusCode::FORBIDDEN,
            R::BadPath => StatusCode::NOT_FOUND,
            R::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            R::ExpiredToken | R::Unregistered => StatusCode::GONE,
            R::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            R::TooManyProviderTokenUpdates | R::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            R::InternalServerError => StatusCode::INTERNAL_SERVER_ERROR,
            R::ServiceUnavailable | R::Shutdown => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The string APNs puts into `{"reason": …}`.
    pub fn as_str(self) -> &'static str {
        use Reason as R;
        match self {
            R::BadCollapseId => "BadCollapseId",
            R::BadDeviceToken => "BadDeviceToken",
            R::BadExpirationDate => "BadExpirationDate",
            R::BadMessageId => "BadMessageId",
            R::BadPriority => "BadPriority",
            R::BadTopic => "BadTopic",
            R::DeviceTokenNotForTopic => "DeviceTokenNotForTopic",
            R::DuplicateHeaders => "DuplicateHeaders",
            R::IdleTimeout => "IdleTimeout",
            R::InvalidPushType => "InvalidPushType",
            R::MissingDeviceToken => "MissingDeviceToken",
            R::MissingTopic => "MissingTopic",
            R::PayloadEmpty => "PayloadEmpty",
            R::TopicDisallowed => "TopicDisallowed",
            R::BadCertificate => "BadCertificate",
            R::BadCertificateEnvironment => "BadCertificateEnvironment",
            R::BadEnvironmentKeyIdInToken => "BadEnvironmentKeyIdInToken",
            R::ExpiredProviderToken => "ExpiredProviderToken",
            R::Forbidden => "Forbidden",
            R::InvalidProviderToken => "InvalidProviderToken",
            R::MissingProviderToken => "MissingProviderToken",
            R::UnrelatedKeyIdInToken => "UnrelatedKeyIdInToken",
            R::BadPath => "BadPath",
            R::MethodNotAllowed => "MethodNotAllowed",
            R::ExpiredToken => "ExpiredToken",
            R::Unregistered => "Unregistered",
            R::PayloadTooLarge => "PayloadTooLarge",
            R::TooManyProviderTokenUpdates => "TooManyProviderTokenUpdates",
            R::TooManyRequests => "TooManyRequests",
            R::InternalServerError => "InternalServerError",
            R::ServiceUnavailable => "ServiceUnavailable",
            R::Shutdown => "Shutdown",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The `:status`.
    pub status: StatusCode,
    /// The `reason`; a script may use one that Apple does not document.
    pub reason: Cow<'static, str>,
    /// The `timestamp` in milliseconds since the Unix epoch; Apple sends it only with 410.
    pub timestamp_ms: Option<u64>,
    /// A `retry-after` header, in seconds.
    pub retry_after: Option<u32>,
}

impl Rejection {
    /// A refusal with any status and reason.
    pub fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { status, reason: reason.into(), timestamp_ms: None, retry_after: None }
    }

    /// Adds the time stamp of a 410, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp_ms(mut self, at: u64) -> Self {
        self.timestamp_ms = Some(at);
        self
    }

    /// Adds a `retry-after` header, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The JSON body.
    pub fn body(&self) -> Bytes {
        let mut body = serde_json::json!({ "reason": self.reason });
        if let (Some(at), Some(map)) = (self.timestamp_ms, body.as_object_mut()) {
            map.insert("timestamp".into(), at.into());
        }
        Bytes::from(body.to_string())
    }
}

impl From<Reason> for Rejection {
    fn from(reason: Reason) -> Self {
        Self::new(reason.status(), reason.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_has_a_timestamp_only_when_given() {
        let plain = Rejection::from(Reason::BadDeviceToken);
        assert_eq!(plain.body(), r#"{"reason":"BadDeviceToken"}"#);
        let gone = Rejection::from(Reason::Unregistered).timestamp_ms(1_700_000_000_123);
        assert_eq!(gone.body(), r#"{"reason":"Unregistered","timestamp":1700000000123}"#);
    }

    #[test]
    fn a_reason_of_a_script_is_escaped() {
        let odd = Rejection::new(StatusCode::IM_A_TEAPOT, "\"odd\"");
        assert_eq!(odd.body(), r#"{"reason":"\"odd\""}"#);
    }
}
