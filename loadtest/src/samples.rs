//! How a round goes, second by second: kept for the report, and told on standard error.

use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::ledger::Ledger;
use crate::metrics;
use crate::process::Process;
use crate::scenario::Scenario;

const EVERY: Duration = Duration::from_secs(1);

/// How it stood at a moment. Rates are since the moment before.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Sample {
    /// Seconds since the load began.
    pub(crate) at: f64,
    /// Notifications that became durable, a second.
    pub(crate) durable: f64,
    /// Pushes that platforms accepted, a second.
    pub(crate) pushed: f64,
    /// Pushes that are owed for what is durable.
    pub(crate) under_way: f64,
    /// Age of the oldest record that a group of the engine has not finished, in seconds; absent if
    /// the engine did not say.
    pub(crate) lag: Option<f64>,
    /// Records that groups have not finished.
    pub(crate) lag_records: Option<f64>,
    /// Publish to provider, of what arrived since, in milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// How late a thread woke that only sleeps, in milliseconds.
    #[serde(default)]
    pub(crate) host_p99: f64,
    /// CPUs that the engine used; 0 if it cannot be seen.
    pub(crate) engine_cpus: f64,
    /// Memory that it holds, in MiB; 0 if it cannot be seen.
    pub(crate) engine_mib: f64,
}

/// Takes samples.
pub(crate) struct Sampler {
    what: String,
    endpoints: usize,
    /// How long this round lasts, and those after it.
    lasts: Duration,
    later: Duration,
    taken: Mutex<Vec<Sample>>,
}

impl Sampler {
    /// Of round `number` of `of`.
    pub(crate) fn new(name: &str, (number, of): (usize, usize), scenario: &Scenario) -> Self {
        let lasts = scenario.warm_up() + scenario.span();
        Self {
            what: format!("{name} {number}/{of}"),
            endpoints: scenario.endpoints,
            lasts,
            later: lasts * u32::try_from(of - number).unwrap_or(u32::MAX),
            taken: Mutex::default(),
        }
    }

    /// Takes one a second, for ever.
    pub(crate) async fn take(
        &self,
        ledger: &Ledger,
        engine: Option<&Process>,
        metrics: Option<&str>,
    ) -> Infallible {
        let mut before = Counted::now(ledger, engine);
        loop {
            sleep(EVERY).await;
            let lag = match metrics {
                Some(address) => metrics::lag(address).await,
                None => None,
            };
            let now = Counted::now(ledger, engine);
            let since = (now.at - before.at).as_secs_f64().max(0.001);
            let (p50, p99) = ledger.pushed().recent();
            let owed = now.durable * self.endpoints as u64;
            let sample = Sample {
                at: now.at.as_secs_f64(),
                durable: (now.durable - before.durable) as f64 / since,
                pushed: (now.pushed - before.pushed) as f64 / since,
                under_way: owed.saturating_sub(now.pushed) as f64,
                lag: lag.map(|lag| lag.seconds),
                lag_records: lag.map(|lag| lag.records),
                p50,
                p99,
                host_p99: ledger.host().recent().1,
                engine_cpus: (now.cpu - before.cpu) / since,
                engine_mib: engine.map_or(0.0, |engine| engine.held_kib() / 1024.0),
            };
            say(&self.line(&sample));
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            before = now;
        }
    }

    /// What was taken.
    pub(crate) fn taken(self) -> Vec<Sample> {
        self.taken.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it goes, in a line.
    fn line(&self, sample: &Sample) -> String {
        let Sample { durable, pushed, under_way, .. } = sample;
        let lag = sample.lag.map(|lag| format!(", lag {lag:.1} s")).unwrap_or_default();
        let left = self.lasts.as_secs_f64() - sample.at;
        // After the end of the load what is owed has to arrive.
        let left = if left > 0.0 { left } else { under_way / pushed.max(1.0) };
        let left = self.later.as_secs_f64() + left;
        format!(
            "{}: {durable:.0} durable/s, {pushed:.0} pushed/s, {under_way:.0} pushes under way\
             {lag}, {left:.0} s left",
            self.what
        )
    }
}

/// Counts at a moment.
struct Counted {
    at: Duration,
    durable: u64,
    pushed: u64,
    cpu: f64,
}

impl Counted {
    fn now(ledger: &Ledger, engine: Option<&Process>) -> Self {
        Self {
            at: ledger.now(),
            durable: ledger.acknowledged().all(),
            pushed: ledger.pushed().all(),
            cpu: engine.map_or(0.0, Process::cpu),
        }
    }
}

/// One line that replaces the one before on a terminal, and follows it elsewhere. Nobody may be
/// listening.
fn say(line: &str) {
    let mut out = std::io::stderr();
    let (start, end) = if out.is_terminal() { ("\r\x1b[K", "") } else { ("", "\n") };
    let _unheard = write!(out, "{start}{line}{end}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    #[test]
    fn what_is_left_are_the_rounds_to_come_and_then_what_is_owed() {
        let text = "about = \"x\"\nusers = 1\nendpoints = 5\nrate = 10\nwarm_up_seconds = 2\n\
                    seconds = 8\nrepeats = 3\n";
        let sampler = Sampler::new("test", (2, 3), &toml::from_str(text).unwrap());
        let sample = Sample { at: 4.0, pushed: 50.0, lag: Some(0.25), ..Sample::default() };
        assert_eq!(
            sampler.line(&sample),
            "test 2/3: 0 durable/s, 50 pushed/s, 0 pushes under way, lag 0.2 s, 16 s left"
        );
        let late = Sample { at: 12.0, pushed: 50.0, under_way: 500.0, ..Sample::default() };
        assert!(sampler.line(&late).ends_with("500 pushes under way, 20 s left"));
    }
}
