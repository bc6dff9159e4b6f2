//! G3, G4, G7 and G8, as far as attempts tell.

use std::collections::{BTreeMap, BTreeSet};

use campanile_core::{
    DeliveryId, DeliveryKind, Endpoint, Event, Item, Offset, Priority, PushStyle, Route, Timestamp,
    Urgency, UserRef,
};

use super::silence;
use crate::sim::past::{Past, Planned};
use crate::sim::provider::{Attempt, Said};
use crate::sim::roles::Ground;

/// Attempts by delivery, in order of time.
fn by_delivery(attempts: &[Attempt]) -> BTreeMap<DeliveryId, Vec<&Attempt>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for attempt in attempts {
        found.entry(attempt.delivery).or_default().push(attempt);
    }
    found
}

/// G3: the deliveries of a user's events are first attempted in log order, route by route, as far as
/// they are equally urgent: by their post, and by the event that called for them, because what
/// somebody asks for again is urgent where its post is left for later (ADR 18).
///
/// Four things put a delivery behind later ones, and all are promised: deliveries of one item to
/// one endpoint wait for each other; so do changes for a device that was told of others silently just
/// before; what is put off (parked) gives way; and a route that was in
/// trouble starts again with what comes next, while what met the trouble is put off. So nothing
/// is said of deliveries that were parked, or whose lane was busy, or of routes after their first
/// trouble. Nor of deliveries whose end the wall clock has once passed: a worker may have taken
/// one for over, and stopped before that was written down; if the clock then went back, the next
/// worker rightly sends it.
pub(super) fn in_order(ground: &Ground, past: &Past, attempts: &[Attempt]) {
    let troubled = ground.provider.troubled();
    let mut last: BTreeMap<(UserRef, Route, Priority, Urgency), &Attempt> = BTreeMap::new();
    let mut met: BTreeSet<DeliveryId> = BTreeSet::new();
    for attempt in attempts {
        if !met.insert(attempt.delivery) {
            continue;
        }
        let Some(planned) = past.planned.get(&attempt.delivery) else { continue };
        if troubled.get(&attempt.route).is_some_and(|since| *since <= attempt.started) {
            continue;
        }
        let urgency = past.urgency(planned.partition, planned.delivery.cause);
        let key = (planned.user, attempt.route.clone(), past.priority(planned), urgency);
        let late = last.get(&key).filter(|before| before.cause > attempt.cause);
        match late {
            Some(before) => {
                let waited = past.parked.contains(&attempt.delivery)
                    || lane_was_busy(past, attempts, planned, attempt)
                    || silence::may_have_waited(past, attempts, planned, attempt)
                    || (attempt.latest > attempt.at && seemed_over(past, planned, attempt.latest));
                if !waited {
                    let what = format!(
                        "{} of {} was first sent after {} of {}",
                        attempt.delivery, attempt.cause, before.delivery, before.cause
                    );
                    ground.stage.broken("G3", what);
                }
            }
            None => drop(last.insert(key, attempt)),
        }
    }
}

/// Whether the time of a delivery was over at `latest`, the latest the wall clock had been.
fn seemed_over(past: &Past, planned: &Planned, latest: Timestamp) -> bool {
    let delivery = &planned.delivery;
    past.events.values().any(|recorded| match &recorded.fact.event {
        Event::NotificationPosted(posted) => {
            posted.id == delivery.item && posted.deliver_by <= latest
        }
        Event::EndpointRegistered { endpoint, lease_until, .. }
        | Event::EndpointRenewed { endpoint, lease_until, .. } => {
            *endpoint == delivery.endpoint && *lease_until <= latest
        }
        _ => false,
    })
}

/// Whether another delivery of the same item to the same endpoint was under way before.
fn lane_was_busy(past: &Past, attempts: &[Attempt], planned: &Planned, late: &Attempt) -> bool {
    attempts.iter().take_while(|it| it.started <= late.started).any(|other| {
        let same_lane = past.planned.get(&other.delivery).is_some_and(|it| {
            it.delivery.item == planned.delivery.item
                && it.delivery.endpoint == planned.delivery.endpoint
        });
        same_lane && other.delivery != late.delivery && other.cause < late.cause
    })
}

/// G4: every attempt is of a delivery that its event calls for: the endpoint was registered at or
/// before it and is not the one the change was made on.
pub(super) fn called_for(ground: &Ground, past: &Past, attempts: &[Attempt]) {
    for attempt in attempts {
        let planned = past.planned.get(&attempt.delivery);
        if planned.is_none_or(|planned| planned.delivery.cause != attempt.cause) {
            let (delivery, cause) = (attempt.delivery, attempt.cause);
            let what = format!("{delivery} of {}/{cause} is not called for", attempt.partition);
            ground.stage.broken("G4", what);
        }
    }
}

