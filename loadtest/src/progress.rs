//! Live progress, on standard error: how fast, how much is under way, how long still.

use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::sleep;

use crate::ledger::Ledger;
use crate::scenario::Scenario;

const EVERY: Duration = Duration::from_secs(1);

/// Tells how a round goes.
pub(crate) struct Progress {
    what: String,
    endpoints: usize,
    lasts: Duration,
}

impl Progress {
    /// Round `number` of `of`.
    pub(crate) fn new(name: &str, (number, of): (usize, usize), scenario: &Scenario) -> Self {
        let what = format!("{name} {number}/{of}");
        let lasts = scenario.warm_up() + scenario.span();
        Self { what, endpoints: scenario.endpoints, lasts }
    }

    /// Tells it once a second, for ever.
    pub(crate) async fn tell(&self, ledger: &Ledger) -> Infallible {
        let (mut durable, mut pushed) = (0, 0);
        loop {
            sleep(EVERY).await;
            let (durable_now, pushed_now) = (ledger.acknowledged().all(), ledger.pushed().all());
            let owed = durable_now * self.endpoints as u64;
            let left = self.lasts.saturating_sub(ledger.now()).as_secs();
            let line = format!(
                "{}: {} durable/s, {} pushed/s, {} pushes under way, {left} s left",
                self.what,
                durable_now - durable,
                pushed_now - pushed,
                owed.saturating_sub(pushed_now),
            );
            (durable, pushed) = (durable_now, pushed_now);
            say(&line);
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
