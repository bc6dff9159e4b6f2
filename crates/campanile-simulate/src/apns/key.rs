//! Provider keys: what a team registers with Apple, and a generated pair for tests.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::KeyPair;
use thiserror::Error;

use super::environment::Environment;

/// A public key registered for a team.
#[derive(Clone, Debug)]
pub struct ProviderKey {
    /// The team that may sign with it: the `iss` claim.
    pub team_id: String,
    /// The key's id: the `kid` of the header.
    pub key_id: String,
    /// The public key as PEM (`SubjectPublicKeyInfo`).
    pub public_pem: String,
    /// The only environment it is good for; `None` = both (keys made before environments).
    pub environment: Option<Environment>,
    /// The only bundle ids it is good for; `None` = every topic of the team.
    pub topics: Option<Vec<String>>,
}

impl ProviderKey {
    /// A key for every topic and environment of a team.
    pub fn new(
        team_id: impl Into<String>,
        key_id: impl Into<String>,
        public_pem: impl Into<String>,
    ) -> Self {
        Self {
            team_id: team_id.into(),
            key_id: key_id.into(),
            public_pem: public_pem.into(),
            environment: None,
            topics: None,
        }
    }
}

/// Why a key cannot be registered, generated or used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The public key is not PEM with base64 inside.
    #[error("public key of key id {key_id}: not a PEM block")]
    NotPem {
        /// The key in question.
        key_id: String,
    },
    /// The public key is not a point of P-256.
    #[error("public key of key id {key_id}: not a P-256 public key")]
    NotP256 {
        /// The key in question.
        key_id: String,
    },
    /// The cryptographic library refused to make or use a key.
    #[error("ES256 key: {0}")]
    Crypto(String),
}

/// A generated ES256 key pair: the private half for the sender, the public half to register.
#[derive(Debug)]
pub struct SigningKey {
    team_id: String,
    key_id: String,
    pair: KeyPair,
}

impl SigningKey {
    /// Generates a pair for the given team and key id (Apple's have ten characters each).
    ///
    /// # Errors
    ///
    /// [`KeyError::Crypto`] if the library cannot make one.
    pub fn generate(
        team_id: impl Into<String>,
        key_id: impl Into<String>,
    ) -> Result<Self, KeyError> {
        let pair = KeyPair::generate().map_err(|error| KeyError::Crypto(error.to_string()))?;
        Ok(Self { team_id: team_id.into(), key_id: key_id.into(), pair })
    }

    /// The private key as Apple hands it out: PKCS#8 in PEM (a `.p8` file).
    pub fn private_pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// The half to register with the simulator.
    pub fn public_key(&self) -> ProviderKey {
        ProviderKey::new(&self.team_id, &self.key_id, self.pair.public_key_pem())
    }

    /// A provider token (JWT) issued at `iat`, seconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// [`KeyError::Crypto`] if the library cannot sign.
    pub fn provider_token(&self, iat: u64) -> Result<String, KeyError> {
        let header = serde_json::json!({ "alg": "ES256", "kid": self.key_id });
        let claims = serde_json::json!({ "iss": self.team_id, "iat": iat });
        self.sign(&header.to_string(), &claims.to_string())
    }

    /// Signs any header and claims, to make tokens that are wrong in a chosen way.
    ///
    /// # Errors
    ///
    /// [`KeyError::Crypto`] if the library cannot sign.
    pub fn sign(&self, header: &str, claims: &str) -> Result<String, KeyError> {
        let mut token =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, self.pair.serialized_der())
                .map_err(|error| KeyError::Crypto(error.to_string()))?;
        #[expect(clippy::disallowed_methods, reason = "a signature nonce must be unpredictable")]
        let nonces = SystemRandom::new();
        let signature = key
            .sign(&nonces, token.as_bytes())
            .map_err(|_| KeyError::Crypto("cannot sign".into()))?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature.as_ref()));
        Ok(token)
    }
}
