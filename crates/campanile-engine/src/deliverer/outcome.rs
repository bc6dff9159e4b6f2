//! What follows from an outcome: the core judges, this carries it out.

use campanile_core::port::RouteDown;
use campanile_core::{
    End, Event, HoldReason, Outcome, PutOff, RegistrationId, RetireReason, Route, Settled,
    Suppression, Timestamp, Verdict, judge,
};

use super::Deliverer;
use super::flight::Sent;
use super::lanes::{Job, LaneKey, Step};
use super::outbox::Putoff;
use super::routes::Held;
use crate::planted::Bug;

impl Deliverer {
    /// An attempt was answered, or was not.
    pub(super) fn on_sent(
        &mut self,
        Sent { lane, along, attempt, route, registration }: Sent,
        outcome: &Outcome,
    ) {
        let route = &route;
        let (now, _) = self.now();
        let state = self.routes.get(route);
        state.health.record(outcome, now);
        state.budget.record(outcome);
        let job = match self.lanes.first(&lane) {
            Some((job, Step::InFlight { attempt: current })) if current == attempt => job,
            _ => return,
        };
        self.tell_attempt(job, outcome);
        let (arrival, attempts, posted) = (job.arrival, job.attempts, job.posted);
        let (partition, owed) = (job.partition, job.owed);
        // Drawn only for what may be tried again, which most is not.
        let jitter = match outcome {
            Outcome::Accepted { .. } => 0.0,
            _ => self.jitter(),
        };
        let policy = &self.parts.config.policy;
        let state = self.routes.get(route);
        let is_probe = state.is_probe(lane, arrival);
        let verdict = judge(outcome, attempts, now, jitter, &state.health, policy);
        let verdict = match is_probe {
            true => self.tried(route, outcome, verdict, jitter),
            false => self.within_budget(route, outcome, verdict, jitter),
        };
        match verdict {
            Verdict::Done => {
                let telemetry = &self.parts.telemetry;
                telemetry.deliverer_accepted.add(1);
                if let Some(posted) = posted {
                    telemetry.deliverer_accepted_after_seconds.record(now.since(posted), 1);
                }
                let provider_id = match outcome {
                    Outcome::Accepted { provider_id } => provider_id.clone(),
                    _ => String::new(),
                };
                self.end(&lane, End::Accepted { provider_id });
            }
            Verdict::GiveUp => {
                self.parts.telemetry.deliverer_rejected.add(1);
                self.end(&lane, given_up(outcome));
            }
            Verdict::RetryAt(at) => {
                self.parts.telemetry.deliverer_retries.add(1);
                self.retry(lane, at);
            }
            Verdict::Park(until) => {
                self.park(&lane, until, outcome.reason().to_owned(), PutOff::Failed)
            }
            Verdict::RetireEndpoint(reason) => {
                self.retire(lane, registration, reason, outcome);
            }
            Verdict::HoldRoute(why, until) => {
                self.hold(route, until, why, outcome.reason(), is_probe);
                self.hold_back(&lane, route);
                if is_probe {
                    self.try_another(partition, route, owed);
                }
            }
        }
        if let Some(along) = along {
            self.on_told(&lane, *along, attempt, route, (outcome, &verdict));
        }
        self.advance(lane);
    }

    /// What is tried again from memory costs a retry of the route's.
    fn within_budget(
        &mut self,
        route: &Route,
        outcome: &Outcome,
        verdict: Verdict,
        jitter: f64,
    ) -> Verdict {
        let Verdict::RetryAt(at) = verdict else { return verdict };
        let ((now, _), policy) = (self.now(), &self.parts.config.policy);
        let budget = &mut self.routes.get(route).budget;
        let allowed = budget.allow(Verdict::RetryAt(at), outcome, now, jitter, policy);
        if matches!(allowed, Verdict::Park(_)) {
            self.parts.telemetry.deliverer_over_budget.add(1);
        }
        allowed
    }

