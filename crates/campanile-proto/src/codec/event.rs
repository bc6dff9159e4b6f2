//! Events: an envelope in clear around one body per event.

use bytes::{Bytes, BytesMut};
use campanile_core::{
    Address, AddressClaim, EndpointId, Event, Fact, Offset, Parked, Posted, PushStyle, PutOff,
    Redelivery, RegistrationId, RequestStamp, StateChange, Sweep, SweepStep, Timestamp, Urgency,
};
use prost::Message;

use super::field::{Id128, app, invalid, mask, need, one_of, shared, text, time};
use super::vocabulary::{
    address, agenda, agenda_to_wire, content, delivery, delivery_to_wire, fallback, falls_back,
    kind, registration, registration_to_wire, shows_revision, style, style_to_wire, sweep_to_wire,
    urgency,
};
use super::{DecodeError, SCHEMA_MAJOR, SCHEMA_MINOR, open, post};
use crate::convert;
use crate::v1::{self, EventType};

/// The number of `Envelope.body`.
pub(super) const BODY: u32 = 15;

/// The stored form of `fact`.
#[must_use]
pub fn encode_fact(fact: &Fact) -> Bytes {
    match &fact.event {
        Event::EndpointRegistered { endpoint, registration, address, style, lease_until } => {
            let who = (*endpoint, *registration);
            let body = registered_body(who, address, *style, *lease_until);
            seal(fact, EventType::EndpointRegistered, &body)
        }
        Event::EndpointRenewed { endpoint, registration, lease_until } => {
            let body = v1::EndpointRenewedBody {
                endpoint: Some(endpoint.wire()),
                registration: Some(registration.wire()),
                lease_until_ms: lease_until.as_millis(),
            };
            seal(fact, EventType::EndpointRenewed, &body)
        }
        Event::EndpointRetired { endpoint, registration, reason } => {
            let body = v1::EndpointRetiredBody {
                endpoint: Some(endpoint.wire()),
                registration: registration.map(Id128::wire),
                reason: convert::retire_to_wire(*reason).into(),
            };
            seal(fact, EventType::EndpointRetired, &body)
        }
        Event::AddressClaimed(claim) => seal(fact, EventType::AddressClaimed, &claimed_body(claim)),
        Event::NotificationPosted(posted) => post::encode(fact, posted),
        Event::NotificationRecalled { revision, .. } => {
            let body = v1::NotificationRecalledBody { revision: *revision };
            seal(fact, EventType::NotificationRecalled, &body)
        }
        Event::CampaignRecalled { campaign } => {
            let body = v1::CampaignRecalledBody { campaign: campaign.to_string() };
            seal(fact, EventType::CampaignRecalled, &body)
        }
        Event::AllDismissed { up_to, origin } => {
            let origin = origin.map(Id128::wire);
            let body = v1::AllDismissedBody { up_to: up_to.0, origin };
            seal(fact, EventType::AllDismissed, &body)
        }
        Event::SweepAdvanced(step) => {
            seal(fact, EventType::SweepAdvanced, &sweep_advanced_body(step))
        }
        Event::StateChanged(change) => {
            seal(fact, EventType::StateChanged, &state_changed_body(change))
        }
        Event::NotificationDeleted { origin, .. } => {
            let body = v1::NotificationDeletedBody { origin: origin.map(Id128::wire) };
            seal(fact, EventType::NotificationDeleted, &body)
        }
        Event::DeliveriesParked(parked) => {
            seal(fact, EventType::DeliveriesParked, &parked_body(parked))
        }
        Event::ItemFetched { revision, endpoint, .. } => {
            let (revision, endpoint) = (*revision, Some(endpoint.wire()));
            seal(fact, EventType::ItemFetched, &v1::ItemFetchedBody { revision, endpoint })
        }
        Event::CameDue(entry) => {
            let body = v1::CameDueBody { entry: Some(agenda_to_wire(entry)) };
            seal(fact, EventType::CameDue, &body)
        }
        Event::RedeliveryRequested(redelivery) => {
            seal(fact, EventType::RedeliveryRequested, &redelivery_body(redelivery))
        }
    }
}

