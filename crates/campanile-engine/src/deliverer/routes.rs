//! Routes: who waits for room on which, and how they fare.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use campanile_core::port::Hold;
use campanile_core::{
    HoldReason, Partition, Priority, RetryBudget, Route, RouteHealth, Tick, Timestamp, Urgency,
};

use super::lanes::{LaneKey, Lanes};

/// One of the backlogs of a route.
pub(crate) type Place = (Partition, Urgency);

/// What a worker knows of one route.
#[derive(Debug, Default)]
pub(crate) struct RouteState {
    /// Lanes whose first job waits for room: the most urgent first, and then by the arrival of that
    /// job, in the order of the log.
    pub(crate) ready: BTreeMap<(Reverse<Priority>, u64), LaneKey>,
    /// Room asked for and not answered yet.
    pub(crate) asking: usize,
    /// How its pushes fared lately.
    pub(crate) health: RouteHealth,
    /// How many of its pushes may be tried again from memory.
    pub(crate) budget: RetryBudget,
    /// How often in a row there was no connection.
    pub(crate) failures: u32,
    /// Not to be asked for room before this.
    pub(crate) rest_until: Option<Tick>,
    /// It does not send; what is for it waits.
    pub(crate) held: Option<Held>,
    /// Whose backlog is read to find a delivery that tries it.
    pub(crate) trying: Option<Place>,
    /// Where the delivery was owed that tried it last.
    pub(crate) tried_in: Option<Place>,
}

/// A route that does not send at present.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
    /// When one delivery may try it.
    pub(crate) tick: Tick,
    pub(crate) why: HoldReason,
    pub(crate) reason: String,
    /// The delivery that tries it: its lane and arrival.
    pub(crate) probe: Option<(LaneKey, u64)>,
}

impl RouteState {
    /// Whether the first job of a lane, which arrived as number `arrival`, may be sent; of a held
    /// route it is one at a time, once the pause is over.
    pub(crate) fn admits(&mut self, lane: LaneKey, arrival: u64, now: Tick) -> bool {
        let Some(held) = &mut self.held else { return true };
        match held.probe {
            Some(probe) => probe == (lane, arrival),
            None if held.tick <= now => {
                held.probe = Some((lane, arrival));
                true
            }
            None => false,
        }
    }

    /// Whether it is held and nothing tries it.
    pub(crate) fn lacks_probe(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.probe.is_none())
    }

    /// Whether this job tries the route.
    pub(crate) fn is_probe(&self, lane: LaneKey, arrival: u64) -> bool {
        self.held.as_ref().is_some_and(|held| held.probe == Some((lane, arrival)))
    }
}

/// Every route a worker has met.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    states: BTreeMap<Route, RouteState>,
    /// Those on which somebody may have begun to wait for room.
    wanting: BTreeSet<Route>,
}

impl Routes {
    pub(crate) fn get(&mut self, route: &Route) -> &mut RouteState {
        self.states.entry(route.clone()).or_default()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Route, &RouteState)> {
        self.states.iter()
    }

    /// Somebody may have begun to wait for room on `route`, or may go on waiting.
    pub(crate) fn want_room(&mut self, route: &Route) {
        if !self.wanting.contains(route) {
            self.wanting.insert(route.clone());
        }
    }

    /// A job that waited for room on some route does not wait any more.
    pub(crate) fn leave_room(&mut self, arrival: u64) {
        for state in self.states.values_mut() {
            for priority in [Priority::Low, Priority::Normal, Priority::High] {
                state.ready.remove(&(Reverse(priority), arrival));
            }
        }
    }

    /// Takes the routes on which somebody may wait for room.
    pub(crate) fn wanting_room(&mut self) -> BTreeSet<Route> {
        std::mem::take(&mut self.wanting)
    }

    /// Whether to ask for one more slot on a route: if somebody waits who is not asked for yet, it
    /// may be asked at `now`, and not for more than `at_most` at once.
    pub(crate) fn claim_slot(&mut self, route: &Route, now: Tick, at_most: usize) -> bool {
        let state = self.get(route);
        if state.rest_until.is_some_and(|until| now < until) {
            return false;
        }
        state.rest_until = None;
        let wants = state.asking < state.ready.len().min(at_most);
        state.asking += usize::from(wants);
        wants
    }

    /// When the next resting route may be asked again.
    pub(crate) fn next_rest(&self) -> Option<Tick> {
        let resting = self.states.values().filter(|state| !state.ready.is_empty());
        resting.filter_map(|state| state.rest_until).min()
    }

    /// The routes that rested until `now` and have somebody waiting.
    pub(crate) fn rested(&self, now: Tick) -> Vec<Route> {
        let over = |state: &RouteState| {
            !state.ready.is_empty() && state.rest_until.is_some_and(|until| until <= now)
        };
        self.states
            .iter()
            .filter(|(_, state)| over(state))
            .map(|(route, _)| route.clone())
            .collect()
    }

    /// A former worker held a route. If this one knows nothing better, one delivery tries it now.
    pub(crate) fn restore(&mut self, hold: &Hold, now: Tick) {
        let Some(why) = hold.why else { return };
        self.states.entry(hold.route.clone()).or_insert_with(|| RouteState {
            held: Some(Held {
                since: hold.since,
                until: hold.since,
                tick: now,
                why,
                reason: why.to_string(),
                probe: None,
            }),
            ..RouteState::default()
        });
    }

    /// When the next pause of a held route is over that was not over yet when it was `looked_at`.
    pub(crate) fn next_try(&self, looked_at: Tick) -> Option<Tick> {
        let held = self.states.values().filter_map(|state| state.held.as_ref());
        held.map(|held| held.tick).filter(|tick| *tick > looked_at).min()
    }

    /// Whether the backlog at `place` may be read: `Some(true)` if the route works, `Some(false)` if
    /// a delivery is to be found that tries it.
    pub(crate) fn may_read(&self, route: &Route, place: Place, now: Tick) -> Option<bool> {
        let Some(state) = self.states.get(route) else { return Some(true) };
        let Some(held) = &state.held else { return Some(true) };
        let is_free = held.probe.is_none() && held.tick <= now;
        let is_tried = state.trying.is_some_and(|trying| trying != place);
        (is_free && !is_tried).then_some(false)
    }

    /// Whether the others come before `place` to try a route.
    pub(crate) fn had_its_turn(&self, route: &Route, place: Place) -> bool {
        let held = self.states.get(route).filter(|state| state.held.is_some());
        let last = held.and_then(|state| state.tried_in);
        last.is_some_and(|last| place <= last)
    }

    /// A partition is gone, and with it whatever was to try a route.
    pub(crate) fn drop_partition(&mut self, partition: Partition) {
        for state in self.states.values_mut() {
            state.trying = state.trying.filter(|(trying, _)| *trying != partition);
        }
    }

    /// Forgets deliveries that tried a route and ended without an answer: suppressed, put off, or
    /// gone with their partition.
    pub(crate) fn forget_lost_probes(&mut self, lanes: &Lanes) {
        for held in self.states.values_mut().filter_map(|state| state.held.as_mut()) {
            let is_there = |(lane, arrival): (LaneKey, u64)| {
                lanes.first(&lane).is_some_and(|(job, _)| job.arrival == arrival)
            };
            held.probe = held.probe.filter(|probe| is_there(*probe));
        }
    }
}