    /// The delivery that tries a held route was answered, or was not. Any answer that is about the
    /// delivery shows that the route works; without one it is held for longer.
    fn tried(
        &mut self,
        route: &Route,
        outcome: &Outcome,
        verdict: Verdict,
        jitter: f64,
    ) -> Verdict {
        let (now, _) = self.now();
        let policy = &self.parts.config.policy;
        let state = self.routes.get(route);
        let why = state.held.as_ref().map_or(HoldReason::Unreachable, |held| held.why);
        let retry_after = match (&verdict, outcome) {
            (Verdict::HoldRoute(..), _) => return verdict,
            (Verdict::RetryAt(at), _) if *at <= now => return verdict,
            (_, Outcome::Unavailable { retry_after, .. }) => *retry_after,
            (
                _,
                Outcome::Indefinite { .. }
                | Outcome::Unprocessed { .. }
                | Outcome::CredentialStale { .. },
            ) => None,
            _ => {
                (state.held, state.failures) = (None, 0);
                state.health.mended();
                self.parts.telemetry.deliverer_mended.add(1);
                tracing::info!(%route, "route works again");
                return verdict;
            }
        };
        let until = now.after(state.health.pause(jitter, retry_after, policy));
        if verdict == Verdict::GiveUp {
            self.hold(route, until, why, outcome.reason(), true);
            return verdict;
        }
        Verdict::HoldRoute(why, until)
    }

    /// There is no room on a route and will be none soon.
    pub(super) fn on_route_down(&mut self, route: &Route, down: &RouteDown) {
        self.parts.telemetry.deliverer_route_down.add(1);
        let (now, tick) = self.now();
        let jitter = self.jitter();
        let policy = &self.parts.config.policy;
        let state = self.routes.get(route);
        let is_tried = state.held.as_ref().is_some_and(|held| held.probe.is_some());
        if state.held.is_some() && !is_tried {
            // Whoever asked for room is gone: nobody else asks for it on a held route.
            state.ready.clear();
            return;
        }
        if state.rest_until.is_some() {
            return;
        }
        state.failures = state.failures.saturating_add(1);
        let reason = down.to_string();
        let outcome = match down {
            RouteDown::Held(hold) => {
                let (hold, reason) = (*hold, reason.clone());
                Outcome::RouteRefused { hold, status: 0, reason, retry_after: None }
            }
            RouteDown::Unreachable { .. } => {
                Outcome::Unavailable { status: 0, reason: reason.clone(), retry_after: None }
            }
        };
        let failures = state.failures.min(policy.attempts - 1);
        match judge(&outcome, failures, now, jitter, &state.health, policy) {
            Verdict::HoldRoute(why, until) => self.hold(route, until, why, &reason, is_tried),
            Verdict::RetryAt(at) if !is_tried => {
                state.rest_until = Some(tick.after(at.since(now)));
            }
            Verdict::RetryAt(_) | Verdict::Park(_) => {
                let until = now.after(state.health.pause(jitter, None, policy));
                self.hold(route, until, HoldReason::Unreachable, &reason, is_tried);
            }
            Verdict::Done | Verdict::GiveUp | Verdict::RetireEndpoint(_) => {}
        }
    }

    /// A delivery that does not matter any more.
    pub(super) fn suppress(&mut self, lane: &LaneKey, why: Suppression) {
        self.parts.telemetry.deliverer_suppressed.add(1);
        self.end(lane, End::Suppressed(why));
    }

    /// Puts the first job of a lane on the agenda.
    pub(super) fn park(&mut self, lane: &LaneKey, until: Timestamp, reason: String, why: PutOff) {
        let Some(job) = self.lanes.pop(lane) else { return };
        if job.is_parked {
            return self.absorb(&job);
        }
        self.tell_parked(&job, &reason);
        self.parts.telemetry.deliverer_parked.add(1);
        // Whole seconds, so that deliveries put off together become one event.
        let until = Timestamp::from_millis(until.as_millis().div_ceil(1000).saturating_mul(1000));
        self.outbox.parked(&job, Putoff { until, reason, why });
    }

