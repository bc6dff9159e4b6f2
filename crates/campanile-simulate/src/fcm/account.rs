//! Service accounts: who may send for a project, and generated ones for tests.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use thiserror::Error;

/// Where service accounts sign in, and the audience of their assertions.
pub const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// What a sender asks leave for.
pub const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// The half of a service account that Google has.
#[derive(Clone, Debug)]
pub struct Account {
    /// The project that it may send for.
    pub project: String,
    /// Its name: the `iss` of its assertions.
    pub email: String,
    /// The id of its key: the `kid` of its assertions.
    pub key_id: String,
    /// Its public key as PEM (`SubjectPublicKeyInfo`).
    pub public_pem: String,
}

/// Why an account cannot be registered, generated or used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountError {
    /// The public key is no RSA key in PEM.
    #[error("public key of account {email}: not an RSA public key in PEM")]
    NotRsa {
        /// The account in question.
        email: String,
    },
    /// The cryptographic library refused to make or use a key.
    #[error("RS256 key: {0}")]
    Crypto(String),
}

/// A generated service account with an RSA key of 2048 bits.
#[derive(Debug)]
pub struct ServiceAccount {
    project: String,
    email: String,
    key_id: String,
    pair: KeyPair,
}

impl ServiceAccount {
    /// Generates an account of a project.
    ///
    /// # Errors
    ///
    /// [`AccountError::Crypto`] if the library cannot make a key.
    pub fn generate(project: &str) -> Result<Self, AccountError> {
        let pair = KeyPair::generate_for(&PKCS_RSA_SHA256).map_err(crypto)?;
        Ok(Self {
            project: project.to_owned(),
            email: format!("sender@{project}.iam.gserviceaccount.com"),
            key_id: format!("key-of-{project}"),
            pair,
        })
    }

    /// The half to register with the simulator.
    pub fn public(&self) -> Account {
        Account {
            project: self.project.clone(),
            email: self.email.clone(),
            key_id: self.key_id.clone(),
            public_pem: self.pair.public_key_pem(),
        }
    }

    /// Its name.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// The private key: PKCS#8 in PEM.
    pub fn private_pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// The file that Google hands out.
    pub fn json(&self) -> String {
        let file = json!({
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": self.key_id,
            "private_key": self.private_pem(),
            "client_email": self.email,
            "token_uri": TOKEN_URI,
        });
        file.to_string()
    }

    /// The header of its assertions.
    pub fn header(&self) -> Value {
        json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id })
    }

    /// The claims of an assertion issued at `iat`, seconds since the Unix epoch, good for an hour.
    pub fn claims(&self, iat: u64) -> Value {
        json!({
            "iss": self.email, "scope": SCOPE, "aud": TOKEN_URI, "iat": iat, "exp": iat + 3600,
        })
    }

    /// An assertion issued at `iat`, seconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// [`AccountError::Crypto`] if the library cannot sign.
    pub fn assertion(&self, iat: u64) -> Result<String, AccountError> {
        self.sign(&self.header(), &self.claims(iat))
    }

    /// Signs any header and claims, to make assertions that are wrong in a chosen way.
    ///
    /// # Errors
    ///
    /// [`AccountError::Crypto`] if the library cannot sign.
    pub fn sign(&self, header: &Value, claims: &Value) -> Result<String, AccountError> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut token = format!("{}.{}", part(header), part(claims));
        let key = RsaKeyPair::from_pkcs8(self.pair.serialized_der()).map_err(crypto)?;
        let mut signature = vec![0; key.public_modulus_len()];
        #[expect(clippy::disallowed_methods, reason = "RS256 is deterministic and draws nothing")]
        let unused = SystemRandom::new();
        key.sign(&RSA_PKCS1_SHA256, &unused, token.as_bytes(), &mut signature).map_err(crypto)?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(token)
    }
}

fn crypto(error: impl ToString) -> AccountError {
    AccountError::Crypto(error.to_string())
}
