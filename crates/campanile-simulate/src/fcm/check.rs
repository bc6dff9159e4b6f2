//! The checks of a request's head: pure functions from method, path and headers to either what was
//! asked or the documented refusal.

use http::header::{self, HeaderMap};
use http::request::Parts;
use http::{Method, StatusCode};

use super::rejection::Rejection;

/// Where senders sign in.
pub(crate) const TOKEN_PATH: &str = "/token";

/// A request to send, with a head that breaks no rule by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) project: &'a str,
    /// The access token.
    pub(crate) bearer: &'a str,
}

/// Checks the head of a request to send.
///
/// # Errors
///
/// The refusal of the first rule that it breaks.
pub(crate) fn head(parts: &Parts) -> Result<Head<'_>, Rejection> {
    let project = project(parts.uri.path()).filter(|_| parts.method == Method::POST);
    let project = project.ok_or_else(not_found)?;
    let bearer = bearer(&parts.headers).ok_or_else(unauthenticated)?;
    if !is_json(&parts.headers) {
        let message = "Content-Type is not application/json, or there is a Content-Encoding";
        return Err(Rejection::api(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message));
    }
    Ok(Head { project, bearer })
}

/// The project of a path `/v1/projects/<project>/messages:send`.
fn project(path: &str) -> Option<&str> {
    let project = path.strip_prefix("/v1/projects/")?.strip_suffix("/messages:send")?;
    (!project.is_empty() && !project.contains('/')).then_some(project)
}

/// The scheme is case-insensitive (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|text| text.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
        && !headers.contains_key(header::CONTENT_ENCODING)
}

/// There is nothing at this path, or no such project.
pub(crate) fn not_found() -> Rejection {
    Rejection::api(StatusCode::NOT_FOUND, "NOT_FOUND", "Requested entity was not found.")
}

/// The access token is missing, unknown or expired.
pub(crate) fn unauthenticated() -> Rejection {
    let message =
        "Request had invalid authentication credentials. Expected an OAuth 2 access token";
    Rejection::api(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message)
}
