//! Who holds an address: the registration that named it last.
//!
//! A phone that changes hands keeps its address. Whoever registers it takes it from the endpoint
//! that had it, and that endpoint is displaced: it would ring for its former user.

use crate::{
    AgendaChange, AgendaEntry, Due, EndpointId, Event, Limits, Offset, RegistrationId, Timestamp,
    UserRef,
};

/// An endpoint whose address is another's now, and the registration that had it. A later
/// registration of the endpoint, at another address, is not meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Displaced {
    /// Whose it is.
    pub user: UserRef,
    /// Which installation.
    pub endpoint: EndpointId,
    /// Which registration of it.
    pub registration: RegistrationId,
}

/// The claim of a registration to its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressClaim {
    /// Who claims it.
    pub by: Displaced,
    /// When the lease of the registration ends.
    pub lease_until: Timestamp,
    /// Whether it is the claim of a registration that was there before, whose lease is renewed. It
    /// takes the address from nobody.
    pub renews: bool,
}

/// Who holds an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Folded up to here: the offset after the last claim that changed it.
    pub as_of: Offset,
    /// The registration that the address belongs to.
    pub by: Displaced,
    /// When its lease ends, as far as its claims tell.
    pub lease_until: Timestamp,
}

impl Holder {
    /// Until when it must be remembered. A renewal is not always followed by a claim, so longer
    /// than the lease that is known.
    #[must_use]
    pub fn keep_until(&self) -> Timestamp {
        self.lease_until.after(Limits::LONGEST_LEASE)
    }

    /// Who loses the address to `claim`: the holder, or, if it is a renewal, who renews it.
    #[must_use]
    pub fn displaced(&self, claim: &AddressClaim) -> Option<Displaced> {
        let is_same = (self.by.user, self.by.endpoint) == (claim.by.user, claim.by.endpoint);
        match (is_same, claim.renews) {
            (true, _) => None,
            (false, true) => Some(claim.by),
            (false, false) => Some(self.by),
        }
    }

    /// Folds the claim at `at`, appended at `time`. Answers the agenda changes, or `None` if it
    /// changed nothing.
    pub(crate) fn apply(
        holder: &mut Option<Self>,
        at: Offset,
        time: Timestamp,
        event: &Event,
    ) -> Option<Vec<AgendaChange>> {
        let Event::AddressClaimed(claim) = event else { return None };
        if holder.is_some_and(|holder| at < holder.as_of) {
            return None;
        }
        let displaced = holder.and_then(|holder| holder.displaced(claim));
        let lease_until = claim.lease_until.min(time.after(Limits::LONGEST_LEASE));
        let keeps = holder.filter(|holder| claim.renews && holder.by != claim.by);
        let now = match keeps {
            Some(holder) => holder,
            None => Self { as_of: at, by: claim.by, lease_until },
        };
        *holder = Some(Self { as_of: at.next(), ..now });
        let at = AgendaEntry::AT_ONCE;
        let entry = |displaced| AgendaEntry { at, due: Due::Displace(displaced) };
        Some(displaced.map(entry).map(AgendaChange::Add).into_iter().collect())
    }
}
