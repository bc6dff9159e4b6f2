//! The access token: what Google gives a service account in exchange for a signed assertion (RFC
//! 7523 section 2.1). One per account, however many send with it.
//!
//! - One sign-in at a time. Whoever needs a token meanwhile waits for it, or goes on with the old
//!   one while that is good: a token is renewed before it expires.
//! - A sign-in that failed is not tried again by the next push, but after a while.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use campanile_core::port::Clock;
use campanile_core::{Tick, Timestamp};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, StatusCode};
use jsonwebtoken::{Algorithm, Header};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::config::ServiceAccount;
use crate::http2::{Answer, Field, Post};
use crate::pool::{Lost, Pool};
use crate::retry_after::retry_after;

/// What a sender asks leave for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// The life of an assertion, in seconds; Google's most.
const ASSERTION_LIFE: u64 = 3600;
/// A token is renewed so long before it expires, or when a quarter of its life is left.
const EARLY: Duration = Duration::from_secs(300);
/// The wait after a failed sign-in; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest of these waits, and the one after a refused credential. A server may ask for more,
/// up to [`LONGEST_ASKED`].
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// Refusals of tokens without an accepted one between, after which it is not the token.
const STRIKES: u32 = 2;

/// Why there is no access token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SignInError {
    /// Google does not know the account or its key. Somebody must mend it.
    #[error("sign-in refused: {0}")]
    Refused(String),
    /// Google could not be asked, or has trouble. It passes.
    #[error("no sign-in: {0}")]
    Unavailable(String),
}

/// The cached token of one account.
pub(super) struct AccessToken {
    account: Arc<ServiceAccount>,
    authority: Authority,
    pool: Pool,
    clock: Arc<dyn Clock>,
    /// Held by whoever signs in.
    flight: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Refusals of tokens since one was last accepted.
    strikes: AtomicU32,
}

#[derive(Default)]
struct State {
    current: Option<Issued>,
    failures: u32,
    last_failure: Option<(SignInError, Tick)>,
}

struct Issued {
    bearer: HeaderValue,
    renew_at: Tick,
    expires_at: Tick,
}

/// What there is without asking.
enum Found {
    Good(HeaderValue),
    /// Good for a little while.
    Aging(HeaderValue),
    Failed(SignInError),
    Nothing,
}

impl AccessToken {
    /// Signs in at the server of `pool`, which is called `authority`.
    pub(super) fn new(
        account: Arc<ServiceAccount>,
        authority: Authority,
        pool: Pool,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (flight, state) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { account, authority, pool, clock, flight, state, strikes: AtomicU32::new(0) }
    }

    pub(super) fn account(&self) -> &Arc<ServiceAccount> {
        &self.account
    }

    /// The value of the `authorization` header.
    pub(super) async fn bearer(&self) -> Result<HeaderValue, SignInError> {
        match self.find() {
            Found::Good(bearer) => return Ok(bearer),
            Found::Failed(error) => return Err(error),
            Found::Aging(bearer) => {
                return Ok(match self.flight.try_lock() {
                    Ok(_flying) => self.sign_in().await.unwrap_or(bearer),
                    Err(_) => bearer,
                });
            }
            Found::Nothing => {}
        }
        let _flying = self.flight.lock().await;
        match self.find() {
            Found::Good(bearer) | Found::Aging(bearer) => Ok(bearer),
            Found::Failed(error) => Err(error),
            Found::Nothing => self.sign_in().await,
        }
    }

    /// Google took a token.
    pub(super) fn accepted(&self) {
        // Nearly always it is zero, and then nobody has to write it.
        if self.strikes.load(Ordering::Relaxed) != 0 {
            self.strikes.store(0, Ordering::Relaxed);
        }
    }

    /// Google refused `bearer`. If it is the current one, the next who asks gets another. Answers
    /// whether even a new one was refused, so that another will not help.
    pub(super) fn refused(&self, bearer: &HeaderValue) -> bool {
        let mut state = self.state();
        if state.current.take_if(|issued| issued.bearer == *bearer).is_some() {
            let before = self.strikes.fetch_add(1, Ordering::Relaxed);
            return before + 1 >= STRIKES;
        }
        false
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self) -> Found {
        let now = self.clock.tick();
        let state = self.state();
        if let Some(issued) = state.current.as_ref().filter(|issued| now < issued.expires_at) {
            let waits = state.last_failure.as_ref().is_some_and(|(_, until)| now < *until);
            let bearer = issued.bearer.clone();
            return match now < issued.renew_at || waits {
                true => Found::Good(bearer),
                false => Found::Aging(bearer),
            };
        }
        match &state.last_failure {
            Some((error, until)) if now < *until => Found::Failed(error.clone()),
            _ => Found::Nothing,
        }
    }

