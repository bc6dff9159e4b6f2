//! What delivery workers count: each has its own counters, and a pool of connections per route.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use campanile_core::{Platform, Route};
use campanile_engine::telemetry::{Reading, RouteReading, Telemetry};
use campanile_push::PoolCounters;
use campanile_push::apns::ApnsPusher;
use campanile_push::fcm::FcmPusher;

/// The delivery workers of this process.
#[derive(Debug, Default)]
pub(crate) struct Workers(Mutex<Vec<Worker>>);

struct Worker {
    platform: Platform,
    telemetry: Arc<Telemetry>,
    pools: Arc<dyn Pools>,
}

/// A sender that counts what its connections do.
pub(crate) trait Pools: Send + Sync + 'static {
    /// What the connections of each route did and are doing.
    fn counters(&self) -> Vec<(Route, PoolCounters)>;
}

impl Pools for ApnsPusher {
    fn counters(&self) -> Vec<(Route, PoolCounters)> {
        self.counters().map(|(route, counters)| (route.clone(), counters)).collect()
    }
}

impl Pools for FcmPusher {
    fn counters(&self) -> Vec<(Route, PoolCounters)> {
        self.counters().map(|(route, counters)| (route.clone(), counters)).collect()
    }
}

/// What one worker counted.
#[derive(Clone, Debug)]
pub(super) struct WorkerReadings {
    pub(super) platform: Platform,
    pub(super) telemetry: Vec<Reading>,
    pub(super) pools: Vec<(Route, PoolCounters)>,
    pub(super) routes: Vec<RouteReading>,
}

impl Workers {
    /// Adds the worker for `platform`, which sends with `pools`; answers where it counts.
    pub(crate) fn enlist(&self, platform: Platform, pools: Arc<dyn Pools>) -> Arc<Telemetry> {
        let telemetry = Arc::<Telemetry>::default();
        let worker = Worker { platform, telemetry: telemetry.clone(), pools };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        telemetry
    }

    /// How the routes of all workers fare.
    pub(crate) fn routes(&self) -> Vec<RouteReading> {
        let workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().flat_map(|worker| worker.telemetry.routes.get()).collect()
    }

    pub(super) fn readings(&self) -> Vec<WorkerReadings> {
        let workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let readings = workers.iter().map(|worker| WorkerReadings {
            platform: worker.platform,
            telemetry: worker.telemetry.readings(),
            pools: worker.pools.counters(),
            routes: worker.telemetry.routes.get(),
        });
        readings.collect()
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Worker({})", self.platform)
    }
}
