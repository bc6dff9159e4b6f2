//! Planted bugs: a simulation that does not find them may be blind.

use std::process::ExitCode;

use super::options::Options;
use crate::terminal::say;

/// Runs of one bug before it counts as not found.
#[cfg(feature = "planted-bugs")]
const MOST: u64 = 2000;

/// Looks for every planted bug.
#[cfg(feature = "planted-bugs")]
pub(crate) fn run(options: &Options) -> ExitCode {
    use campanile_testkit::sim::{self, Bug, Planted};

    let mut is_blind = false;
    say(&format!("{:<26} {:>6}  {:<10} what", "planted bug", "seeds", "broken"));
    for bug in Bug::ALL {
        let name = format!("{bug:?}");
        let seeds = options.from..options.from + MOST;
        let found = seeds.clone().find_map(|seed| {
            let report = sim::run(seed, Planted::bug(bug), false);
            let first = report.violations.into_iter().next()?;
            Some((seed - options.from + 1, first))
        });
        match found {
            Some((after, first)) => {
                let what: String = first.what.chars().take(100).collect();
                say(&format!("{name:<26} {after:>6}  {:<10} {what}", first.guarantee));
            }
            None => {
                is_blind = true;
                say(&format!("{name:<26}      -  not found in {MOST} seeds"));
            }
        }
    }
    if is_blind { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// In a build without the bugs there is nothing to look for.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) fn run(_: &Options) -> ExitCode {
    say("this build has no planted bugs");
    ExitCode::FAILURE
}
