//! What ingest and gateway both work with: names, handles and the way into the log.

use std::sync::Arc;

use campanile_core::port::{Clock, Entropy, EventLog, NewRecord, Projection};
use campanile_core::{
    AppId, EndpointId, Event, Fact, IdentityKey, NotificationId, Partition, Position, UserId,
    UserRef,
};
use campanile_proto::codec;

use crate::seal::Seal;
use crate::telemetry::Telemetry;
use crate::{Error, RequestContext};

/// Ports and secrets of the two roles that serve requests.
#[derive(Clone)]
pub struct Edge {
    /// What happened.
    pub events: Arc<dyn EventLog>,
    /// What came of deliveries.
    pub receipts: Arc<dyn EventLog>,
    /// Current state.
    pub projection: Arc<dyn Projection>,
    /// The deployment's root of names; with another one every user and item is another.
    pub names: Names,
    /// Seals handles.
    pub seal: Arc<Seal>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids.
    pub entropy: Arc<dyn Entropy>,
    /// The counters.
    pub telemetry: Arc<Telemetry>,
}

/// Derives the names of an app's users, items, endpoints and requests.
#[derive(Clone)]
pub struct Names([u8; 32]);

impl Names {
    /// Names under `root`, 32 secret bytes made once for a deployment.
    #[must_use]
    pub const fn new(root: [u8; 32]) -> Self {
        Self(root)
    }

    /// The names of one app.
    #[must_use]
    pub fn of(&self, app: &AppId) -> IdentityKey {
        IdentityKey::of_app(&self.0, app)
    }
}

/// Whom a request is for.
#[derive(Clone, Debug)]
pub enum Target {
    /// The app's own name for the user.
    User(UserId),
    /// The handle of one of the user's subscriptions; on requests of devices it also says which
    /// device acts.
    Unsid(String),
}

/// Whom a request is for, as the log knows it.
#[derive(Clone, Copy, Debug)]
pub struct Whom {
    /// The user.
    pub user: UserRef,
    /// The endpoint the request came from, if the target was its UNSID.
    pub endpoint: Option<EndpointId>,
    /// The user's partition.
    pub partition: Partition,
}

impl Edge {
    /// Finds out whom `target` names.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is an UNSID that was tampered with, is another app's or expired.
    pub fn whom(&self, app: &AppId, target: &Target) -> Result<Whom, Error> {
        let (user, endpoint) = match target {
            Target::User(user) => (self.names.of(app).user(app, user), None),
            Target::Unsid(sealed) => {
                let opened = self.seal.open_unsid(app, sealed);
                let unsid = opened.map_err(|error| Error::invalid("unsid", error))?;
                if unsid.expires_at <= self.clock.now() {
                    return Err(Error::invalid("unsid", "has expired; register again"));
                }
                (unsid.user, Some(unsid.endpoint))
            }
        };
        Ok(Whom { user, endpoint, partition: self.events.identity().partition_of(user) })
    }

    /// Refuses the id of an item that can only be another user's.
    ///
    /// # Errors
    /// [`Error::NotFound`], the same as for an id that nobody has.
    pub fn belongs(&self, whom: &Whom, id: NotificationId) -> Result<(), Error> {
        if id.prefix() == whom.user.prefix() {
            Ok(())
        } else {
            Err(Error::NotFound { what: "notification" })
        }
    }

    /// The record of `event`.
    #[must_use]
    pub fn record(&self, context: &RequestContext, user: UserRef, event: Event) -> NewRecord {
        let fact = Fact { app: context.app.clone(), user, cause: context.trace.clone(), event };
        let partition = self.events.identity().partition_of(user);
        NewRecord { partition, user, body: codec::encode_fact(&fact) }
    }

    /// Appends one event; it is durable when this returns.
    ///
    /// # Errors
    /// As [`EventLog::append`].
    pub async fn append(
        &self,
        context: &RequestContext,
        user: UserRef,
        event: Event,
    ) -> Result<Position, Error> {
        let answers = self.events.append(vec![self.record(context, user, event)]).await;
        let answer = answers.into_iter().next();
        Ok(answer.ok_or_else(|| Error::Bug { reason: "log gave no answer".to_owned() })??)
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names(…)")
    }
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edge { .. }")
    }
}
