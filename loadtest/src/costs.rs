//! What a run takes: CPU time and memory of each process.

use crate::process::Process;

/// Names of the processes, as in figures.
const NAMES: [&str; 3] = ["engine", "simulator", "generator"];

/// What each process took: its name, CPU seconds, and the most memory it held, in MiB.
pub(crate) type Spent = Vec<(&'static str, f64, f64)>;

/// The processes that can be seen, and the CPU time of each when the load began.
pub(crate) struct Costs(Vec<(&'static str, Process, f64)>);

impl Costs {
    /// From now on, of engine, simulator and generator.
    pub(crate) fn of(processes: [Option<Process>; 3]) -> Self {
        let known = NAMES.into_iter().zip(processes).filter_map(|(name, it)| Some((name, it?)));
        Self(known.map(|(name, process)| (name, process.clone(), process.cpu())).collect())
    }

    /// What they took since.
    pub(crate) fn since(&self) -> Spent {
        let each = self.0.iter();
        each.map(|(name, process, before)| (*name, process.cpu() - before, process.peak_mib()))
            .collect()
    }
}
