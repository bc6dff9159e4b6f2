//! Dispatch: ready deliveries take room on their route, in the order of the log.

use std::cmp::Reverse;
use std::time::Duration;

use campanile_core::port::{GroupReader, Push, PushBody, RouteDown, Slot};
use campanile_core::{
    Endpoint, Item, Priority, RegistrationId, Route, Suppression, compose, still_due,
};
use futures::future::{BoxFuture, FutureExt};

use super::flight::{Flight, Sent};
use super::lanes::{Job, LaneKey, Step};
use super::silence::Along;
use super::{Deliverer, Wake};
use crate::planted::Bug;

/// The wait before a delivery that may not be started now is looked at again.
const NOT_NOW: Duration = Duration::from_millis(100);

impl Deliverer {
    /// Makes the first job of a lane ready, if it still matters and its route may send. Jobs that
    /// do not matter any more are settled on the way.
    pub(super) fn advance(&mut self, lane: LaneKey) {
        while let Some((job, Step::Idle)) = self.lanes.first(&lane) {
            let (route, priority) = match self.due(job) {
                Ok((endpoint, item)) => (endpoint.address.route(&job.app), urgency(job, item)),
                Err(why) => {
                    self.suppress(&lane, why);
                    continue;
                }
            };
            let (arrival, (_, tick)) = (job.arrival, self.now());
            let state = self.routes.get(&route);
            let must_wait = state.lacks_probe() && self.overtakes(job, &lane, &route);
            let state = self.routes.get(&route);
            if must_wait || !state.admits(lane, arrival, tick) {
                self.hold_back(&lane, &route);
                continue;
            }
            state.ready.insert((Reverse(priority), arrival), lane);
            if let Some(lane) = self.lanes.get_mut(&lane) {
                lane.step = Step::Ready;
            }
            self.routes.want_room(&route);
        }
    }

    /// A later delivery queued up behind the first job of a lane. If that waits for its next attempt,
    /// or for room, and does not matter any more, nobody waits for it; otherwise it keeps its place.
    pub(super) fn recheck(&mut self, lane: LaneKey) {
        let Some((job, Step::Waiting(_) | Step::Ready)) = self.lanes.first(&lane) else { return };
        if let Err(why) = self.due(job) {
            let arrival = job.arrival;
            self.routes.leave_room(arrival);
            self.suppress(&lane, why);
        }
    }

    /// Whether a job still matters, by the newest state the worker has.
    pub(super) fn due(&self, job: &Job) -> Result<(&Endpoint, &Item), Suppression> {
        let intake = self.partitions.get(&job.partition).ok_or(Suppression::EndpointGone)?;
        let reach = intake.view.reach(job.user);
        let item = intake.view.item(job.user, job.delivery.item);
        let due = still_due(reach, item, &job.delivery, self.now().0);
        let is_show = job.delivery.kind.shows();
        let planted = self.parts.planted;
        let was_put_off = job.delivery.attempts > 0 || job.owed.backlog != 0;
        let skips_check = (job.attempts > 0 && planted.has(Bug::ClearOvertakenByRetry))
            || (job.attempts > 0
                && !is_show
                && due == Err(Suppression::Superseded)
                && planted.has(Bug::RevisionOvertakesClear))
            || (was_put_off && planted.has(Bug::ParkedRingsAfterDismissal));
        let endpoint = match (due, reach.endpoints.get(&job.delivery.endpoint)) {
            (Err(_), Some(endpoint)) if skips_check => endpoint,
            (due, _) => due?,
        };
        if self.condemned.contains_key(&(job.delivery.endpoint, endpoint.registration)) {
            return Err(Suppression::EndpointGone);
        }
        let item = item.ok_or(Suppression::Expired)?;
        match intake.view.swept(&job.app, job.user, item).filter(|_| is_show) {
            Some(why) => Err(why),
            None => Ok((endpoint, item)),
        }
    }

    /// Gives the room there is to ready deliveries, and asks for more where some still wait.
    pub(super) fn dispatch(&mut self, reader: &dyn GroupReader) {
        if self.drain_until.is_some() {
            return;
        }
        for route in self.routes.wanting_room() {
            self.fill(&route, reader);
        }
    }

