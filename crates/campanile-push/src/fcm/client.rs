//! The sender: routes, their connections, and one attempt at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use campanile_core::port::{Clock, Push, Pusher, RouteDown, Slot};
use campanile_core::{Address, HoldReason, Outcome, Route};
use http::HeaderValue;
use http::uri::Authority;

use super::config::{FcmConfig, FcmRoute};
use super::request::{Envelope, request};
use super::response::read;
use super::token::{AccessToken, SignInError};
use crate::attempt::unsendable;
use crate::pool::{Exchange, Pool, PoolConfig, PoolCounters, Room, Target, TargetError};

/// An unusable [`FcmConfig`].
#[derive(Debug, thiserror::Error)]
pub enum FcmError {
    /// Two routes are the same.
    #[error("route {route} is configured twice")]
    Twice {
        /// The route.
        route: Route,
    },
    /// Two accounts have the same name and key and are not the same value. Share one `Arc`.
    #[error("account {email} is configured twice")]
    TwoAccounts {
        /// Its name.
        email: String,
    },
    /// The project cannot be part of a path.
    #[error("route {route}: the project has characters other than letters, digits . : -")]
    Project {
        /// The route.
        route: Route,
    },
    /// A server's host and port cannot be an authority.
    #[error("route {route}: {host:?} is no host")]
    Host {
        /// The route.
        route: Route,
        /// The host.
        host: String,
    },
    /// A server cannot be connected to.
    #[error("route {route}: {source}")]
    Target {
        /// The route.
        route: Route,
        /// Why.
        source: TargetError,
    },
}

/// Sends pushes to Google.
///
/// Its connections live on the tokio runtime that first asks for a slot: one sender per runtime.
/// A slot is given by who has signed in: the sign-in happens while the slot is asked for, not
/// between the last check of a delivery and its push.
///
/// Dropping it closes the connections as soon as the slots are gone too.
pub struct FcmPusher {
    routes: BTreeMap<Route, Arc<Line>>,
}

/// Everything that belongs to one route.
struct Line {
    route: Route,
    envelope: Envelope,
    token: Arc<AccessToken>,
    pool: Pool,
    clock: Arc<dyn Clock>,
}

impl FcmPusher {
    /// A sender for the routes of `config`. It signs in and connects when there is something to
    /// send.
    ///
    /// # Errors
    /// [`FcmError`] names the route or account that is unusable.
    pub fn new(config: FcmConfig, clock: Arc<dyn Clock>) -> Result<Self, FcmError> {
        let mut tokens = Tokens { known: Vec::new(), pool: config.pool.clone(), clock };
        let mut routes = BTreeMap::new();
        for route in config.routes {
            let line = Line::new(route, &config.pool, &mut tokens)?;
            let route = line.route.clone();
            if routes.insert(route.clone(), Arc::new(line)).is_some() {
                return Err(FcmError::Twice { route });
            }
        }
        Ok(Self { routes })
    }

    /// What the connections of each route did and are doing; those for signing in are not counted.
    pub fn counters(&self) -> impl Iterator<Item = (&Route, PoolCounters)> {
        self.routes.iter().map(|(route, line)| (route, line.pool.counters()))
    }
}

/// The access tokens, by account and where it signs in.
struct Tokens {
    known: Vec<(Target, Arc<AccessToken>)>,
    pool: PoolConfig,
    clock: Arc<dyn Clock>,
}

impl Tokens {
    fn of(&mut self, it: &FcmRoute) -> Result<Arc<AccessToken>, FcmError> {
        for (server, token) in &self.known {
            let (known, account) = (token.account(), &it.account);
            if Arc::ptr_eq(known, account) {
                if *server == it.sign_in {
                    return Ok(token.clone());
                }
            } else if (&known.email, &known.key_id) == (&account.email, &account.key_id) {
                return Err(FcmError::TwoAccounts { email: account.email.clone() });
            }
        }
        let authority = authority(&it.route, &it.sign_in)?;
        // One sign-in at a time needs one connection.
        let config = PoolConfig { connections: 1, ..self.pool.clone() };
        let pool = pool(&it.route, it.sign_in.clone(), config)?;
        let token = AccessToken::new(it.account.clone(), authority, pool, self.clock.clone());
        let token = Arc::new(token);
        self.known.push((it.sign_in.clone(), token.clone()));
        Ok(token)
    }
}

