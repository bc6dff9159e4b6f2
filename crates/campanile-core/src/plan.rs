//! Who must hear of an event.

use crate::{
    AgendaEntry, Delivery, DeliveryId, DeliveryKind, Due, Endpoint, EndpointId, Event, Item,
    Offset, ParkedDelivery, PlatformMask, Posted, PushStyle, Reach, Recorded, State,
};

/// The deliveries that `record` calls for. `state` is what the event touches, after the event or at
/// any later time: what happened since can only make a delivery unnecessary
/// ([`crate::still_due`]), never necessary.
///
/// - An accepted post is for every endpoint registered at or before it, on its platforms. Whether
///   it was accepted may be forgotten; then it counts as accepted, and its deliveries are not due.
/// - A change, recall or deletion is for every endpoint that may show the item, except the one
///   it was made on.
/// - A parked delivery that came due is for its endpoint.
/// - A redelivery is for its endpoint, whether or not that is there: [`crate::still_due`] says why
///   it is not sent, and that is written down. Of several for the same failure the first counts.
/// - A fallback that came due is for every endpoint on Apple devices that was signalled its revision
///   and has not fetched it.
///
/// Otherwise an endpoint retired before, registered later, of another user or app is never named:
/// it is not in the reach, or its life began later. Neither is one that asked for no pushes.
#[must_use]
pub fn plan(state: &State, record: &Recorded) -> Vec<Delivery> {
    plan_on(PlatformMask::ALL, state, record)
}

/// Those of them that are for `platforms`.
#[must_use]
pub fn plan_on(platforms: PlatformMask, state: &State, record: &Recorded) -> Vec<Delivery> {
    let at = record.position.offset;
    match &record.fact.event {
        Event::NotificationPosted(posted) => show(platforms, state, record, posted),
        Event::StateChanged(change) => tell_others(platforms, state, at, change.origin),
        Event::NotificationDeleted { origin, .. } => tell_others(platforms, state, at, *origin),
        Event::NotificationRecalled { .. } => tell_others(platforms, state, at, None),
        Event::CameDue(AgendaEntry { due: Due::Retry(parked), .. }) => {
            let is_wanted = platforms.contains(parked.platform);
            is_wanted.then(|| again(parked)).into_iter().collect()
        }
        Event::RedeliveryRequested(asked) => {
            let is_repeated = state.request.is_some_and(|known| known.has_taken(at, record.time));
            let is_possible = asked.tells_of <= asked.failed && asked.failed < at;
            let is_first = is_possible && !is_repeated && platforms.contains(asked.platform);
            is_first.then(|| asked.delivery(at)).into_iter().collect()
        }
        Event::CameDue(AgendaEntry { due: Due::Fallback { revision, .. }, .. }) => {
            fall_back(platforms, state, record, *revision)
        }
        Event::CameDue(_)
        | Event::DeliveriesParked(_)
        | Event::ItemFetched { .. }
        | Event::AddressClaimed(_)
        | Event::CampaignRecalled { .. }
        | Event::AllDismissed { .. }
        | Event::SweepAdvanced(_)
        | Event::EndpointRegistered { .. }
        | Event::EndpointRenewed { .. }
        | Event::EndpointRetired { .. } => Vec::new(),
    }
}

fn show(
    platforms: PlatformMask,
    state: &State,
    record: &Recorded,
    posted: &Posted,
) -> Vec<Delivery> {
    let (at, item) = (record.position.offset, state.item.as_deref());
    let is_refused = item.is_some_and(|item| item.has_refused(at))
        || state.request.is_some_and(|request| request.has_taken(at, record.time));
    if is_refused {
        return Vec::new();
    }
    let revision = item.and_then(|item| item.revision_posted_at(at)).unwrap_or_default();
    let wanted = |(_, endpoint): &(&EndpointId, &Endpoint)| {
        endpoint.since < at
            && endpoint.style != PushStyle::None
            && posted.platforms.contains(endpoint.address.platform())
            && platforms.contains(endpoint.address.platform())
    };
    let show = |(id, endpoint): (&EndpointId, &Endpoint)| Delivery {
        id: DeliveryId::new(posted.id, at, *id),
        cause: at,
        tells_of: at,
        item: posted.id,
        endpoint: *id,
        platform: endpoint.address.platform(),
        kind: DeliveryKind::Show { revision },
        attempts: 0,
    };
    state.reach.endpoints.iter().filter(wanted).map(show).collect()
}

fn tell_others(
    platforms: PlatformMask,
    state: &State,
    at: Offset,
    origin: Option<EndpointId>,
) -> Vec<Delivery> {
    let (reach, item): (&Reach, Option<&Item>) = (&state.reach, state.item.as_deref());
    let shown = |item: &Item| item.revisions.iter().rev().find(|posted| **posted < at).copied();
    let Some((item, shown)) = item.and_then(|item| Some((item, shown(item)?))) else {
        return Vec::new();
    };
    // With a later state, a change that had no effect looks like one that is superseded, except
    // to the endpoint on which all later changes were made: to it, nothing was changed elsewhere.
    let has_news =
        |id: &EndpointId| item.last_change_not_from(*id).is_some_and(|changed| changed >= at);
    let may_show = |(id, endpoint): &(&EndpointId, &Endpoint)| {
        endpoint.since < shown
            && endpoint.style != PushStyle::None
            && Some(**id) != origin
            && has_news(id)
            && item.shown_on.contains(endpoint.address.platform())
            && platforms.contains(endpoint.address.platform())
    };
    let sync = |(id, endpoint): (&EndpointId, &Endpoint)| Delivery {
        id: DeliveryId::new(item.id, at, *id),
        cause: at,
        tells_of: at,
        item: item.id,
        endpoint: *id,
        platform: endpoint.address.platform(),
        kind: DeliveryKind::Sync,
        attempts: 0,
    };
    reach.endpoints.iter().filter(may_show).map(sync).collect()
}

/// The cause of the deliveries is the post, which their ids are derived from: coming due is recorded
/// at least once.
/// A registration from afterwards does not tell what the endpoint asked for then, so it does not
/// count: whoever registers has its app running, and fetches.
fn fall_back(
    platforms: PlatformMask,
    state: &State,
    record: &Recorded,
    revision: u32,
) -> Vec<Delivery> {
    let item = state.item.as_deref();
    let item = item.filter(|item| item.revision == revision && item.fallback.is_some());
    let Some((item, posted)) = item.and_then(|item| Some((item, item.posted_at?))) else {
        return Vec::new();
    };
    let waits = |(id, endpoint): &(&EndpointId, &Endpoint)| {
        endpoint.since < posted
            && endpoint.registered_at < record.time
            && endpoint.falls_back()
            && item.platforms.contains(endpoint.address.platform())
            && platforms.contains(endpoint.address.platform())
            && !item.fetched_by.contains(*id)
    };
    let show = |(id, endpoint): (&EndpointId, &Endpoint)| Delivery {
        id: DeliveryId::of_fallback(item.id, posted, *id),
        cause: posted,
        tells_of: posted,
        item: item.id,
        endpoint: *id,
        platform: endpoint.address.platform(),
        kind: DeliveryKind::Fallback { revision },
        attempts: 0,
    };
    state.reach.endpoints.iter().filter(waits).map(show).collect()
}

const fn again(parked: &ParkedDelivery) -> Delivery {
    Delivery {
        id: parked.delivery,
        cause: parked.cause,
        tells_of: parked.tells_of,
        item: parked.item,
        endpoint: parked.endpoint,
        platform: parked.platform,
        kind: parked.kind,
        attempts: parked.attempts,
    }
}
