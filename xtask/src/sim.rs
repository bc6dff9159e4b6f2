//! `cargo xtask sim`: runs the deterministic simulation over many seeds.
//!
//! It runs in an optimised build, and `--planted` in one with bugs put in on purpose; where this
//! one is not that, cargo is asked for it. So no other build of the workspace has the bugs.

mod coverage;
mod options;
mod planted;

use std::error::Error;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use campanile_testkit::sim::{self, Planted, Report};

use self::coverage::Coverage;
use self::options::Options;
use crate::terminal::{complain, say};

/// One seed in this many is run twice, and must give the same trace.
const TWICE: u64 = 100;
/// Failures that are told in full.
const TOLD: usize = 20;

/// Runs what `arguments` ask for.
///
/// # Errors
/// The arguments are wrong, or cargo could not be started.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse(arguments)?;
    if cfg!(debug_assertions) || (options.planted && !cfg!(feature = "planted-bugs")) {
        return again(arguments, options.planted);
    }
    if options.planted {
        return Ok(planted::run(&options));
    }
    if let Some(seed) = options.seed {
        return Ok(one(seed, options.trace));
    }
    Ok(many(&options))
}

/// Runs the same in the build it needs.
fn again(arguments: &[String], planted: bool) -> Result<ExitCode, Box<dyn Error>> {
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--release", "--package", "xtask"]);
    if planted {
        command.args(["--features", "planted-bugs"]);
    }
    let status = command.args(["--", "sim"]).args(arguments).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one seed, twice.
fn one(seed: u64, trace: bool) -> ExitCode {
    let report = sim::run(seed, Planted::default(), trace);
    report.trace.iter().for_each(|line| say(line));
    let second = sim::run(seed, Planted::default(), false);
    let hash = report.hash;
    say(&format!("seed {seed}: trace {hash:016x}, {:?} of virtual time", report.virtual_time));
    report.violations.iter().for_each(|it| say(&format!("  {}: {}", it.guarantee, it.what)));
    if second.hash != hash {
        say(&format!("  not deterministic: the second run's trace is {:016x}", second.hash));
    }
    let is_good = report.violations.is_empty() && second.hash == hash;
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the threads of a campaign share.
struct Campaign {
    next: AtomicU64,
    end: u64,
    sums: Mutex<Sums>,
}

#[derive(Default)]
struct Sums {
    coverage: Coverage,
    failures: Vec<(u64, String)>,
    virtual_seconds: u64,
}

fn many(options: &Options) -> ExitCode {
    let campaign = Campaign {
        next: AtomicU64::new(options.from),
        end: options.from.saturating_add(options.seeds),
        sums: Mutex::default(),
    };
    #[expect(clippy::disallowed_methods, reason = "how fast it is, is for people only")]
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| work(&campaign));
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    let sums = campaign.sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    let rate = options.seeds as f64 / seconds.max(1e-3);
    let mut failures = sums.failures;
    failures.sort();
    sums.coverage.table().iter().for_each(|line| say(line));
    for (seed, what) in failures.iter().take(TOLD) {
        say(&format!("seed {seed}: {what}\n  cargo xtask sim --seed {seed} --trace"));
    }
    let (seeds, days) = (options.seeds, sums.virtual_seconds / 86_400);
    let count = failures.len();
    say(&format!(
        "{seeds} seeds in {seconds:.1} s, {rate:.0} seeds/s, {days} days of virtual time; \
         {count} failed"
    ));
    let missing = sums.coverage.missing();
    let is_covered = missing.is_empty() || options.seeds < coverage::ENOUGH;
    if !is_covered {
        complain(&format!("never reached: {}", missing.join(", ")));
    }
    if failures.is_empty() && is_covered { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(campaign: &Campaign) {
    loop {
        let seed = campaign.next.fetch_add(1, Ordering::Relaxed);
        if seed >= campaign.end {
            return;
        }
        let report = sim::run(seed, Planted::default(), false);
        let is_repeatable = !seed.is_multiple_of(TWICE)
            || sim::run(seed, Planted::default(), false).hash == report.hash;
        let mut sums = campaign.sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.virtual_seconds += report.virtual_time.as_secs();
        sums.coverage.add(&report.reached);
        if let Some(what) = failure(&report) {
            sums.failures.push((seed, what));
        }
        if !is_repeatable {
            sums.failures.push((seed, "the same seed gave another trace".to_owned()));
        }
    }
}

/// The first violation, shortened, and how many more there are.
fn failure(report: &Report) -> Option<String> {
    let first = report.violations.first()?;
    let what: String = first.what.chars().take(300).collect();
    let more = report.violations.len() - 1;
    Some(format!("{}: {what} (and {more} more)", first.guarantee))
}
