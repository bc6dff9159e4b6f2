//! The figures of a round, in the order in which they are told. The name says the unit.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::costs::Spent;
use crate::h2load::Baseline;
use crate::host::Others;
use crate::ledger::Ledger;
use crate::scenario::Scenario;
use crate::track::Track;
use crate::trouble::{Drained, Rebuilt};
use crate::watchers::Watchers;
use crate::wire::Tally;

/// Pushes a second.
pub(crate) const PUSHED: &str = "pushes acknowledged /s";
/// Durable notifications a second.
const DURABLE: &str = "notifications durable /s";
/// What the disk does a second.
const RAW: &str = "raw write and sync /s";
/// Deliveries that never came.
pub(crate) const LOST: &str = "deliveries lost";
/// Deliveries that nobody asked for.
pub(crate) const STRANGE: &str = "deliveries that nobody sent";
/// Notifications that were not shown on a watch stream.
pub(crate) const UNSEEN: &str = "notifications lost on watch streams";

/// Figures with their names.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Figures(pub(crate) Vec<Figure>);

/// A figure.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
}

/// How late the slowest of so many were.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Curve {
    /// Of what.
    pub(crate) name: String,
    /// How many, and milliseconds.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Curve {
    /// Of what was recorded in microseconds, from the median to the slowest; `None` if nothing was.
    pub(crate) fn of(name: &str, late: &Histogram<u64>) -> Option<Self> {
        let most = late.len() as f64;
        // Three points between each number and twice as many.
        let steps =
            (3..).map(|step| (f64::from(step) / 3.0).exp2()).take_while(|many| *many < most);
        let points = steps
            .chain((most > 2.0).then_some(most))
            .map(|many| (many, late.value_at_quantile(1.0 - 1.0 / many) as f64 / 1000.0));
        let points: Vec<_> = points.collect();
        (!points.is_empty()).then(|| Self { name: name.to_owned(), points })
    }
}

impl Figures {
    /// Adds a figure.
    pub(crate) fn put(&mut self, name: &str, value: f64) {
        self.0.push(Figure { name: name.to_owned(), value });
    }

    /// A figure by name; `None` if there is none.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }

