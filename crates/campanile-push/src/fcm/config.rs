//! What the sender must be told: service accounts, routes, and where Google is.

use std::fmt;
use std::sync::Arc;

use campanile_core::Route;
use http::Uri;
use http::uri::PathAndQuery;
use jsonwebtoken::EncodingKey;
use serde::Deserialize;

use crate::pool::{PoolConfig, Target};

/// The file of a service account that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccount {
    /// It is no JSON object, or a field of it is no text.
    #[error("not the JSON of a service account: line {line}, column {column}")]
    Json {
        /// Where it stops making sense.
        line: usize,
        /// The same.
        column: usize,
    },
    /// A field is missing or empty.
    #[error("{field} is missing")]
    Missing {
        /// Which one.
        field: &'static str,
    },
    /// A field has a value that it cannot have.
    #[error("{field} must be {must}, not {got:?}")]
    Field {
        /// Which one; never the key.
        field: &'static str,
        /// What it must be.
        must: &'static str,
        /// What it is.
        got: String,
    },
    /// `private_key` is no RSA key in PEM.
    #[error("private_key of {email}: {reason}")]
    Key {
        /// Whose.
        email: String,
        /// What is wrong, without the text.
        reason: String,
    },
}

/// A service account: who signs in to Google.
#[derive(Clone)]
pub struct ServiceAccount {
    pub(super) email: String,
    pub(super) key_id: String,
    pub(super) key: EncodingKey,
    /// The whole `token_uri`: whom its assertions are for.
    pub(super) audience: String,
    pub(super) path: PathAndQuery,
    project: String,
    sign_in: Target,
}

/// The file as Google hands it out, as far as it is read.
#[derive(Deserialize)]
struct File {
    #[serde(rename = "type")]
    kind: Option<String>,
    project_id: Option<String>,
    private_key_id: Option<String>,
    private_key: Option<String>,
    client_email: Option<String>,
    token_uri: Option<String>,
}

impl ServiceAccount {
    /// Reads the JSON file that Google issues for a key of a service account.
    ///
    /// # Errors
    /// [`InvalidAccount`] names the field and what is wrong; never the key.
    pub fn from_json(text: &str) -> Result<Self, InvalidAccount> {
        let file: File = serde_json::from_str(text).map_err(|error| {
            // Without its text, which may quote the file.
            InvalidAccount::Json { line: error.line(), column: error.column() }
        })?;
        let need = |field, value: Option<String>| {
            value.filter(|it| !it.is_empty()).ok_or(InvalidAccount::Missing { field })
        };
        let kind = need("type", file.kind)?;
        if kind != "service_account" {
            let must = "service_account";
            return Err(InvalidAccount::Field { field: "type", must, got: kind });
        }
        let email = need("client_email", file.client_email)?;
        let audience = need("token_uri", file.token_uri)?;
        let (sign_in, path) = endpoint(&audience)?;
        let pem = need("private_key", file.private_key)?;
        let unusable = |reason: String| InvalidAccount::Key { email: email.clone(), reason };
        let key = EncodingKey::from_rsa_pem(pem.as_bytes())
            .map_err(|error| unusable(error.to_string()))?;
        let account = Self {
            key_id: need("private_key_id", file.private_key_id)?,
            project: need("project_id", file.project_id)?,
            email: email.clone(),
            key,
            audience,
            path,
            sign_in,
        };
        // A broken key is read without complaint and fails only when it signs.
        super::token::assertion(&account, 0).map_err(|error| unusable(error.to_string()))?;
        Ok(account)
    }

    /// The project that it belongs to.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Where it signs in, as its file says.
    #[must_use]
    pub fn sign_in_server(&self) -> Target {
        self.sign_in.clone()
    }
}

/// The server and the path of a `token_uri`.
fn endpoint(uri: &str) -> Result<(Target, PathAndQuery), InvalidAccount> {
    let wrong = || {
        let (field, must) = ("token_uri", "an https address");
        InvalidAccount::Field { field, must, got: uri.to_owned() }
    };
    let parsed: Uri = uri.parse().map_err(|_| wrong())?;
    let host = parsed.host().filter(|_| parsed.scheme_str() == Some("https")).ok_or_else(wrong)?;
    let path = parsed.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let target = Target { port: parsed.port_u16().unwrap_or(443), ..Target::public(host) };
    Ok((target, path))
}