/// Reads what [`encode_fact`] wrote.
///
/// # Errors
/// [`DecodeError`] for anything else.
pub fn decode_fact(bytes: &Bytes) -> Result<Fact, DecodeError> {
    let envelope: v1::Envelope = open(bytes)?;
    if envelope.key_id.is_some() {
        return Err(invalid("key_id", "the body is sealed, and this release has no keys"));
    }
    let app = app("app", &envelope.app)?;
    let user = Id128::need("user", envelope.user)?;
    let event = decode_event(&envelope)?;
    Ok(Fact { app, user, cause: shared(envelope.cause), event })
}

/// Envelope and body in one buffer: on the wire a message is a length and its bytes, just as the
/// `bytes` which `Envelope.body` is declared to be, so the body needs no buffer of its own.
fn seal(fact: &Fact, kind: EventType, body: &impl Message) -> Bytes {
    let envelope = envelope(fact, kind);
    let length = envelope.encoded_len() + prost::encoding::message::encoded_len(BODY, body);
    let mut buffer = BytesMut::with_capacity(length);
    envelope.encode_raw(&mut buffer);
    prost::encoding::message::encode(BODY, body, &mut buffer);
    buffer.freeze()
}

/// The envelope of anything but a post.
fn envelope(fact: &Fact, kind: EventType) -> v1::Envelope {
    v1::Envelope {
        schema_major: SCHEMA_MAJOR,
        schema_minor: SCHEMA_MINOR,
        r#type: kind.into(),
        app: fact.app.as_str().to_owned(),
        user: Some(fact.user.wire()),
        notification_id: fact.event.item().map(Id128::wire),
        expires_at_ms: None,
        platforms: None,
        cause: text(fact.cause.as_ref()),
        key_id: None,
        body: None,
    }
}

fn registered_body(
    (endpoint, registration): (EndpointId, RegistrationId),
    address: &Address,
    style: PushStyle,
    lease_until: Timestamp,
) -> v1::EndpointRegisteredBody {
    v1::EndpointRegisteredBody {
        endpoint: Some(endpoint.wire()),
        registration: Some(registration.wire()),
        address: Some(convert::address_to_wire(address)),
        lease_until_ms: lease_until.as_millis(),
        push_style: style_to_wire(style),
    }
}

fn claimed_body(claim: &AddressClaim) -> v1::AddressClaimedBody {
    v1::AddressClaimedBody {
        by: Some(registration_to_wire(claim.by)),
        lease_until_ms: claim.lease_until.as_millis(),
        renews: claim.renews,
    }
}

fn sweep_advanced_body(step: &SweepStep) -> v1::SweepAdvancedBody {
    v1::SweepAdvancedBody {
        at_ms: step.at.as_millis(),
        sweep: Some(sweep_to_wire(step.sweep)),
        next: step.next.map(|next| next.0),
    }
}

fn state_changed_body(change: &StateChange) -> v1::StateChangedBody {
    v1::StateChangedBody {
        revision: change.revision,
        read: change.read,
        action: change.action.map(|action| convert::action_to_wire(action).into()),
        origin: change.origin.map(Id128::wire),
    }
}

fn parked_body(parked: &Parked) -> v1::DeliveriesParkedBody {
    let (hold, deferred) = match parked.why {
        PutOff::Failed => (None, false),
        PutOff::Held(hold) => (Some(hold), false),
        PutOff::Deferred => (None, true),
    };
    v1::DeliveriesParkedBody {
        until_ms: parked.until.as_millis(),
        reason: parked.reason.clone(),
        hold: hold.map(|hold| convert::hold_to_wire(hold).into()),
        deferred,
        deliveries: parked.deliveries.iter().map(delivery_to_wire).collect(),
    }
}

