//! For operators and support: what happened, and what was known when.

use std::fmt;
use std::sync::Arc;

use campanile_core::{
    AgendaEntry, DeliveryKind, Due, End, Event, Parked, PostVerdict, Posted, PutOff, Receipt,
    Settled, StateChange,
};
use campanile_engine::gateway::{Gateway, TimelineEntry};
use campanile_proto::convert::{self, Violation};
use campanile_proto::v1;
use campanile_proto::v1::history_server::History as Service;
use tonic::{Request, Response, Status};

use super::{RouteReadings, explain, words};
use crate::context::context;
use crate::status::status;

/// The service.
pub(crate) struct History {
    gateway: Arc<Gateway>,
    routes: RouteReadings,
}

impl History {
    pub(crate) const fn new(gateway: Arc<Gateway>, routes: RouteReadings) -> Self {
        Self { gateway, routes }
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl Service for History {
    async fn get_timeline(
        &self,
        request: Request<v1::GetTimelineRequest>,
    ) -> Result<Response<v1::GetTimelineResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::GetTimelineRequest { target, notification_id: id, .. } = request.into_inner();
        let target = words::target(target).map_err(status)?;
        let id = convert::notification_id("notification_id", &id).map_err(status)?;
        let timeline = self.gateway.timeline(&context, &target, id).await.map_err(status)?;
        let entries = timeline.entries.iter().map(entry).collect();
        let complete = timeline.complete;
        Ok(Response::new(v1::GetTimelineResponse { entries, complete }))
    }

    async fn get_state_at(
        &self,
        request: Request<v1::GetStateAtRequest>,
    ) -> Result<Response<v1::GetStateAtResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::GetStateAtRequest { target, notification_id: id, at, .. } = request.into_inner();
        let target = words::target(target).map_err(status)?;
        let id = convert::notification_id("notification_id", &id).map_err(status)?;
        let at = at.ok_or_else(|| Violation::new("at", "is missing"));
        let at = at.and_then(|at| convert::instant("at", &at)).map_err(status)?;
        let state = self.gateway.state_at(&context, &target, id, at).await.map_err(status)?;
        let item = state.item.as_deref().map(words::item);
        Ok(Response::new(v1::GetStateAtResponse { item, complete: state.complete }))
    }

    async fn get_outcomes(
        &self,
        request: Request<v1::GetOutcomesRequest>,
    ) -> Result<Response<v1::GetOutcomesResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::GetOutcomesRequest { target, notification_id: id, .. } = request.into_inner();
        let target = words::target(target).map_err(status)?;
        let id = convert::notification_id("notification_id", &id).map_err(status)?;
        let found = self.gateway.explain(&context, &target, id, None).await.map_err(status)?;
        Ok(Response::new(explain::outcomes(&found, &(self.routes)())))
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::ExplainRequest { target, notification_id: id, endpoint_id, .. } =
            request.into_inner();
        let target = words::target(target).map_err(status)?;
        let id = convert::notification_id("notification_id", &id).map_err(status)?;
        let endpoint = (!endpoint_id.is_empty())
            .then(|| convert::endpoint_id("endpoint_id", &endpoint_id))
            .transpose()
            .map_err(status)?;
        let found = self.gateway.explain(&context, &target, id, endpoint).await.map_err(status)?;
        Ok(Response::new(explain::explanation(&found, &(self.routes)())))
    }
}

fn entry(entry: &TimelineEntry) -> v1::TimelineEntry {
    use v1::timeline_entry::Entry;
    match entry {
        TimelineEntry::Event { recorded, verdict, changed } => v1::TimelineEntry {
            time: Some(words::instant(recorded.time)),
            position: Some(words::position(recorded.position)),
            trace: recorded.fact.cause.as_deref().unwrap_or_default().to_owned(),
            entry: Some(Entry::Event(event(&recorded.fact.event, *verdict, *changed))),
        },
        TimelineEntry::Receipt { position, time, receipt } => v1::TimelineEntry {
            time: Some(words::instant(*time)),
            position: Some(words::position(*position)),
            trace: String::new(),
            entry: Some(Entry::Receipt(outcomes(receipt))),
        },
    }
}

pub(super) fn event(
    event: &Event,
    verdict: Option<PostVerdict>,
    changed: bool,
) -> v1::TimelineEvent {
    let origin = match event {
        Event::StateChanged(change) => change.origin,
        Event::NotificationDeleted { origin, .. } => *origin,
        Event::ItemFetched { endpoint, .. } => Some(*endpoint),
        _ => None,
    };
    let verdict = verdict.map_or(v1::PostVerdict::Unspecified, convert::verdict_to_wire);
    v1::TimelineEvent {
        name: event.name().to_owned(),
        summary: summary(event),
        origin: origin.map(|id| id.to_string()).unwrap_or_default(),
        verdict: verdict.into(),
        changed,
    }
}

