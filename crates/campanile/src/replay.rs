//! A replay, here or in a running server: what is asked, how far it is, how it ended.

use std::time::Duration;

use campanile_engine::replayer::{Goal, Progress, ReplayError, Replayer, Report, Watcher};
use campanile_engine::tasks::Shutdown;
use serde::{Deserialize, Serialize};

use crate::compose::{self, Parts};
use crate::exit::{Failure, Kind};

/// How often it is told how far it is.
pub(crate) const TOLD_EVERY: Duration = Duration::from_millis(200);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) goal: WantedGoal,
    /// Switch also if the new state differs.
    pub(crate) accept_drift: bool,
    /// Do not go on with what an earlier replay built.
    pub(crate) afresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WantedGoal {
    Verify,
    Switch,
    RollBack,
}

impl Wanted {
    fn goal(self) -> Goal {
        match self.goal {
            WantedGoal::Verify => Goal::Verify,
            WantedGoal::Switch => Goal::Switch { accept_drift: self.accept_drift },
            WantedGoal::RollBack => Goal::RollBack,
        }
    }
}

/// How far it is, as it is told over the socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) phase: String,
    pub(crate) resumed: bool,
    pub(crate) done: u64,
    pub(crate) total: u64,
    pub(crate) folded: u64,
}

impl From<Progress> for Told {
    fn from(progress: Progress) -> Self {
        let Progress { phase, resumed, done, total, folded } = progress;
        Self { phase: phase.name().to_owned(), resumed, done, total, folded }
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) switched: bool,
    pub(crate) records: u64,
    pub(crate) partitions: usize,
    pub(crate) drift: Vec<Drifted>,
}

/// A partition that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Drifted {
    pub(crate) partition: u16,
    pub(crate) differences: String,
}

impl From<Report> for Ended {
    fn from(report: Report) -> Self {
        let drift = report
            .drift
            .iter()
            .map(|it| Drifted { partition: it.partition.0, differences: it.differences() });
        let Report { records, partitions, switched, .. } = report;
        Self { switched, records, partitions, drift: drift.collect() }
    }
}

/// Runs a replay on the store of `parts`.
///
/// # Errors
/// [`Failure`].
pub(crate) async fn here(
    parts: &Parts,
    wanted: Wanted,
    watcher: Watcher,
    shutdown: Shutdown,
) -> Result<Ended, Failure> {
    let parts = compose::replayer(parts);
    if wanted.afresh {
        let discarded = parts.namespaces.discard().await;
        discarded.map_err(|error| failed(error.into()))?;
    }
    let report = Replayer::new(parts, watcher, shutdown).run(wanted.goal()).await;
    report.map(Ended::from).map_err(failed)
}

fn failed(error: ReplayError) -> Failure {
    let kind = match &error {
        ReplayError::Interrupted
        | ReplayError::Fenced
        | ReplayError::ServingBehind { .. }
        | ReplayError::TooSlow { .. } => Kind::Temporary,
        ReplayError::NoFormer | ReplayError::Forgotten { .. } => Kind::Failed,
        ReplayError::Log(_) | ReplayError::Projection(_) => Kind::Unavailable,
    };
    Failure::new(kind, format_args!("replay: {error}"))
}

#[cfg(test)]
mod tests;
