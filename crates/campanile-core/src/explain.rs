//! Why an item rang where it did, and why not elsewhere: told from the log alone.
//!
//! An [`Account`] is given the item's events, each with the state right after it, and then its
//! receipts. It plans again what each event called for, so that it can also say who was left out
//! and why, and puts what the workers wrote down beside it.

mod account;
mod convergence;
mod counts;

pub use account::Account;
pub use convergence::{Convergence, Goal};
pub use counts::OutcomeCounts;

use std::collections::BTreeMap;

use crate::{
    Delivery, DeliveryId, DeliveryKind, End, EndpointId, Event, Offset, Platform, PostVerdict,
    PutOff, RetireReason, Suppression, Timestamp,
};

/// An item's way to every endpoint of its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What happened, in order of time.
    pub steps: Vec<Step>,
    /// Every delivery that was called for, by cause and endpoint.
    pub deliveries: Vec<PlannedDelivery>,
    /// How far the endpoints agree with the item; absent if the item is forgotten, or there is
    /// nothing to agree on: it is not posted yet, or reached its end by itself.
    pub convergence: Option<Convergence>,
}

/// One thing that happened to an item, or to one of its deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When: as recorded for events, by the worker's clock for ends.
    pub time: Timestamp,
    /// The event behind it, in the user's partition.
    pub cause: Offset,
    /// Which endpoint it concerns; absent: the item itself.
    pub endpoint: Option<EndpointId>,
    /// What.
    pub what: What,
}

/// What a step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Something happened to the item.
    Happened {
        /// What.
        event: Box<Event>,
        /// What became of it, if it was a post or a redelivery.
        verdict: Option<PostVerdict>,
        /// Whether it changed the item.
        changed: bool,
    },
    /// The event called for a delivery to the endpoint.
    Planned(DeliveryKind),
    /// The event called for none.
    NotPlanned(WhyNot),
    /// A worker put the delivery off.
    Parked {
        /// Until when.
        until: Timestamp,
        /// What the platform or the transport said; empty if nothing was tried.
        reason: String,
        /// Why.
        why: PutOff,
        /// Attempts so far.
        attempts: u32,
    },
    /// The time came to try again.
    CameDue(DeliveryKind),
    /// The delivery ended.
    Ended {
        /// Which.
        delivery: DeliveryId,
        /// What it was for.
        kind: DeliveryKind,
        /// Attempts in all.
        attempts: u32,
        /// How.
        end: End,
    },
}

/// Why an event called for no delivery to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhyNot {
    /// It was registered after the post.
    RegisteredLater,
    /// It was retired before; the reason, if it is still remembered.
    Retired(Option<RetireReason>),
    /// The item is not meant for its platform.
    OtherPlatform,
    /// The change was made on it.
    Origin,
    /// Nothing was posted yet that it could show.
    NeverShown,
    /// The post repeated a request that was taken before; or the failure was asked for again before.
    Repeated,
    /// The post used the key of another request.
    Conflicted,
    /// It had nothing to hear that it did not know.
    NothingNew,
    /// It asked for no pushes.
    NoPush,
    /// It fetched the item before the fallback came due.
    Fetched,
}

/// A delivery that was called for, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedDelivery {
    /// The delivery, with the attempts that are recorded.
    pub delivery: Delivery,
    /// When the event that called for it was recorded; absent if the log has that event no more.
    pub planned_at: Option<Timestamp>,
    /// How it stands.
    pub standing: Standing,
}

/// How a delivery stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is recorded of it: it is on its way, or waits for a worker.
    Open {
        /// Why it would not be sent any more; a worker that reads its event after that does not
        /// name it, and then no end is ever recorded.
        not_due: Option<Suppression>,
    },
    /// It is on the agenda.
    Parked {
        /// Until when.
        until: Timestamp,
        /// What the platform or the transport said last; empty if nothing was tried.
        reason: String,
        /// Why.
        why: PutOff,
    },
    /// It ended. Of several ends, which a crash can bring about, an acceptance counts before all
    /// others, because then the device rang; among others the last.
    Ended {
        /// When, by the worker's clock.
        at: Timestamp,
        /// How.
        end: End,
    },
}

impl Explanation {
    /// The same about one endpoint, or `None` if the log does not know it beside this item.
    #[must_use]
    pub fn only(mut self, endpoint: EndpointId) -> Option<Self> {
        if !self.steps.iter().any(|step| step.endpoint == Some(endpoint)) {
            return None;
        }
        self.steps.retain(|step| step.endpoint.is_none_or(|id| id == endpoint));
        self.deliveries.retain(|planned| planned.delivery.endpoint == endpoint);
        Some(self)
    }

    /// How many deliveries were called for on each platform, and what came of them.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Platform, OutcomeCounts> {
        let mut counts = BTreeMap::<_, OutcomeCounts>::new();
        for planned in &self.deliveries {
            counts.entry(planned.delivery.platform).or_default().count(&planned.standing);
        }
        counts
    }
}
