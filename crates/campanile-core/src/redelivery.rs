//! Dead letters, and their way back: deliveries that failed for a reason that somebody may have
//! mended, and the request to make them again.
//!
//! A dead letter is not stored anywhere: receipts tell of it. A redelivery is an event, so that it
//! is planned, checked, written down and explained like any other delivery, and so that a replay,
//! which sends nothing, folds it like any other event.

use crate::{
    Delivery, DeliveryId, DeliveryKind, End, EndpointId, Item, NotificationId, Offset, Platform,
    Reach, RequestKey, Settled, Suppression, Timestamp, Urgency, still_due,
};

/// Why a delivery is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadReason {
    /// The platform refused it.
    Rejected,
    /// The platform did not know the address.
    AddressGone,
    /// It was tried as often as the policy allows.
    GaveUp,
    /// Its time was over before it could be handed to the platform: something held it up.
    Expired,
}

impl DeadReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Rejected, Self::AddressGone, Self::GaveUp, Self::Expired];
}

impl Settled {
    /// Why the delivery is a dead letter, if it is one.
    ///
    /// Of what was too late only shows are: a change that was too late is of an item that is over,
    /// of which nobody need be told any more.
    #[must_use]
    pub const fn dead(&self) -> Option<DeadReason> {
        match (&self.end, self.kind) {
            (End::Rejected { .. }, _) => Some(DeadReason::Rejected),
            (End::AddressGone { .. }, _) => Some(DeadReason::AddressGone),
            (End::GaveUp { .. }, _) => Some(DeadReason::GaveUp),
            (End::Suppressed(Suppression::Expired), kind) if kind.shows() => {
                Some(DeadReason::Expired)
            }
            (End::Accepted { .. } | End::Suppressed(_), _) => None,
        }
    }
}

/// The request to make one delivery again that failed. Which delivery that was follows from item,
/// endpoint and the event that called for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redelivery {
    /// The item it tells of.
    pub item: NotificationId,
    /// To whom.
    pub endpoint: EndpointId,
    /// Whose worker's business it is.
    pub platform: Platform,
    /// What for.
    pub kind: DeliveryKind,
    /// The event that called for the delivery that failed: a post, a change, or an earlier
    /// redelivery.
    pub failed: Offset,
    /// The post or change that it tells of, and that the one that failed told of.
    pub tells_of: Offset,
    /// Whether others may go before it: what that post or change had.
    pub urgency: Urgency,
}

impl Redelivery {
    /// The delivery that failed.
    #[must_use]
    pub fn failed_delivery(&self) -> DeliveryId {
        let Self { item, endpoint, failed, tells_of, .. } = *self;
        match self.kind {
            // A redelivery of one has an id like any other.
            DeliveryKind::Fallback { .. } if failed == tells_of => {
                DeliveryId::of_fallback(item, failed, endpoint)
            }
            _ => DeliveryId::new(item, failed, endpoint),
        }
    }

    /// Under what the fold remembers that the failed delivery was asked for again, so that asking
    /// twice is asking once.
    #[must_use]
    pub fn request(&self) -> RequestKey {
        RequestKey::of_redelivery(self.failed_delivery())
    }

    /// The delivery that a redelivery recorded at `at` calls for.
    #[must_use]
    pub fn delivery(&self, at: Offset) -> Delivery {
        let Self { item, endpoint, platform, kind, tells_of, .. } = *self;
        let id = DeliveryId::new(item, at, endpoint);
        Delivery { id, cause: at, tells_of, item, endpoint, platform, kind, attempts: 0 }
    }

    /// Whether it would be sent if it were asked for at `now`.
    ///
    /// # Errors
    /// The reason for which it would not.
    pub fn may_be_sent(
        &self,
        reach: &Reach,
        item: Option<&Item>,
        now: Timestamp,
    ) -> Result<(), Suppression> {
        still_due(reach, item, &self.delivery(Offset(u64::MAX)), now).map(drop)
    }
}
