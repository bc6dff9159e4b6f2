//! The projection's pieces and agenda entries.

use std::sync::Arc;

use bytes::Bytes;
use campanile_core::port::Piece;
use campanile_core::{
    AgendaEntry, Change, Endpoint, EndpointId, Holder, Item, ItemFallback, Offset, Reach,
    RequestRecord, Timestamp, Tombstone,
};
use prost::Message;

use super::field::{Id128, mask, need, one_of, shared, text, time};
use super::vocabulary::{
    address, agenda, agenda_to_wire, content, registration, registration_to_wire, style,
    style_to_wire,
};
use super::{DecodeError, SCHEMA_MAJOR, SCHEMA_MINOR, open};
use crate::convert;
use crate::v1;
use crate::v1::stored_piece::Piece as Wire;

/// The stored form of `piece`.
#[must_use]
pub fn encode_piece(piece: &Piece) -> Bytes {
    let piece = match piece {
        Piece::Reach(reach) => Wire::Reach(reach_to_wire(reach)),
        Piece::Item(item) => Wire::Item(item_to_wire(item)),
        Piece::Request(request) => Wire::Request(v1::RequestRecord {
            at: request.at.0,
            fingerprint: Some(request.fingerprint.wire()),
            item: Some(request.item.wire()),
            until_ms: request.until.as_millis(),
        }),
        Piece::Holder(holder) => Wire::Holder(v1::Holder {
            as_of: holder.as_of.0,
            by: Some(registration_to_wire(holder.by)),
            lease_until_ms: holder.lease_until.as_millis(),
        }),
    };
    let stored = v1::StoredPiece {
        schema_major: SCHEMA_MAJOR,
        schema_minor: SCHEMA_MINOR,
        piece: Some(piece),
    };
    stored.encode_to_vec().into()
}

/// Reads what [`encode_piece`] wrote.
///
/// # Errors
/// [`DecodeError`] for anything else.
pub fn decode_piece(bytes: &Bytes) -> Result<Piece, DecodeError> {
    let stored: v1::StoredPiece = open(bytes)?;
    Ok(match need("piece", stored.piece)? {
        Wire::Reach(wire) => Piece::Reach(Arc::new(reach(wire)?)),
        Wire::Item(wire) => Piece::Item(Arc::new(item(wire)?)),
        Wire::Request(wire) => Piece::Request(RequestRecord {
            at: Offset(wire.at),
            fingerprint: Id128::need("request.fingerprint", wire.fingerprint)?,
            item: Id128::need("request.item", wire.item)?,
            until: time(wire.until_ms),
        }),
        Wire::Holder(wire) => Piece::Holder(Holder {
            as_of: Offset(wire.as_of),
            by: registration(wire.by)?,
            lease_until: time(wire.lease_until_ms),
        }),
    })
}

/// The stored form of `entry`. Equal entries have equal bytes, so the bytes can be a key.
#[must_use]
pub fn encode_agenda_entry(entry: &AgendaEntry) -> Bytes {
    let stored = v1::StoredAgendaEntry {
        schema_major: SCHEMA_MAJOR,
        schema_minor: SCHEMA_MINOR,
        entry: Some(agenda_to_wire(entry)),
    };
    stored.encode_to_vec().into()
}

/// Reads what [`encode_agenda_entry`] wrote.
///
/// # Errors
/// [`DecodeError`] for anything else.
pub fn decode_agenda_entry(bytes: &Bytes) -> Result<AgendaEntry, DecodeError> {
    let stored: v1::StoredAgendaEntry = open(bytes)?;
    agenda(stored.entry)
}

fn reach_to_wire(reach: &Reach) -> v1::Reach {
    let endpoint = |(id, endpoint): (&EndpointId, &Endpoint)| v1::LiveEndpoint {
        id: Some(id.wire()),
        registration: Some(endpoint.registration.wire()),
        address: Some(convert::address_to_wire(&endpoint.address)),
        since: endpoint.since.0,
        registered_at_ms: endpoint.registered_at.as_millis(),
        lease_until_ms: endpoint.lease_until.as_millis(),
        push_style: style_to_wire(endpoint.style),
    };
    let tombstone = |(id, tombstone): (&EndpointId, &Tombstone)| v1::Tombstone {
        id: Some(id.wire()),
        registration: Some(tombstone.registration.wire()),
        at: tombstone.at.0,
        time_ms: tombstone.time.as_millis(),
        reason: convert::retire_to_wire(tombstone.reason).into(),
    };
    v1::Reach {
        as_of: reach.as_of.0,
        endpoints: reach.endpoints.iter().map(endpoint).collect(),
        tombstones: reach.tombstones.iter().map(tombstone).collect(),
    }
}