fn redelivery_body(redelivery: &Redelivery) -> v1::RedeliveryRequestedBody {
    let Redelivery { endpoint, platform, kind, failed, tells_of, urgency, .. } = *redelivery;
    v1::RedeliveryRequestedBody {
        endpoint: Some(endpoint.wire()),
        platform: convert::platform_to_wire(platform).into(),
        shows_revision: shows_revision(kind),
        falls_back: falls_back(kind),
        failed: failed.0,
        tells_of: (tells_of != failed).then_some(tells_of.0),
        bulk: urgency == Urgency::Bulk,
    }
}

fn decode_event(envelope: &v1::Envelope) -> Result<Event, DecodeError> {
    let number = envelope.r#type;
    let kind = EventType::try_from(number)
        .map_err(|_| invalid("type", format_args!("unknown event type {number}")))?;
    match kind {
        EventType::Unspecified => Err(DecodeError::Missing { field: "type" }),
        EventType::EndpointRegistered => registered(body(envelope)?),
        EventType::EndpointRenewed => renewed(&body(envelope)?),
        EventType::EndpointRetired => retired(&body(envelope)?),
        EventType::AddressClaimed => claimed(&body(envelope)?),
        EventType::NotificationPosted => posted(envelope, body(envelope)?),
        EventType::NotificationRecalled => {
            let v1::NotificationRecalledBody { revision } = body(envelope)?;
            Ok(Event::NotificationRecalled { id: notification(envelope)?, revision })
        }
        EventType::CampaignRecalled => {
            let v1::CampaignRecalledBody { campaign } = body(envelope)?;
            Ok(Event::CampaignRecalled { campaign: campaign.into() })
        }
        EventType::AllDismissed => {
            let v1::AllDismissedBody { up_to, origin } = body(envelope)?;
            let origin = origin.map(Id128::read);
            Ok(Event::AllDismissed { up_to: Offset(up_to), origin })
        }
        EventType::SweepAdvanced => sweep_advanced(&body(envelope)?),
        EventType::StateChanged => state_changed(envelope, &body(envelope)?),
        EventType::NotificationDeleted => {
            let body: v1::NotificationDeletedBody = body(envelope)?;
            let origin = body.origin.map(Id128::read);
            Ok(Event::NotificationDeleted { id: notification(envelope)?, origin })
        }
        EventType::DeliveriesParked => parked(envelope, body(envelope)?),
        EventType::ItemFetched => {
            let v1::ItemFetchedBody { revision, endpoint } = body(envelope)?;
            let endpoint = Id128::need("endpoint", endpoint)?;
            Ok(Event::ItemFetched { id: notification(envelope)?, revision, endpoint })
        }
        EventType::CameDue => {
            let body: v1::CameDueBody = body(envelope)?;
            Ok(Event::CameDue(agenda(body.entry)?))
        }
        EventType::RedeliveryRequested => redelivery(envelope, &body(envelope)?),
    }
}

fn body<M: Message + Default>(envelope: &v1::Envelope) -> Result<M, DecodeError> {
    let body = need("body", envelope.body.as_ref())?;
    Ok(M::decode(body.clone())?)
}

fn notification<I: Id128>(envelope: &v1::Envelope) -> Result<I, DecodeError> {
    I::need("notification_id", envelope.notification_id)
}

fn registered(body: v1::EndpointRegisteredBody) -> Result<Event, DecodeError> {
    Ok(Event::EndpointRegistered {
        endpoint: Id128::need("endpoint", body.endpoint)?,
        registration: Id128::need("registration", body.registration)?,
        address: address(body.address)?,
        style: style(body.push_style)?,
        lease_until: time(body.lease_until_ms),
    })
}

fn renewed(body: &v1::EndpointRenewedBody) -> Result<Event, DecodeError> {
    Ok(Event::EndpointRenewed {
        endpoint: Id128::need("endpoint", body.endpoint)?,
        registration: Id128::need("registration", body.registration)?,
        lease_until: time(body.lease_until_ms),
    })
}

