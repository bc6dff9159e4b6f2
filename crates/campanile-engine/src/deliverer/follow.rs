//! Spans of a delivery: one for all of it, and one for each attempt below that.

use campanile_core::port::{Attribute, SpanKind, Tracer};
use campanile_core::{
    Delivery, DeliveryKind, End, HoldReason, Outcome, Recorded, Tick, TraceContext,
};

use super::Deliverer;
use super::lanes::Job;
use crate::work::{Work, text};

/// A delivery that a trace follows.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    delivery: Work,
    attempt: Option<Work>,
}

impl Followed {
    /// The span of the delivery.
    pub(super) const fn context(&self) -> &TraceContext {
        self.delivery.context()
    }

    /// An attempt begins.
    pub(super) fn attempt(&mut self, tracer: &dyn Tracer, now: Tick) {
        self.attempt = Work::begin(tracer, Some(self.delivery.context()), now);
    }
}

impl Deliverer {
    /// Follows a delivery that `event` calls for, if the event is followed.
    pub(super) fn follow(&self, event: &Recorded) -> Option<Box<Followed>> {
        let parent = TraceContext::parse(event.fact.cause.as_deref()?)?;
        let delivery = Work::begin(&*self.parts.tracer, Some(&parent), self.now().1)?;
        Some(Box::new(Followed { delivery, attempt: None }))
    }

    /// An attempt of `job` was answered, or was not.
    pub(super) fn tell_attempt(&self, job: &Job, outcome: &Outcome) {
        let attempt = job.followed.as_ref().and_then(|followed| followed.attempt.clone());
        let Some(attempt) = attempt else { return };
        let mut attributes = of_delivery(&job.delivery);
        attributes.push(("campanile.attempt", Attribute::Number(u64::from(job.attempts))));
        let (name, status) = named(outcome);
        attributes.push(("campanile.outcome", Attribute::Text(name.into())));
        let status = status.map(|status| Attribute::Number(u64::from(status)));
        attributes.extend(status.map(|status| ("http.response.status_code", status)));
        if let Outcome::Accepted { provider_id } = outcome {
            attributes.push(("campanile.provider_id", text(provider_id)));
        }
        let is_taken = matches!(outcome, Outcome::Accepted { .. });
        let failure = (!is_taken).then(|| outcome.reason().to_owned());
        let kind = (format!("push {}", job.delivery.platform.name()).into(), SpanKind::Client);
        let tracer = &self.parts.tracer;
        tracer.record(attempt.end(self.now().1, kind, attributes, failure));
    }

    /// A delivery ended.
    pub(super) fn tell_end(&self, job: &Job, end: &End) {
        let (name, failure) = match end {
            End::Accepted { .. } => ("accepted", None),
            End::Suppressed(why) => (why.name(), None),
            End::Rejected { reason, .. } => ("rejected", Some(reason.clone())),
            End::AddressGone { reason, .. } => ("address gone", Some(reason.clone())),
            End::GaveUp { reason } => ("gave up", Some(reason.clone())),
        };
        self.tell(job, name, failure);
    }

    /// A delivery was put on the agenda. What follows when it comes due is below this span.
    pub(super) fn tell_parked(&self, job: &Job, reason: &str) {
        let failure = (!reason.is_empty()).then(|| reason.to_owned());
        self.tell(job, if failure.is_some() { "parked" } else { "deferred" }, failure);
    }

    /// A delivery waits until its route works. It is read again then, and followed anew.
    pub(super) fn tell_held(
        &self,
        followed: Option<Box<Followed>>,
        delivery: &Delivery,
        attempts: u32,
        why: HoldReason,
    ) {
        self.tell_of(followed, delivery, attempts, ("held", Some(why.to_string())));
    }

    fn tell(&self, job: &Job, outcome: &'static str, failure: Option<String>) {
        self.tell_of(job.followed.clone(), &job.delivery, job.attempts, (outcome, failure));
    }

    fn tell_of(
        &self,
        followed: Option<Box<Followed>>,
        delivery: &Delivery,
        attempts: u32,
        (outcome, failure): (&'static str, Option<String>),
    ) {
        let Some(followed) = followed else { return };
        let mut attributes = of_delivery(delivery);
        attributes.push(("campanile.attempts", Attribute::Number(u64::from(attempts))));
        attributes.push(("campanile.outcome", Attribute::Text(outcome.into())));
        let kind = (format!("deliver {}", delivery.platform.name()).into(), SpanKind::Consumer);
        let tracer = &self.parts.tracer;
        tracer.record(followed.delivery.end(self.now().1, kind, attributes, failure));
    }
}

fn of_delivery(delivery: &Delivery) -> Vec<(&'static str, Attribute)> {
    let purpose = match delivery.kind {
        DeliveryKind::Show { .. } => "show",
        DeliveryKind::Sync => "sync",
        DeliveryKind::Fallback { .. } => "fallback",
    };
    vec![
        ("campanile.notification_id", text(delivery.item)),
        ("campanile.endpoint_id", text(delivery.endpoint)),
        ("campanile.delivery_id", text(delivery.id)),
        ("campanile.purpose", Attribute::Text(purpose.into())),
    ]
}

/// What an attempt came to, and the status that the platform answered with.
fn named(outcome: &Outcome) -> (&'static str, Option<u16>) {
    let (name, status) = match outcome {
        // Both platforms take a push with this one (providers' documentation of their answers).
        Outcome::Accepted { .. } => ("accepted", 200),
        Outcome::Unprocessed { .. } => ("unprocessed", 0),
        Outcome::Indefinite { .. } => ("no answer", 0),
        Outcome::CredentialStale { .. } => ("credential stale", 0),
        Outcome::Unavailable { status, .. } => ("unavailable", *status),
        Outcome::Throttled { status, .. } => ("throttled", *status),
        Outcome::AddressGone { status, .. } => ("address gone", *status),
        Outcome::Rejected { status, .. } => ("rejected", *status),
        Outcome::RouteRefused { status, .. } => ("route refused", *status),
    };
    (name, (status != 0).then_some(status))
}