    pub(super) fn end(&mut self, lane: &LaneKey, end: End) {
        let (at, _) = self.now();
        let Some(job) = self.lanes.pop(lane) else { return };
        self.tell_end(&job, &end);
        let settled = Settled {
            delivery: job.delivery.id,
            endpoint: job.delivery.endpoint,
            kind: job.delivery.kind,
            attempts: job.attempts,
            at,
            end,
        };
        self.outbox.ended(&job, settled);
        if let Some(intake) = self.partitions.get_mut(&job.partition) {
            intake.ended.insert(job.delivery.id, ());
        }
    }

    /// The agenda has the delivery already.
    pub(super) fn absorb(&mut self, job: &Job) {
        self.parts.telemetry.deliverer_left_to_agenda.add(1);
        self.outbox.absorbed(job);
    }

    pub(super) fn retry(&mut self, lane: LaneKey, at: Timestamp) {
        if self.lanes.first(&lane).is_some_and(|(job, _)| job.is_parked) {
            let job = self.lanes.pop(&lane);
            return job.iter().for_each(|job| self.absorb(job));
        }
        let (now, tick) = self.now();
        self.lanes.wait(lane, tick.after(at.since(now)));
    }

    /// The platform does not know the address. Only the registration that was tried is meant, and
    /// only if it is older than what the platform found out.
    fn retire(
        &mut self,
        lane: LaneKey,
        tried: RegistrationId,
        reason: RetireReason,
        outcome: &Outcome,
    ) {
        let Outcome::AddressGone { status, reason: said, since } = outcome else { return };
        let Some((job, _)) = self.lanes.first(&lane) else { return };
        let intake = self.partitions.get(&job.partition);
        let current = intake
            .and_then(|intake| intake.view.reach(job.user).endpoints.get(&job.delivery.endpoint));
        let (now, _) = self.now();
        let is_hasty = self.parts.planted.has(Bug::VerdictOnNewerRegistration);
        match current.filter(|_| !is_hasty) {
            Some(current) if current.registration != tried => return self.retry(lane, now),
            Some(current) if since.is_some_and(|since| since < current.registered_at) => {}
            _ => {
                self.parts.telemetry.deliverer_retired.add(1);
                let registration = (!is_hasty).then_some(tried);
                let endpoint = job.delivery.endpoint;
                let event = Event::EndpointRetired { endpoint, registration, reason };
                self.outbox.retired(job, event);
                self.condemned.insert((endpoint, tried), job.partition);
            }
        }
        self.end(&lane, End::AddressGone { status: *status, reason: said.clone() });
    }

    /// Sends nothing more on a route until one delivery may try it at `until`. Who waits for the
    /// route is read again then. Of a route that is held already only who `tries` it has news.
    fn hold(
        &mut self,
        route: &Route,
        until: Timestamp,
        why: HoldReason,
        reason: &str,
        tries: bool,
    ) {
        let (now, tick) = self.now();
        let state = self.routes.get(route);
        if state.held.is_some() && !tries {
            return;
        }
        self.parts.telemetry.deliverer_holds.add(1);
        state.health.held();
        let since = state.held.as_ref().map_or(now, |held| held.since);
        let (tick, reason) = (tick.after(until.since(now)), reason.to_owned());
        tracing::warn!(%route, ?why, reason, %until, "route held");
        state.held = Some(Held { since, until, tick, why, reason, probe: None });
        for lane in std::mem::take(&mut state.ready).into_values() {
            if let Some((_, Step::Ready)) = self.lanes.first(&lane) {
                self.hold_back(&lane, route);
                self.advance(lane);
            }
        }
    }

    pub(super) fn jitter(&self) -> f64 {
        let [a, b, c, d, ..] = self.parts.entropy.draw();
        f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
    }
}

fn given_up(outcome: &Outcome) -> End {
    match outcome {
        Outcome::Rejected { status, reason } => {
            End::Rejected { status: *status, reason: reason.clone() }
        }
        _ => End::GaveUp { reason: outcome.reason().to_owned() },
    }
}