impl fmt::Debug for ServiceAccount {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceAccount({}, {}, …)", self.email, self.key_id)
    }
}

/// A route, who signs in for it, and the servers.
#[derive(Clone, Debug)]
pub struct FcmRoute {
    /// The route. Its credential is the project's id.
    pub route: Route,
    /// Who signs in. Routes that share an account share its access token.
    pub account: Arc<ServiceAccount>,
    /// Where messages go: Google ([`server`]), or a simulator.
    pub server: Target,
    /// Where the account signs in: as it says ([`ServiceAccount::sign_in_server`]), or a simulator.
    pub sign_in: Target,
}

/// All that an [`super::FcmPusher`] needs.
#[derive(Clone, Debug)]
pub struct FcmConfig {
    /// The routes that can be sent on.
    pub routes: Vec<FcmRoute>,
    /// The limits of each route's connections.
    pub pool: PoolConfig,
}

impl Default for FcmConfig {
    /// No route, and more connections than usual: Google allows a hundred requests on each, so four
    /// would carry fewer messages than a project may send (10,000 a second) as soon as an answer
    /// takes 40 ms.
    fn default() -> Self {
        Self { routes: Vec::new(), pool: PoolConfig { connections: 16, ..PoolConfig::default() } }
    }
}

/// Google's server for messages.
#[must_use]
pub fn server() -> Target {
    Target::public("fcm.googleapis.com")
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use std::sync::OnceLock;

    use super::*;

    /// The file of an account. Its key is made once: that takes long.
    pub(in crate::fcm) fn file() -> serde_json::Value {
        static PEM: OnceLock<String> = OnceLock::new();
        let pem = PEM.get_or_init(|| {
            rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_pem()
        });
        serde_json::json!({
            "type": "service_account",
            "project_id": "bells-0815",
            "private_key_id": "key1",
            "private_key": pem,
            "client_email": "sender@bells-0815.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.googleapis.com/token",
            "universe_domain": "googleapis.com",
        })
    }

    fn refused(field: &str, value: serde_json::Value) -> InvalidAccount {
        let mut file = file();
        file[field] = value;
        ServiceAccount::from_json(&file.to_string()).unwrap_err()
    }

    #[test]
    fn an_account_is_taken_and_its_key_never_printed() {
        let account = ServiceAccount::from_json(&file().to_string()).unwrap();
        let printed = "ServiceAccount(sender@bells-0815.iam.gserviceaccount.com, key1, …)";
        assert_eq!(format!("{account:?}"), printed);
        assert_eq!(account.project(), "bells-0815");
        assert_eq!(account.sign_in_server(), Target::public("oauth2.googleapis.com"));
        assert_eq!(account.path, "/token");
    }

    #[test]
    fn what_is_missing_is_named() {
        let fields =
            ["type", "project_id", "private_key_id", "private_key", "client_email", "token_uri"];
        for field in fields {
            assert_eq!(refused(field, "".into()), InvalidAccount::Missing { field });
            assert_eq!(refused(field, serde_json::Value::Null), InvalidAccount::Missing { field });
        }
    }

    #[test]
    fn what_is_wrong_is_named_without_the_secret() {
        let other = refused("type", "authorized_user".into());
        assert_eq!(other.to_string(), "type must be service_account, not \"authorized_user\"");
        for uri in ["oauth2.googleapis.com/token", "http://example.org/", "not a uri"] {
            assert!(refused("token_uri", uri.into()).to_string().contains("an https address"));
        }
        let key = refused("private_key", "secret text".into());
        assert!(!format!("{key} {key:?}").contains("secret text"), "{key:?}");
        let number = refused("private_key", 815.into());
        assert!(!format!("{number} {number:?}").contains("815"), "{number:?}");
        let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
        assert!(matches!(refused("private_key", elliptic.into()), InvalidAccount::Key { .. }));
    }

    #[test]
    fn a_token_uri_may_have_a_port() {
        let mut file = file();
        file["token_uri"] = "https://localhost:8443/oauth/token".into();
        let account = ServiceAccount::from_json(&file.to_string()).unwrap();
        assert_eq!(account.sign_in_server().port, 8443);
        assert_eq!(account.path, "/oauth/token");
    }
}
