//! The scheduler: turns agenda entries that came due into events.
//!
//! It keeps no time of its own: the agenda is in the projection, and what it appends is an event
//! like any other. An entry that is appended twice is folded once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{
    Clock, DueEntry, EventLog, GroupEvent, GroupName, NewRecord, Progress, Projection,
    ProjectionError, ReadError,
};
use campanile_core::{AgendaEntry, Event, Fact, Partition, Tick, Timestamp, UserRef};
use campanile_proto::codec;

use crate::tasks::{Shutdown, sleep};
use crate::telemetry::Telemetry;

/// Entries appended at once.
const BATCH: usize = 256;
/// How long an appended entry is not appended again, while the projector catches up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon after new events a partition's agenda is looked at again.
const AFTER_EVENTS: Duration = Duration::from_millis(500);
/// How long a partition's agenda goes unlooked at when nothing happens.
const IDLE: Duration = Duration::from_secs(60);
/// The wait before something that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Appends [`Event::CameDue`] for the partitions it is given.
pub struct Scheduler {
    parts: Parts,
    /// When each owned partition is looked at next.
    look_at: BTreeMap<Partition, Tick>,
    appended: BTreeMap<(UserRef, AgendaEntry), Tick>,
}

/// What a scheduler works with.
#[derive(Clone)]
pub struct Parts {
    /// The events.
    pub log: Arc<dyn EventLog>,
    /// Where the agenda is.
    pub projection: Arc<dyn Projection>,
    /// The group that shares out the partitions.
    pub group: GroupName,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The counters.
    pub telemetry: Arc<Telemetry>,
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").field("look_at", &self.look_at).finish_non_exhaustive()
    }
}

impl Scheduler {
    /// A scheduler that owns no partition yet.
    #[must_use]
    pub const fn new(parts: Parts) -> Self {
        Self { parts, look_at: BTreeMap::new(), appended: BTreeMap::new() }
    }

    /// Works until shutdown.
    ///
    /// # Errors
    /// [`ReadError`] if the group is missing or the log damaged.
    pub async fn run(mut self, mut shutdown: Shutdown) -> Result<(), ReadError> {
        let mut reader = self.parts.log.join(&self.parts.group).await?;
        loop {
            let now = self.parts.clock.tick();
            let next_look = self.look_at.values().min().map_or(IDLE, |tick| tick.since(now));
            tokio::select! {
                biased;
                () = shutdown.begun() => return Ok(()),
                event = reader.next() => match event {
                    Ok(event) => {
                        if let Some(seen) = self.on_event(event) {
                            // Its own progress means nothing to the scheduler: a start anywhere
                            // is right, because it looks at the agenda, not at the events.
                            let _hint = reader.commit(&[seen]).await;
                        }
                    }
                    Err(ReadError::Unavailable { .. }) => sleep(RETRY).await,
                    Err(error) => return Err(error),
                },
                () = sleep(next_look.min(IDLE)) => self.look().await,
            }
        }
    }

    fn on_event(&mut self, event: GroupEvent) -> Option<Progress> {
        let now = self.parts.clock.tick();
        match event {
            GroupEvent::Assigned { progress } => {
                self.look_at.insert(progress.partition, now);
                None
            }
            GroupEvent::Records { partition, records } => {
                let soon = now.after(AFTER_EVENTS);
                let look = self.look_at.entry(partition).or_insert(soon);
                *look = (*look).min(soon);
                Some(Progress::from(partition, records.last()?.offset.next()))
            }
            GroupEvent::Revoking { partition, .. } | GroupEvent::Lost(partition) => {
                self.look_at.remove(&partition);
                None
            }
        }
    }

    /// Looks at every agenda whose time has come.
    async fn look(&mut self) {
        let now = self.parts.clock.tick();
        self.appended.retain(|_, at| now.since(*at) < PATIENCE);
        let ready: Vec<_> =
            self.look_at.iter().filter(|(_, at)| **at <= now).map(|(p, _)| *p).collect();
        for partition in ready {
            let wait = match self.append_due(partition).await {
                Ok(wait) => wait,
                Err(reason) => {
                    tracing::warn!(%partition, reason, "agenda not served");
                    RETRY
                }
            };
            self.look_at.insert(partition, now.after(wait));
        }
    }

    /// Appends what is due in `partition`; answers when to look again.
    async fn append_due(&mut self, partition: Partition) -> Result<Duration, String> {
        let now = self.parts.clock.now();
        let due = match self.parts.projection.due(partition, now, BATCH).await {
            Err(ProjectionError::NotBuilt(_)) => return Ok(RETRY),
            due => due.map_err(|error| error.to_string())?,
        };
        if due.is_empty() {
            return self.time_to_next(partition, now).await;
        }
        let fresh: Vec<_> = due
            .iter()
            .filter(|due| !self.appended.contains_key(&(due.user, due.entry)))
            .cloned()
            .collect();
        if fresh.is_empty() {
            return Ok(RETRY);
        }
        let records = fresh.iter().map(|due| self.came_due(partition, due)).collect();
        let tick = self.parts.clock.tick();
        for (due, answer) in fresh.iter().zip(self.parts.log.append(records).await) {
            answer.map_err(|error| error.to_string())?;
            self.appended.insert((due.user, due.entry), tick);
            self.parts.telemetry.scheduler_due.add(1);
        }
        Ok(if due.len() < BATCH { RETRY } else { Duration::from_millis(1) })
    }

    async fn time_to_next(&self, partition: Partition, now: Timestamp) -> Result<Duration, String> {
        let forever = Timestamp::from_millis(u64::MAX);
        let next = self.parts.projection.due(partition, forever, 1).await;
        let next = next.map_err(|error| error.to_string())?;
        Ok(next
            .first()
            .map_or(IDLE, |due| due.entry.at.since(now).clamp(Duration::from_millis(1), IDLE)))
    }

    fn came_due(&self, partition: Partition, due: &DueEntry) -> NewRecord {
        let event = Event::CameDue(due.entry);
        let fact = Fact { app: due.app.clone(), user: due.user, cause: None, event };
        NewRecord { partition, user: due.user, body: codec::encode_fact(&fact) }
    }
}
