//! What a run came to: figures of every round, their medians, and what they were measured on.

use std::collections::BTreeMap;
use std::fmt::Write;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::costs::Spent;
use crate::error::LoadError;
use crate::h2load::Baseline;
use crate::ledger::{Ledger, Track};
use crate::scenario::{Rate, Scenario};
use crate::wire::Tally;

/// Deliveries that never came.
const LOST: &str = "deliveries lost";
const PUSHED: &str = "pushes acknowledged /s";
/// Deliveries that nobody asked for.
const STRANGE: &str = "deliveries that nobody sent";

/// Figures by name. The name says the unit.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Figures(pub(crate) BTreeMap<String, f64>);

/// A run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Report {
    /// The scenario's name.
    pub(crate) name: String,
    /// What it was for.
    pub(crate) about: String,
    /// What was asked for, as the file says.
    pub(crate) scenario: serde_json::Value,
    /// What it ran on.
    pub(crate) machine: String,
    /// The medians.
    pub(crate) median: Figures,
    /// Every round.
    pub(crate) rounds: Vec<Figures>,
}

impl Figures {
    /// What a round came to.
    pub(crate) fn of(
        ledger: &Ledger,
        scenario: &Scenario,
        costs: &Spent,
        tally: &Tally,
        raw: Option<f64>,
    ) -> Self {
        let mut figures = Self::default();
        let seconds = scenario.span().as_secs_f64();
        let rate = |track: &Track| track.measured() as f64 / seconds;
        let durable = rate(ledger.acknowledged());
        figures.put("notifications durable /s", durable);
        figures.latency("publish to acknowledgement", &ledger.acknowledged().late());
        let sums = ledger.sums();
        let mut per = ("notifications", ledger.acknowledged().all());
        if scenario.endpoints > 0 {
            figures.put(PUSHED, rate(ledger.pushed()));
            figures.latency("publish to provider", &ledger.pushed().late());
            per = ("pushes", ledger.pushed().all());
        }
        let hundred_thousand = (per.1.max(1) as f64) / 1e5;
        for (name, cpu, peak_mib) in costs {
            let per = format!("{name} CPU s per 100,000 {}", per.0);
            figures.put(&per, cpu / hundred_thousand);
            figures.put(&format!("{name} peak memory MiB"), *peak_mib);
        }
        figures.put("notifications sent", sums.sent as f64);
        figures.put(LOST, sums.lost as f64);
        figures.put("deliveries doubled", sums.doubled as f64);
        // What the platforms counted and what was told of it must be the same.
        figures.put(STRANGE, (sums.strange + tally.accepted.abs_diff(sums.heard)) as f64);
        figures.put("pushes refused by platforms", tally.rejected.values().sum::<u64>() as f64);
        if let Rate::PerSecond(asked) = scenario.rate {
            figures.put("durable, of what was asked for", durable / f64::from(asked));
        }
        if let Some(raw) = raw {
            figures.put("raw write and sync /s", raw);
            figures.put("durable, of raw write and sync", durable / raw);
        }
        figures
    }

    /// How that is beside a sender that does nothing but send.
    pub(crate) fn compare(&mut self, h2load: &Baseline) {
        let pushed = self.get(PUSHED);
        self.put("h2load pushes /s", h2load.rate);
        self.put("pushes acknowledged, of h2load", pushed / h2load.rate);
        self.put("simulator CPU s per 100,000 pushes of h2load", h2load.simulator_cpu);
    }

    fn put(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), value);
    }

    fn latency(&mut self, name: &str, late: &Histogram<u64>) {
        for (quantile, value) in [
            ("p50", late.value_at_quantile(0.5)),
            ("p99", late.value_at_quantile(0.99)),
            ("p99.9", late.value_at_quantile(0.999)),
            ("max", late.max()),
        ] {
            self.put(&format!("{name} {quantile} ms"), value as f64 / 1000.0);
        }
    }

    /// A figure.
    pub(crate) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

