//! What a run takes: CPU time and memory of each process.

use crate::process::Process;

/// Names of the processes, as in figures.
const NAMES: [&str; 3] = ["engine", "simulator", "generator"];

/// What each process took: its name, CPU seconds, and the most memory it held, in MiB.
pub(crate) type Spent = Vec<(&'static str, f64, f64)>;

/// The processes, and the CPU time of each when the load began.
pub(crate) struct Costs([(Process, f64); 3]);

impl Costs {
    /// From now on, of engine, simulator and generator.
    pub(crate) fn of(processes: [Process; 3]) -> Self {
        Self(processes.map(|process| {
            let cpu = process.cpu();
            (process, cpu)
        }))
    }

    /// What they took since.
    pub(crate) fn since(&self) -> Spent {
        let each = NAMES.into_iter().zip(&self.0);
        each.map(|(name, (process, before))| (name, process.cpu() - before, process.peak_mib()))
            .collect()
    }
}
