//! The agenda: what is due when. Time enters the fold only as recorded events, so that a replay
//! sees the same time again.

use crate::{
    DeliveryId, DeliveryKind, Displaced, EndpointId, HoldReason, NotificationId, Offset, Platform,
    RegistrationId, Sweep, Timestamp, TraceContext, Urgency,
};

/// A delivery put off, by reference: its content stays where it is, in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParkedDelivery {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// The item it tells of.
    pub item: NotificationId,
    /// The event that caused it, in the user's partition.
    pub cause: Offset,
    /// The post or change it tells of: the cause itself, unless that is a redelivery.
    pub tells_of: Offset,
    /// To whom.
    pub endpoint: EndpointId,
    /// Which worker's business it is.
    pub platform: Platform,
    /// What for.
    pub kind: DeliveryKind,
    /// How many attempts were made.
    pub attempts: u32,
    /// Whether others may go before it when it comes due: what the event that caused it had.
    pub urgency: Urgency,
    /// The span of what was done of it so far, if a trace follows it.
    pub trace: Option<TraceContext>,
}

/// Why deliveries are put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PutOff {
    /// An attempt failed, and the next one is far off.
    Failed,
    /// Their route does not send at present.
    Held(HoldReason),
    /// Their device was sent as many silent pushes as it is to be: see [`crate::SilentBudget`].
    Deferred,
}

/// Deliveries of one item put off to the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The item they tell of.
    pub item: NotificationId,
    /// Until when.
    pub until: Timestamp,
    /// What the platform or the transport said last; empty if nothing was tried.
    pub reason: String,
    /// Why.
    pub why: PutOff,
    /// The deliveries.
    pub deliveries: Vec<ParkedDelivery>,
}

impl Parked {
    /// The agenda entries they become.
    pub fn entries(&self) -> impl Iterator<Item = AgendaEntry> {
        let at = self.until;
        self.deliveries.iter().map(move |parked| AgendaEntry { at, due: Due::Retry(*parked) })
    }
}

/// What comes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// An item reaches its end.
    Expire {
        /// The item.
        id: NotificationId,
        /// The revision that set the end; a later one moved it.
        revision: u32,
    },
    /// An endpoint's lease ends.
    Lapse {
        /// The endpoint.
        endpoint: EndpointId,
        /// The registration whose lease it is.
        registration: RegistrationId,
    },
    /// A parked delivery is tried again.
    Retry(ParkedDelivery),
    /// A sweep goes on. It is answered by [`crate::Event::SweepAdvanced`], not by
    /// [`crate::Event::CameDue`].
    Sweep(Sweep),
    /// An endpoint whose address is another's now is to be retired.
    Displace(Displaced),
    /// Whoever was signalled and has not fetched an item is shown its fallback.
    Fallback {
        /// The item.
        id: NotificationId,
        /// The revision it belongs to.
        revision: u32,
    },
}

impl Due {
    /// The item it is about, if it is about one.
    #[must_use]
    pub const fn item(&self) -> Option<NotificationId> {
        match self {
            Self::Expire { id, .. } | Self::Fallback { id, .. } => Some(*id),
            Self::Retry(parked) => Some(parked.item),
            Self::Lapse { .. } | Self::Sweep(_) | Self::Displace(_) => None,
        }
    }
}

/// An entry of a user's agenda. Equal entries are one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgendaEntry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub due: Due,
}

impl AgendaEntry {
    /// The time of what is due at once: a clock that was set back does not put it off.
    pub const AT_ONCE: Timestamp = Timestamp::ZERO;
}

/// How a user's agenda changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgendaChange {
    /// The entry is on the agenda from now on.
    Add(AgendaEntry),
    /// The entry is no longer on the agenda.
    Remove(AgendaEntry),
}
