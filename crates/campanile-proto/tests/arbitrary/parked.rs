//! Arbitrary deliveries that were put off.

use campanile_core::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::{endpoint_id, id, item_id, kind, number, offset, platform, string, time};

pub(super) fn parked() -> impl Strategy<Value = Parked> {
    let why = prop_oneof![
        Just(PutOff::Failed),
        Just(PutOff::Held(HoldReason::Credential)),
        Just(PutOff::Held(HoldReason::Throttled)),
        Just(PutOff::Held(HoldReason::BadAddresses)),
        Just(PutOff::Held(HoldReason::Unreachable)),
        Just(PutOff::Deferred),
    ];
    (item_id(), time(), string(), why, vec(delivery(), 0..4)).prop_map(
        |(item, until, reason, why, deliveries)| {
            let deliveries =
                deliveries.into_iter().map(|parked| ParkedDelivery { item, ..parked }).collect();
            Parked { item, until, reason, why, deliveries }
        },
    )
}

const NOT_SET: NotificationId = NotificationId::from_bytes([0; 16]);

/// Its item is set by whoever holds it.
pub(super) fn delivery() -> impl Strategy<Value = ParkedDelivery> {
    let causes = (offset(), offset());
    let whose = (endpoint_id(), platform(), kind());
    let (id, rest) = (id(DeliveryId::from_bytes), (urgency(), of(trace())));
    (id, causes, whose, number(), rest).prop_map(
        |(delivery, (cause, tells_of), (endpoint, platform, kind), attempts, (urgency, trace))| {
            ParkedDelivery {
                delivery,
                item: NOT_SET,
                cause,
                tells_of,
                endpoint,
                platform,
                kind,
                attempts,
                urgency,
                trace,
            }
        },
    )
}

pub(super) fn urgency() -> impl Strategy<Value = Urgency> {
    prop_oneof![Just(Urgency::Urgent), Just(Urgency::Bulk)]
}

fn trace() -> impl Strategy<Value = TraceContext> {
    // Zero names no trace and no span.
    (1..u128::MAX, 1..u64::MAX, any::<u8>()).prop_map(|(trace, span, flags)| TraceContext {
        trace: trace.to_be_bytes(),
        span: span.to_be_bytes(),
        flags,
    })
}