    /// Signs in, once, and keeps what came of it.
    async fn sign_in(&self) -> Result<HeaderValue, SignInError> {
        let asked_at = self.clock.tick();
        let (result, asks) = match self.ask().await {
            Ok(answer) => read(&answer, self.clock.now()),
            Err(error) => (Err(error), None),
        };
        let mut state = self.state();
        match result {
            Ok((bearer, life)) => {
                info!(account = %self.account.email, ?life, "signed in");
                let renew_at = asked_at.after(life - EARLY.min(life / 4));
                let expires_at = asked_at.after(life);
                let bearer_again = bearer.clone();
                *state = State {
                    current: Some(Issued { bearer, renew_at, expires_at }),
                    ..State::default()
                };
                Ok(bearer_again)
            }
            Err(error) => {
                warn!(account = %self.account.email, %error, "no sign-in");
                let wait = wait(&error, state.failures, asks);
                state.failures = state.failures.saturating_add(1);
                state.last_failure = Some((error.clone(), self.clock.tick().after(wait)));
                Err(error)
            }
        }
    }

    async fn ask(&self) -> Result<Answer, SignInError> {
        let assertion = assertion(&self.account, self.clock.now().as_secs())?;
        let room = self.pool.room().await;
        let room = room.map_err(|error| SignInError::Unavailable(error.to_string()))?;
        // All letters of a JWT stand for themselves in a form.
        let body = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
        );
        room.send(&request(&self.authority, &self.account.path), body.into()).await.map_err(
            |lost| match lost {
                Lost::Unprocessed(reason) | Lost::Indefinite(reason) => {
                    SignInError::Unavailable(reason)
                }
            },
        )
    }
}

/// How long nobody tries again.
fn wait(error: &SignInError, failures: u32, asks: Option<Duration>) -> Duration {
    let own = match error {
        SignInError::Refused(_) => LONGEST_WAIT,
        SignInError::Unavailable(_) => {
            FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT)
        }
    };
    own.max(asks.unwrap_or_default().min(LONGEST_ASKED))
}

fn request<'a>(authority: &'a Authority, path: &'a PathAndQuery) -> Post<'a> {
    let form = Field::shared("content-type", b"application/x-www-form-urlencoded");
    Post { authority: authority.as_str(), path: path.as_str().into(), fields: vec![form] }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

/// An assertion issued at `issued_at` (epoch seconds).
pub(super) fn assertion(account: &ServiceAccount, issued_at: u64) -> Result<String, SignInError> {
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some(account.key_id.clone());
    let claims = Claims {
        iss: &account.email,
        scope: SCOPE,
        aud: &account.audience,
        iat: issued_at,
        exp: issued_at + ASSERTION_LIFE,
    };
    let assertion = jsonwebtoken::encode(&header, &claims, &account.key);
    assertion.map_err(|error| SignInError::Refused(format!("cannot sign: {error}")))
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds.
    expires_in: u64,
}

/// RFC 6749 section 5.2.
#[derive(Deserialize)]
struct NotGranted {
    error: String,
    #[serde(default)]
    error_description: String,
}

type Reading = (Result<(HeaderValue, Duration), SignInError>, Option<Duration>);

/// What an answer grants and for how long, and how long the server asks to be left alone.
fn read(answer: &Answer, now: Timestamp) -> Reading {
    let asks = retry_after(&answer.headers, now);
    if answer.status == StatusCode::OK {
        return (granted(&answer.body), asks);
    }
    let status = answer.status.as_u16();
    let reason = match serde_json::from_slice::<NotGranted>(&answer.body) {
        Ok(NotGranted { error, error_description }) => format!("{error}: {error_description}"),
        Err(_) => "no reason".to_owned(),
    };
    let reason: String = format!("{status} {reason}").chars().take(200).collect();
    let error = match status {
        408 | 425 | 429 => SignInError::Unavailable(reason),
        400..=499 => SignInError::Refused(reason),
        _ => SignInError::Unavailable(reason),
    };
    (Err(error), asks)
}

fn granted(body: &Bytes) -> Result<(HeaderValue, Duration), SignInError> {
    // Without the text of an error, which may quote the token.
    let strange = || SignInError::Unavailable("an answer that is none".to_owned());
    let Granted { access_token, expires_in } =
        serde_json::from_slice(body).map_err(|_| strange())?;
    let bearer = HeaderValue::from_str(&format!("Bearer {access_token}"));
    let mut bearer = bearer.map_err(|_| strange())?;
    bearer.set_sensitive(true);
    if access_token.is_empty() || expires_in == 0 {
        return Err(strange());
    }
    Ok((bearer, Duration::from_secs(expires_in)))
}

impl fmt::Debug for AccessToken {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccessToken").field(&self.account).finish()
    }
}

#[cfg(test)]
mod tests;