impl Report {
    /// The report of some rounds.
    pub(crate) fn new(name: &str, scenario: Scenario, rounds: Vec<Figures>) -> Self {
        let names = rounds.first().into_iter().flat_map(|first| first.0.keys());
        let median = names.map(|name| {
            let mut values: Vec<f64> = rounds.iter().map(|round| round.get(name)).collect();
            values.sort_by(f64::total_cmp);
            (name.clone(), values.get(values.len() / 2).copied().unwrap_or_default())
        });
        let median = Figures(median.collect());
        let about = scenario.about.clone();
        let scenario = serde_json::to_value(scenario).unwrap_or_default();
        Self { name: name.to_owned(), about, scenario, machine: machine(), median, rounds }
    }

    /// Whether everything arrived, and nothing else.
    ///
    /// # Errors
    /// [`LoadError::Wrong`] over all rounds.
    pub(crate) fn judge(&self) -> Result<(), LoadError> {
        let sum = |name| self.rounds.iter().map(|round| round.get(name)).sum::<f64>() as u64;
        match (sum(LOST), sum(STRANGE)) {
            (0, 0) => Ok(()),
            (lost, strange) => Err(LoadError::Wrong { lost, strange }),
        }
    }

    /// A table for people: each figure's median, and the least and most of the rounds.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{}: {}\n{}\n\n", self.name, self.about, self.machine);
        for (name, median) in &self.median.0 {
            let all = self.rounds.iter().map(|round| round.get(name));
            let (least, most) = all.fold((f64::MAX, f64::MIN), |(least, most), value| {
                (least.min(value), most.max(value))
            });
            // Writing into a text does not fail.
            let _written = writeln!(
                text,
                "{name:<52} {:>12}   {} to {}",
                number(*median),
                number(least),
                number(most)
            );
        }
        text
    }
}

/// A comparison of two runs: each figure of both, and how many times the former the latter is.
pub(crate) fn compare(before: &Report, after: &Report) -> String {
    let mut text = format!("{:<52} {:>12} {:>12} {:>8}\n", "", before.name, after.name, "ratio");
    for (name, old) in &before.median.0 {
        let Some(new) = after.median.0.get(name) else { continue };
        let ratio = if *old == 0.0 { String::new() } else { format!("{:.2}", new / old) };
        let _written =
            writeln!(text, "{name:<52} {:>12} {:>12} {ratio:>8}", number(*old), number(*new));
    }
    text
}

/// As many digits as say something.
fn number(value: f64) -> String {
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
    use super::*;

    fn figures(values: &[(&str, f64)]) -> Figures {
        Figures(values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect())
    }

    fn report(rounds: Vec<Figures>) -> Report {
        let scenario = "about = \"x\"\nusers = 1\nendpoints = 1\nrate = 1\nwarm_up_seconds = 0\n\
                        seconds = 1\nrepeats = 3\n";
        let scenario = toml::from_str(scenario).unwrap_or_else(|error| panic!("{error}"));
        Report::new("test", scenario, rounds)
    }

    #[test]
    fn figures_are_medians_and_losses_are_sums() {
        let rounds = [30.0, 10.0, 20.0].map(|rate| {
            figures(&[("pushes acknowledged /s", rate), ("deliveries lost", rate - 10.0)])
        });
        let report = report(rounds.into());
        assert_eq!(report.median.get("pushes acknowledged /s"), 20.0);
        assert!(matches!(report.judge(), Err(LoadError::Wrong { lost: 30, strange: 0 })));
        assert!(report.table().contains("10 to 30"), "{}", report.table());
    }

    #[test]
    fn a_comparison_has_ratios() {
        let (slow, fast) = (figures(&[("a /s", 50.0)]), figures(&[("a /s", 75.0)]));
        let compared = compare(&report(vec![slow]), &report(vec![fast]));
        assert!(compared.contains("1.50"), "{compared}");
    }
}
