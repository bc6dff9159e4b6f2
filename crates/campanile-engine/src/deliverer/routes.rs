//! Routes: who waits for room on which, and how they fare.

use std::collections::BTreeMap;

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
pub(crate) struct Routes(BTreeMap<Route, RouteState>);

impl Routes {
    pub(crate) fn get(&mut self, route: &Route) -> &mut RouteState {
        if !self.0.contains_key(route) {
            self.0.insert(route.clone(), RouteState::default());
        }
        self.0.entry(route.clone()).or_default()
    }

    /// Whether the route is held at `now`, and how. A hold that is over is forgotten.
    pub(crate) fn held(&mut self, route: &Route, now: Tick) -> Option<Held> {
        let state = self.0.get_mut(route)?;
        if state.held.as_ref().is_some_and(|held| held.tick <= now) {
            state.held = None;
        }
        state.held.clone()
    }

    /// How many more slots to ask for on a route, if it may be asked at `now`.
    pub(crate) fn claim_slots(&mut self, route: &Route, now: Tick, at_most: usize) -> usize {
        let state = self.get(route);
        if state.rest_until.is_some_and(|until| now < until) {
            return 0;
        }
        state.rest_until = None;
        let more = state.ready.len().min(at_most).saturating_sub(state.asking);
        state.asking += more;
        more
    }

    /// When the next resting route may be asked again.
    pub(crate) fn next_rest(&self) -> Option<Tick> {
        let resting = self.0.values().filter(|state| !state.ready.is_empty());
        resting.filter_map(|state| state.rest_until).min()
    }

    /// The routes that rested until `now` and have somebody waiting.
    pub(crate) fn rested(&self, now: Tick) -> Vec<Route> {
        let over = |state: &RouteState| {
            !state.ready.is_empty() && state.rest_until.is_some_and(|until| until <= now)
        };
        self.0.iter().filter(|(_, state)| over(state)).map(|(route, _)| route.clone()).collect()
    }
}
