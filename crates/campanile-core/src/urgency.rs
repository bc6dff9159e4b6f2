//! What waits for nobody, and what may be overtaken by it.

use crate::{AgendaEntry, Due, Event, Priority};

/// Whether the deliveries of an event may be overtaken by those of later events.
///
/// The event alone decides, so everybody who reads it, at any time, finds the same: that is what
/// lets one reader leave the bulk of a range of the log to another and do the rest itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Posts of high priority, and whatever tells devices how an item stands.
    Urgent,
    /// Posts below high priority, also when they are put off, or asked for again.
    Bulk,
}

impl Urgency {
    /// The urgency of the deliveries that `event` calls for.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        match event {
            Event::NotificationPosted(posted) if posted.priority < Priority::High => Self::Bulk,
            Event::RedeliveryRequested(asked) => asked.urgency,
            Event::CameDue(AgendaEntry { due: Due::Retry(parked), .. }) => parked.urgency,
            _ => Self::Urgent,
        }
    }
}
