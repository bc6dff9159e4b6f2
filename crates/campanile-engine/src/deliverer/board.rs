//! What a worker says about its routes: after every change, and once a second while one is in
//! trouble. Nothing is said for a push.

use std::collections::BTreeMap;
use std::time::Duration;

use campanile_core::{Route, Tick};

use super::Deliverer;
use crate::telemetry::{HoldReading, RouteReading};

/// Between two words about routes in trouble, if nothing changes.
const EVERY: Duration = Duration::from_secs(1);

/// What was said last.
#[derive(Debug, Default)]
pub(crate) struct Said {
    routes: usize,
    /// How often a route was held or mended, and how many partitions owed something.
    changes: (u64, u64, usize),
    at: Tick,
}

impl Deliverer {
    /// Says how the routes fare, if there is news.
    pub(super) fn tell_routes(&mut self) {
        let telemetry = &self.parts.telemetry;
        let (holds, mended) = (&telemetry.deliverer_holds, &telemetry.deliverer_mended);
        let changes = (holds.get(), mended.get(), self.holding.len());
        let routes = self.routes.len();
        let is_news = (routes, changes) != (self.said.routes, self.said.changes);
        if !is_news && self.holding.is_empty() {
            return;
        }
        let (_, now) = self.now();
        if !is_news && now < self.said.at.after(EVERY) {
            return;
        }
        self.said = Said { routes, changes, at: now };
        let mut owed: BTreeMap<&Route, (u64, u32)> = BTreeMap::new();
        let owing = self.holding.iter().filter_map(|partition| self.partitions.get(partition));
        for intake in owing {
            let live = intake.view.read_to();
            let mut last = None;
            for ((route, _), backlog) in &intake.backlogs {
                let (events, partitions) = owed.entry(route).or_default();
                *events += backlog.tracker.owed_until(live);
                // A route's backlogs are neighbours.
                *partitions += u32::from(last.replace(route) != Some(route));
            }
        }
        let readings = self.routes.iter().map(|(route, state)| {
            let hold = state.held.as_ref().map(|held| HoldReading {
                why: held.why,
                reason: held.reason.clone(),
                since: held.since,
                next_try: held.until,
            });
            let (backlog_events, backlog_partitions) = owed.get(route).copied().unwrap_or_default();
            RouteReading { route: route.clone(), hold, backlog_events, backlog_partitions }
        });
        telemetry.routes.set(readings.collect());
    }
}