/// G4: a delivery that was accepted is sent again only if there was a crash or a rebalance since it
/// was first sent: a worker that was told once does not send it again, however often it is on the
/// agenda. And never once the progress that is stored says that it is finished.
pub(super) fn repeated_for_a_reason(ground: &Ground, past: &Past, attempts: &[Attempt]) {
    for (delivery, attempts) in by_delivery(attempts) {
        let accepted = attempts.iter().find(|it| it.is_accepted);
        for attempt in &attempts {
            let again = accepted.filter(|first| first.started < attempt.started);
            if let Some(first) = again {
                ground.stage.reach("delivery repeated");
                if !ground.stage.was_disturbed(first.started, attempt.started) {
                    ground.stage.broken("G4", format!("{delivery} was repeated for no reason"));
                }
            }
            let due = past.came_due.get(&delivery).into_iter().flatten();
            let mut records = due.copied().chain([attempt.cause]);
            let progress = attempt.progress.as_ref();
            let is_over = progress.is_some_and(|it| {
                records.all(|at| {
                    let urgency = past.urgency(attempt.partition, at);
                    it.is_finished_for(&attempt.route, urgency, at)
                })
            });
            if is_over {
                let what = format!("{delivery} was sent although it is stored as finished");
                ground.stage.broken("G4", what);
            }
        }
    }
}

/// G8: nothing is sent past its end, by the clock that the worker has.
pub(super) fn not_past_the_end(ground: &Ground, attempts: &[Attempt]) {
    for attempt in attempts.iter().filter(|it| it.at >= it.expires_at) {
        ground.stage.broken("G8", format!("{} was sent past its end", attempt.delivery));
    }
}

/// No push to an endpoint says more than the endpoint asked for, as far as the worker has read: of
/// what a signal's platform would get to see, nothing reaches it.
pub(super) fn not_more_than_asked_for(ground: &Ground, past: &Past, attempts: &[Attempt]) {
    for attempt in attempts {
        let Some(planned) = past.planned.get(&attempt.delivery) else { continue };
        let is_consumed = |at: Offset| {
            attempt.progress.as_ref().is_some_and(|it| it.is_finished(at))
                || attempt.seen.is_some_and(|seen| at <= seen)
        };
        let reaches = past.reaches(planned.user);
        let known = reaches.iter().rposition(|(at, _)| is_consumed(*at) || *at < attempt.cause);
        let known = known.and_then(|known| reaches.get(known..)).unwrap_or_default();
        let endpoint = planned.delivery.endpoint;
        let living = known.iter().filter_map(|(_, reach)| reach.endpoints.get(&endpoint));
        if matches!(planned.delivery.kind, DeliveryKind::Fallback { .. }) {
            ground.stage.reach("fallback shown");
            continue;
        }
        let allows = |endpoint: &Endpoint| match endpoint.style {
            PushStyle::Payload => attempt.said != Said::Signal,
            PushStyle::Signal => attempt.said == Said::Signal,
            PushStyle::None => false,
        };
        // A worker may know more than is told here: that it asked for something else since.
        if !living.clone().any(allows) {
            let style = living.map(|endpoint| endpoint.style).next();
            let what = format!("{} says {:?} to {style:?}", attempt.delivery, attempt.said);
            ground.stage.broken("G4", what);
        }
        if attempt.said == Said::Signal {
            ground.stage.reach("signalled");
        }
    }
}

/// G7 and G4: no attempt starts that something the worker has consumed makes unnecessary: that
/// the item was handled, taken back, deleted or posted again, or that the endpoint is gone.
///
/// What a worker has consumed is told by the stored progress of the group, and by what the same
/// worker sent before: whoever sent for an event has folded all before it.
pub(super) fn not_after_what_is_known(ground: &Ground, past: &Past, attempts: &[Attempt]) {
    for attempt in attempts {
        let Some(planned) = past.planned.get(&attempt.delivery) else { continue };
        let (user, endpoint) = (planned.user, planned.delivery.endpoint);
        let is_consumed = |at: Offset| {
            attempt.progress.as_ref().is_some_and(|it| it.is_finished(at))
                || attempt.seen.is_some_and(|seen| at <= seen)
        };
        let states = past.states(user, attempt.item);
        let known = states.iter().rposition(|(at, _)| is_consumed(*at) || *at <= attempt.cause);
        let shows = planned.delivery.kind.shows();
        let falls_back = matches!(planned.delivery.kind, DeliveryKind::Fallback { .. });
        let known = known.filter(|_| shows).and_then(|known| states.get(known..));
        let is_over = |item: &Item| {
            let is_old = item.posted_at.is_some_and(|it| it > planned.delivery.tells_of);
            let has_it = falls_back && item.fetched_by.contains(&endpoint);
            item.is_handled() || item.ended.is_some() || is_old || has_it
        };
        // A worker may know more than is told here: that it is unhandled again.
        if known.is_some_and(|known| known.iter().all(|(_, item)| is_over(item))) {
            let at = known.and_then(<[_]>::first).map(|(at, _)| *at);
            let what = format!("{} was shown in spite of {at:?}", attempt.delivery);
            ground.stage.broken("G7", what);
        }
        let mut reaches = past.reaches(user).iter();
        let known = reaches.rfind(|(at, _)| is_consumed(*at) || *at < attempt.cause);
        let found = known.and_then(|(_, reach)| reach.endpoints.get(&endpoint));
        if found.is_none_or(|endpoint| endpoint.since > attempt.cause) {
            let what = format!("{} went to an endpoint that is gone", attempt.delivery);
            ground.stage.broken("G4", what);
        }
    }
}
