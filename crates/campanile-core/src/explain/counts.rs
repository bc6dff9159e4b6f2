//! How many deliveries were called for, and what came of them.

use super::Standing;
use crate::{End, PutOff};

/// Deliveries by how they stand. `planned` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeCounts {
    /// All that were called for.
    pub planned: u64,
    /// The platform took them.
    pub accepted: u64,
    /// The platform will never take them.
    pub rejected: u64,
    /// The platform did not know the address.
    pub address_gone: u64,
    /// They were tried as often as the policy allows.
    pub gave_up: u64,
    /// They were not sent, because they no longer mattered.
    pub suppressed: u64,
    /// They are on the agenda, because of trouble.
    pub parked: u64,
    /// They are on the agenda, because their device was sent enough silent pushes for now.
    pub deferred: u64,
    /// Nothing is recorded of them yet.
    pub open: u64,
}

impl OutcomeCounts {
    /// Counts one delivery.
    pub(super) const fn count(&mut self, standing: &Standing) {
        let which = match standing {
            Standing::Open { .. } => &mut self.open,
            Standing::Parked { why: PutOff::Deferred, .. } => &mut self.deferred,
            Standing::Parked { .. } => &mut self.parked,
            Standing::Ended { end, .. } => match end {
                End::Accepted { .. } => &mut self.accepted,
                End::Suppressed(_) => &mut self.suppressed,
                End::Rejected { .. } => &mut self.rejected,
                End::AddressGone { .. } => &mut self.address_gone,
                End::GaveUp { .. } => &mut self.gave_up,
            },
        };
        *which = which.saturating_add(1);
        self.planned = self.planned.saturating_add(1);
    }
}
