//! Silent pushes to devices that get few of them: what waits goes together, and what is one too many
//! waits on the agenda.
//!
//! The core says when a device may be sent the next one ([`campanile_core::SilentBudget`]). A change
//! that must wait is put off, and comes due like anything that is put off. A silent push tells of the
//! changes that are ready for the same device, which end with it, and of those that wait: these end when
//! they come due, without a push of their own. A visible push tells of those that wait, too, but they
//! are still sent, because only an app that is woken for every push reads that.

use std::collections::VecDeque;
use std::time::Duration;

use campanile_core::port::{Push, PushBody, Told};
use campanile_core::{
    DeliveryId, DeliveryKind, End, EndpointId, NotificationId, Outcome, PutOff, Route,
    SilentBudget, Tick, Verdict, compose,
};

use super::Deliverer;
use super::lanes::{Job, LaneKey, Step};
use crate::pieces::Map;

/// A wait up to this is spent in memory; a longer one on the agenda.
const IN_MEMORY: Duration = Duration::from_secs(1);
/// Ready deliveries looked at for more to tell the same device.
const LOOKED_AT: usize = 256;
/// Changes that wait, remembered for one device; and for all. The others only come due.
const WAITING: (usize, usize) = (32, 8192);
/// Devices remembered, twice: then those that were not sent anything for longest are forgotten.
const DEVICES: usize = 100_000;
/// What comes due too soon by the worker's clock is not put off to the same instant again.
const LEAST_AGAIN: Duration = Duration::from_secs(5);

/// What devices were sent silently, as far as this worker did it. A successor begins anew: that is
/// one budget more for a device, once.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    recent: Map<EndpointId, Device>,
    /// Those that were not sent anything since the recent ones began.
    former: Map<EndpointId, Device>,
    began: Tick,
    /// Changes that wait, of all devices.
    waiting: usize,
}

#[derive(Debug, Default)]
struct Device {
    /// When silent pushes were sent, the last ones.
    sent: VecDeque<Tick>,
    waiting: Vec<Waiting>,
}

/// A change of which a device is told later.
#[derive(Debug)]
struct Waiting {
    job: Job,
    /// By which push the device was told of it silently meanwhile, in the platform's words.
    told: Option<String>,
}

/// What a silent push is about besides its own delivery.
#[derive(Debug)]
pub(crate) struct Along {
    /// When it was sent.
    at: Tick,
    /// The lanes whose first deliveries it tells of.
    pub(crate) lanes: Vec<LaneKey>,
    /// The deliveries that wait on the agenda and that it tells of.
    waiting: Vec<DeliveryId>,
}

impl Silence {
    fn find(&self, endpoint: EndpointId) -> Option<&Device> {
        self.recent.get(&endpoint).or_else(|| self.former.get(&endpoint))
    }

    fn find_mut(&mut self, endpoint: EndpointId) -> Option<&mut Device> {
        match self.recent.get_mut(&endpoint) {
            None => self.former.get_mut(&endpoint),
            recent => recent,
        }
    }

    /// The device of an endpoint, which is recent from now on. Answers also how many were forgotten too
    /// early to make room for it.
    fn touch(&mut self, endpoint: EndpointId, now: Tick, window: Duration) -> (&mut Device, usize) {
        let is_full = self.recent.len() >= DEVICES;
        let mut forgotten = 0;
        if is_full || self.began.after(window) <= now {
            let before = std::mem::replace(&mut self.former, std::mem::take(&mut self.recent));
            self.waiting -= before.values().map(|device| device.waiting.len()).sum::<usize>();
            forgotten = if is_full { before.len() } else { 0 };
            self.began = now;
        }
        let former = &mut self.former;
        let device = self.recent.entry(endpoint);
        (device.or_insert_with(|| former.remove(&endpoint).unwrap_or_default()), forgotten)
    }

    /// How long a device must wait for its next silent push.
    fn wait(&self, endpoint: EndpointId, now: Tick, budget: SilentBudget) -> Duration {
        let device = self.find(endpoint);
        device.map_or(Duration::ZERO, |device| budget.wait(device.sent.iter().copied(), now))
    }

    /// A device is sent a silent push.
    fn sent(&mut self, endpoint: EndpointId, now: Tick, budget: SilentBudget) -> usize {
        let (device, forgotten) = self.touch(endpoint, now, budget.window);
        // One more than counts, in case that the last one does not come.
        if device.sent.len() > budget.pushes as usize {
            device.sent.pop_front();
        }
        device.sent.push_back(now);
        forgotten
    }