fn retired(body: &v1::EndpointRetiredBody) -> Result<Event, DecodeError> {
    Ok(Event::EndpointRetired {
        endpoint: Id128::need("endpoint", body.endpoint)?,
        registration: body.registration.map(Id128::read),
        reason: one_of("reason", body.reason, convert::retire_from_wire)?,
    })
}

fn claimed(body: &v1::AddressClaimedBody) -> Result<Event, DecodeError> {
    Ok(Event::AddressClaimed(AddressClaim {
        by: registration(body.by)?,
        lease_until: time(body.lease_until_ms),
        renews: body.renews,
    }))
}

fn posted(envelope: &v1::Envelope, body: v1::NotificationPostedBody) -> Result<Event, DecodeError> {
    let stamp = |stamp: v1::RequestStamp| {
        let key = Id128::need("request.key", stamp.key)?;
        let fingerprint = Id128::need("request.fingerprint", stamp.fingerprint)?;
        Ok::<_, DecodeError>(RequestStamp { key, fingerprint })
    };
    Ok(Event::NotificationPosted(Posted {
        id: notification(envelope)?,
        request: body.request.map(stamp).transpose()?,
        app_notification_id: shared(body.app_notification_id),
        group: shared(body.group),
        campaign: shared(body.campaign),
        content: content(body.content),
        platforms: mask("platforms", need("platforms", envelope.platforms)?)?,
        priority: one_of("priority", body.priority, convert::priority_from_wire)?,
        expires_at: time(need("expires_at_ms", envelope.expires_at_ms)?),
        deliver_by: time(body.deliver_by_ms),
        fallback: body.fallback.map(fallback),
    }))
}

fn state_changed(
    envelope: &v1::Envelope,
    body: &v1::StateChangedBody,
) -> Result<Event, DecodeError> {
    let action = |number| one_of("action", number, convert::action_from_wire);
    Ok(Event::StateChanged(StateChange {
        id: notification(envelope)?,
        revision: body.revision,
        read: body.read,
        action: body.action.map(action).transpose()?,
        origin: body.origin.map(Id128::read),
    }))
}

fn sweep_advanced(body: &v1::SweepAdvancedBody) -> Result<Event, DecodeError> {
    let v1::DueSweep { event, from } = need("sweep", body.sweep)?;
    let sweep = Sweep { event: Offset(event), from: Offset(from) };
    let (at, next) = (time(body.at_ms), body.next.map(Offset));
    Ok(Event::SweepAdvanced(SweepStep { at, sweep, next }))
}

fn parked(envelope: &v1::Envelope, body: v1::DeliveriesParkedBody) -> Result<Event, DecodeError> {
    let item = notification(envelope)?;
    let held = |number| one_of("hold", number, convert::hold_from_wire).map(PutOff::Held);
    let why = if body.deferred { PutOff::Deferred } else { PutOff::Failed };
    let deliveries = body.deliveries.into_iter().map(|wire| delivery(item, &wire));
    Ok(Event::DeliveriesParked(Parked {
        item,
        until: time(body.until_ms),
        reason: body.reason,
        why: body.hold.map_or(Ok(why), held)?,
        deliveries: deliveries.collect::<Result<_, _>>()?,
    }))
}

fn redelivery(
    envelope: &v1::Envelope,
    body: &v1::RedeliveryRequestedBody,
) -> Result<Event, DecodeError> {
    Ok(Event::RedeliveryRequested(Redelivery {
        item: notification(envelope)?,
        endpoint: Id128::need("endpoint", body.endpoint)?,
        platform: one_of("platform", body.platform, convert::platform_from_wire)?,
        kind: kind(body.shows_revision, body.falls_back),
        failed: Offset(body.failed),
        tells_of: Offset(body.tells_of.unwrap_or(body.failed)),
        urgency: urgency(body.bulk),
    }))
}
