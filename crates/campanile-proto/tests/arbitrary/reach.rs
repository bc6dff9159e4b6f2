//! Any reach.

use campanile_core::*;
use proptest::collection::btree_map;
use proptest::prelude::*;

use super::{address, endpoint_id, offset, registration_id, retire_reason, style, time};

pub(super) fn reach() -> impl Strategy<Value = Reach> {
    let endpoint = (registration_id(), address(), style(), offset(), time(), time()).prop_map(
        |(registration, address, style, since, registered_at, lease_until)| Endpoint {
            registration,
            address,
            style,
            since,
            registered_at,
            lease_until,
        },
    );
    let tombstone = (registration_id(), offset(), time(), retire_reason())
        .prop_map(|(registration, at, time, reason)| Tombstone { registration, at, time, reason });
    let endpoints = btree_map(endpoint_id(), endpoint, 0..4);
    (offset(), endpoints, btree_map(endpoint_id(), tombstone, 0..4))
        .prop_map(|(as_of, endpoints, tombstones)| Reach { as_of, endpoints, tombstones })
}
