//! Deliveries: an event's way to one endpoint, and whether it still matters.

use crate::port::{Push, PushBody, SyncState};
use crate::{
    DeliveryId, Endpoint, EndpointId, Item, NotificationId, Offset, Platform, Priority, PushStyle,
    Reach, Timestamp,
};

/// What a delivery is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryKind {
    /// Shows a revision of an item.
    Show {
        /// Which revision, for people to read; 0 if the item is forgotten.
        revision: u32,
    },
    /// Tells silently how the item stands.
    Sync,
    /// Shows the fallback of a revision that was signalled and not fetched.
    Fallback {
        /// Which revision.
        revision: u32,
    },
}

impl DeliveryKind {
    /// Whether the system or the app is to put something on the screen.
    #[must_use]
    pub const fn shows(self) -> bool {
        matches!(self, Self::Show { .. } | Self::Fallback { .. })
    }
}

/// A revision or a change, on its way to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The same after a retry, a crash, a rebalance.
    pub id: DeliveryId,
    /// The event that caused it.
    pub cause: Offset,
    /// The post or change it tells of: the cause itself, unless that is a redelivery.
    pub tells_of: Offset,
    /// The item.
    pub item: NotificationId,
    /// To whom.
    pub endpoint: EndpointId,
    /// Whose worker's business it is.
    pub platform: Platform,
    /// What for.
    pub kind: DeliveryKind,
    /// Attempts made before it was last parked.
    pub attempts: u32,
}

impl Delivery {
    /// Whether somebody asked for it, after one before it failed.
    #[must_use]
    pub fn is_redelivery(&self) -> bool {
        self.cause != self.tells_of
    }

    /// The last moment for a push that shows `item`. Whoever asks for a redelivery wants it to ring
    /// late rather than never, so it may ring until the item's end, and no longer.
    fn show_until(&self, item: &Item) -> Timestamp {
        match self.is_redelivery() {
            true => item.expires_at,
            false => item.deliver_by.min(item.expires_at),
        }
    }
}

/// Why a delivery was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suppression {
    /// The user read or handled it elsewhere.
    Handled,
    /// It reached its end, or its time for being delivered is over.
    Expired,
    /// The producer took it back.
    Recalled,
    /// The user deleted it.
    Deleted,
    /// A later revision or change says more.
    Superseded,
    /// The endpoint is retired, its lease is over, it asks for no pushes any more, or it is on another
    /// platform now.
    EndpointGone,
    /// The installation fetched the item by itself.
    Fetched,
}

impl Suppression {
    /// The word for timelines, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Expired => "expired",
            Self::Recalled => "recalled",
            Self::Deleted => "deleted",
            Self::Superseded => "superseded",
            Self::EndpointGone => "endpoint gone",
            Self::Fetched => "fetched",
        }
    }
}

/// Whether `delivery` still matters at `now`: asked before every attempt, with the newest state.
/// Answers the endpoint as it is registered now, which is where to send it.
///
/// An endpoint that was registered anew after the cause is another: it is gone. After a redelivery
/// was asked for, that is; one that was retired after the failure and came back since is meant.
///
/// # Errors
/// The reason for not sending it.
pub fn still_due<'reach>(
    reach: &'reach Reach,
    item: Option<&Item>,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<&'reach Endpoint, Suppression> {
    let endpoint = reach.endpoints.get(&delivery.endpoint).ok_or(Suppression::EndpointGone)?;
    // What was put off or is asked for again may name an endpoint that wants no pushes any more, or
    // is on another platform now: none of this worker's business.
    let is_reached = endpoint.style != PushStyle::None
        && endpoint.address.platform() == delivery.platform
        && endpoint.since <= delivery.cause;
    if endpoint.lease_until <= now || !is_reached {
        return Err(Suppression::EndpointGone);
    }
    let item = item.ok_or(Suppression::Expired)?;
    match delivery.kind {
        DeliveryKind::Show { .. } => show_is_due(item, delivery, now)?,
        DeliveryKind::Fallback { .. } => {
            show_is_due(item, delivery, now)?;
            if item.fetched_by.contains(&delivery.endpoint) {
                return Err(Suppression::Fetched);
            }
        }
        DeliveryKind::Sync => sync_is_due(item, delivery, now)?,
    }
    Ok(endpoint)
}

fn show_is_due(item: &Item, delivery: &Delivery, now: Timestamp) -> Result<(), Suppression> {
    if let Some(ended) = item.ended {
        return Err(ended.suppression());
    }
    match item.posted_at {
        Some(latest) if latest == delivery.tells_of => {}
        Some(_) => return Err(Suppression::Superseded),
        // It began anew, with a change: what was posted is forgotten.
        None => return Err(Suppression::Expired),
    }
    if item.is_handled() {
        return Err(Suppression::Handled);
    }
    if now >= delivery.show_until(item) {
        return Err(Suppression::Expired);
    }
    Ok(())
}

fn sync_is_due(item: &Item, delivery: &Delivery, now: Timestamp) -> Result<(), Suppression> {
    let newer_change =
        item.last_change_not_from(delivery.endpoint).is_some_and(|at| at > delivery.tells_of);
    let newer_revision = item.posted_at.is_some_and(|at| at > delivery.tells_of)
        && item.platforms.contains(delivery.platform);
    if newer_change || newer_revision {
        return Err(Suppression::Superseded);
    }
    if now >= item.expires_at {
        return Err(Suppression::Expired);
    }
    Ok(())
}

/// The push that makes `delivery` of `item`, found still due, to `endpoint`. What an endpoint that
/// asked for signals gets says nothing of the item but its id, apart from the fallback.
#[must_use]
pub fn compose(item: &Item, delivery: &Delivery, endpoint: &Endpoint) -> Push {
    let is_signal = endpoint.style == PushStyle::Signal;
    let (priority, expires_at, body) = match delivery.kind {
        DeliveryKind::Show { .. } if is_signal => {
            (item.priority, delivery.show_until(item), PushBody::Signal)
        }
        DeliveryKind::Sync if is_signal => (Priority::Normal, item.expires_at, PushBody::Signal),
        DeliveryKind::Show { .. } => {
            let body = PushBody::Show { content: item.content.clone(), group: item.group.clone() };
            (item.priority, delivery.show_until(item), body)
        }
        DeliveryKind::Fallback { .. } => {
            let content = item.fallback.as_ref().map(|fallback| fallback.content.clone());
            let body = PushBody::Show { content: content.unwrap_or_default(), group: None };
            (item.priority, delivery.show_until(item), body)
        }
        DeliveryKind::Sync => {
            let (read, action) = (item.read, item.action);
            let clear = item.is_handled() || item.ended.is_some();
            let body = PushBody::Sync(SyncState { id: item.id, read, action, clear });
            (Priority::Normal, item.expires_at, body)
        }
    };
    Push {
        delivery: delivery.id,
        address: endpoint.address.clone(),
        item: item.id,
        sequence: delivery.cause.0,
        priority,
        expires_at,
        body,
        along: Vec::new(),
    }
}