fn reach(wire: v1::Reach) -> Result<Reach, DecodeError> {
    let endpoint = |wire: v1::LiveEndpoint| {
        let endpoint = Endpoint {
            registration: Id128::need("endpoint.registration", wire.registration)?,
            address: address(wire.address)?,
            style: style(wire.push_style)?,
            since: Offset(wire.since),
            registered_at: time(wire.registered_at_ms),
            lease_until: time(wire.lease_until_ms),
        };
        Ok((Id128::need("endpoint.id", wire.id)?, endpoint))
    };
    let tombstone = |wire: v1::Tombstone| {
        let tombstone = Tombstone {
            registration: Id128::need("tombstone.registration", wire.registration)?,
            at: Offset(wire.at),
            time: time(wire.time_ms),
            reason: one_of("tombstone.reason", wire.reason, convert::retire_from_wire)?,
        };
        Ok((Id128::need("tombstone.id", wire.id)?, tombstone))
    };
    Ok(Reach {
        as_of: Offset(wire.as_of),
        endpoints: wire.endpoints.into_iter().map(endpoint).collect::<Result<_, DecodeError>>()?,
        tombstones: wire
            .tombstones
            .into_iter()
            .map(tombstone)
            .collect::<Result<_, DecodeError>>()?,
    })
}

fn item_to_wire(item: &Item) -> v1::Item {
    let change = |change: Change| v1::Change {
        at: change.at.0,
        origin: change.origin.map(Id128::wire),
        elsewhere: change.elsewhere.map(|at| at.0),
    };
    v1::Item {
        as_of: item.as_of.0,
        id: Some(item.id.wire()),
        revision: item.revision,
        posted_at: item.posted_at.map(|at| at.0),
        revisions: item.revisions.iter().map(|at| at.0).collect(),
        app_notification_id: text(item.app_notification_id.as_ref()),
        group: text(item.group.as_ref()),
        campaign: text(item.campaign.as_ref()),
        content: convert::content_to_wire(&item.content),
        platforms: item.platforms.bits().into(),
        shown_on: item.shown_on.bits().into(),
        priority: convert::priority_to_wire(item.priority).into(),
        created_ms: item.created.as_millis(),
        modified_ms: item.modified.as_millis(),
        expires_at_ms: item.expires_at.as_millis(),
        deliver_by_ms: item.deliver_by.as_millis(),
        read: item.read,
        action: convert::action_to_wire(item.action).into(),
        dismissed_through: item.dismissed_through,
        ended: item.ended.map(|ended| convert::ended_to_wire(ended).into()),
        change: item.change.map(change),
        earlier_end_ms: item.earlier_end.map(Timestamp::as_millis),
        fallback: item.fallback.as_ref().map(|fallback| v1::ItemFallback {
            due_ms: fallback.due.as_millis(),
            visual: fallback.content.visual.as_ref().map(convert::visual_to_wire),
        }),
        fetched_by: item.fetched_by.iter().map(|id| id.wire()).collect(),
    }
}

fn item(wire: v1::Item) -> Result<Item, DecodeError> {
    let change = |change: v1::Change| Change {
        at: Offset(change.at),
        origin: change.origin.map(Id128::read),
        elsewhere: change.elsewhere.map(Offset),
    };
    let ended = |number| one_of("item.ended", number, convert::ended_from_wire);
    Ok(Item {
        as_of: Offset(wire.as_of),
        id: Id128::need("item.id", wire.id)?,
        revision: wire.revision,
        posted_at: wire.posted_at.map(Offset),
        revisions: wire.revisions.into_iter().map(Offset).collect(),
        app_notification_id: shared(wire.app_notification_id),
        group: shared(wire.group),
        campaign: shared(wire.campaign),
        content: content(wire.content),
        platforms: mask("item.platforms", wire.platforms)?,
        shown_on: mask("item.shown_on", wire.shown_on)?,
        priority: one_of("item.priority", wire.priority, convert::priority_from_wire)?,
        created: time(wire.created_ms),
        modified: time(wire.modified_ms),
        expires_at: time(wire.expires_at_ms),
        earlier_end: wire.earlier_end_ms.map(time),
        deliver_by: time(wire.deliver_by_ms),
        read: wire.read,
        action: one_of("item.action", wire.action, convert::action_from_wire)?,
        dismissed_through: wire.dismissed_through,
        ended: wire.ended.map(ended).transpose()?,
        change: wire.change.map(change),
        fallback: wire.fallback.map(|wire| ItemFallback {
            due: time(wire.due_ms),
            content: content(Some(v1::Content { visual: wire.visual, raw: None })),
        }),
        fetched_by: wire.fetched_by.into_iter().map(Id128::read).collect(),
    })
}