    /// What was sent then did certainly not come to the device.
    fn take_back(&mut self, endpoint: EndpointId, at: Tick) {
        let Some(device) = self.find_mut(endpoint) else { return };
        if let Some(index) = device.sent.iter().rposition(|sent| *sent == at) {
            device.sent.remove(index);
        }
    }

    /// A device is told of a change later.
    fn later(&mut self, job: Job, now: Tick, window: Duration) -> usize {
        let (most, most_of_all) = WAITING;
        let has_room = self.waiting < most_of_all;
        let (device, forgotten) = self.touch(job.delivery.endpoint, now, window);
        let is_new = |known: &Waiting| known.job.delivery.id != job.delivery.id;
        if has_room && device.waiting.len() < most && device.waiting.iter().all(is_new) {
            device.waiting.push(Waiting { job, told: None });
            self.waiting += 1;
        }
        forgotten
    }

    /// Forgets changes that wait, unless they are to be kept.
    fn keep(&mut self, endpoint: EndpointId, is_kept: impl Fn(&Waiting) -> bool) {
        let Some(device) = self.find_mut(endpoint) else { return };
        let before = device.waiting.len();
        device.waiting.retain(is_kept);
        let gone = before - device.waiting.len();
        self.waiting -= gone;
    }

    /// By which silent push the device was told of a change that waited; it does not wait any more.
    fn told(&mut self, endpoint: EndpointId, delivery: DeliveryId) -> Option<String> {
        let waiting = &mut self.find_mut(endpoint)?.waiting;
        let at = waiting.iter().position(|known| known.job.delivery.id == delivery)?;
        let told = waiting.remove(at).told;
        self.waiting -= 1;
        told
    }

    /// The items that changes that wait are checked against.
    pub(super) fn needed(&self) -> impl Iterator<Item = NotificationId> {
        // Mostly nothing waits, and there may be very many devices.
        let known = [&self.recent, &self.former].into_iter().filter(|_| self.waiting > 0);
        let devices = known.flat_map(|devices| devices.values());
        devices.flat_map(|device| &device.waiting).map(|waiting| waiting.job.delivery.item)
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
        let (_, tick) = self.now();
        let wait = self.silence.wait(job.delivery.endpoint, tick, self.parts.config.silent);
        let arrival = job.arrival;
        (!wait.is_zero() && !self.routes.get(route).is_probe(*lane, arrival)).then_some(wait)
    }

    /// The first delivery of a lane is about to be sent: if it waited, and its device was told of it
    /// silently meanwhile, it ends with that. Answers whether it does.
    pub(super) fn was_told(&mut self, lane: &LaneKey) -> bool {
        let Some((job, _)) = self.lanes.first(lane) else { return false };
        if job.delivery.kind != DeliveryKind::Sync {
            return false;
        }
        let (endpoint, delivery) = (job.delivery.endpoint, job.delivery.id);
        let Some(provider_id) = self.silence.told(endpoint, delivery) else { return false };
        self.count_told();
        self.end(lane, End::Accepted { provider_id });
        true
    }

    /// Puts the first delivery of a lane off until its device may be sent something silently.
    pub(super) fn tell_later(&mut self, lane: LaneKey, wait: Duration) {
        let (now, tick) = self.now();
        if wait <= IN_MEMORY {
            return self.lanes.wait(lane, tick.after(wait));
        }
        let Some((job, _)) = self.lanes.first(&lane) else { return };
        let came_due = job.owed.record != job.delivery.cause;
        let wait = if came_due { wait.max(LEAST_AGAIN) } else { wait };
        let later = Job { also: Vec::new(), followed: None, ..job.clone() };
        self.still_waiting(lane.0);
        let forgotten = self.silence.later(later, tick, self.parts.config.silent.window);
        self.parts.telemetry.deliverer_devices_forgotten.add(forgotten);
        self.parts.telemetry.deliverer_told_later.add(1);
        self.park(&lane, now.after(wait), String::new(), PutOff::Deferred);
        self.advance(lane);
    }

    /// The changes that wait for a device and still matter; others do not wait any more.
    fn still_waiting(&mut self, endpoint: EndpointId) -> Vec<(DeliveryId, Push)> {
        let waiting = self.silence.find(endpoint).into_iter().flat_map(|device| &device.waiting);
        let due = waiting.filter_map(|it| Some((it.job.delivery.id, self.told_by(&it.job)?)));
        let due: Vec<_> = due.collect();
        self.silence.keep(endpoint, |it| due.iter().any(|(id, _)| *id == it.job.delivery.id));
        due
    }

