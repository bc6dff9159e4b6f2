//! Explanations in the wire's words.

use campanile_core::{
    Convergence, Explanation, Goal, PlannedDelivery, PutOff, RetireReason, Standing, Step,
    Timestamp, What, WhyNot,
};
use campanile_engine::gateway::Explained;
use campanile_engine::telemetry::RouteReading;
use campanile_proto::{convert, v1};

use super::history::{end, event, falls_back, shows};
use super::operations::held;
use super::words;

pub(super) fn outcomes(found: &Explained, routes: &[RouteReading]) -> v1::GetOutcomesResponse {
    let Explained { explanation, complete, .. } = found;
    let delivery = |planned: &PlannedDelivery| {
        let waits_for = waits_for(found, planned, routes);
        v1::PlannedDelivery { waits_for, ..delivery(planned) }
    };
    v1::GetOutcomesResponse {
        deliveries: explanation.deliveries.iter().map(delivery).collect(),
        counts: counts(explanation),
        convergence: explanation.convergence.map(convergence),
        complete: *complete,
    }
}

pub(super) fn explanation(found: &Explained, routes: &[RouteReading]) -> v1::ExplainResponse {
    let Explained { explanation, complete, .. } = found;
    let waiting = |planned: &PlannedDelivery| {
        let hold = Some(waits_for(found, planned, routes)?);
        let delivery = &planned.delivery;
        let platform = convert::platform_to_wire(delivery.platform).into();
        let (delivery_id, endpoint_id) = (delivery.id.to_string(), delivery.endpoint.to_string());
        Some(v1::WaitingDelivery { delivery_id, endpoint_id, platform, hold })
    };
    v1::ExplainResponse {
        waiting: explanation.deliveries.iter().filter_map(waiting).collect(),
        steps: explanation.steps.iter().map(step).collect(),
        counts: counts(explanation),
        convergence: explanation.convergence.map(convergence),
        complete: *complete,
    }
}

/// Why the route of a delivery does not send, if that is what it waits for.
fn waits_for(
    found: &Explained,
    planned: &PlannedDelivery,
    routes: &[RouteReading],
) -> Option<v1::RouteHold> {
    if planned.standing != (Standing::Open { not_due: None }) {
        return None;
    }
    let route = found.routes.get(&planned.delivery.endpoint)?;
    let reading = routes.iter().find(|reading| reading.route == *route)?;
    reading.hold.as_ref().map(held)
}

fn counts(explanation: &Explanation) -> Vec<v1::OutcomeCounts> {
    let wire = |(platform, counts): (_, campanile_core::OutcomeCounts)| v1::OutcomeCounts {
        platform: convert::platform_to_wire(platform).into(),
        planned: counts.planned,
        accepted: counts.accepted,
        rejected: counts.rejected,
        address_gone: counts.address_gone,
        gave_up: counts.gave_up,
        suppressed: counts.suppressed,
        parked: counts.parked,
        deferred: counts.deferred,
        open: counts.open,
    };
    explanation.counts().into_iter().map(wire).collect()
}

const fn convergence(found: Convergence) -> v1::Convergence {
    let shows_revision = match found.goal {
        Goal::Show { revision } => Some(revision),
        Goal::Clear => None,
    };
    let Convergence { total, reached, parked, deferred, open, failed, .. } = found;
    v1::Convergence { shows_revision, total, reached, parked, deferred, open, failed }
}

fn delivery(planned: &PlannedDelivery) -> v1::PlannedDelivery {
    let (mut at, mut outcome, mut parked, mut not_due) = (None, None, None, None);
    match &planned.standing {
        Standing::Open { not_due: why } => not_due = why.map(convert::suppression_to_wire),
        Standing::Parked { until, reason, why } => {
            parked = Some(parking(*until, reason, *why, planned.delivery.attempts));
        }
        Standing::Ended { at: ended, end: how } => {
            (at, outcome) = (Some(words::instant(*ended)), Some(end(how)));
        }
    }
    let delivery = &planned.delivery;
    v1::PlannedDelivery {
        platform: convert::platform_to_wire(delivery.platform).into(),
        cause: delivery.cause.0,
        tells_of: delivery.is_redelivery().then_some(delivery.tells_of.0),
        planned_at: planned.planned_at.map(words::instant),
        delivery: Some(v1::DeliveryOutcome {
            delivery_id: delivery.id.to_string(),
            endpoint_id: delivery.endpoint.to_string(),
            shows_revision: shows(delivery.kind),
            falls_back: falls_back(delivery.kind),
            attempts: delivery.attempts,
            at,
            outcome,
        }),
        parked,
        not_due: not_due.unwrap_or_default().into(),
        waits_for: None,
    }
}

fn step(step: &Step) -> v1::ExplainStep {
    use v1::explain_step::Step as Wire;
    let endpoint_id = step.endpoint.map(|id| id.to_string()).unwrap_or_default();
    let purpose =
        |kind| v1::DeliveryPurpose { shows_revision: shows(kind), falls_back: falls_back(kind) };
    let what = match &step.what {
        What::Happened { event: it, verdict, changed } => {
            Wire::Happened(event(it, *verdict, *changed))
        }
        What::Planned(kind) => Wire::Planned(purpose(*kind)),
        What::NotPlanned(why) => Wire::NotPlanned(not_planned(*why)),
        What::Parked { until, reason, why, attempts } => {
            Wire::Parked(parking(*until, reason, *why, *attempts))
        }
        What::CameDue(kind) => Wire::CameDue(purpose(*kind)),
        What::Ended { delivery, kind, attempts, end: how } => Wire::Ended(v1::DeliveryOutcome {
            delivery_id: delivery.to_string(),
            endpoint_id: endpoint_id.clone(),
            shows_revision: shows(*kind),
            falls_back: falls_back(*kind),
            attempts: *attempts,
            at: Some(words::instant(step.time)),
            outcome: Some(end(how)),
        }),
    };
    let (time, cause) = (Some(words::instant(step.time)), step.cause.0);
    v1::ExplainStep { time, cause, endpoint_id, step: Some(what) }
}

fn parking(until: Timestamp, reason: &str, why: PutOff, attempts: u32) -> v1::Parking {
    let hold = match why {
        PutOff::Held(hold) => convert::hold_to_wire(hold).into(),
        PutOff::Failed | PutOff::Deferred => v1::HoldReason::Unspecified.into(),
    };
    let (until, reason) = (Some(words::instant(until)), reason.to_owned());
    v1::Parking { until, reason, hold, attempts, deferred: why == PutOff::Deferred }
}

fn not_planned(why: WhyNot) -> v1::NotPlanned {
    use v1::WhyNotPlanned as Wire;
    let why_wire = match why {
        WhyNot::RegisteredLater => Wire::RegisteredLater,
        WhyNot::Retired(_) => Wire::Retired,
        WhyNot::OtherPlatform => Wire::OtherPlatform,
        WhyNot::Origin => Wire::Origin,
        WhyNot::NeverShown => Wire::NeverShown,
        WhyNot::Repeated => Wire::RepeatedRequest,
        WhyNot::Conflicted => Wire::ConflictingRequest,
        WhyNot::NothingNew => Wire::NothingNew,
        WhyNot::NoPush => Wire::NoPush,
        WhyNot::Fetched => Wire::Fetched,
    };
    let reason: Option<RetireReason> = match why {
        WhyNot::Retired(reason) => reason,
        _ => None,
    };
    let retired = reason.map(convert::retire_to_wire).unwrap_or_default().into();
    v1::NotPlanned { why: why_wire.into(), retired }
}
