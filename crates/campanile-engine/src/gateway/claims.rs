//! Addresses that change hands: a registration claims its address, and who had it is retired.
//!
//! The log decides: the fold puts on the agenda whoever a claim displaces. What is known here
//! already is done at once, so that a phone does not ring for its former user once the
//! registration is answered.

use campanile_core::port::{Piece, PieceKey};
use campanile_core::{
    Address, AddressClaim, Displaced, Event, Holder, RetireReason, Timestamp, UserRef,
};

use super::Gateway;
use crate::{Error, RequestContext};

/// The retirement of an endpoint whose address is another's now.
pub(crate) const fn retirement(displaced: Displaced) -> Event {
    let Displaced { endpoint, registration, .. } = displaced;
    let reason = RetireReason::Moved;
    Event::EndpointRetired { endpoint, registration: Some(registration), reason }
}

impl Gateway {
    /// Claims `address` for a registration that is recorded.
    ///
    /// # Errors
    /// [`Error::Indefinite`] if the claim, or the retirement that follows from it, is not durable.
    pub(super) async fn claim(
        &self,
        context: &RequestContext,
        address: &Address,
        by: Displaced,
        lease_until: Timestamp,
        renews: bool,
    ) -> Result<(), Error> {
        let address = self.edge.names.of(&context.app).address(address);
        let claim = AddressClaim { by, lease_until, renews };
        // A renewal that lost its address is left to the log: it is no hurry.
        let holder = if renews { None } else { self.holder(address).await };
        let displaced = holder.and_then(|holder| holder.displaced(&claim));
        let mut events = vec![(address, Event::AddressClaimed(claim))];
        events.extend(displaced.map(|displaced| (displaced.user, retirement(displaced))));
        // The registration is recorded by now, so it cannot be said that nothing happened.
        let open = |error: Error| Error::Indefinite { reason: error.to_string() };
        let mut answers = self.edge.append_all(context, events).await.into_iter();
        answers.try_for_each(|answer| answer.map(drop).map_err(open))
    }

    /// Who holds an address, by every claim that is durable now. With a projection that is away, or
    /// further behind than a moment, what it knows.
    async fn holder(&self, address: UserRef) -> Option<Holder> {
        let partition = self.edge.events.identity().partition_of(address);
        if !self.is_caught_up(partition).await.ok()? {
            self.edge.telemetry.gateway_claims_unseen.add(1);
        }
        let views = self.edge.projection.view(partition, &[PieceKey::Holder(address)]).await;
        match views.ok()?.pieces.into_iter().next() {
            Some(Some(Piece::Holder(holder))) => Some(holder),
            _ => None,
        }
    }
}
