//! Receipts.

use bytes::Bytes;
use campanile_core::{End, Offset, Receipt, Settled};
use prost::Message;

use super::field::{Id128, app, narrow, need, one_of, time};
use super::vocabulary::{falls_back, kind, shows_revision};
use super::{DecodeError, SCHEMA_MAJOR, SCHEMA_MINOR, open};
use crate::convert;
use crate::v1;

/// The stored form of `receipt`.
#[must_use]
pub fn encode_receipt(receipt: &Receipt) -> Bytes {
    let wire = v1::Receipt {
        schema_major: SCHEMA_MAJOR,
        schema_minor: SCHEMA_MINOR,
        app: receipt.app.as_str().to_owned(),
        user: Some(receipt.user.wire()),
        cause: receipt.cause.0,
        item: Some(receipt.item.wire()),
        platform: convert::platform_to_wire(receipt.platform).into(),
        settled: receipt.settled.iter().map(settled_to_wire).collect(),
    };
    wire.encode_to_vec().into()
}

/// Reads what [`encode_receipt`] wrote.
///
/// # Errors
/// [`DecodeError`] for anything else.
pub fn decode_receipt(bytes: &Bytes) -> Result<Receipt, DecodeError> {
    let wire: v1::Receipt = open(bytes)?;
    Ok(Receipt {
        app: app("app", &wire.app)?,
        user: Id128::need("user", wire.user)?,
        cause: Offset(wire.cause),
        item: Id128::need("item", wire.item)?,
        platform: one_of("platform", wire.platform, convert::platform_from_wire)?,
        settled: wire.settled.into_iter().map(settled).collect::<Result<_, _>>()?,
    })
}

fn settled_to_wire(settled: &Settled) -> v1::Settled {
    v1::Settled {
        delivery: Some(settled.delivery.wire()),
        endpoint: Some(settled.endpoint.wire()),
        shows_revision: shows_revision(settled.kind),
        falls_back: falls_back(settled.kind),
        attempts: settled.attempts,
        at_ms: settled.at.as_millis(),
        end: Some(end_to_wire(&settled.end)),
    }
}

fn settled(wire: v1::Settled) -> Result<Settled, DecodeError> {
    Ok(Settled {
        delivery: Id128::need("settled.delivery", wire.delivery)?,
        endpoint: Id128::need("settled.endpoint", wire.endpoint)?,
        kind: kind(wire.shows_revision, wire.falls_back),
        attempts: wire.attempts,
        at: time(wire.at_ms),
        end: end(need("settled.end", wire.end)?)?,
    })
}

fn end_to_wire(end: &End) -> v1::settled::End {
    use v1::settled::End as Wire;
    let refused = |status: u16, reason: &String| v1::Refused {
        status: status.into(),
        reason: reason.clone(),
    };
    match end {
        End::Accepted { provider_id } => {
            Wire::Accepted(v1::Accepted { provider_id: provider_id.clone() })
        }
        End::Suppressed(why) => Wire::Suppressed(convert::suppression_to_wire(*why).into()),
        End::Rejected { status, reason } => Wire::Rejected(refused(*status, reason)),
        End::AddressGone { status, reason } => Wire::AddressGone(refused(*status, reason)),
        End::GaveUp { reason } => Wire::GaveUp(v1::GaveUp { reason: reason.clone() }),
    }
}

fn end(wire: v1::settled::End) -> Result<End, DecodeError> {
    use v1::settled::End as Wire;
    let status = |refused: &v1::Refused| narrow("settled.status", refused.status);
    Ok(match wire {
        Wire::Accepted(accepted) => End::Accepted { provider_id: accepted.provider_id },
        Wire::Suppressed(why) => {
            End::Suppressed(one_of("settled.suppressed", why, convert::suppression_from_wire)?)
        }
        Wire::Rejected(refused) => {
            End::Rejected { status: status(&refused)?, reason: refused.reason }
        }
        Wire::AddressGone(refused) => {
            End::AddressGone { status: status(&refused)?, reason: refused.reason }
        }
        Wire::GaveUp(gave_up) => End::GaveUp { reason: gave_up.reason },
    })
}