    /// Lets `push`, which is about to be sent for `lane`, tell of what else its device is to be told.
    /// Answers what that is if the push is silent, and that counts.
    pub(super) fn tell_along(
        &mut self,
        lane: &LaneKey,
        route: &Route,
        push: &mut Push,
    ) -> Option<Box<Along>> {
        if !SilentBudget::binds(route.platform) {
            return None;
        }
        let endpoint = lane.0;
        let is_raw =
            matches!(&push.body, PushBody::Show { content, .. } if content.visual.is_none());
        let waiting = if is_raw { Vec::new() } else { self.still_waiting(endpoint) };
        let ids = waiting.iter().map(|(id, _)| *id).collect();
        if matches!(push.body, PushBody::Show { .. }) && !is_raw {
            push.along = waiting.into_iter().filter_map(|(_, told)| state(told)).collect();
            self.parts.telemetry.deliverer_told_early.add(push.along.len());
            return None;
        }
        let (_, at) = self.now();
        let forgotten = self.silence.sent(endpoint, at, self.parts.config.silent);
        self.parts.telemetry.deliverer_devices_forgotten.add(forgotten);
        let lanes = if is_raw { Vec::new() } else { self.tell_ready(lane, route, push) };
        push.along.extend(waiting.into_iter().filter_map(|(_, told)| state(told)));
        Some(Box::new(Along { at, lanes, waiting: ids }))
    }

    /// Lets `push` tell of the changes that are ready for its device, of those that are next in line.
    fn tell_ready(&mut self, lane: &LaneKey, route: &Route, push: &mut Push) -> Vec<LaneKey> {
        let Some((job, _)) = self.lanes.first(lane) else { return Vec::new() };
        let partition = job.partition;
        let ready = self.routes.get(route).ready.iter().take(LOOKED_AT);
        let same = ready.filter(|(_, (whose, ..))| *whose == lane.0);
        let same: Vec<_> = same.map(|(key, lane)| (*key, *lane)).collect();
        let mut along = Vec::new();
        for (key, other) in same {
            let Some((job, Step::Ready)) = self.lanes.first(&other) else { continue };
            let is_it = job.arrival == key.1 && job.partition == partition;
            let is_told = is_it && job.delivery.kind == DeliveryKind::Sync;
            let Some(told) = is_told.then(|| self.told_by(job)).flatten() else { continue };
            push.expires_at = push.expires_at.max(told.expires_at);
            push.along.extend(state(told));
            self.routes.get(route).ready.remove(&key);
            along.push(other);
        }
        along
    }

    /// The push that would tell of a change, if it still matters.
    fn told_by(&self, job: &Job) -> Option<Push> {
        let (endpoint, item) = self.due(job).ok()?;
        Some(compose(item, &job.delivery, endpoint))
    }

    /// A silent push for `lane` was answered, or was not, and this follows for its own delivery. The
    /// same follows for those that it told of, so that they stay together; only if it was refused by
    /// itself, each is tried by itself.
    pub(super) fn on_told(
        &mut self,
        lane: &LaneKey,
        along: Along,
        attempt: u64,
        route: &Route,
        (outcome, verdict): (&Outcome, &Verdict),
    ) {
        match outcome {
            Outcome::Accepted { provider_id } => {
                let device = self.silence.find_mut(lane.0);
                let waiting = device.into_iter().flat_map(|device| &mut device.waiting);
                for waiting in waiting.filter(|it| along.waiting.contains(&it.job.delivery.id)) {
                    waiting.told = Some(provider_id.clone());
                }
            }
            Outcome::Indefinite { .. } => {}
            _ => self.silence.take_back(lane.0, along.at),
        }
        for other in along.lanes {
            let job = match self.lanes.first(&other) {
                Some((job, Step::InFlight { attempt: now })) if now == attempt => job.clone(),
                _ => continue,
            };
            self.tell_attempt(&job, outcome);
            match (verdict, outcome) {
                (Verdict::Done, Outcome::Accepted { provider_id }) => {
                    self.count_told();
                    self.end(&other, End::Accepted { provider_id: provider_id.clone() });
                }
                (Verdict::RetryAt(at), _) => self.retry(other, *at),
                (Verdict::Park(until), _) => {
                    self.park(&other, *until, outcome.reason().to_owned(), PutOff::Failed);
                }
                (Verdict::HoldRoute(..), _) => self.hold_back(&other, route),
                _ if job.is_parked => {
                    self.lanes.pop(&other).iter().for_each(|job| self.absorb(job));
                }
                _ => self.lanes.get_mut(&other).into_iter().for_each(|it| it.step = Step::Idle),
            }
            self.advance(other);
        }
    }

    fn count_told(&self) {
        self.parts.telemetry.deliverer_told_along.add(1);
        self.parts.telemetry.deliverer_accepted.add(1);
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
