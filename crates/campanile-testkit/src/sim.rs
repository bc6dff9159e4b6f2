//! The deterministic simulation: the real roles of the engine on the adapters of
//! [`crate::memory`], in one thread and in virtual time. A seed decides workload, scheduling and
//! faults, so the same seed is the same run, told by the hash of its trace.
//!
//! A run has three acts. First, clients act and things go wrong between any two steps. Then
//! everything is healed, and the run must come to rest within a bound of virtual time. At rest,
//! and in part all along, predicates check the guarantees G1 to G8; last, the projection is
//! rebuilt, which must send nothing.

mod clients;
mod coverage;
mod director;
mod faults;
mod forgetting;
mod fuse;
mod journal;
mod log;
mod mirror;
mod past;
mod predicates;
mod projection;
mod provider;
mod random;
mod roles;
mod setup;
mod stage;
mod trace;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use campanile_core::{Generation, LogIdentity};
pub use campanile_engine::planted::{Bug, Planted};

pub use self::coverage::expected_coverage;
use campanile_engine::telemetry::Telemetry;

use self::director::Director;
use self::log::Logs;
use self::provider::Provider;
use self::roles::Ground;
use self::setup::Setup;
use self::stage::Stage;
use crate::memory::{LogOptions, MemoryCarried, MemoryLog, MemoryProjection, SeededEntropy};
use crate::vocabulary::START;

/// A promise that a run broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which: G1 to G8, or in a word.
    pub guarantee: &'static str,
    /// What happened.
    pub what: String,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The hash of everything that happened.
    pub hash: u64,
    /// What was broken.
    pub violations: Vec<Violation>,
    /// How often what was reached.
    pub reached: BTreeMap<&'static str, u64>,
    /// What happened, line by line, if it was kept.
    pub trace: Vec<String>,
    /// How long it took, in its own time.
    pub virtual_time: Duration,
}

/// Runs a seed.
///
/// # Panics
/// If the runtime cannot be built: the machine is out of files.
#[must_use]
pub fn run(seed: u64, planted: Planted, keep_trace: bool) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap_or_else(|error| unreachable!("no runtime: {error}"));
    runtime.block_on(play(seed, planted, keep_trace))
}

async fn play(seed: u64, planted: Planted, keep_trace: bool) -> Report {
    let stage = Arc::new(Stage::new(seed, START, keep_trace));
    let setup = Setup::of_seed(seed);
    let identity =
        LogIdentity { id: [7; 16], generation: Generation(1), partitions: setup.partitions };
    let clock = Arc::new(stage.clock.clone());
    let options = LogOptions { offset_step: setup.offset_step, ..LogOptions::default() };
    let log = || MemoryLog::with_options(identity, clock.clone(), options);
    let logs = Logs::new(stage.clone(), log(), log(), planted);
    let projection = MemoryProjection::new(identity);
    let ground = Ground {
        stage: stage.clone(),
        logs: logs.clone(),
        carried: MemoryCarried::new(projection.clone()),
        projection,
        provider: Provider::new(stage.clone(), logs),
        entropy: Arc::new(SeededEntropy::new(seed)),
        telemetry: Arc::new(Telemetry::default()),
        planted,
        setup,
    };
    let telemetry = ground.telemetry.clone();
    Director::new(ground, seed).await.play().await;
    for (name, count) in telemetry.snapshot() {
        if count > 0 {
            stage.reach(name);
        }
    }
    Report {
        seed,
        hash: stage.trace.hash(),
        violations: stage.violations(),
        reached: stage.reached(),
        trace: stage.trace.lines(),
        virtual_time: stage.tick().since(campanile_core::Tick::default()),
    }
}

/// Locks; what a panicking task left behind is still worth reading.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