    fn fill(&mut self, route: &Route, reader: &dyn GroupReader) {
        let (_, tick) = self.now();
        while self.routes.claim_slot(route, tick, self.parts.config.slots) {
            let (pusher, asked) = (self.parts.pusher.clone(), route.clone());
            let mut room: BoxFuture<'static, Wake> = Box::pin(async move {
                let slot = pusher.slot(&asked).await;
                Wake::Room { route: asked, slot }
            });
            // Mostly it is there at once, and costs no turn.
            match (&mut room).now_or_never() {
                Some(Wake::Room { slot, .. }) => self.on_room(route, slot, reader),
                _ => self.in_flight.push(Flight::Other(room)),
            }
        }
    }

    /// There is room on a route: the first ready delivery that still matters takes it.
    pub(super) fn on_room(
        &mut self,
        route: &Route,
        slot: Result<Box<dyn Slot>, RouteDown>,
        reader: &dyn GroupReader,
    ) {
        let state = self.routes.get(route);
        state.asking = state.asking.saturating_sub(1);
        match slot {
            Ok(slot) => {
                state.failures = 0;
                self.send_next(route, slot, reader);
            }
            Err(down) => self.on_route_down(route, &down),
        }
        self.routes.want_room(route);
    }

    fn send_next(&mut self, route: &Route, slot: Box<dyn Slot>, reader: &dyn GroupReader) {
        let (_, tick) = self.now();
        while let Some(((_, arrival), lane)) = self.routes.get(route).ready.pop_first() {
            let Some((job, Step::Ready)) = self.lanes.first(&lane) else { continue };
            if job.arrival != arrival {
                // Of an earlier assignment; the job that has the lane now has its own turn.
                continue;
            }
            let Some(intake) = self.partitions.get(&job.partition) else { continue };
            let leased = reader.lease(job.partition).is_some_and(|lease| tick < lease);
            if !leased || intake.is_revoking || self.drain_until.is_some() {
                // Not ours to send any more; it is read again by whom it belongs to.
                self.lanes.wait(lane, tick.after(NOT_NOW));
                continue;
            }
            let (endpoint, item) = match self.due(job) {
                Ok((endpoint, item)) => (endpoint, item),
                Err(why) => {
                    self.suppress(&lane, why);
                    self.advance(lane);
                    continue;
                }
            };
            if endpoint.address.route(&job.app) != *route {
                // The address moved to another route since it was made ready.
                self.lanes.wait(lane, tick);
                continue;
            }
            let (mut push, registration) =
                (compose(item, &job.delivery, endpoint), endpoint.registration);
            if self.parts.planted.has(Bug::RevisionOvertakesClear)
                && let PushBody::Sync(sync) = &mut push.body
            {
                sync.clear = true;
            }
            if self.was_told(&lane) {
                self.advance(lane);
                continue;
            }
            if let Some(wait) = self.must_be_silent(&lane, route) {
                self.tell_later(lane, wait);
                continue;
            }
            let along = self.tell_along(&lane, route, &mut push);
            return self.send(lane, along, (route.clone(), registration), (slot, push));
        }
    }

    /// Sends the first job of a lane; the push tells of those of the lanes `along`, too.
    fn send(
        &mut self,
        lane: LaneKey,
        along: Option<Box<Along>>,
        (route, registration): (Route, RegistrationId),
        (slot, push): (Box<dyn Slot>, Push),
    ) {
        self.numbers += 1;
        let (attempt, (_, tick)) = (self.numbers, self.now());
        for told in along.iter().flat_map(|along| &along.lanes).chain([&lane]) {
            let Some(lane) = self.lanes.get_mut(told) else { continue };
            lane.step = Step::InFlight { attempt };
            for job in lane.jobs.iter_mut().take(1) {
                job.attempts += 1;
                if let Some(followed) = &mut job.followed {
                    followed.attempt(&*self.parts.tracer, tick);
                }
            }
        }
        self.parts.telemetry.deliverer_attempts.add(1);
        let sent = Sent { lane, along, attempt, route, registration };
        self.in_flight.push(Flight::Push(Some(sent), slot.send(push)));
    }
}

/// Before which others a job takes room.
const fn urgency(job: &Job, item: &Item) -> Priority {
    if job.delivery.kind.shows() { item.priority } else { Priority::High }
}
