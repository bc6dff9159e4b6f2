//! What one connection is bound to: a team, and a provider token that may change only slowly.
//!
//! Source: Apple, "Establishing a token-based connection to APNs" and "Sending notification
//! requests to APNs": the first push binds a connection to a team; a token may be renewed once in
//! 20 minutes; a connection of a topic-specific key takes no other key.

use std::sync::Arc;

use super::environment::Environment;
use super::reason::Reason;
use super::token::{Keyring, Verified};

/// The shortest time between two provider tokens on a connection, in milliseconds.
pub(crate) const MIN_RENEWAL_MS: u64 = 20 * 60 * 1000;

/// The authorisation state of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    environment: Environment,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    token: Box<str>,
    verified: Arc<Verified>,
    /// Of the keyring when the token was verified.
    generation: u64,
    since_ms: u64,
}

impl Session {
    pub(crate) fn new(environment: Environment) -> Self {
        Self { environment, current: None }
    }

    pub(crate) fn environment(&self) -> Environment {
        self.environment
    }

    /// Lets a provider token pass, or tells why not.
    pub(crate) fn authorise(
        &mut self,
        keyring: &mut Keyring,
        token: &str,
        now_ms: u64,
    ) -> Result<Arc<Verified>, Reason> {
        let now_s = now_ms / 1000;
        // The usual case: the token of the push before. Nothing is looked up or hashed.
        if let Some(current) = &self.current
            && *current.token == *token
            && current.generation == keyring.generation()
        {
            current.verified.check_age(now_s)?;
            return Ok(Arc::clone(&current.verified));
        }
        let verified = keyring.verify(token)?;
        verified.check_age(now_s)?;
        if verified.key.environment.is_some_and(|only| only != self.environment) {
            return Err(Reason::BadEnvironmentKeyIdInToken);
        }
        let since_ms = match &self.current {
            Some(current) if *current.token == *token => current.since_ms,
            Some(current) => current.renewed_by(&verified, now_ms)?,
            None => now_ms,
        };
        self.current = Some(Current {
            token: token.into(),
            verified: Arc::clone(&verified),
            generation: keyring.generation(),
            since_ms,
        });
        Ok(verified)
    }
}

impl Current {
    /// Whether another token may take over, and since when it then counts.
    fn renewed_by(&self, next: &Verified, now_ms: u64) -> Result<u64, Reason> {
        if self.verified.team_id != next.team_id {
            return Err(Reason::InvalidProviderToken);
        }
        let (before, after) = (&self.verified.key, &next.key);
        if before.id != after.id && (before.topics.is_some() || after.topics.is_some()) {
            return Err(Reason::UnrelatedKeyIdInToken);
        }
        if now_ms.saturating_sub(self.since_ms) < MIN_RENEWAL_MS {
            return Err(Reason::TooManyProviderTokenUpdates);
        }
        Ok(now_ms)
    }
}
