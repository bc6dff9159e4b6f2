//! What the simulation must have reached: a fault or a branch that never came up was not tested.

use std::collections::BTreeMap;

use campanile_testkit::sim;

/// With fewer seeds than this nothing has to be reached.
pub(crate) const ENOUGH: u64 = 1000;

/// How often what was reached.
#[derive(Debug, Default)]
pub(crate) struct Coverage(BTreeMap<&'static str, (u64, u64)>);

impl Coverage {
    /// Adds one run.
    pub(crate) fn add(&mut self, reached: &BTreeMap<&'static str, u64>) {
        for (name, count) in reached {
            let (runs, times) = self.0.entry(name).or_default();
            (*runs, *times) = (*runs + 1, *times + count);
        }
    }

    /// One line for each thing, with the runs and the times it was reached.
    pub(crate) fn table(&self) -> Vec<String> {
        let heading = format!("{:<56} {:>8} {:>10}", "reached", "runs", "times");
        let line = |(name, (runs, times)): (&&str, &(u64, u64))| {
            format!("{name:<56} {runs:>8} {times:>10}")
        };
        std::iter::once(heading).chain(self.0.iter().map(line)).collect()
    }

    /// What was never reached.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let expected = sim::expected_coverage().into_iter();
        expected.filter(|name| !self.0.contains_key(name)).collect()
    }
}
