//! Sign-ins: an assertion in exchange for an access token (RFC 7523 §2.1).

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::json;

use super::form;
use super::rejection::Rejection;
use super::state::Fcm;
use crate::random::Random;
use crate::service::State;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Access tokens remembered; a sender has one at a time.
const REMEMBERED: usize = 10_000;

/// The access tokens in force.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    issued: HashMap<String, Grant>,
}

/// What an access token gives leave for.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) email: Arc<str>,
    expires_at_ms: u64,
}

impl Tokens {
    fn issue(&mut self, email: &str, life_s: u64, now_ms: u64, random: &mut Random) -> String {
        if self.issued.len() >= REMEMBERED {
            self.issued.retain(|_, grant| grant.expires_at_ms > now_ms);
        }
        let token = format!("ya29.{:016x}{:016x}", random.next_u64(), random.next_u64());
        let grant = Grant { email: email.into(), expires_at_ms: now_ms + life_s * 1000 };
        self.issued.insert(token.clone(), grant);
        token
    }

    /// What a token gives leave for at this time.
    pub(crate) fn grant(&self, token: &str, now_ms: u64) -> Option<&Grant> {
        self.issued.get(token).filter(|grant| grant.expires_at_ms > now_ms)
    }

    /// Makes every token bad that was issued so far.
    pub(crate) fn revoke_all(&mut self) {
        self.issued.clear();
    }
}

/// Checks what needs nothing but the request, and answers the assertion.
pub(crate) fn assertion(parts: &Parts, body: &Bytes) -> Result<String, Rejection> {
    if parts.method != Method::POST {
        let message = "only POST is allowed here";
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return Err(Rejection { status, ..Rejection::sign_in("invalid_request", message) });
    }
    if !is_form(&parts.headers) {
        return Err(Rejection::sign_in("invalid_request", "content-type is not a form's"));
    }
    match form::field(body, "grant_type").as_deref() {
        Some(GRANT) => {}
        Some(_) => return Err(Rejection::sign_in("unsupported_grant_type", "Invalid grant_type")),
        None => {
            let why = "Required parameter is missing: grant_type";
            return Err(Rejection::sign_in("invalid_request", why));
        }
    }
    let why = "Required parameter is missing: assertion";
    form::field(body, "assertion").ok_or_else(|| Rejection::sign_in("invalid_request", why))
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|text| text.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

impl State<Fcm> {
    /// Exchanges an assertion for an access token.
    pub(crate) fn sign_in(&mut self, assertion: &str, now_ms: u64) -> Result<Bytes, Rejection> {
        let email = self.service.accounts.verify(assertion, now_ms / 1000)?;
        let life_s = self.service.token_life_s;
        let token = self.service.tokens.issue(&email, life_s, now_ms, &mut self.random);
        let answer = json!({
            "access_token": token,
            // Google names a second less than it grants.
            "expires_in": life_s.saturating_sub(1),
            "token_type": "Bearer",
        });
        Ok(Bytes::from(answer.to_string()))
    }
}
