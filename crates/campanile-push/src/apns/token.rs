//! The provider token: who we are, signed. One per (team, key), however many send with it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use campanile_core::Timestamp;
use campanile_core::port::Clock;
use http::HeaderValue;
use jsonwebtoken::{Algorithm, Header};
use serde::Serialize;

use super::config::ApnsKey;

/// Tokens are issued as of the start of each of these, in seconds, so that every worker of a fleet
/// says the same. Apple refuses a token that is an hour old.
const PERIOD: u64 = 30 * 60;

/// Apple refuses another token on the same connection within this
/// (`TooManyProviderTokenUpdates`). A token that is at most a period old when a connection first
/// uses it can so be kept for long enough and still not expire.
pub(super) const SHORTEST_USE: Duration = Duration::from_secs(20 * 60);

/// No token could be signed. It is permanent: the key is at fault.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign a provider token: {0}")]
pub(super) struct SignError(String);

/// The cached token of one key.
pub(super) struct ProviderToken {
    key: Arc<ApnsKey>,
    clock: Arc<dyn Clock>,
    current: Mutex<Option<Signed>>,
}

struct Signed {
    issued_at: u64,
    refused: bool,
    header: HeaderValue,
}

impl ProviderToken {
    pub(super) fn new(key: Arc<ApnsKey>, clock: Arc<dyn Clock>) -> Self {
        Self { key, clock, current: Mutex::default() }
    }

    /// The value of the `authorization` header. Signing takes some 30 µs and happens twice an
    /// hour, so whoever comes meanwhile waits for the lock: there is one signature, not many.
    pub(super) fn header(&self) -> Result<HeaderValue, SignError> {
        let now = self.clock.now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let issue_at = match &*current {
            Some(signed) => signed.successor(now),
            None => Some(start_of_period(now)),
        };
        if let Some(issued_at) = issue_at {
            let header = sign(&self.key, issued_at)?;
            *current = Some(Signed { issued_at, refused: false, header });
        }
        let signed = current.as_ref().ok_or_else(|| SignError("no token".to_owned()))?;
        Ok(signed.header.clone())
    }

    /// Apple called `header` expired. If it is the current one and old enough, it is replaced. A
    /// younger one is not: the clocks differ, and its successor would be refused as well.
    pub(super) fn refused(&self, header: &HeaderValue) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signed) = current.as_mut().filter(|signed| signed.header == *header) {
            signed.refused = true;
        }
    }
}

impl Signed {
    /// When its successor is issued, if it is time for one.
    fn successor(&self, now: Timestamp) -> Option<u64> {
        let age = Duration::from_secs(now.as_secs().saturating_sub(self.issued_at));
        if self.refused && age >= SHORTEST_USE {
            return Some(now.as_secs());
        }
        let period = start_of_period(now);
        // Later by the clock, or so much earlier that the clock was set back.
        let another = period > self.issued_at || period + PERIOD < self.issued_at;
        another.then_some(period)
    }
}

fn start_of_period(now: Timestamp) -> u64 {
    now.as_secs() - now.as_secs() % PERIOD
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: u64,
}

/// A token issued at `issued_at` (epoch seconds), as header value.
pub(super) fn sign(key: &ApnsKey, issued_at: u64) -> Result<HeaderValue, SignError> {
    let mut header = Header::new(Algorithm::ES256);
    header.typ = None;
    header.kid = Some(key.key_id.clone());
    let claims = Claims { iss: &key.team_id, iat: issued_at };
    let token = jsonwebtoken::encode(&header, &claims, &key.key);
    let token = token.map_err(|error| SignError(error.to_string()))?;
    let value = HeaderValue::from_str(&format!("bearer {token}"));
    let mut value = value.map_err(|error| SignError(error.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for ProviderToken {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProviderToken").field(&self.key).finish()
    }
}

#[cfg(test)]
mod tests;
