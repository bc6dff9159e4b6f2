//! What operators see from outside: metrics, and whether the process lives and works.
//!
//! - `http`: three pages over plain HTTP/1.1.
//! - `look`: once a second, how far the groups of this process are, and whether they move.
//! - `ready`: what keeps the process from being ready, in words.
//! - `metrics`: everything that is counted, as Prometheus reads it; `page` writes the format.
//! - `workers`: what delivery workers count, platform by platform.
//! - `traces`: spans, sent to a collector.
//!
//! Nothing here is written to: a page reads counters, the last look, and nothing else, so however
//! often pages are asked for, the log is not.

mod http;
mod look;
mod metrics;
mod page;
mod ready;
mod traces;
mod workers;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use campanile_core::port::Clock;
use campanile_engine::tasks::{Task, sleep, spawn};
use tokio::net::TcpListener;

use crate::compose::Parts;
use crate::role::Role;
use look::{Look, Watcher};

pub(crate) use ready::Beat;
pub(crate) use traces::Traces;
pub(crate) use workers::{Pools, Workers};

/// Between two looks at the groups.
const EVERY: Duration = Duration::from_secs(1);

/// What is known of the process, for whoever asks.
pub(crate) struct Observatory {
    stuck_after: Duration,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    phase: Phase,
    /// Absent until the store is open.
    parts: Option<Arc<Parts>>,
    beats: Vec<Arc<Beat>>,
    look: Look,
}

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Serving,
    Stopping,
}

impl Observatory {
    /// Sees nothing yet. A role that has something to do and finishes nothing for `stuck_after` is
    /// stuck.
    pub(crate) fn new(stuck_after: Duration) -> Arc<Self> {
        Arc::new(Self { stuck_after, inside: Mutex::default() })
    }

    /// Answers whoever connects, until the task is dropped.
    pub(crate) fn serve(self: &Arc<Self>, listener: TcpListener) -> Task {
        spawn(http::serve(listener, self.clone()))
    }

    /// Looks at the groups of `roles` from now on, until the task is dropped.
    pub(crate) fn watch<'a>(
        self: &Arc<Self>,
        parts: &Arc<Parts>,
        roles: impl IntoIterator<Item = &'a Role>,
    ) -> Task {
        self.with(|inside| inside.parts = Some(parts.clone()));
        let mut watcher = Watcher::new(parts.clone(), roles);
        let observatory = self.clone();
        spawn(async move {
            loop {
                let look = watcher.look().await;
                observatory.with(|inside| inside.look = look);
                sleep(EVERY).await;
            }
        })
    }

    /// A beat for the role called `name` to keep while it runs.
    pub(crate) fn beat(&self, name: &'static str, clock: Arc<dyn Clock>) -> Arc<Beat> {
        let beat = Arc::new(Beat::new(name, clock));
        self.with(|inside| inside.beats.push(beat.clone()));
        beat
    }

    /// Requests are answered from now on.
    pub(crate) fn serving(&self) {
        self.with(|inside| inside.phase = Phase::Serving);
    }

    /// Nothing new is taken from now on.
    pub(crate) fn stopping(&self) {
        self.with(|inside| inside.phase = Phase::Stopping);
    }

    /// What keeps the process from being ready, one reason each; none if it is.
    fn unready(&self) -> Vec<String> {
        self.with(|inside| match (inside.phase, &inside.parts) {
            (Phase::Starting, _) | (_, None) => vec!["starting".to_owned()],
            (Phase::Stopping, _) => vec!["stopping".to_owned()],
            (Phase::Serving, Some(parts)) => {
                ready::unready(&inside.look, &inside.beats, self.stuck_after, parts.clock.tick())
            }
        })
    }

    /// The metrics, as text.
    fn metrics(&self) -> String {
        let is_ready = self.unready().is_empty();
        let (parts, groups) = self.with(|it| (it.parts.clone(), it.look.groups.clone()));
        let Some(parts) = parts else { return metrics::write(&metrics::Shown::default()) };
        let now = parts.clock.tick();
        metrics::write(&metrics::Shown {
            is_ready,
            groups,
            now,
            time: parts.clock.now(),
            telemetry: parts.telemetry.readings(),
            workers: parts.workers.readings(),
            spans: parts.traces.as_ref().map(|traces| traces.counted()).unwrap_or_default(),
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.inside.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
