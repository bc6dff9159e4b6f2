//! Tells records the new offsets of what they refer to, when a log is copied to other partitions.
//!
//! A delivery's id is derived from the offset of its cause, so it is derived again: a worker that
//! finds a delivery put off or ended in the copy must know it for its own.

use bytes::Bytes;
use campanile_core::port::Stream;
use campanile_core::{
    AgendaEntry, DeliveryId, Due, EndpointId, Event, Fact, NotificationId, Offset, Parked,
    ParkedDelivery, Receipt, Redelivery, Settled, Sweep, SweepStep,
};
use campanile_proto::codec::{
    DecodeError, decode_fact, decode_receipt, encode_fact, encode_receipt,
};

/// The record that `body` becomes where every offset `old` is `new(old)`; `None` if it refers to
/// none.
///
/// # Errors
/// [`DecodeError`] if the record cannot be understood.
pub fn renumbered(
    stream: Stream,
    body: &Bytes,
    new: &dyn Fn(Offset) -> Offset,
) -> Result<Option<Bytes>, DecodeError> {
    match stream {
        Stream::Events => {
            let fact = decode_fact(body)?;
            let changed = event(&fact.event, new);
            Ok(changed.map(|event| encode_fact(&Fact { event, ..fact })))
        }
        Stream::Receipts => Ok(Some(encode_receipt(&receipt(decode_receipt(body)?, new)))),
    }
}

/// Every event is named here, so that a new one that refers to others cannot be forgotten.
fn event(event: &Event, new: &dyn Fn(Offset) -> Offset) -> Option<Event> {
    match event {
        Event::DeliveriesParked(parked) => {
            let deliveries = parked.deliveries.iter().map(|it| delivery(*it, new)).collect();
            Some(Event::DeliveriesParked(Parked { deliveries, ..parked.clone() }))
        }
        Event::CameDue(AgendaEntry { at, due: Due::Retry(parked) }) => {
            let due = Due::Retry(delivery(*parked, new));
            Some(Event::CameDue(AgendaEntry { at: *at, due }))
        }
        Event::RedeliveryRequested(it) => {
            let (failed, tells_of) = (new(it.failed), new(it.tells_of));
            Some(Event::RedeliveryRequested(Redelivery { failed, tells_of, ..*it }))
        }
        // A cursor is between records of all users, who are apart now: one that is not carried out
        // means nothing any more, rather than too much.
        Event::AllDismissed { origin, .. } => {
            Some(Event::AllDismissed { up_to: Offset(0), origin: *origin })
        }
        // What is under way begins again: of items that have their event nothing is left to do.
        Event::SweepAdvanced(SweepStep { at, sweep, next }) => {
            let sweep = Sweep { event: new(sweep.event), from: Offset(0) };
            let next = next.map(|_| Offset(0));
            Some(Event::SweepAdvanced(SweepStep { at: *at, sweep, next }))
        }
        Event::CameDue(AgendaEntry {
            due:
                Due::Expire { .. }
                | Due::Lapse { .. }
                | Due::Sweep(_)
                | Due::Displace(_)
                | Due::Fallback { .. },
            ..
        })
        | Event::EndpointRegistered { .. }
        | Event::EndpointRenewed { .. }
        | Event::EndpointRetired { .. }
        | Event::AddressClaimed(_)
        | Event::NotificationPosted(_)
        | Event::NotificationRecalled { .. }
        | Event::CampaignRecalled { .. }
        | Event::StateChanged(_)
        | Event::ItemFetched { .. }
        | Event::NotificationDeleted { .. } => None,
    }
}

fn delivery(parked: ParkedDelivery, new: &dyn Fn(Offset) -> Offset) -> ParkedDelivery {
    let ParkedDelivery { delivery, item, cause, tells_of, endpoint, .. } = parked;
    let (now, tells_of) = (new(cause), new(tells_of));
    let delivery = id(delivery, item, (cause, now), endpoint);
    ParkedDelivery { delivery, cause: now, tells_of, ..parked }
}

fn receipt(receipt: Receipt, new: &dyn Fn(Offset) -> Offset) -> Receipt {
    let (item, was, now) = (receipt.item, receipt.cause, new(receipt.cause));
    let settled = receipt.settled.into_iter().map(|settled| {
        let delivery = id(settled.delivery, item, (was, now), settled.endpoint);
        Settled { delivery, ..settled }
    });
    Receipt { cause: now, settled: settled.collect(), ..receipt }
}

/// The id of a delivery whose cause moved. One that is not derived from its cause stays.
fn id(
    known: DeliveryId,
    item: NotificationId,
    (was, now): (Offset, Offset),
    endpoint: EndpointId,
) -> DeliveryId {
    if known == DeliveryId::new(item, was, endpoint) {
        DeliveryId::new(item, now, endpoint)
    } else if known == DeliveryId::of_fallback(item, was, endpoint) {
        DeliveryId::of_fallback(item, now, endpoint)
    } else {
        known
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use campanile_core::{AppId, DeliveryKind, Platform, PutOff, Timestamp, Urgency, UserRef};

    use super::*;

    const ITEM: NotificationId = NotificationId::from_bytes([1; 16]);
    const ENDPOINT: EndpointId = EndpointId::from_bytes([2; 16]);

    fn parked(cause: u64) -> ParkedDelivery {
        ParkedDelivery {
            delivery: DeliveryId::new(ITEM, Offset(cause), ENDPOINT),
            item: ITEM,
            cause: Offset(cause),
            tells_of: Offset(cause),
            endpoint: ENDPOINT,
            platform: Platform::Apns,
            kind: DeliveryKind::Sync,
            attempts: 3,
            urgency: Urgency::Urgent,
            trace: None,
        }
    }

    fn fact(event: Event) -> Bytes {
        let (app, user) = (AppId::new("app").unwrap(), UserRef::from_bytes([3; 16]));
        encode_fact(&Fact { app, user, cause: None, event })
    }

    fn moved(event: Event) -> Option<Event> {
        let body = renumbered(Stream::Events, &fact(event), &|old| Offset(old.0 + 10));
        body.unwrap().map(|body| decode_fact(&body).unwrap().event)
    }

    #[test]
    fn a_parked_delivery_is_what_the_worker_plans_in_the_copy() {
        let entry = |cause| AgendaEntry { at: Timestamp::ZERO, due: Due::Retry(parked(cause)) };
        assert_eq!(moved(Event::CameDue(entry(5))), Some(Event::CameDue(entry(15))));
        let event = |cause| {
            Event::DeliveriesParked(Parked {
                item: ITEM,
                until: Timestamp::ZERO,
                reason: "busy".into(),
                why: PutOff::Failed,
                deliveries: vec![parked(cause)],
            })
        };
        assert_eq!(moved(event(5)), Some(event(15)));
        let again = |failed: u64, tells_of: u64| {
            Event::RedeliveryRequested(Redelivery {
                item: ITEM,
                endpoint: ENDPOINT,
                platform: Platform::Apns,
                kind: DeliveryKind::Sync,
                failed: Offset(failed),
                tells_of: Offset(tells_of),
                urgency: Urgency::Bulk,
            })
        };
        assert_eq!(moved(again(7, 5)), Some(again(17, 15)));
        assert_eq!(moved(Event::NotificationRecalled { id: ITEM, revision: None }), None);
    }

    #[test]
    fn what_cannot_be_understood_is_an_error() {
        assert!(renumbered(Stream::Events, &Bytes::from_static(b"?"), &|old| old).is_err());
    }
}
