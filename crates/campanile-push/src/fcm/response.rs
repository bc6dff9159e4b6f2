//! What Google's answer means. Pure.
//!
//! Source: Google, "ErrorCode" of FCM HTTP v1 and "FCM error codes"; the error model of Google's
//! APIs. The `errorCode` of an `FcmError` decides; without one, what stands before FCM refused, and
//! the status decides, always so that nothing is thrown away that a later attempt could save.

use std::time::Duration;

use campanile_core::{HoldReason, Outcome, Timestamp};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::http2::Answer;
use crate::retry_after::retry_after;

/// The longest reason that is kept, in bytes.
const REASON_LIMIT: usize = 128;
/// What Google wants waited at least when it has trouble and names no time (Firebase, "Best
/// practices when sending FCM messages at scale").
const TROUBLE_WAIT: Duration = Duration::from_secs(10);
/// The same after too many messages.
const QUOTA_WAIT: Duration = Duration::from_secs(60);

/// Reads `answer`, which came at `now`: asked only of who is refused.
pub(super) fn read(answer: &Answer, now: impl FnOnce() -> Timestamp) -> Outcome {
    if answer.status == StatusCode::OK {
        let name = serde_json::from_slice::<Accepted>(&answer.body).ok().and_then(|it| it.name);
        return Outcome::Accepted { provider_id: name.unwrap_or_default() };
    }
    let error = serde_json::from_slice::<Body>(&answer.body).unwrap_or_default().error;
    let refusal = Refusal {
        status: answer.status.as_u16(),
        retry_after: retry_after(&answer.headers, now()),
        reason: error.reason(answer.status),
    };
    refusal.outcome(&error)
}

#[derive(Deserialize)]
struct Accepted {
    name: Option<String>,
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    error: Error,
}

/// `google.rpc.Status` in JSON. Read leniently: what is strange must not hide the rest.
#[derive(Default, Deserialize)]
struct Error {
    #[serde(default)]
    status: Value,
    #[serde(default)]
    details: Value,
}

impl Error {
    /// The details of a type.
    fn of_type<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        let details = self.details.as_array().into_iter().flatten();
        details.filter(move |detail| {
            let kind = detail.get("@type").and_then(Value::as_str).unwrap_or_default();
            kind.rsplit_once('/').map_or(kind, |(_, name)| name) == name
        })
    }

    /// What FCM itself says, if it was FCM that refused.
    fn code(&self) -> Option<&str> {
        self.of_type("google.firebase.fcm.v1.FcmError").find_map(|it| it.get("errorCode")?.as_str())
    }

    /// Whether a field of the message is blamed.
    fn blames_a_field(&self) -> bool {
        let mut requests = self.of_type("google.rpc.BadRequest");
        requests.any(|it| {
            let fields = it.get("fieldViolations").and_then(Value::as_array);
            fields.is_some_and(|fields| !fields.is_empty())
        })
    }

    /// Whether it was too much for the device, rather than for the project. In which words Google
    /// says so is not documented.
    fn is_about_the_device(&self) -> bool {
        let violations = self
            .of_type("google.rpc.QuotaFailure")
            .filter_map(|it| it.get("violations")?.as_array());
        violations.flatten().any(|violation| {
            let texts = ["subject", "description"].map(|name| violation.get(name));
            let mut texts = texts.into_iter().flatten().filter_map(Value::as_str);
            texts.any(|text| text.to_ascii_lowercase().contains("device"))
        })
    }

    fn reason(&self, status: StatusCode) -> String {
        let said = self.code().or(self.status.as_str()).unwrap_or_default();
        match said.len() {
            0 => format!("{} without a reason", status.as_u16()),
            1..=REASON_LIMIT => said.to_owned(),
            _ => said.chars().take(REASON_LIMIT / 4 - 1).chain(['…']).collect(),
        }
    }
}

struct Refusal {
    status: u16,
    reason: String,
    retry_after: Option<Duration>,
}

impl Refusal {
    fn outcome(self, error: &Error) -> Outcome {
        match error.code() {
            // Either the message is malformed, which our own never are, or the token is.
            Some("INVALID_ARGUMENT") if !error.blames_a_field() => self.address_gone(),
            Some("INVALID_ARGUMENT") => self.rejected(),
            Some("UNREGISTERED" | "SENDER_ID_MISMATCH") => self.address_gone(),
            // The project lacks what FCM needs to reach other platforms through it.
            Some("THIRD_PARTY_AUTH_ERROR") => self.route_refused(HoldReason::Credential, None),
            Some("QUOTA_EXCEEDED") => self.quota(error),
            Some("UNAVAILABLE" | "INTERNAL") => self.unavailable(),
            _ => self.by_status(error),
        }
    }

    /// Not FCM refused but what stands before it, or FCM with a code that is new. 401, 403 and 404
    /// are then about who we are and which project is meant: the route waits, the push is kept.
    /// What is neither success nor a client error is the server's trouble, also when it is
    /// something that pretends to be Google.
    fn by_status(self, error: &Error) -> Outcome {
        match self.status {
            401 => Outcome::CredentialStale { reason: self.reason },
            403 | 404 => self.route_refused(HoldReason::Credential, None),
            429 => self.quota(error),
            400..=499 => self.rejected(),
            _ => self.unavailable(),
        }
    }

    fn quota(self, error: &Error) -> Outcome {
        let wait = Some(self.retry_after.unwrap_or(QUOTA_WAIT));
        if error.is_about_the_device() {
            let Self { status, reason, .. } = self;
            return Outcome::Throttled { status, reason, retry_after: wait };
        }
        self.route_refused(HoldReason::Throttled, wait)
    }

    fn address_gone(self) -> Outcome {
        Outcome::AddressGone { status: self.status, reason: self.reason, since: None }
    }

    fn rejected(self) -> Outcome {
        Outcome::Rejected { status: self.status, reason: self.reason }
    }

    fn route_refused(self, hold: HoldReason, retry_after: Option<Duration>) -> Outcome {
        let Self { status, reason, .. } = self;
        Outcome::RouteRefused { hold, status, reason, retry_after }
    }

    fn unavailable(self) -> Outcome {
        let Self { status, reason, retry_after } = self;
        let retry_after = Some(retry_after.unwrap_or(TROUBLE_WAIT));
        Outcome::Unavailable { status, reason, retry_after }
    }
}

#[cfg(test)]
mod tests;