fn authority(route: &Route, server: &Target) -> Result<Authority, FcmError> {
    let host = || FcmError::Host { route: route.clone(), host: server.host.clone() };
    Authority::try_from(server.authority()).map_err(|_| host())
}

fn pool(route: &Route, server: Target, config: PoolConfig) -> Result<Pool, FcmError> {
    Pool::new(server, config).map_err(|source| FcmError::Target { route: route.clone(), source })
}

impl Line {
    fn new(it: FcmRoute, config: &PoolConfig, tokens: &mut Tokens) -> Result<Self, FcmError> {
        let token = tokens.of(&it)?;
        let FcmRoute { route, server, .. } = it;
        let envelope = Envelope::new(authority(&route, &server)?, &route.credential);
        let envelope = envelope.ok_or_else(|| FcmError::Project { route: route.clone() })?;
        let pool = pool(&route, server, config.clone())?;
        Ok(Self { route, envelope, token, pool, clock: tokens.clock.clone() })
    }

    /// Whether `address` is reached by this route. A token sent to another project would come back
    /// as another's, and its endpoint be retired for our mistake.
    fn leads_to(&self, address: &Address) -> bool {
        matches!(address, Address::Fcm { project, .. } if *project == self.route.credential)
    }

    /// Hands the request for `push` over; or tells what came of it already.
    fn begin(&self, room: &Room, bearer: &HeaderValue, push: &Push) -> Result<Exchange, Outcome> {
        if !self.leads_to(&push.address) {
            return Err(unsendable("the address belongs to another route"));
        }
        let request = request(push, &self.envelope, bearer, self.clock.now());
        let (post, body) = request.map_err(unsendable)?;
        Ok(room.begin(&post, body)?)
    }

    async fn finish(&self, room: &Room, bearer: &HeaderValue, sent: Exchange) -> Outcome {
        let answer = match room.complete(sent).await {
            Ok(answer) => answer,
            Err(lost) => return lost.into(),
        };
        match read(&answer, || self.clock.now()) {
            Outcome::CredentialStale { reason } if self.token.refused(bearer) => {
                let (hold, status) = (HoldReason::Credential, answer.status.as_u16());
                Outcome::RouteRefused { hold, status, reason, retry_after: None }
            }
            outcome @ Outcome::Accepted { .. } => {
                self.token.accepted();
                outcome
            }
            outcome => outcome,
        }
    }
}

#[async_trait]
impl Pusher for FcmPusher {
    async fn slot(&self, route: &Route) -> Result<Box<dyn Slot>, RouteDown> {
        let line = self.routes.get(route).ok_or(RouteDown::Held(HoldReason::Credential))?;
        let bearer = line.token.bearer().await.map_err(|error| match error {
            SignInError::Refused(_) => RouteDown::Held(HoldReason::Credential),
            SignInError::Unavailable(_) => RouteDown::Unreachable { reason: error.to_string() },
        })?;
        let room = line.pool.room().await;
        let room = room.map_err(|error| RouteDown::Unreachable { reason: error.to_string() })?;
        Ok(Box::new(FcmSlot { room, bearer, line: line.clone() }))
    }
}

struct FcmSlot {
    room: Room,
    bearer: HeaderValue,
    line: Arc<Line>,
}

impl Slot for FcmSlot {
    /// As with APNs, what waits for the answer is small.
    fn send<'a>(self: Box<Self>, push: Push) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>
    where
        Self: 'a,
    {
        match self.line.begin(&self.room, &self.bearer, &push) {
            Ok(sent) => {
                Box::pin(async move {
                    // Named first: if nobody waits any more, the stream ends before its room is free.
                    let sent = sent;
                    self.line.finish(&self.room, &self.bearer, sent).await
                })
            }
            Err(outcome) => Box::pin(ready(outcome)),
        }
    }
}

impl fmt::Debug for FcmPusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.keys()).finish()
    }
}
