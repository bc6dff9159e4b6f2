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

use super::config::{ApnsConfig, ApnsRoute};
use super::payloads::Payloads;
use super::request::{Envelope, request};
use super::response::read;
use super::token::{ProviderToken, SHORTEST_USE};
use crate::attempt::{UNSENT, unsendable};
use crate::pool::{Exchange, Pool, PoolConfig, PoolCounters, Room, TargetError};

/// An unusable [`ApnsConfig`].
#[derive(Debug, thiserror::Error)]
pub enum ApnsError {
    /// Two routes are the same.
    #[error("route {route} is configured twice")]
    Twice {
        /// The route.
        route: Route,
    },
    /// Two keys have the same ids and are not the same value. Share one `Arc`.
    #[error("key {key_id} of team {team_id} is configured twice")]
    TwoKeys {
        /// The team.
        team_id: String,
        /// The key.
        key_id: String,
    },
    /// The topic cannot be a header.
    #[error("route {route}: the topic is not printable ASCII")]
    Topic {
        /// The route.
        route: Route,
    },
    /// The server's host and port cannot be an authority.
    #[error("route {route}: {host:?} is no host")]
    Host {
        /// The route.
        route: Route,
        /// The host.
        host: String,
    },
    /// The server cannot be connected to.
    #[error("route {route}: {source}")]
    Target {
        /// The route.
        route: Route,
        /// Why.
        source: TargetError,
    },
}

/// Sends pushes to Apple.
///
/// Its connections live on the tokio runtime that first asks for a slot: one sender per runtime.
/// A slot's room is free again when the future of its `send` ends, so whoever has sends in flight
/// must poll them while waiting for the next slot.
///
/// Dropping it closes the connections as soon as the slots are gone too.
pub struct ApnsPusher {
    routes: BTreeMap<Route, Arc<Line>>,
}

/// Everything that belongs to one route.
struct Line {
    route: Route,
    envelope: Envelope,
    payloads: Payloads,
    token: Arc<ProviderToken>,
    pool: Pool,
    clock: Arc<dyn Clock>,
}

impl ApnsPusher {
    /// A sender for the routes of `config`. It connects when there is something to send.
    ///
    /// # Errors
    /// [`ApnsError`] names the route or key that is unusable.
    pub fn new(config: ApnsConfig, clock: Arc<dyn Clock>) -> Result<Self, ApnsError> {
        let mut tokens = Tokens { known: BTreeMap::new(), clock: clock.clone() };
        let mut routes = BTreeMap::new();
        for route in config.routes {
            let token = tokens.of(&route)?;
            let line = Line::new(route, &config.pool, token, clock.clone())?;
            let route = line.route.clone();
            if routes.insert(route.clone(), Arc::new(line)).is_some() {
                return Err(ApnsError::Twice { route });
            }
        }
        Ok(Self { routes })
    }

    /// What the connections of each route did and are doing.
    pub fn counters(&self) -> impl Iterator<Item = (&Route, PoolCounters)> {
        self.routes.iter().map(|(route, line)| (route, line.pool.counters()))
    }
}

/// The provider tokens by team and key.
struct Tokens {
    known: BTreeMap<(String, String), (Arc<super::ApnsKey>, Arc<ProviderToken>)>,
    clock: Arc<dyn Clock>,
}

impl Tokens {
    fn of(&mut self, route: &ApnsRoute) -> Result<Arc<ProviderToken>, ApnsError> {
        let key = &route.key;
        let ids = (key.team_id.clone(), key.key_id.clone());
        let (known, token) = self.known.entry(ids).or_insert_with(|| {
            (key.clone(), Arc::new(ProviderToken::new(key.clone(), self.clock.clone())))
        });
        if !Arc::ptr_eq(known, key) {
            let (team_id, key_id) = (key.team_id.clone(), key.key_id.clone());
            return Err(ApnsError::TwoKeys { team_id, key_id });
        }
        Ok(token.clone())
    }
}

impl Line {
    fn new(
        ApnsRoute { route, server, .. }: ApnsRoute,
        pool: &PoolConfig,
        token: Arc<ProviderToken>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ApnsError> {
        let topic = HeaderValue::from_str(&route.credential)
            .map_err(|_| ApnsError::Topic { route: route.clone() })?;
        let authority = Authority::try_from(server.authority())
            .map_err(|_| ApnsError::Host { route: route.clone(), host: server.host.clone() })?;
        let pool = Pool::new(server, pool.clone())
            .map_err(|source| ApnsError::Target { route: route.clone(), source })?;
        let (envelope, payloads) = (Envelope { authority, topic }, Payloads::default());
        Ok(Self { route, envelope, payloads, token, pool, clock })
    }

    /// Whether `address` is reached by this route. A token sent to the wrong world or topic would
    /// come back as bad, and its endpoint be retired for our mistake.
    fn leads_to(&self, address: &Address) -> bool {
        let Address::Apns { topic, environment, .. } = address else { return false };
        *topic == self.route.credential && *environment == self.route.environment
    }

    /// Hands the request for `push` over; or tells what came of it already.
    fn begin(&self, room: &Room, push: &Push) -> Result<Sent, Outcome> {
        if !self.leads_to(&push.address) {
            return Err(unsendable("the address belongs to another route"));
        }
        let newest = self.token.header().map_err(|error| {
            let (hold, reason) = (HoldReason::Credential, error.to_string());
            Outcome::RouteRefused { hold, status: UNSENT, reason, retry_after: None }
        })?;
        let authorization = room.authorization(newest, || self.clock.tick(), SHORTEST_USE);
        let (background, payload) = self.payloads.of(push).map_err(unsendable)?;
        let post = request(push, background, &self.envelope, &authorization).map_err(unsendable)?;
        let exchange = room.begin(&post, payload)?;
        Ok(Sent { exchange, authorization })
    }

    async fn finish(&self, room: &Room, sent: Sent) -> Outcome {
        let answer = match room.complete(sent.exchange).await {
            Ok(answer) => answer,
            Err(lost) => return lost.into(),
        };
        let reading = read(&answer, || self.clock.now());
        if reading.close_connection {
            room.close_connection();
        }
        if matches!(reading.outcome, Outcome::CredentialStale { .. }) {
            self.token.refused(&sent.authorization);
        }
        reading.outcome
    }
}

/// A push on its way.
struct Sent {
    exchange: Exchange,
    /// What it was sent with.
    authorization: HeaderValue,
}

#[async_trait]
impl Pusher for ApnsPusher {
    async fn slot(&self, route: &Route) -> Result<Box<dyn Slot>, RouteDown> {
        let line = self.routes.get(route).ok_or(RouteDown::Held(HoldReason::Credential))?;
        let room = line.pool.room().await;
        let room = room.map_err(|error| RouteDown::Unreachable { reason: error.to_string() })?;
        Ok(Box::new(ApnsSlot { room, line: line.clone() }))
    }
}

struct ApnsSlot {
    room: Room,
    line: Arc<Line>,
}

impl Slot for ApnsSlot {
    /// The request is on its way when this returns: what waits for the answer is small, and there
    /// are thousands of it.
    fn send<'a>(self: Box<Self>, push: Push) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>
    where
        Self: 'a,
    {
        match self.line.begin(&self.room, &push) {
            Ok(sent) => Box::pin(async move {
                // Named first: if nobody waits any more, the stream ends before its room is free.
                let sent = sent;
                self.line.finish(&self.room, sent).await
            }),
            Err(outcome) => Box::pin(ready(outcome)),
        }
    }
}

impl fmt::Debug for ApnsPusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.keys()).finish()
    }
}
