//! Events: facts in the log, in the past tense.

use std::sync::Arc;

use crate::{
    Address, AddressClaim, AgendaEntry, AppId, EndpointId, NotificationId, Offset, Parked,
    Position, Posted, PushStyle, PutOff, Redelivery, RegistrationId, RetireReason, SweepStep,
    Timestamp, UserRef,
};

/// What a user did with a notification. Its meaning is the app's; anything but
/// [`UserAction::None`] counts as handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum UserAction {
    /// Nothing yet.
    #[default]
    None,
    /// Opened.
    Activated,
    /// Waved away; final for its revision.
    Dismissed,
    /// Put off.
    Snoozed,
}

/// A change of one item's state by its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The item.
    pub id: NotificationId,
    /// The revision the user saw; a change of an older revision leaves a newer one alone. Absent:
    /// whatever is current when the event is recorded.
    pub revision: Option<u32>,
    /// Whether it is read from now on.
    pub read: Option<bool>,
    /// What the user did.
    pub action: Option<UserAction>,
    /// The endpoint it was done on, which need not be told.
    pub origin: Option<EndpointId>,
}

/// A fact about one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An app installation can be reached at an address until the lease ends.
    EndpointRegistered {
        /// Which installation.
        endpoint: EndpointId,
        /// Which registration of it.
        registration: RegistrationId,
        /// Where.
        address: Arc<Address>,
        /// What is to be pushed there.
        style: PushStyle,
        /// When the lease ends.
        lease_until: Timestamp,
    },
    /// The lease of a registration was extended.
    EndpointRenewed {
        /// Which installation.
        endpoint: EndpointId,
        /// The registration that was renewed; an older one than the current changes nothing.
        registration: RegistrationId,
        /// When the lease ends now.
        lease_until: Timestamp,
    },
    /// An endpoint stopped being one.
    EndpointRetired {
        /// Which installation.
        endpoint: EndpointId,
        /// The registration that was judged; if another is current, nothing happens. Absent:
        /// whatever is current.
        registration: Option<RegistrationId>,
        /// Why.
        reason: RetireReason,
    },
    /// A registration claims its address. Recorded under [`crate::IdentityKey::address`], so that
    /// all claims to an address are in one order; the last one has it.
    AddressClaimed(AddressClaim),
    /// A notification was posted, or posted again with new content.
    NotificationPosted(Posted),
    /// The producer took a notification back.
    NotificationRecalled {
        /// Which.
        id: NotificationId,
        /// The revision that is meant; another one stays. Absent: whatever is current when the
        /// event is recorded.
        revision: Option<u32>,
    },
    /// The producer took back everything that was posted before with a campaign's name. Recorded
    /// once in each partition, under [`UserRef::of_campaign`]: it is about nobody in particular.
    CampaignRecalled {
        /// The name.
        campaign: Arc<str>,
    },
    /// The user dismissed everything that was posted before an offset of the partition.
    AllDismissed {
        /// The first offset that is left alone.
        up_to: Offset,
        /// The endpoint it was done on, which need not be told.
        origin: Option<EndpointId>,
    },
    /// A sweep, which one of the two before began, was carried out for some items or all.
    SweepAdvanced(SweepStep),
    /// The user read or handled a notification.
    StateChanged(StateChange),
    /// The user deleted a notification.
    NotificationDeleted {
        /// Which.
        id: NotificationId,
        /// Where, if on an endpoint.
        origin: Option<EndpointId>,
    },
    /// A worker put deliveries off: from now on they are the agenda's business. Parking is an
    /// event, not a receipt, so that the agenda follows from one ordered stream.
    DeliveriesParked(Parked),
    /// An installation fetched an item. Recorded where something depends on it: a fallback.
    ItemFetched {
        /// The item.
        id: NotificationId,
        /// The revision it fetched.
        revision: u32,
        /// Which installation.
        endpoint: EndpointId,
    },
    /// The time of an agenda entry came.
    CameDue(AgendaEntry),
    /// Somebody asked to make a delivery again that failed.
    RedeliveryRequested(Redelivery),
}

impl Event {
    /// The item it is about, if it is about one.
    #[must_use]
    pub const fn item(&self) -> Option<NotificationId> {
        match self {
            Self::NotificationPosted(posted) => Some(posted.id),
            Self::NotificationRecalled { id, .. }
            | Self::NotificationDeleted { id, .. }
            | Self::ItemFetched { id, .. } => Some(*id),
            Self::StateChanged(change) => Some(change.id),
            Self::DeliveriesParked(parked) => Some(parked.item),
            Self::CameDue(entry) => entry.due.item(),
            Self::RedeliveryRequested(redelivery) => Some(redelivery.item),
            Self::EndpointRegistered { .. }
            | Self::EndpointRenewed { .. }
            | Self::EndpointRetired { .. }
            | Self::AddressClaimed(_)
            | Self::CampaignRecalled { .. }
            | Self::AllDismissed { .. }
            | Self::SweepAdvanced(_) => None,
        }
    }

    /// The name in timelines, logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::EndpointRegistered { .. } => "EndpointRegistered",
            Self::EndpointRenewed { .. } => "EndpointRenewed",
            Self::EndpointRetired { .. } => "EndpointRetired",
            Self::AddressClaimed(_) => "AddressClaimed",
            Self::NotificationPosted(_) => "NotificationPosted",
            Self::NotificationRecalled { .. } => "NotificationRecalled",
            Self::CampaignRecalled { .. } => "CampaignRecalled",
            Self::AllDismissed { .. } => "AllDismissed",
            Self::SweepAdvanced(_) => "SweepAdvanced",
            Self::StateChanged(_) => "StateChanged",
            Self::NotificationDeleted { .. } => "NotificationDeleted",
            Self::DeliveriesParked(Parked { why: PutOff::Deferred, .. }) => "ClearDeferred",
            Self::DeliveriesParked(_) => "DeliveriesParked",
            Self::ItemFetched { .. } => "ItemFetched",
            Self::CameDue(_) => "CameDue",
            Self::RedeliveryRequested(_) => "RedeliveryRequested",
        }
    }
}

/// An event about to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The tenant.
    pub app: AppId,
    /// Whom it is about.
    pub user: UserRef,
    /// The trace it belongs to: a W3C `traceparent` value.
    pub cause: Option<Arc<str>>,
    /// What happened.
    pub event: Event,
}

/// An event in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Where.
    pub position: Position,
    /// When it was appended; never decreases within a partition.
    pub time: Timestamp,
    /// What.
    pub fact: Fact,
}
