//! Silent pushes to devices that get few of them: what waits goes together, and what is one too many
//! waits on the agenda.
//!
//! The core says when a device may be sent the next one ([`campanile_core::SilentBudget`]). A change
//! that must wait is put off, and comes due like anything that is put off. When a silent push goes
//! out, it tells of all the changes that are ready for the same device. A visible push tells of those
//! that wait, as far as they are remembered; they still come due, because only an app that is woken
//! for every push reads that.

use std::collections::VecDeque;
use std::time::Duration;

use campanile_core::port::{Push, PushBody, Told};
use campanile_core::{
    DeliveryId, DeliveryKind, End, EndpointId, Outcome, PutOff, Route, SilentBudget, Tick, compose,
};

use super::Deliverer;
use super::lanes::{Job, LaneKey, Step};
use crate::pieces::Map;

/// A wait up to this is spent in memory; a longer one on the agenda.
const IN_MEMORY: Duration = Duration::from_secs(1);
/// Ready deliveries looked at for more to tell the same device.
const LOOKED_AT: usize = 256;
/// Changes that wait, remembered for one device.
const WAITING: usize = 32;
/// Changes that wait, and devices, remembered at most, twice: then what is older is forgotten.
const MOST: (usize, usize) = (8192, 32_768);

/// What devices were sent silently, as far as this worker did it. A successor begins anew: that is
/// one budget more for a device, once.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    recent: Map<EndpointId, Device>,
    /// Those that were not sent anything since the recent ones began.
    former: Map<EndpointId, Device>,
    began: Tick,
    /// Changes that wait for recent devices.
    waiting: usize,
}

#[derive(Debug, Default)]
struct Device {
    sent: VecDeque<Tick>,
    /// Changes of which it is told later.
    waiting: Vec<Job>,
}

impl Silence {
    fn find(&self, endpoint: EndpointId) -> Option<&Device> {
        self.recent.get(&endpoint).or_else(|| self.former.get(&endpoint))
    }

    /// The device of an endpoint, which is recent from now on. Answers also how many were forgotten too
    /// early to make room for it.
    fn touch(&mut self, endpoint: EndpointId, now: Tick, window: Duration) -> (&mut Device, usize) {
        let (waiting, devices) = MOST;
        let is_full = self.recent.len() >= devices || self.waiting >= waiting;
        let mut forgotten = 0;
        if is_full || self.began.after(window) <= now {
            let before = std::mem::replace(&mut self.former, std::mem::take(&mut self.recent));
            forgotten = if is_full { before.len() } else { 0 };
            (self.began, self.waiting) = (now, 0);
        }
        let (former, all) = (&mut self.former, &mut self.waiting);
        let device = self.recent.entry(endpoint).or_insert_with(|| {
            let known = former.remove(&endpoint).unwrap_or_default();
            *all += known.waiting.len();
            known
        });
        (device, forgotten)
    }

    /// How long a device must wait for its next silent push.
    fn wait(&self, endpoint: EndpointId, now: Tick, budget: SilentBudget) -> Duration {
        let device = self.find(endpoint);
        device.map_or(Duration::ZERO, |device| budget.wait(device.sent.iter().copied(), now))
    }

    /// A device is sent a silent push.
    fn sent(&mut self, endpoint: EndpointId, now: Tick, budget: SilentBudget) -> usize {
        let (device, forgotten) = self.touch(endpoint, now, budget.window);
        if device.sent.len() >= budget.pushes as usize {
            device.sent.pop_front();
        }
        device.sent.push_back(now);
        forgotten
    }

    /// The last one did certainly not come to the device.
    fn take_back(&mut self, endpoint: EndpointId) {
        let device = match self.recent.get_mut(&endpoint) {
            None => self.former.get_mut(&endpoint),
            recent => recent,
        };
        device.and_then(|device| device.sent.pop_back());
    }

    /// A device is told of a change later.
    fn later(&mut self, job: Job, now: Tick, window: Duration) -> usize {
        let (device, forgotten) = self.touch(job.delivery.endpoint, now, window);
        let is_new = |known: &Job| known.delivery.id != job.delivery.id;
        if device.waiting.len() < WAITING && device.waiting.iter().all(is_new) {
            device.waiting.push(job);
            self.waiting += 1;
        }
        forgotten
    }

    /// A change does not wait any more.
    fn told(&mut self, endpoint: EndpointId, delivery: DeliveryId) {
        let others = |job: &Job| job.delivery.id != delivery;
        if let Some(device) = self.recent.get_mut(&endpoint) {
            let before = device.waiting.len();
            device.waiting.retain(others);
            self.waiting -= before - device.waiting.len();
        } else if let Some(device) = self.former.get_mut(&endpoint) {
            device.waiting.retain(others);
        }
    }
}

impl Deliverer {
    /// How long the first delivery of a lane must wait, because its device was sent enough silently.
    /// What tries a held route goes: the route waits for it.
    pub(super) fn must_be_silent(&mut self, lane: &LaneKey, route: &Route) -> Option<Duration> {
        let (job, _) = self.lanes.first(lane)?;
        if job.delivery.kind != DeliveryKind::Sync || !SilentBudget::binds(route.platform) {
            return None;
        }
        let tick = self.parts.clock.tick();
        let wait = self.silence.wait(job.delivery.endpoint, tick, self.parts.config.silent);
        let arrival = job.arrival;
        (!wait.is_zero() && !self.routes.get(route).is_probe(*lane, arrival)).then_some(wait)
    }

