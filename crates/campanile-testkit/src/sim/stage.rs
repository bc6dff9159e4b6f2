//! What every part of one run shares: time, trouble, and what is noted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use campanile_core::port::Clock;
use campanile_core::{Tick, Timestamp};
use campanile_engine::tasks::sleep;

use super::faults::{Fault, Faults};
use super::trace::Trace;
use super::{Violation, held};
use crate::memory::TokioClock;

/// The stage of one run.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) clock: TokioClock,
    pub(crate) faults: Faults,
    pub(crate) trace: Trace,
    reached: Mutex<BTreeMap<&'static str, u64>>,
    violations: Mutex<Vec<Violation>>,
    disturbances: Mutex<BTreeSet<Tick>>,
    latest: Mutex<Timestamp>,
}

impl Stage {
    /// The stage of `seed`.
    pub(crate) fn new(seed: u64, start: Timestamp, keep_trace: bool) -> Self {
        Self {
            clock: TokioClock::new(start),
            faults: Faults::of_seed(seed),
            trace: Trace::new(keep_trace),
            reached: Mutex::default(),
            violations: Mutex::default(),
            disturbances: Mutex::default(),
            latest: Mutex::default(),
        }
    }

    pub(crate) fn tick(&self) -> Tick {
        self.clock.tick()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The latest wall-clock time there was, whatever the clock did since.
    pub(crate) fn latest(&self) -> Timestamp {
        self.now().max(*held(&self.latest))
    }

    /// Adds a line to the trace.
    pub(crate) fn note(&self, line: fmt::Arguments<'_>) {
        let mut latest = held(&self.latest);
        *latest = (*latest).max(self.now());
        drop(latest);
        self.trace.note(self.tick(), line);
    }

    /// Takes note that something interesting was reached.
    pub(crate) fn reach(&self, name: &'static str) {
        *held(&self.reached).entry(name).or_default() += 1;
    }

    /// How often what was reached.
    pub(crate) fn reached(&self) -> BTreeMap<&'static str, u64> {
        held(&self.reached).clone()
    }

    /// Whether a point strikes this call.
    pub(crate) fn strikes(&self, fault: Fault) -> bool {
        let strikes = self.faults.strikes(fault);
        if strikes {
            self.reach(fault.name());
            self.note(format_args!("fault: {}", fault.name()));
        }
        strikes
    }

    /// Whether a window is open.
    pub(crate) fn is_open(&self, fault: Fault) -> bool {
        self.faults.is_open(fault, self.tick())
    }

    /// Lets a random time pass.
    pub(crate) async fn dawdle(&self, low: u64, high: u64) {
        let wait = self.faults.random().millis(low, high);
        if wait > Duration::ZERO {
            sleep(wait).await;
        }
    }

    /// A promise was broken.
    pub(crate) fn broken(&self, guarantee: &'static str, what: String) {
        self.note(format_args!("BROKEN {guarantee}: {what}"));
        held(&self.violations).push(Violation { guarantee, what });
    }

    /// What was broken so far.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        held(&self.violations).clone()
    }

    /// Takes note of something after which a delivery may be repeated.
    pub(crate) fn disturbed(&self) {
        held(&self.disturbances).insert(self.tick());
    }

    /// Whether there was a disturbance from `from` to `to`.
    pub(crate) fn was_disturbed(&self, from: Tick, to: Tick) -> bool {
        held(&self.disturbances).range(from..=to).next().is_some()
    }
}