    /// How many times one figure another one is.
    fn ratio(&mut self, name: &str, of: &str, to: &str) {
        if let (Some(of), Some(to)) = (self.get(of), self.get(to))
            && to > 0.0
        {
            self.put(name, of / to);
        }
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

    /// Rates and latencies, and what was lost and doubled.
    pub(crate) fn ledger(&mut self, ledger: &Ledger, scenario: &Scenario) {
        let seconds = scenario.span().as_secs_f64();
        let rate = |track: &Track| track.measured() as f64 / seconds;
        self.put(DURABLE, rate(ledger.acknowledged()));
        if scenario.has_rate() {
            let (from, to) = (ledger.window().from, ledger.window().to);
            let total = |at| ledger.plan().total(at).unwrap_or_default() as f64;
            self.put("notifications asked for /s", (total(to) - total(from)) / seconds);
            self.ratio("durable, of what was asked for", DURABLE, "notifications asked for /s");
        }
        self.latency("publish to acknowledgement", &ledger.acknowledged().late());
        if scenario.endpoints > 0 {
            self.put(PUSHED, rate(ledger.pushed()));
            self.latency("publish to provider", &ledger.pushed().late());
        }
        for (kind, track) in ledger.kinds() {
            self.latency(&format!("{kind}: publish to provider"), &track.late());
        }
        if scenario.dismiss {
            let (clearing, cleared) = (ledger.clearing(), ledger.clearing().sums());
            self.put("dismissals", cleared.dismissed as f64);
            self.put("dismissals on every device /s", rate(clearing.last()));
            self.latency("dismiss to last device", &clearing.last().late());
        }
        let sums = ledger.sums();
        self.put("notifications sent", sums.sent as f64);
        self.put(LOST, sums.lost as f64);
        self.put("deliveries doubled", sums.doubled as f64);
    }

    /// What the machine adds to latencies.
    pub(crate) fn host(&mut self, others: Others, ledger: &Ledger) {
        self.latency("host lateness", &ledger.host().late());
        self.put("CPUs that other processes used", others.here);
        self.put("CPUs that the host took", others.stolen);
    }

    /// What each process took.
    pub(crate) fn spent(&mut self, spent: &Spent, ledger: &Ledger) {
        let (what, count) = match ledger.sums().heard {
            0 => ("notifications", ledger.acknowledged().all()),
            heard => ("pushes", heard),
        };
        for (name, cpu, peak_mib) in spent {
            let each = cpu * 1e5 / count.max(1) as f64;
            self.put(&format!("{name} CPU s per 100,000 {what}"), each);
            self.put(&format!("{name} peak memory MiB"), *peak_mib);
        }
    }

    /// What the disk does alone.
    pub(crate) fn disk(&mut self, raw: f64) {
        self.put(RAW, raw);
        self.ratio("durable, of raw write and sync", DURABLE, RAW);
    }

    /// What a round came to that was done before this one, for comparison.
    pub(crate) fn beside(&mut self, what: &str, before: &Self) {
        let name = format!("{PUSHED}, {what}");
        if let Some(value) = before.get(PUSHED) {
            self.put(&name, value);
            self.ratio(&format!("pushes acknowledged, of those {what}"), PUSHED, &name);
        }
    }

    /// What the platforms counted: it must be what was told of it.
    pub(crate) fn tally(&mut self, tally: &Tally, ledger: &Ledger) {
        let sums = ledger.sums();
        self.put(STRANGE, (sums.strange + tally.accepted.abs_diff(sums.heard)) as f64);
        self.put("pushes refused by platforms", tally.rejected.values().sum::<u64>() as f64);
    }

    /// What those who follow users saw.
    pub(crate) fn watchers(&mut self, watchers: &Watchers, ledger: &Ledger) {
        let followed = watchers.followed();
        self.latency("publish to watch stream", &followed.shown.late());
        if followed.resumed.all() > 0 {
            self.put("watch streams resumed", followed.resumed.all() as f64);
            self.latency("cut to resumed", &followed.resumed.late());
        }
        self.put("watch streams that broke", followed.broken() as f64);
        self.put(UNSEEN, watchers.lost(ledger) as f64);
    }

    /// What came of an outage.
    pub(crate) fn drained(&mut self, drained: &Drained) {
        let seconds = drained.all.as_secs_f64();
        self.put("backlog at the end of the outage, pushes", drained.backlog as f64);
        self.put("end of the outage to first push s", drained.first.as_secs_f64());
        self.put("end of the outage to last push of the backlog s", seconds);
        self.put("backlog drained /s", drained.backlog as f64 / seconds.max(0.001));
    }

    /// What came of building the state again.
    pub(crate) fn rebuilt(&mut self, rebuilt: &Rebuilt) {
        self.put("rebuild records", rebuilt.records as f64);
        self.put("rebuild s", rebuilt.seconds);
        self.put("rebuild records /s", rebuilt.records as f64 / rebuilt.seconds.max(0.001));
    }

    /// What a sender achieves that does nothing but send.
    pub(crate) fn h2load(&mut self, h2load: &Baseline) {
        const THERE: &str = "h2load pushes /s";
        self.put(THERE, h2load.rate);
        self.ratio("pushes acknowledged, of h2load", PUSHED, THERE);
        self.put("simulator CPU s per 100,000 pushes of h2load", h2load.simulator_cpu);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    #[test]
    fn a_curve_goes_from_the_median_to_the_slowest() {
        let mut late = Histogram::new(3).unwrap();
        assert!(Curve::of("x", &late).is_none());
        (1..=1000).for_each(|ms| late.record(ms * 1000).unwrap());
        let points = Curve::of("x", &late).unwrap().points;
        let (first, last) = (*points.first().unwrap(), *points.last().unwrap());
        assert_eq!((first.0, last.0), (2.0, 1000.0));
        assert!((first.1 - 500.0).abs() < 1.0 && (last.1 - 1000.0).abs() < 2.0, "{points:?}");
        assert!(points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
    }

    #[test]
    fn a_ratio_needs_both_figures() {
        let mut figures = Figures::default();
        figures.put("a", 3.0);
        figures.ratio("a, of b", "a", "b");
        figures.put("b", 4.0);
        figures.ratio("a, of b", "a", "b");
        assert_eq!((figures.get("a, of b"), figures.0.len()), (Some(0.75), 3));
    }
}
