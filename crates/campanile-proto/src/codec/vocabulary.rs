//! Words of the core in their wire form and back: enumerations, content, addresses, the agenda.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use campanile_core::{
    Address, AgendaEntry, ApnsToken, Content, DeliveryKind, Displaced, Due, Fallback, FcmTarget,
    FcmToken, NotificationId, Offset, ParkedDelivery, PushStyle, Sweep, TraceContext, Urgency,
    Visual,
};

use super::DecodeError;
use super::field::{Id128, invalid, need, one_of, time};
use crate::convert;
use crate::v1;

pub(super) fn address(wire: Option<v1::Address>) -> Result<Arc<Address>, DecodeError> {
    Ok(Arc::new(match need("address.platform", need("address", wire)?.platform)? {
        v1::address::Platform::Apns(apns) => apns_address(apns)?,
        v1::address::Platform::Fcm(fcm) => fcm_address(fcm)?,
    }))
}

fn apns_address(apns: v1::ApnsAddress) -> Result<Address, DecodeError> {
    let token = ApnsToken::new(&apns.token).map_err(|error| invalid("address.token", error))?;
    let environment =
        one_of("address.environment", apns.environment, convert::environment_from_wire)?;
    Ok(Address::Apns { token, topic: apns.topic.into(), environment })
}

fn fcm_address(fcm: v1::FcmAddress) -> Result<Address, DecodeError> {
    let known = |text: &str| FcmToken::new(text).map_err(|error| invalid("address.target", error));
    let target = match need("address.target", fcm.target)? {
        v1::fcm_address::Target::Token(token) => FcmTarget::Token(known(&token)?),
        v1::fcm_address::Target::Fid(fid) => FcmTarget::Installation(known(&fid)?),
    };
    Ok(Address::Fcm { target, project: fcm.project.into() })
}

/// Payload is not written, so that a registration from before there were styles reads the same.
pub(super) fn style_to_wire(style: PushStyle) -> i32 {
    match style {
        PushStyle::Payload => v1::PushStyle::Unspecified.into(),
        PushStyle::Signal | PushStyle::None => convert::style_to_wire(style).into(),
    }
}

pub(super) fn style(number: i32) -> Result<PushStyle, DecodeError> {
    if number == i32::from(v1::PushStyle::Unspecified) {
        return Ok(PushStyle::Payload);
    }
    one_of("push_style", number, convert::style_from_wire)
}

pub(super) fn content(wire: Option<v1::Content>) -> Arc<Content> {
    let Some(wire) = wire else { return Arc::default() };
    let visual = wire.visual.map(|visual| Visual {
        title: visual.title,
        body: visual.body,
        sound: visual.sound,
        badge: visual.badge,
    });
    // Copied: a slice would keep the whole buffer it was read in alive.
    let raw = wire.raw.map(|raw| Bytes::copy_from_slice(&raw));
    Arc::new(Content { visual, raw })
}

pub(super) fn delivery_to_wire(parked: &ParkedDelivery) -> v1::ParkedDelivery {
    v1::ParkedDelivery {
        delivery: Some(parked.delivery.wire()),
        cause: parked.cause.0,
        endpoint: Some(parked.endpoint.wire()),
        platform: convert::platform_to_wire(parked.platform).into(),
        shows_revision: shows_revision(parked.kind),
        attempts: parked.attempts,
        tells_of: (parked.tells_of != parked.cause).then_some(parked.tells_of.0),
        falls_back: falls_back(parked.kind),
        bulk: parked.urgency == Urgency::Bulk,
        span: parked.trace.map(|trace| trace.to_string()),
    }
}

pub(super) fn delivery(
    item: NotificationId,
    wire: &v1::ParkedDelivery,
) -> Result<ParkedDelivery, DecodeError> {
    Ok(ParkedDelivery {
        delivery: Id128::need("delivery.delivery", wire.delivery)?,
        item,
        cause: Offset(wire.cause),
        tells_of: Offset(wire.tells_of.unwrap_or(wire.cause)),
        endpoint: Id128::need("delivery.endpoint", wire.endpoint)?,
        platform: one_of("delivery.platform", wire.platform, convert::platform_from_wire)?,
        kind: kind(wire.shows_revision, wire.falls_back),
        attempts: wire.attempts,
        urgency: urgency(wire.bulk),
        trace: wire.span.as_deref().and_then(TraceContext::parse),
    })
}