/// What an event says, without what it says to the user: timelines are read by others.
fn summary(event: &Event) -> String {
    match event {
        Event::NotificationPosted(Posted { priority, expires_at, deliver_by, .. }) => {
            let priority = match priority {
                campanile_core::Priority::Low => "low",
                campanile_core::Priority::Normal => "normal",
                campanile_core::Priority::High => "high",
            };
            format!("{priority} priority, pushed until {deliver_by}, vanishes at {expires_at}")
        }
        Event::StateChanged(change) => change_summary(change),
        Event::DeliveriesParked(Parked { until, why: PutOff::Deferred, deliveries, .. }) => {
            format!("told at {until}, because silent pushes are limited: {}", deliveries.len())
        }
        Event::DeliveriesParked(Parked { until, reason, deliveries, .. }) => {
            format!("{} deliveries wait until {until}: {reason}", deliveries.len())
        }
        Event::CameDue(AgendaEntry { at, due }) => match due {
            Due::Expire { revision, .. } => format!("end of revision {revision}, due at {at}"),
            Due::Lapse { endpoint, .. } => format!("lease of {endpoint}, due at {at}"),
            Due::Retry(parked) => {
                format!(
                    "delivery to {} after {} attempts, due at {at}",
                    parked.endpoint, parked.attempts
                )
            }
            Due::Fallback { revision, .. } => {
                format!("fallback of revision {revision}, due at {at}")
            }
            Due::Displace(who) => format!("{} lost its address", who.endpoint),
            Due::Sweep(sweep) => format!("sweep of {}", sweep.event),
        },
        Event::RedeliveryRequested(again) => {
            let kind = match again.kind {
                DeliveryKind::Show { revision } => format!("show of revision {revision}"),
                DeliveryKind::Fallback { revision } => format!("fallback of revision {revision}"),
                DeliveryKind::Sync => "sync".to_owned(),
            };
            format!("{kind} to {}, which failed after {}", again.endpoint, again.failed)
        }
        Event::NotificationRecalled { revision, .. } => {
            revision.map_or_else(String::new, |revision| format!("revision {revision}"))
        }
        Event::NotificationDeleted { .. } => String::new(),
        Event::ItemFetched { revision, endpoint, .. } => {
            format!("revision {revision} by {endpoint}")
        }
        Event::CampaignRecalled { campaign } => format!("everything of {campaign}"),
        Event::AllDismissed { up_to, .. } => format!("everything posted before {up_to}"),
        Event::AddressClaimed(claim) => format!("by {}", claim.by.endpoint),
        Event::SweepAdvanced(step) => match step.next {
            Some(next) => format!("the sweep of {} goes on from {next}", step.sweep.event),
            None => format!("the sweep of {} is carried out", step.sweep.event),
        },
        Event::EndpointRegistered { endpoint, lease_until, style, .. } => {
            format!("{endpoint} until {lease_until}, push style {}", style.name())
        }
        Event::EndpointRenewed { endpoint, lease_until, .. } => {
            format!("{endpoint} until {lease_until}")
        }
        Event::EndpointRetired { endpoint, reason, .. } => {
            format!("{endpoint}: {}", reason.name())
        }
    }
}

fn change_summary(change: &StateChange) -> String {
    use campanile_core::UserAction;
    let read = change.read.map(|read| if read { "read" } else { "unread" });
    let action = change.action.map(|action| match action {
        UserAction::None => "no action",
        UserAction::Activated => "activated",
        UserAction::Dismissed => "dismissed",
        UserAction::Snoozed => "snoozed",
    });
    let revision = change.revision.map(|revision| format!("revision {revision}"));
    let said = [revision.as_deref(), read, action];
    said.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn outcomes(receipt: &Receipt) -> v1::TimelineReceipt {
    v1::TimelineReceipt {
        platform: convert::platform_to_wire(receipt.platform).into(),
        cause: receipt.cause.0,
        deliveries: receipt.settled.iter().map(outcome).collect(),
    }
}

pub(super) fn outcome(settled: &Settled) -> v1::DeliveryOutcome {
    v1::DeliveryOutcome {
        delivery_id: settled.delivery.to_string(),
        endpoint_id: settled.endpoint.to_string(),
        shows_revision: shows(settled.kind),
        falls_back: falls_back(settled.kind),
        attempts: settled.attempts,
        at: Some(words::instant(settled.at)),
        outcome: Some(end(&settled.end)),
    }
}

pub(super) const fn shows(kind: DeliveryKind) -> Option<u32> {
    match kind {
        DeliveryKind::Show { revision } | DeliveryKind::Fallback { revision } => Some(revision),
        DeliveryKind::Sync => None,
    }
}

pub(super) const fn falls_back(kind: DeliveryKind) -> bool {
    matches!(kind, DeliveryKind::Fallback { .. })
}

pub(super) fn end(end: &End) -> v1::delivery_outcome::Outcome {
    use v1::delivery_outcome::Outcome;
    let answer = |status: u16, reason: &String| v1::PlatformAnswer {
        status: status.into(),
        reason: reason.clone(),
    };
    match end {
        End::Accepted { provider_id } => Outcome::Accepted(provider_id.clone()),
        End::Suppressed(why) => Outcome::Suppressed(convert::suppression_to_wire(*why).into()),
        End::Rejected { status, reason } => Outcome::Rejected(answer(*status, reason)),
        End::AddressGone { status, reason } => Outcome::AddressGone(answer(*status, reason)),
        End::GaveUp { reason } => Outcome::GaveUp(reason.clone()),
    }
}
