//! What Apple's answer means. Pure.
//!
//! Source: Apple, "Handling notification responses from APNs" (statuses, reasons, `timestamp`).
//! A reason decides before the status does. A reason that Apple adds later is kept as it is and
//! the status decides, always so that nothing is thrown away that a later attempt could save.

use std::time::Duration;

use campanile_core::{HoldReason, Outcome, Timestamp};
use http::StatusCode;
use serde::Deserialize;

use super::request::ID;
use crate::http2::Answer;
use crate::retry_after::retry_after;

/// The longest reason that is kept, in bytes; Apple's longest has 30.
const REASON_LIMIT: usize = 128;

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// For the push.
    pub(crate) outcome: Outcome,
    /// For the connection it came over: whether to make another one.
    pub(crate) close_connection: bool,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    reason: Option<String>,
    /// Milliseconds. Read leniently: a strange time must not hide the reason.
    #[serde(default)]
    timestamp: serde_json::Value,
}

/// Reads `answer`, which came at `now`: asked only of who is refused.
pub(crate) fn read(answer: &Answer, now: impl FnOnce() -> Timestamp) -> Reading {
    if answer.status == StatusCode::OK {
        let provider_id = answer.headers.get(ID).unwrap_or_default().to_owned();
        let outcome = Outcome::Accepted { provider_id };
        return Reading { outcome, close_connection: false };
    }
    let body = serde_json::from_slice::<Body>(&answer.body).ok();
    let said = body.as_ref().and_then(|body| body.reason.as_deref()).unwrap_or_default();
    let since = body.as_ref().and_then(|body| body.timestamp.as_u64());
    let refusal = Refusal {
        status: answer.status.as_u16(),
        reason: kept(said, answer.status),
        retry_after: retry_after(&answer.headers, now()),
        since: since.map(Timestamp::from_millis),
    };
    let outcome = refusal.outcome(said);
    Reading { outcome, close_connection: ends_connection(said) }
}

/// The connection is bound to another team or key, or about to be closed by the server; and after
/// a credential was refused, all connections made with it are to be made anew ("Sending
/// notification requests to APNs"). A connection takes another token only every 20 minutes, so
/// when one expired, its successor is better off on another connection.
fn ends_connection(reason: &str) -> bool {
    matches!(
        reason,
        "IdleTimeout"
            | "Shutdown"
            | "UnrelatedKeyIdInToken"
            | "ExpiredProviderToken"
            | "InvalidProviderToken"
            | "MissingProviderToken"
            | "BadCertificate"
            | "BadCertificateEnvironment"
            | "BadEnvironmentKeyIdInToken"
    )
}

fn kept(said: &str, status: StatusCode) -> String {
    match said.len() {
        0 => format!("{} without a reason", status.as_u16()),
        1..=REASON_LIMIT => said.to_owned(),
        _ => said.chars().take(REASON_LIMIT / 4 - 1).chain(['…']).collect(),
    }
}

struct Refusal {
    status: u16,
    reason: String,
    retry_after: Option<Duration>,
    since: Option<Timestamp>,
}

impl Refusal {
    fn outcome(self, said: &str) -> Outcome {
        match said {
            "BadDeviceToken" | "DeviceTokenNotForTopic" | "Unregistered" | "ExpiredToken" => {
                self.address_gone()
            }
            // The request is wrong, which no retry mends. `Forbidden` is among those that Apple
            // says never to retry, so it does not hold the route as other 403s do.
            "BadCollapseId" | "BadExpirationDate" | "BadMessageId" | "BadPriority"
            | "DuplicateHeaders" | "InvalidPushType" | "MissingDeviceToken" | "MissingTopic"
            | "PayloadEmpty" | "PayloadTooLarge" | "BadPath" | "MethodNotAllowed" | "Forbidden" => {
                self.rejected()
            }
            // Every push of the route would fare the same.
            "BadTopic"
            | "TopicDisallowed"
            | "InvalidProviderToken"
            | "MissingProviderToken"
            | "BadCertificate"
            | "BadCertificateEnvironment"
            | "BadEnvironmentKeyIdInToken" => self.route_refused(HoldReason::Credential),
            "ExpiredProviderToken" => Outcome::CredentialStale { reason: self.reason },
            // The token in use stays; a new one would make it worse.
            "TooManyProviderTokenUpdates" => self.route_refused(HoldReason::Throttled),
            "TooManyRequests" => self.throttled(),
            // Refused for its connection, not for itself.
            "IdleTimeout" | "UnrelatedKeyIdInToken" => Outcome::Unprocessed { reason: self.reason },
            "InternalServerError" | "ServiceUnavailable" | "Shutdown" => self.unavailable(),
            _ => self.by_status(),
        }
    }

    /// An unknown reason, or none that can be read. 401 and 403 are about who we are: the route
    /// waits, the push is kept. What is neither success nor a client error is the server's
    /// trouble, also when it is something that pretends to be Apple.
    fn by_status(self) -> Outcome {
        match self.status {
            401 | 403 => self.route_refused(HoldReason::Credential),
            410 => self.address_gone(),
            429 => self.throttled(),
            400..=499 => self.rejected(),
            _ => self.unavailable(),
        }
    }

    fn address_gone(self) -> Outcome {
        let Self { status, reason, since, .. } = self;
        Outcome::AddressGone { status, reason, since }
    }

    fn rejected(self) -> Outcome {
        Outcome::Rejected { status: self.status, reason: self.reason }
    }

    fn route_refused(self, hold: HoldReason) -> Outcome {
        let Self { status, reason, retry_after, .. } = self;
        Outcome::RouteRefused { hold, status, reason, retry_after }
    }

    fn throttled(self) -> Outcome {
        let Self { status, reason, retry_after, .. } = self;
        Outcome::Throttled { status, reason, retry_after }
    }

    fn unavailable(self) -> Outcome {
        let Self { status, reason, retry_after, .. } = self;
        Outcome::Unavailable { status, reason, retry_after }
    }
}

#[cfg(test)]
mod tests;
