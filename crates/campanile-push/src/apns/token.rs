//! The provider token: who we are, signed. One per (team, key), however many send with it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use campanile_core::port::Clock;
use campanile_core::{Tick, Timestamp};
use http::HeaderValue;
use jsonwebtoken::{Algorithm, Header};
use serde::Serialize;

use super::config::ApnsKey;

/// Tokens are issued as of the start of each of these, in seconds. Every worker of a fleet so says
/// the same, and a token lives neither the hour after which Apple refuses it nor less than the 20
/// minutes below which Apple refuses its successor.
const PERIOD: u64 = 30 * 60;

/// Apple refuses a token that follows another within this (`TooManyProviderTokenUpdates`).
const SHORTEST_LIFE: Duration = Duration::from_secs(20 * 60);

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
    signed: Tick,
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
        let (now, tick) = (self.clock.now(), self.clock.tick());
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let issue_at = match &*current {
            Some(signed) => signed.successor(now, tick),
            None => Some(start_of_period(now)),
        };
        if let Some(issued_at) = issue_at {
            let header = sign(&self.key, issued_at)?;
            *current = Some(Signed { issued_at, signed: tick, refused: false, header });
        }
        let signed = current.as_ref().ok_or_else(|| SignError("no token".to_owned()))?;
        Ok(signed.header.clone())
    }

    /// Apple called `header` expired. It is replaced if it is the current one and old enough;
    /// a younger one is not, because the clocks differ and a new token would expire as well.
    pub(super) fn refused(&self, header: &HeaderValue) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signed) = current.as_mut().filter(|signed| signed.header == *header) {
            signed.refused = true;
        }
    }
}

impl Signed {
    /// When its successor is issued, if it is time for one.
    fn successor(&self, now: Timestamp, tick: Tick) -> Option<u64> {
        let age = Duration::from_secs(now.as_secs().saturating_sub(self.issued_at));
        if self.refused && age >= SHORTEST_LIFE {
            return Some(now.as_secs());
        }
        // The first token of a process may have been issued just before the end of its period.
        if tick.since(self.signed) < SHORTEST_LIFE {
            return None;
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