    /// Puts the first delivery of a lane off until its device may be sent something silently.
    pub(super) fn tell_later(&mut self, lane: LaneKey, wait: Duration) {
        let (now, tick) = self.now();
        if wait <= IN_MEMORY {
            return self.lanes.wait(lane, tick.after(wait));
        }
        let Some((job, _)) = self.lanes.first(&lane) else { return };
        let later = Job { also: Vec::new(), followed: None, ..job.clone() };
        let forgotten = self.silence.later(later, tick, self.parts.config.silent.window);
        self.parts.telemetry.deliverer_devices_forgotten.add(forgotten);
        self.parts.telemetry.deliverer_told_later.add(1);
        self.park(&lane, now.after(wait), String::new(), PutOff::Deferred);
        self.advance(lane);
    }

    /// Lets `push`, which is about to be sent for `lane`, tell of what else its device is to be told.
    /// If it is silent, and that counts, answers the lanes whose first deliveries are told with it.
    pub(super) fn tell_along(
        &mut self,
        lane: &LaneKey,
        route: &Route,
        push: &mut Push,
    ) -> Option<Vec<LaneKey>> {
        let (job, _) = self.lanes.first(lane)?;
        if !SilentBudget::binds(route.platform) {
            return None;
        }
        let (endpoint, partition) = (job.delivery.endpoint, job.partition);
        if !is_silent(&push.body) {
            let waiting = self.silence.find(endpoint).into_iter().flat_map(|it| &it.waiting);
            push.along = waiting.filter_map(|job| self.state_of(job)).collect();
            self.parts.telemetry.deliverer_told_early.add(push.along.len());
            return None;
        }
        let tick = self.parts.clock.tick();
        self.silence.told(endpoint, job.delivery.id);
        let forgotten = self.silence.sent(endpoint, tick, self.parts.config.silent);
        self.parts.telemetry.deliverer_devices_forgotten.add(forgotten);
        if matches!(push.body, PushBody::Show { .. }) {
            return Some(Vec::new());
        }
        let ready = self.routes.get(route).ready.iter().take(LOOKED_AT);
        let same: Vec<_> = ready
            .filter(|(_, (whose, ..))| *whose == endpoint)
            .map(|(key, lane)| (*key, *lane))
            .collect();
        let mut along = Vec::new();
        for (key, other) in same {
            let Some((job, Step::Ready)) = self.lanes.first(&other) else { continue };
            let is_it = job.arrival == key.1 && job.partition == partition;
            let is_told = is_it && job.delivery.kind == DeliveryKind::Sync;
            let Some(told) = is_told.then(|| self.told_by(job)).flatten() else { continue };
            push.expires_at = push.expires_at.max(told.expires_at);
            push.along.extend(state(told));
            self.silence.told(endpoint, job.delivery.id);
            self.routes.get(route).ready.remove(&key);
            along.push(other);
        }
        Some(along)
    }

    /// The push that would tell of a change, if it still matters.
    fn told_by(&self, job: &Job) -> Option<Push> {
        let (endpoint, item) = self.due(job).ok()?;
        Some(compose(item, &job.delivery, endpoint))
    }

    fn state_of(&self, job: &Job) -> Option<Told> {
        self.told_by(job).and_then(state)
    }

    /// A push was answered, or was not, that told of the first deliveries of the lanes `along`, too, if
    /// it was silent. If it was not accepted, each is tried by itself.
    pub(super) fn on_told(
        &mut self,
        lane: &LaneKey,
        along: Option<Vec<LaneKey>>,
        attempt: u64,
        outcome: &Outcome,
    ) {
        let may_have_come =
            matches!(outcome, Outcome::Accepted { .. } | Outcome::Indefinite { .. });
        let Some(along) = along else { return };
        if !may_have_come {
            self.silence.take_back(lane.0);
        }
        for other in along {
            let (job, is_parked) = match self.lanes.first(&other) {
                Some((job, Step::InFlight { attempt: now })) if now == attempt => {
                    (job.clone(), job.is_parked)
                }
                _ => continue,
            };
            self.tell_attempt(&job, outcome);
            if let Outcome::Accepted { provider_id } = outcome {
                self.parts.telemetry.deliverer_told_along.add(1);
                self.end(&other, End::Accepted { provider_id: provider_id.clone() });
            } else if is_parked {
                self.lanes.pop(&other).iter().for_each(|job| self.absorb(job));
            } else if let Some(lane) = self.lanes.get_mut(&other) {
                lane.step = Step::Idle;
            }
            self.advance(other);
        }
    }
}

/// Whether a push wakes an app and shows nothing.
fn is_silent(body: &PushBody) -> bool {
    match body {
        PushBody::Show { content, .. } => content.visual.is_none(),
        PushBody::Sync(_) | PushBody::Signal => true,
    }
}

/// What a push tells of an item's state; a signal tells that there is something to fetch.
fn state(push: Push) -> Option<Told> {
    match push.body {
        PushBody::Sync(state) => Some(Told { sequence: push.sequence, state }),
        PushBody::Show { .. } | PushBody::Signal => None,
    }
}

#[cfg(test)]
mod tests;
