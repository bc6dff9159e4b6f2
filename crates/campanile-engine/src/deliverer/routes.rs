//! Routes: who waits for room on which, and how they fare.

use std::collections::{BTreeMap, BTreeSet};

use campanile_core::{HoldReason, Route, RouteHealth, Tick, Timestamp};

use super::lanes::LaneKey;

/// What a worker knows of one route.
#[derive(Debug, Default)]
pub(crate) struct RouteState {
    /// Lanes whose first job waits for room, by the arrival of that job: in the order of the log.
    pub(crate) ready: BTreeMap<u64, LaneKey>,
    /// Room asked for and not answered yet.
    pub(crate) asking: usize,
    /// How its pushes fared lately.
    pub(crate) health: RouteHealth,
    /// How often in a row there was no connection.
    pub(crate) failures: u32,
    /// How often in a row it was held without a push being accepted in between.
    pub(crate) holds: u32,
    /// Not to be asked for room before this.
    pub(crate) rest_until: Option<Tick>,
    /// Deliveries go straight to the agenda until this.
    pub(crate) held: Option<Held>,
}

/// A route that does not send at present.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) until: Timestamp,
    pub(crate) tick: Tick,
    pub(crate) hold: Option<HoldReason>,
    pub(crate) reason: String,
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

    /// Somebody may have begun to wait for room on `route`, or may go on waiting.
    pub(crate) fn want_room(&mut self, route: &Route) {
        if !self.wanting.contains(route) {
            self.wanting.insert(route.clone());
        }
    }

    /// Takes the routes on which somebody may wait for room.
    pub(crate) fn wanting_room(&mut self) -> BTreeSet<Route> {
        std::mem::take(&mut self.wanting)
    }

    /// Whether the route is held at `now`, and how. A hold that is over is forgotten.
    pub(crate) fn held(&mut self, route: &Route, now: Tick) -> Option<Held> {
        let state = self.states.get_mut(route)?;
        if state.held.as_ref().is_some_and(|held| held.tick <= now) {
            state.held = None;
        }
        state.held.clone()
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
}
