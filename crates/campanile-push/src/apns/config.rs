//! What the sender must be told: keys, routes, and where Apple is.

use std::fmt;
use std::sync::Arc;

use campanile_core::{Environment, Route};
use jsonwebtoken::EncodingKey;

use crate::pool::{PoolConfig, Target};

/// A signing key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Apple's ids have ten letters and digits.
    #[error("{field} must be 10 capital letters and digits, not {got:?}")]
    Id {
        /// `team_id` or `key_id`.
        field: &'static str,
        /// What it is.
        got: String,
    },
    /// The text is not the PEM of an elliptic-curve private key (a `.p8` file).
    #[error("key {key_id}: {reason}")]
    Pem {
        /// Which key.
        key_id: String,
        /// What is wrong, without the text.
        reason: String,
    },
}

/// A key that signs provider tokens, as Apple's developer site issues it.
#[derive(Clone)]
pub struct ApnsKey {
    pub(super) team_id: String,
    pub(super) key_id: String,
    pub(super) key: EncodingKey,
}

impl ApnsKey {
    /// Checks and takes a key.
    ///
    /// # Errors
    /// [`InvalidKey`] if an id is not one of Apple's, or `pem` holds no P-256 private key in
    /// PKCS #8.
    pub fn new(team_id: &str, key_id: &str, pem: &str) -> Result<Self, InvalidKey> {
        for (field, id) in [("team_id", team_id), ("key_id", key_id)] {
            let right = |b: u8| b.is_ascii_digit() || b.is_ascii_uppercase();
            if id.len() != 10 || !id.bytes().all(right) {
                return Err(InvalidKey::Id { field, got: id.to_owned() });
            }
        }
        let unusable = |reason: String| InvalidKey::Pem { key_id: key_id.to_owned(), reason };
        let key = EncodingKey::from_ec_pem(pem.as_bytes())
            .map_err(|error| unusable(error.to_string()))?;
        let key = Self { team_id: team_id.to_owned(), key_id: key_id.to_owned(), key };
        // A key of another curve is read without complaint and fails only when it signs.
        super::token::sign(&key, 0).map_err(|error| unusable(error.to_string()))?;
        Ok(key)
    }
}

impl fmt::Debug for ApnsKey {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApnsKey({}, {}, …)", self.team_id, self.key_id)
    }
}

/// A route, and the key and the server for it.
#[derive(Clone, Debug)]
pub struct ApnsRoute {
    /// The route. Its credential is the topic: the app's bundle id.
    pub route: Route,
    /// What signs for it. Routes that share a key share its provider token.
    pub key: Arc<ApnsKey>,
    /// Apple ([`server`]), or a simulator.
    pub server: Target,
}

/// All that an [`super::ApnsPusher`] needs.
#[derive(Clone, Debug, Default)]
pub struct ApnsConfig {
    /// The routes that can be sent on.
    pub routes: Vec<ApnsRoute>,
    /// The limits of each route's connections.
    pub pool: PoolConfig,
}

/// Apple's server for `environment`.
#[must_use]
pub fn server(environment: Environment) -> Target {
    Target::public(match environment {
        Environment::Production => "api.push.apple.com",
        Environment::Sandbox => "api.sandbox.push.apple.com",
    })
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    pub(in crate::apns) fn pem() -> String {
        rcgen::KeyPair::generate().unwrap().serialize_pem()
    }

    #[test]
    fn a_key_is_taken_and_never_printed() {
        let pem = pem();
        let key = ApnsKey::new("TEAM000001", "KEY0000001", &pem).unwrap();
        assert_eq!(format!("{key:?}"), "ApnsKey(TEAM000001, KEY0000001, …)");
    }

    #[test]
    fn an_id_of_another_shape_is_refused() {
        let refused = ApnsKey::new("TEAM000001", "key0000001", &pem()).unwrap_err();
        let text = "key_id must be 10 capital letters and digits, not \"key0000001\"";
        assert_eq!(refused.to_string(), text);
        assert!(ApnsKey::new("TEAM", "KEY0000001", &pem()).is_err());
    }

    #[test]
    fn a_text_that_is_no_key_is_refused_without_repeating_it() {
        let refused = ApnsKey::new("TEAM000001", "KEY0000001", "secret text").unwrap_err();
        assert!(matches!(refused, InvalidKey::Pem { .. }));
        assert!(!format!("{refused} {refused:?}").contains("secret text"));
    }

    #[test]
    fn a_key_of_another_curve_is_refused() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let refused = ApnsKey::new("TEAM000001", "KEY0000001", &pair.serialize_pem());
        assert!(matches!(refused, Err(InvalidKey::Pem { .. })));
    }

    #[test]
    fn each_environment_has_its_server() {
        assert_eq!(server(Environment::Production).authority(), "api.push.apple.com");
        assert_eq!(server(Environment::Sandbox).authority(), "api.sandbox.push.apple.com");
    }
}
