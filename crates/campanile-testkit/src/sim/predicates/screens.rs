//! G7: what devices show at rest.

use campanile_core::{
    DeliveryKind, Displaced, End, Ended, Endpoint, EndpointId, Event, Item, NotificationId, Offset,
    RetireReason, Settled, Suppression,
};

use crate::sim::clients::Clients;
use crate::sim::director::Skipped;
use crate::sim::past::Past;
use crate::sim::provider::{DeviceNo, Shown};
use crate::sim::roles::Ground;

use super::outcomes::was_skipped;

/// No device shows an item that is handled, deleted, taken back or posted anew.
///
/// Excused is what no worker can change: a clear or a new revision that the provider rejected or
/// that was given up, or that came too late to be sent (an expired item is not cleared: devices
/// know its end); an endpoint that is not one any more; what came while the group's positions
/// were lost; and the device on which the user acted, which is told nothing.
pub(super) fn agree(ground: &Ground, clients: &Clients, past: &Past, skipped: &[Skipped]) {
    let devices = clients.devices();
    for (DeviceNo(at), screen) in ground.provider.screens() {
        let Some(device) = devices.get(at) else { continue };
        let (user, endpoint) = (clients.user_ref(device.user), clients.endpoint(device));
        let reach = past.world.reach(user);
        let Some(registered) = reach.endpoints.get(&endpoint) else { continue };
        for (id, shown) in screen {
            let Some(item) = past.world.item(user, id) else { continue };
            let Some(wrong) = is_wrong(past, &item, shown) else { continue };
            let case = Case { past, skipped, endpoint, registered, id };
            if !case.is_excused(&item) {
                let last = case.last_told();
                let user = device.user;
                let what = format!("device {at} shows {id} of user {user}, {wrong}; {last:?}");
                ground.stage.broken("G7", what);
            }
        }
    }
}

fn is_wrong(past: &Past, item: &Item, shown: Shown) -> Option<&'static str> {
    let planned = past.planned.get(&shown.delivery)?;
    let DeliveryKind::Show { revision } = planned.delivery.kind else { return None };
    // What is not one of the item's revisions was shown before the item was forgotten, long after
    // its end, and began anew.
    item.revision_posted_at(planned.delivery.tells_of)?;
    match item.ended {
        Some(Ended::Deleted) => return Some("which is deleted"),
        Some(Ended::Recalled) => return Some("which is taken back"),
        Some(Ended::Expired) => return None,
        None => {}
    }
    if item.is_handled() {
        return Some("which is handled");
    }
    (revision < item.revision).then_some("of which there is a newer revision")
}

struct Case<'a> {
    past: &'a Past,
    skipped: &'a [Skipped],
    endpoint: EndpointId,
    registered: &'a Endpoint,
    id: NotificationId,
}

impl Case<'_> {
    fn is_excused(&self, item: &Item) -> bool {
        let acted_here = item.change.is_some_and(|change| change.origin == Some(self.endpoint));
        // Shown to an earlier life of the endpoint.
        let first_post = item.revisions.first();
        let was_another = first_post.is_some_and(|first| *first < self.registered.since);
        acted_here || was_another || self.was_skipped() || self.could_not_be_told()
    }

    fn was_skipped(&self) -> bool {
        let planned = self.past.planned.values().filter(|it| it.delivery.item == self.id);
        let mut here = planned.filter(|it| it.delivery.endpoint == self.endpoint);
        here.any(|planned| was_skipped(self.past, planned, self.skipped))
    }

    /// What came of the last that was to be said to the endpoint about the item.
    fn last_told(&self) -> Option<&End> {
        let settled = self.past.receipts.iter().filter(|(_, _, it)| it.item == self.id);
        let settled = settled.flat_map(|(_, _, receipt)| {
            receipt.settled.iter().map(move |settled| (receipt.cause, settled))
        });
        // A redelivery says nothing newer than what it tells of.
        let tells_of = |cause: Offset, settled: &Settled| {
            let planned = self.past.planned.get(&settled.delivery);
            planned.map_or(cause, |planned| planned.delivery.tells_of)
        };
        let here = settled.filter(|(_, settled)| settled.endpoint == self.endpoint);
        here.max_by_key(|(cause, it)| (tells_of(*cause, it), *cause))
            .map(|(_, settled)| &settled.end)
    }

    /// Whether the last that was to be said to the endpoint about the item was not taken.
    fn could_not_be_told(&self) -> bool {
        match self.last_told() {
            Some(End::Suppressed(why)) => {
                matches!(why, Suppression::Expired | Suppression::EndpointGone)
            }
            Some(End::Rejected { .. } | End::AddressGone { .. } | End::GaveUp { .. }) => true,
            Some(End::Accepted { .. }) | None => false,
        }
    }
}

/// G4: a device whose registration was acknowledged, with the token it has, and which nobody
/// retired, is registered: no late verdict on an old address has hit it.
pub(super) fn living_devices_stay(ground: &Ground, clients: &Clients, past: &Past) {
    let now = ground.stage.now();
    for device in clients.devices() {
        let certain = device.registered_until.is_some_and(|until| now < until);
        if !certain || !ground.provider.is_alive(&device.token) {
            continue;
        }
        let reach = past.world.reach(clients.user_ref(device.user));
        let newest = past.events.values().map(|it| it.time).max().unwrap_or_default();
        let lapsed = device.registered_until.is_some_and(|until| until <= newest);
        let endpoint = clients.endpoint(&device);
        // A call that was given up long ago may have come last.
        let moved =
            reach.tombstones.get(&endpoint).map(|it| it.reason) == Some(RetireReason::Moved);
        if !lapsed && !moved && !reach.endpoints.contains_key(&endpoint) {
            let what = format!("{} is alive and not registered", device.installation);
            ground.stage.broken("G4", what);
        }
    }
}

/// G4: of the registrations that claimed an address only the last one may live: a device does not
/// ring for its former user.
pub(super) fn addresses_are_held_once(ground: &Ground, clients: &Clients, past: &Past) {
    let claims = past.events.values().filter_map(|recorded| match &recorded.fact.event {
        Event::AddressClaimed(claim) => Some((recorded.fact.user, claim.by)),
        _ => None,
    });
    for (address, by) in claims {
        let Displaced { user, endpoint, registration } = by;
        let reach = past.world.reach(user);
        let Some(living) = reach.endpoints.get(&endpoint) else { continue };
        let has_it = living.registration == registration
            && clients.key().address(&living.address) == address;
        let holder = past.world.holder(address).map(|holder| holder.by);
        if has_it && holder.is_some_and(|holder| holder.endpoint != endpoint) {
            let what = format!("{endpoint} of {user} still has the address of {holder:?}");
            ground.stage.broken("G4", what);
        }
    }
}