/// What was stored before there were two is urgent, as it was.
pub(super) const fn urgency(bulk: bool) -> Urgency {
    if bulk { Urgency::Bulk } else { Urgency::Urgent }
}

pub(super) const fn shows_revision(kind: DeliveryKind) -> Option<u32> {
    match kind {
        DeliveryKind::Show { revision } | DeliveryKind::Fallback { revision } => Some(revision),
        DeliveryKind::Sync => None,
    }
}

pub(super) const fn falls_back(kind: DeliveryKind) -> bool {
    matches!(kind, DeliveryKind::Fallback { .. })
}

pub(super) const fn kind(shows_revision: Option<u32>, falls_back: bool) -> DeliveryKind {
    match shows_revision {
        Some(revision) if falls_back => DeliveryKind::Fallback { revision },
        Some(revision) => DeliveryKind::Show { revision },
        None => DeliveryKind::Sync,
    }
}

pub(super) fn fallback(wire: v1::Fallback) -> Fallback {
    let after = Duration::from_secs(wire.after_seconds.into());
    Fallback { after, content: content(Some(v1::Content { visual: wire.visual, raw: None })) }
}

pub(super) fn registration_to_wire(of: Displaced) -> v1::Registration {
    v1::Registration {
        user: Some(of.user.wire()),
        endpoint: Some(of.endpoint.wire()),
        registration: Some(of.registration.wire()),
    }
}

pub(super) fn registration(wire: Option<v1::Registration>) -> Result<Displaced, DecodeError> {
    let wire = need("registration", wire)?;
    Ok(Displaced {
        user: Id128::need("registration.user", wire.user)?,
        endpoint: Id128::need("registration.endpoint", wire.endpoint)?,
        registration: Id128::need("registration.registration", wire.registration)?,
    })
}

pub(super) const fn sweep_to_wire(sweep: Sweep) -> v1::DueSweep {
    v1::DueSweep { event: sweep.event.0, from: sweep.from.0 }
}

pub(super) fn agenda_to_wire(entry: &AgendaEntry) -> v1::AgendaEntry {
    let due = match entry.due {
        Due::Expire { id, revision } => {
            v1::agenda_entry::Due::Expiry(v1::DueExpiry { item: Some(id.wire()), revision })
        }
        Due::Lapse { endpoint, registration } => v1::agenda_entry::Due::Lapse(v1::DueLapse {
            endpoint: Some(endpoint.wire()),
            registration: Some(registration.wire()),
        }),
        Due::Retry(parked) => v1::agenda_entry::Due::Retry(v1::DueRetry {
            item: Some(parked.item.wire()),
            delivery: Some(delivery_to_wire(&parked)),
        }),
        Due::Sweep(sweep) => v1::agenda_entry::Due::Sweep(sweep_to_wire(sweep)),
        Due::Displace(who) => v1::agenda_entry::Due::Displace(registration_to_wire(who)),
        Due::Fallback { id, revision } => {
            v1::agenda_entry::Due::Fallback(v1::DueFallback { item: Some(id.wire()), revision })
        }
    };
    v1::AgendaEntry { at_ms: entry.at.as_millis(), due: Some(due) }
}

pub(super) fn agenda(wire: Option<v1::AgendaEntry>) -> Result<AgendaEntry, DecodeError> {
    let wire = need("entry", wire)?;
    let due = match need("entry.due", wire.due)? {
        v1::agenda_entry::Due::Expiry(expiry) => {
            Due::Expire { id: Id128::need("expiry.item", expiry.item)?, revision: expiry.revision }
        }
        v1::agenda_entry::Due::Lapse(lapse) => Due::Lapse {
            endpoint: Id128::need("lapse.endpoint", lapse.endpoint)?,
            registration: Id128::need("lapse.registration", lapse.registration)?,
        },
        v1::agenda_entry::Due::Retry(retry) => {
            let item = Id128::need("retry.item", retry.item)?;
            Due::Retry(delivery(item, &need("retry.delivery", retry.delivery)?)?)
        }
        v1::agenda_entry::Due::Sweep(v1::DueSweep { event, from }) => {
            Due::Sweep(Sweep { event: Offset(event), from: Offset(from) })
        }
        v1::agenda_entry::Due::Displace(who) => Due::Displace(registration(Some(who))?),
        v1::agenda_entry::Due::Fallback(v1::DueFallback { item, revision }) => {
            Due::Fallback { id: Id128::need("fallback.item", item)?, revision }
        }
    };
    Ok(AgendaEntry { at: time(wire.at_ms), due })
}
