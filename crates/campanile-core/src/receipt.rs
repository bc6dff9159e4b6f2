//! Receipts: what came of deliveries.

use crate::{
    AppId, DeliveryId, DeliveryKind, EndpointId, NotificationId, Offset, Platform, Suppression,
    Timestamp, UserRef,
};

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The platform took it.
    Accepted {
        /// The platform's own id for it.
        provider_id: String,
    },
    /// It was not sent, because it no longer mattered.
    Suppressed(Suppression),
    /// The platform will never take it.
    Rejected {
        /// The platform's status code.
        status: u16,
        /// The platform's reason.
        reason: String,
    },
    /// The platform said that the address is gone; the endpoint is retired.
    AddressGone {
        /// The platform's status code.
        status: u16,
        /// The platform's reason.
        reason: String,
    },
    /// It was tried as often as the policy allows.
    GaveUp {
        /// The last reason.
        reason: String,
    },
}

/// One delivery of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// To whom.
    pub endpoint: EndpointId,
    /// Whether it showed something or synchronised state.
    pub kind: DeliveryKind,
    /// How many attempts were made in all.
    pub attempts: u32,
    /// When it ended, by the worker's clock.
    pub at: Timestamp,
    /// How.
    pub end: End,
}

/// What came of the deliveries of one event on one platform, as far as one flush knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The tenant.
    pub app: AppId,
    /// Whose.
    pub user: UserRef,
    /// The event that caused the deliveries, in the user's partition.
    pub cause: Offset,
    /// The item they tell of.
    pub item: NotificationId,
    /// The platform.
    pub platform: Platform,
    /// The deliveries, each once per flush.
    pub settled: Vec<Settled>,
}
