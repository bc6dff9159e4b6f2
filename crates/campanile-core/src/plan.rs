//! Who must hear of an event.

use crate::{
    AgendaEntry, Delivery, DeliveryId, DeliveryKind, Due, Endpoint, EndpointId, Event, Item,
    ParkedDelivery, Position, Reach,
};

/// The deliveries that the event recorded at `position` calls for. `reach` and `item` are the
/// user's state after the event, or any later state: what happened since can only make a delivery
/// unnecessary ([`crate::still_due`]), never necessary.
///
/// - An accepted post is for every endpoint registered at or before it, on its platforms.
/// - A change, recall or deletion is for every endpoint that may show the item, except the one
///   it was made on.
/// - A parked delivery that came due is for its endpoint.
///
/// An endpoint retired before, registered later, of another user or app is never named: it is not
/// in `reach`, or its life began later.
#[must_use]
pub fn plan(
    reach: &Reach,
    item: Option<&Item>,
    position: Position,
    event: &Event,
) -> Vec<Delivery> {
    let at = position.offset;
    let Some(item) = item else { return Vec::new() };
    match event {
        Event::NotificationPosted(posted) => {
            let Some(revision) = item.revision_posted_at(at) else { return Vec::new() };
            let wanted = |(_, endpoint): &(&EndpointId, &Endpoint)| {
                endpoint.since < at && posted.platforms.contains(endpoint.address.platform())
            };
            let show = |(id, endpoint): (&EndpointId, &Endpoint)| Delivery {
                id: DeliveryId::of_revision(item.id, revision, *id),
                cause: at,
                item: item.id,
                endpoint: *id,
                platform: endpoint.address.platform(),
                kind: DeliveryKind::Show { revision },
                attempts: 0,
            };
            reach.endpoints.iter().filter(wanted).map(show).collect()
        }
        Event::StateChanged(change) => tell_others(reach, item, position, change.origin),
        Event::NotificationDeleted { origin, .. } => tell_others(reach, item, position, *origin),
        Event::NotificationRecalled { .. } => tell_others(reach, item, position, None),
        Event::CameDue(AgendaEntry { due: Due::Retry(parked), .. }) => vec![again(parked)],
        Event::CameDue(_)
        | Event::DeliveriesParked(_)
        | Event::EndpointRegistered { .. }
        | Event::EndpointRenewed { .. }
        | Event::EndpointRetired { .. } => Vec::new(),
    }
}

fn tell_others(
    reach: &Reach,
    item: &Item,
    position: Position,
    origin: Option<EndpointId>,
) -> Vec<Delivery> {
    let at = position.offset;
    let Some(shown) = item.revisions.iter().rev().find(|posted| **posted < at) else {
        return Vec::new();
    };
    // With a later state, a change that had no effect looks like one that is superseded, except
    // to the endpoint on which all later changes were made: to it, nothing was changed elsewhere.
    let has_news =
        |id: &EndpointId| item.last_change_not_from(*id).is_some_and(|changed| changed >= at);
    let may_show = |(id, endpoint): &(&EndpointId, &Endpoint)| {
        endpoint.since < *shown
            && Some(**id) != origin
            && has_news(id)
            && item.shown_on.contains(endpoint.address.platform())
    };
    let sync = |(id, endpoint): (&EndpointId, &Endpoint)| Delivery {
        id: DeliveryId::of_change(item.id, at, *id),
        cause: at,
        item: item.id,
        endpoint: *id,
        platform: endpoint.address.platform(),
        kind: DeliveryKind::Sync,
        attempts: 0,
    };
    reach.endpoints.iter().filter(may_show).map(sync).collect()
}

const fn again(parked: &ParkedDelivery) -> Delivery {
    Delivery {
        id: parked.delivery,
        cause: parked.cause,
        item: parked.item,
        endpoint: parked.endpoint,
        platform: parked.platform,
        kind: parked.kind,
        attempts: parked.attempts,
    }
}
