//! Provider tokens: JWTs signed with ES256 (Apple, "Establishing a token-based connection to
//! APNs"), really verified, and each only once.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::environment::Environment;
use super::key::{KeyError, ProviderKey};
use super::reason::Reason;
use crate::pem::der_of_pem;

/// A token older than this, in seconds, is expired; one from further ahead is not valid yet.
pub(crate) const MAX_AGE_S: u64 = 3600;
/// Tokens remembered as verified. A fleet uses one per team and half hour.
const CACHE: usize = 1024;

/// What a verified token says.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) team_id: Arc<str>,
    pub(crate) key: Arc<Key>,
    issued_at: u64,
}

impl Verified {
    /// Checks the age, which changes with the time and therefore is never cached.
    pub(crate) fn check_age(&self, now_s: u64) -> Result<(), Reason> {
        if now_s.saturating_sub(self.issued_at) > MAX_AGE_S {
            Err(Reason::ExpiredProviderToken)
        } else if self.issued_at.saturating_sub(now_s) > MAX_AGE_S {
            Err(Reason::InvalidProviderToken)
        } else {
            Ok(())
        }
    }
}

/// A registered key, ready to verify.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) environment: Option<Environment>,
    pub(crate) topics: Option<Vec<String>>,
    team_id: Arc<str>,
    public: ParsedPublicKey,
}

impl Key {
    /// Parses a registration.
    pub(crate) fn parse(key: ProviderKey) -> Result<Self, KeyError> {
        let der = der_of_pem(&key.public_pem)
            .ok_or_else(|| KeyError::NotPem { key_id: key.key_id.clone() })?;
        let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, der)
            .map_err(|_| KeyError::NotP256 { key_id: key.key_id.clone() })?;
        Ok(Self {
            id: key.key_id,
            environment: key.environment,
            topics: key.topics,
            team_id: key.team_id.into(),
            public,
        })
    }
}

/// The registered keys and the tokens already verified with them.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    keys: HashMap<String, Arc<Key>>,
    verified: HashMap<Box<str>, Arc<Verified>>,
    signatures: u64,
    generation: u64,
}

impl Keyring {
    /// Adds a key, or replaces the one of the same id.
    pub(crate) fn insert(&mut self, key: Key) {
        self.forget();
        self.keys.insert(key.id.clone(), Arc::new(key));
    }

    /// Takes a key away; tokens signed with it are invalid from now on.
    pub(crate) fn revoke(&mut self, key_id: &str) -> bool {
        self.forget();
        self.keys.remove(key_id).is_some()
    }

    /// A change of keys voids what was verified before.
    fn forget(&mut self) {
        self.generation += 1;
        self.verified.clear();
    }

    /// Differs after every change of keys.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// How many signatures were checked.
    pub(crate) fn signatures(&self) -> u64 {
        self.signatures
    }

    /// Verifies a token unless that was done before; the age is for the caller to check.
    pub(crate) fn verify(&mut self, token: &str) -> Result<Arc<Verified>, Reason> {
        if let Some(known) = self.verified.get(token) {
            return Ok(Arc::clone(known));
        }
        let parts = Parts::of(token).ok_or(Reason::InvalidProviderToken)?;
        let key = self.keys.get(&parts.header.kid).ok_or(Reason::InvalidProviderToken)?;
        if *key.team_id != *parts.claims.iss {
            return Err(Reason::InvalidProviderToken);
        }
        self.signatures += 1;
        key.public
            .verify_sig(parts.signed.as_bytes(), &parts.signature)
            .map_err(|_| Reason::InvalidProviderToken)?;
        let verified = Arc::new(Verified {
            team_id: Arc::clone(&key.team_id),
            key: Arc::clone(key),
            issued_at: parts.claims.iat,
        });
        if self.verified.len() >= CACHE {
            self.verified.clear();
        }
        self.verified.insert(token.into(), Arc::clone(&verified));
        Ok(verified)
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: u64,
}

/// The pieces of a JWT in compact form (RFC 7515 §3.1).
struct Parts<'a> {
    header: Header,
    claims: Claims,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    /// `None` for anything but three base64url parts without padding (RFC 7515 §2), of which the
    /// header names ES256.
    fn of(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = json(header)?;
        if header.alg != "ES256" {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Self { header, claims: json(claims)?, signed, signature })
    }
}

fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
