//! What a run came to: figures of every round, their medians, and what they were measured on.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::error::LoadError;
use crate::figures::{Curve, Figure, Figures, LOST, STRANGE, UNSEEN};
use crate::samples::Sample;
use crate::scenario::Scenario;

/// A run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Report {
    /// The scenario's name.
    pub(crate) name: String,
    /// What was asked for.
    pub(crate) scenario: Scenario,
    /// What it ran on.
    pub(crate) machine: String,
    /// The medians.
    pub(crate) median: Figures,
    /// Every round.
    pub(crate) rounds: Vec<Round>,
}

/// A round.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Round {
    pub(crate) figures: Figures,
    /// How it went, second by second.
    pub(crate) samples: Vec<Sample>,
    /// How late the slowest were.
    pub(crate) curves: Vec<Curve>,
}

impl Report {
    /// The report of some rounds.
    pub(crate) fn new(name: &str, scenario: Scenario, rounds: Vec<Round>) -> Self {
        let names = rounds.first().map(|first| first.figures.0.as_slice()).unwrap_or_default();
        let median = names.iter().map(|Figure { name, .. }| {
            let mut values = values(&rounds, name);
            values.sort_by(f64::total_cmp);
            let value = values.get(values.len() / 2).copied().unwrap_or_default();
            Figure { name: name.clone(), value }
        });
        let median = Figures(median.collect());
        Self { name: name.to_owned(), scenario, machine: machine(), median, rounds }
    }

    /// Whether everything arrived, and nothing else.
    ///
    /// # Errors
    /// [`LoadError::Wrong`] over all rounds.
    pub(crate) fn judge(&self) -> Result<(), LoadError> {
        let sum = |name| values(&self.rounds, name).iter().sum::<f64>() as u64;
        match (sum(LOST), sum(STRANGE), sum(UNSEEN)) {
            (0, 0, 0) => Ok(()),
            (lost, strange, unseen) => Err(LoadError::Wrong { lost, strange, unseen }),
        }
    }

    /// The least and the most of a figure over the rounds.
    pub(crate) fn range(&self, name: &str) -> (f64, f64) {
        let values = values(&self.rounds, name);
        values.iter().fold((f64::MAX, f64::MIN), |(least, most), value| {
            (least.min(*value), most.max(*value))
        })
    }

    /// A table for people: each figure's median, and the least and most of the rounds.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{}: {}\n{}\n\n", self.name, self.scenario.about, self.machine);
        for Figure { name, value } in &self.median.0 {
            let (least, most) = self.range(name);
            let (value, least, most) = (number(*value), number(least), number(most));
            let range = match self.rounds.len() {
                1 => String::new(),
                _ => format!("{least} to {most}"),
            };
            let target = self.target(name);
            // Writing into a text does not fail.
            let _written = match range.is_empty() && target.is_empty() {
                true => writeln!(text, "{name:<56} {value:>12}"),
                false => writeln!(text, "{name:<56} {value:>12}   {range:<20} {target}"),
            };
        }
        for name in self.scenario.targets.keys().filter(|name| self.median.get(name).is_none()) {
            let _written = writeln!(text, "{name:<56} {:>12}   there is no such figure", "");
        }
        text
    }

    /// What the median of a figure should be, and whether it is; empty if nobody said.
    pub(crate) fn target(&self, name: &str) -> String {
        let target = self.scenario.targets.get(name);
        target.zip(self.median.get(name)).map_or(String::new(), |(target, value)| {
            let how = if target.is_met(value) { "met" } else { "missed" };
            format!("target {target}: {how}")
        })
    }
}

fn values(rounds: &[Round], name: &str) -> Vec<f64> {
    rounds.iter().filter_map(|round| round.figures.get(name)).collect()
}

/// A comparison of two runs: each figure of both, and how many times the former the latter is.
pub(crate) fn compare(before: &Report, after: &Report) -> String {
    let mut text = format!("{:<56} {:>12} {:>12} {:>8}\n", "", before.name, after.name, "ratio");
    for Figure { name, value: old } in &before.median.0 {
        let Some(new) = after.median.get(name) else { continue };
        let ratio = if *old == 0.0 { String::new() } else { format!("{:.2}", new / old) };
        let _written =
            writeln!(text, "{name:<56} {:>12} {:>12} {ratio:>8}", number(*old), number(new));
    }
    text
}

/// As many digits as say something.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// What it runs on, in a line.
fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = read("/proc/sys/kernel/osrelease");
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    format!(
        "{count} CPUs ({}), Linux {}, load {} before the report",
        model.map_or("unknown", |(_, model)| model),
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "test code")]

    use super::*;
    use crate::figures::PUSHED;

    fn round(values: &[(&str, f64)]) -> Round {
        let mut figures = Figures::default();
        values.iter().for_each(|(name, value)| figures.put(name, *value));
        Round { figures, samples: Vec::new(), curves: Vec::new() }
    }

    fn report(rounds: Vec<Round>) -> Report {
        let scenario = "about = \"x\"\nusers = 1\nendpoints = 1\nrate = 1\nwarm_up_seconds = 0\n\
                        seconds = 1\nrepeats = 3\n";
        let scenario = toml::from_str(scenario).unwrap_or_else(|error| panic!("{error}"));
        Report::new("test", scenario, rounds)
    }

    #[test]
    fn figures_are_medians_and_losses_are_sums() {
        let rounds = [30.0, 10.0, 20.0].map(|rate| round(&[(PUSHED, rate), (LOST, rate - 10.0)]));
        let report = report(rounds.into());
        assert_eq!(report.median.get(PUSHED), Some(20.0));
        assert!(matches!(
            report.judge(),
            Err(LoadError::Wrong { lost: 30, strange: 0, unseen: 0 })
        ));
        assert!(report.table().contains("10 to 30"), "{}", report.table());
    }

    #[test]
    fn targets_are_met_missed_or_of_nothing() {
        let mut report = report(vec![round(&[("a /s", 50.0), ("b ms", 7.0)])]);
        for (name, target) in [("a /s", ">= 60"), ("b ms", "<= 7"), ("c", "<= 1")] {
            let target = target.parse().unwrap_or_else(|error| panic!("{error}"));
            report.scenario.targets.insert(name.to_owned(), target);
        }
        let table = report.table();
        for told in ["target >= 60: missed", "target <= 7: met", "there is no such figure"] {
            assert!(table.contains(told), "{table}");
        }
    }

    #[test]
    fn a_run_without_fault_passes() {
        let rounds = vec![round(&[(LOST, 0.0), (STRANGE, 0.0), (UNSEEN, 0.0)])];
        assert!(report(rounds).judge().is_ok());
    }

    #[test]
    fn a_comparison_has_ratios() {
        let (slow, fast) = (round(&[("a /s", 50.0)]), round(&[("a /s", 75.0)]));
        let compared = compare(&report(vec![slow]), &report(vec![fast]));
        assert!(compared.contains("1.50"), "{compared}");
    }
}
