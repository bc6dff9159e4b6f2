//! Assertions: JWTs signed with RS256 by which a service account proves who it is (Google, "Using
//! OAuth 2.0 for Server to Server Applications"; RFC 7523), really verified.

use std::collections::HashMap;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::account::{Account, AccountError, SCOPE, TOKEN_URI};
use super::rejection::Rejection;
use crate::pem::der_of_pem;

/// The longest life of an assertion, in seconds.
const MAX_LIFE_S: u64 = 3600;
/// How far an assertion may be from the future, in seconds: clocks differ.
const SKEW_S: u64 = 300;
/// Scopes with leave to send.
const SCOPES: [&str; 2] = [SCOPE, "https://www.googleapis.com/auth/cloud-platform"];

/// The registered accounts, by their name.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    known: HashMap<String, Known>,
    signatures: u64,
}

#[derive(Debug)]
struct Known {
    project: String,
    keys: HashMap<String, ParsedPublicKey>,
}

impl Accounts {
    /// Registers an account, or another key of it.
    pub(crate) fn insert(&mut self, account: Account) -> Result<(), AccountError> {
        let not_rsa = || AccountError::NotRsa { email: account.email.clone() };
        let der = der_of_pem(&account.public_pem).ok_or_else(not_rsa)?;
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).map_err(|_| not_rsa())?;
        let fresh = || Known { project: account.project, keys: HashMap::new() };
        let known = self.known.entry(account.email).or_insert_with(fresh);
        known.keys.insert(account.key_id, key);
        Ok(())
    }

    /// Deletes the keys of an account.
    pub(crate) fn revoke(&mut self, email: &str) -> bool {
        self.known.get_mut(email).is_some_and(|known| {
            let had = !known.keys.is_empty();
            known.keys.clear();
            had
        })
    }

    /// The project that an account may send for.
    pub(crate) fn project(&self, email: &str) -> Option<&str> {
        self.known.get(email).map(|known| known.project.as_str())
    }

    /// Whether a project has an account.
    pub(crate) fn has_project(&self, project: &str) -> bool {
        self.known.values().any(|known| known.project == project)
    }

    /// How many signatures were checked.
    pub(crate) fn signatures(&self) -> u64 {
        self.signatures
    }

    /// Whose assertion it is, if it is in order at `now_s`.
    pub(crate) fn verify(&mut self, assertion: &str, now_s: u64) -> Result<String, Rejection> {
        let bad = |why: &str| Rejection::sign_in("invalid_grant", why);
        let parts = Parts::of(assertion).ok_or_else(|| bad("Invalid JWT: not RS256, or broken"))?;
        let claims = parts.claims;
        let known =
            self.known.get(&claims.iss).ok_or_else(|| bad("Invalid grant: account not found"))?;
        let key = known.keys.get(&parts.header.kid);
        let key = key.ok_or_else(|| bad("Invalid JWT Signature."))?;
        self.signatures += 1;
        key.verify_sig(parts.signed.as_bytes(), &parts.signature)
            .map_err(|_| bad("Invalid JWT Signature."))?;
        if claims.aud != TOKEN_URI {
            return Err(bad("Invalid JWT: Failed audience check."));
        }
        let short = claims.exp.checked_sub(claims.iat).is_some_and(|life| life <= MAX_LIFE_S);
        if !short || claims.exp <= now_s || claims.iat > now_s + SKEW_S {
            return Err(bad("Invalid JWT: iat and exp are not in a reasonable timeframe"));
        }
        check_scope(claims.scope.as_deref())?;
        Ok(claims.iss)
    }
}

fn check_scope(scope: Option<&str>) -> Result<(), Rejection> {
    let bad = |why: &str| Rejection::sign_in("invalid_scope", why);
    let mut scopes = scope.unwrap_or_default().split(' ').filter(|it| !it.is_empty()).peekable();
    if scopes.peek().is_none() {
        return Err(bad("Empty or missing scope not allowed."));
    }
    match scopes.all(|scope| SCOPES.contains(&scope)) {
        true => Ok(()),
        false => Err(bad("Invalid OAuth scope provided.")),
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
    scope: Option<String>,
    aud: String,
    iat: u64,
    exp: u64,
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
    /// header names RS256.
    fn of(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = json(header)?;
        if header.alg != "RS256" {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Self { header, claims: json(claims)?, signed, signature })
    }
}

fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
