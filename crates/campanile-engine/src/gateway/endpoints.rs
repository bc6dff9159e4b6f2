//! Registration of endpoints.

use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{Piece, PieceKey};
use campanile_core::{
    Address, Displaced, EndpointId, Event, Limits, PushStyle, Reach, RegistrationId, RetireReason,
    Timestamp, UserId,
};

use super::Gateway;
use crate::edge::{Target, Whom};
use crate::seal::Unsid;
use crate::{Error, RequestContext};

/// Asks to reach an app installation at an address.
#[derive(Clone, Debug)]
pub struct Register {
    /// The user who is signed in there.
    pub user: UserId,
    /// The app's own name for the installation; it stays when the address changes.
    pub installation: String,
    /// Where it can be reached.
    pub address: Address,
    /// What is to be pushed there.
    pub style: PushStyle,
    /// For how long; [`Limits::LONGEST_LEASE`] if absent.
    pub lease: Option<Duration>,
}

/// A registration that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The handle of the subscription.
    pub unsid: String,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// When it lapses unless renewed.
    pub expires_at: Timestamp,
}

/// Which endpoint is to be retired.
#[derive(Clone, Debug)]
pub enum Retire {
    /// The one the UNSID was given for.
    Unsid(String),
    /// By the app's names.
    Installation {
        /// The user.
        user: UserId,
        /// The installation.
        installation: String,
    },
}

impl Gateway {
    /// Registers an app installation. Every notification published after it answered is for it,
    /// and for no endpoint that had its address before.
    ///
    /// # Errors
    /// [`Error::Exhausted`] if the user has [`Limits::ENDPOINTS_PER_USER`] others.
    pub async fn register(
        &self,
        context: &RequestContext,
        request: Register,
    ) -> Result<Registered, Error> {
        let names = self.edge.names.of(&context.app);
        let user = names.user(&context.app, &request.user);
        let endpoint = names.endpoint(user, &request.installation);
        let whom = self.edge.whom(&context.app, &Target::User(request.user))?;
        let reach = self.reach(&whom).await;
        let others = reach
            .map_or(0, |reach| reach.endpoints.keys().filter(|known| **known != endpoint).count());
        if others >= Limits::ENDPOINTS_PER_USER {
            let reason = format!("a user has at most {} endpoints", Limits::ENDPOINTS_PER_USER);
            return Err(Error::Exhausted { reason, retry_after: None });
        }
        let registration = RegistrationId::random(self.edge.entropy.draw());
        let lease_until = self.lease_until(request.lease)?;
        let address = Arc::new(request.address);
        let claimed = address.clone();
        let style = request.style;
        let event =
            Event::EndpointRegistered { endpoint, registration, address, style, lease_until };
        self.edge.append(context, user, event).await?;
        // Afterwards, so that whoever loses the address to a later claim is there to be retired.
        let by = Displaced { user, endpoint, registration };
        self.claim(context, &claimed, by, lease_until, false).await?;
        self.registered(context, Unsid { user, endpoint, registration, expires_at: lease_until })
    }

    /// Extends the lease of a registration. The address stays.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the UNSID does not open or has expired; [`Error::NotFound`] if the
    /// registration was retired or replaced: register again.
    pub async fn renew(
        &self,
        context: &RequestContext,
        unsid: &str,
        lease: Option<Duration>,
    ) -> Result<Registered, Error> {
        let unsid = self.open(context, unsid)?;
        if unsid.expires_at <= self.edge.clock.now() {
            return Err(Error::invalid("unsid", "has expired; register again"));
        }
        let lease_until = self.lease_until(lease)?;
        let Unsid { endpoint, registration, .. } = unsid;
        let partition = self.edge.events.identity().partition_of(unsid.user);
        let whom = Whom { user: unsid.user, endpoint: Some(endpoint), partition };
        let mut address = None;
        // Without an answer of the projection the fold decides, and the next renewal tells.
        if let Ok(reach) = self.reach(&whom).await {
            let retired = reach.tombstones.get(&endpoint).map(|it| it.registration);
            let current = reach.endpoints.get(&endpoint).map(|it| it.registration);
            if retired == Some(registration) || current.is_some_and(|it| it != registration) {
                return Err(Error::NotFound { what: "registration" });
            }
            address = reach.endpoints.get(&endpoint).map(|it| it.address.clone());
        }
        let event = Event::EndpointRenewed { endpoint, registration, lease_until };
        self.edge.append(context, unsid.user, event).await?;
        if let Some(address) = address {
            // The claim lasts as long as the lease.
            let by = Displaced { user: unsid.user, endpoint, registration };
            self.claim(context, &address, by, lease_until, true).await?;
        }
        self.registered(context, Unsid { expires_at: lease_until, ..unsid })
    }

    /// Retires an endpoint. No notification published after it answered is for it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the UNSID does not open; an expired one does.
    pub async fn retire(&self, context: &RequestContext, which: Retire) -> Result<(), Error> {
        let (user, endpoint, registration) = match which {
            Retire::Unsid(unsid) => {
                let unsid = self.open(context, &unsid)?;
                (unsid.user, unsid.endpoint, Some(unsid.registration))
            }
            Retire::Installation { user, installation } => {
                let names = self.edge.names.of(&context.app);
                let user = names.user(&context.app, &user);
                (user, names.endpoint(user, &installation), None)
            }
        };
        let reason = RetireReason::Unregistered;
        let event = Event::EndpointRetired { endpoint, registration, reason };
        self.edge.append(context, user, event).await?;
        Ok(())
    }

    /// The user's endpoints, live and retired.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the projection is.
    pub async fn endpoints(
        &self,
        context: &RequestContext,
        target: &Target,
    ) -> Result<Arc<Reach>, Error> {
        let whom = self.edge.whom(&context.app, target)?;
        Ok(self.reach(&whom).await?)
    }

    pub(super) async fn reach(
        &self,
        whom: &Whom,
    ) -> Result<Arc<Reach>, campanile_core::port::ProjectionError> {
        let keys = [PieceKey::Reach(whom.user)];
        let views = self.edge.projection.view(whom.partition, &keys).await?;
        Ok(match views.pieces.into_iter().next() {
            Some(Some(Piece::Reach(reach))) => reach,
            _ => Arc::default(),
        })
    }

    fn open(&self, context: &RequestContext, unsid: &str) -> Result<Unsid, Error> {
        let opened = self.edge.seal.open_unsid(&context.app, unsid);
        opened.map_err(|error| Error::invalid("unsid", error))
    }

    fn lease_until(&self, lease: Option<Duration>) -> Result<Timestamp, Error> {
        let lease = lease.unwrap_or(Limits::LONGEST_LEASE);
        if lease.is_zero() || lease > Limits::LONGEST_LEASE {
            return Err(Error::invalid("lease_seconds", "must be 1 second to 30 days"));
        }
        Ok(self.edge.clock.now().after(lease))
    }

    fn registered(&self, context: &RequestContext, unsid: Unsid) -> Result<Registered, Error> {
        let sealed = self.edge.seal.unsid(&context.app, &unsid);
        let sealed = sealed.map_err(|error| Error::Bug { reason: error.to_string() })?;
        Ok(Registered { unsid: sealed, endpoint: unsid.endpoint, expires_at: unsid.expires_at })
    }
}
