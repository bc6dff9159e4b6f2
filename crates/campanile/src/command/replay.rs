//! `campanile replay`

use std::fmt;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use campanile_core::Tick;
use campanile_core::port::Clock;
use campanile_engine::replayer::Watcher;
use campanile_engine::tasks::{Shutdown, sleep};
use serde::Serialize;
use std::sync::Arc;
use tracing::Level;

use super::serve::StoreArgs;
use crate::compose::Parts;
use crate::config::{Config, LogConfig};
use crate::environment::Environment;
use crate::exit::{Failure, Kind};
use crate::output::{Format, say};
use crate::replay::{self, Drifted, Ended, TOLD_EVERY, Told, Wanted, WantedGoal};
use crate::system::SystemClock;
use crate::{admin, logging, server};

/// How often a line is written where nobody watches a bar.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// How wide the bar is.
const WIDTH: u64 = 30;

/// The arguments.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Only tell whether what serves is what the log amounts to; nothing is changed.
    #[arg(long, conflicts_with_all = ["roll_back", "accept_drift"])]
    verify: bool,
    /// Bring the namespace that served before up to date, and have it serve again.
    #[arg(long, conflicts_with = "accept_drift")]
    roll_back: bool,
    /// Have the new state serve although it differs from the one that serves.
    #[arg(long)]
    accept_drift: bool,
    /// Do not go on with what an interrupted replay built.
    #[arg(long, conflicts_with = "roll_back")]
    afresh: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Replays in the server that runs on the data directory, or here if none does.
///
/// # Errors
/// [`Failure`]; of the kind [`Kind::Failed`] if what serves differs from what was built.
pub(crate) fn run(args: Args, environment: Environment, format: Format) -> Result<(), Failure> {
    let goal = match (args.verify, args.roll_back) {
        (true, _) => WantedGoal::Verify,
        (_, true) => WantedGoal::RollBack,
        _ => WantedGoal::Switch,
    };
    let wanted = Wanted { goal, accept_drift: args.accept_drift, afresh: args.afresh };
    let config = args.store.load(environment)?;
    logging::start(&LogConfig { level: Level::WARN, ..config.log.clone() });
    if !config.store.directory.is_dir() {
        let place = config.store.directory.display();
        let message = format_args!("store.directory: {place}: is no directory");
        return Err(Failure::new(Kind::Config, message));
    }
    let mut bar = Bar::start();
    let ended = server::runtime()?.block_on(replay(&config, wanted, &mut bar));
    bar.clear();
    let ended = ended?;
    let seconds = bar.clock.tick().since(bar.started).as_secs_f64();
    let drifted = ended.drift.len();
    for Drifted { partition, differences } in &ended.drift {
        say(format_args!("partition {partition} differs: {differences}"));
    }
    format.write(&Line::of(ended, seconds))?;
    if drifted > 0 && !args.accept_drift {
        let next = match goal {
            WantedGoal::Verify => "",
            _ => "; nothing was switched. If that is meant, say --accept-drift",
        };
        return Err(Failure::new(Kind::Failed, format_args!("{drifted} partitions differ{next}")));
    }
    Ok(())
}

async fn replay(config: &Config, wanted: Wanted, bar: &mut Bar) -> Result<Ended, Failure> {
    let directory: &Path = &config.store.directory;
    if let Some(ended) = admin::ask(directory, wanted, |told| bar.show(told)).await? {
        return Ok(ended);
    }
    let mut signal = server::stop_signal()?;
    let parts = Parts::open(config).await?;
    let (stop, stopping) = Shutdown::new();
    let watcher = Watcher::default();
    let watched = watcher.subscribe();
    let ended = {
        let mut work = std::pin::pin!(replay::here(&parts, wanted, watcher, stopping));
        loop {
            tokio::select! {
                ended = &mut work => break ended,
                _ = signal.given() => stop.begin(),
                () = sleep(TOLD_EVERY) => {
                    let told = Told::from(*watched.borrow());
                    bar.show(&told);
                }
            }
        }
    };
    parts.close();
    ended
}

/// Shows how far it is: as a bar to people, as lines to files.
struct Bar {
    clock: Arc<dyn Clock>,
    started: Tick,
    is_terminal: bool,
    last_line: Option<Tick>,
}

impl Bar {
    fn start() -> Self {
        let clock = SystemClock::start();
        let (started, is_terminal) = (clock.tick(), std::io::stderr().is_terminal());
        Self { clock, started, is_terminal, last_line: None }
    }

    fn show(&mut self, told: &Told) {
        let now = self.clock.tick();
        let text = line(told, now.since(self.started));
        if self.is_terminal {
            let done = (WIDTH * told.done).checked_div(told.total).unwrap_or_default().min(WIDTH);
            let bar: String = (0..WIDTH).map(|at| if at < done { '█' } else { '·' }).collect();
            // Nobody may look.
            let _nobody = write!(std::io::stderr(), "\r\x1b[2K{bar} {text}");
        } else if self.last_line.is_none_or(|last| now.since(last) >= LINE_EVERY) {
            self.last_line = Some(now);
            say(text);
        }
    }

    fn clear(&self) {
        if self.is_terminal {
            let _nobody = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}

/// How far it is, in words.
fn line(told: &Told, elapsed: Duration) -> String {
    let Told { phase, resumed, done, total, folded } = told;
    let share = (100 * done).checked_div(*total).unwrap_or(100).min(100);
    let rate = *folded as f64 / elapsed.as_secs_f64().max(0.001);
    let left = total.saturating_sub(*done) as f64 / rate.max(1.0);
    let resumed = if *resumed { ", resumed" } else { "" };
    format!("{phase}: {share}%, {done} of {total} records, {rate:.0}/s, {left:.0} s left{resumed}")
}

/// How it ended.
#[derive(Debug, Serialize)]
struct Line {
    switched: bool,
    records: u64,
    seconds: f64,
    /// Partitions that were compared.
    compared: usize,
    drift: Vec<Drifted>,
}

impl Line {
    fn of(ended: Ended, seconds: f64) -> Self {
        let Ended { switched, records, partitions, drift } = ended;
        Self { switched, records, seconds, compared: partitions, drift }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, seconds, compared, drift, switched } = self;
        let rate = *records as f64 / seconds.max(0.001);
        write!(f, "{records} records in {seconds:.1} s, {rate:.0}/s; ")?;
        write!(f, "{} of {compared} partitions differ; ", drift.len())?;
        f.write_str(if *switched { "the new state serves" } else { "nothing was switched" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_time_left_are_told() {
        let told =
            Told { phase: "building".into(), resumed: true, done: 250, total: 1000, folded: 100 };
        let text = line(&told, Duration::from_secs(2));
        assert_eq!(text, "building: 25%, 250 of 1000 records, 50/s, 15 s left, resumed");
        let nothing = line(&Told::default(), Duration::ZERO);
        assert_eq!(nothing, ": 100%, 0 of 0 records, 0/s, 0 s left");
    }
}
