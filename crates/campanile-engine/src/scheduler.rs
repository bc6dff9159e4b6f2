//! The scheduler: turns agenda entries that came due into events.
//!
//! It keeps no time of its own: the agenda is in the projection, and what it appends is an event
//! like any other.
//!
//! An entry is appended again only once the projection has folded what was appended, and still has
//! the entry: to the state a repetition is nothing, but a parked delivery would be sent twice. For
//! the same reason an agenda is not served while it is being rebuilt: it holds what came due long
//! ago.
//!
//! Whether an item's end has come is told by the log's time, not by the scheduler's. Where the
//! log's is behind, what was appended is nothing, and the entry is still there; it is appended again
//! once the log's time has come to it.
//!
//! What follows from a sweep, or from an address that changed hands, is recorded here before the
//! entry leaves the agenda.

mod sweeps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{
    Clock, DueEntry, EventLog, GroupEvent, GroupName, GroupReader, NewRecord, Progress, Projection,
    ProjectionError, ReadError,
};
use campanile_core::{
    AgendaEntry, Displaced, Due, Event, Fact, Offset, Partition, Tick, Timestamp, UserRef,
};
use campanile_proto::codec;
use futures::future::FutureExt;

use crate::gateway::retirement;
use crate::tasks::{Shutdown, sleep};
use crate::telemetry::Telemetry;

/// Entries appended at once.
const BATCH: usize = 256;
/// Entries looked at that wait for the log's time; more are not looked for behind them.
const MOST_EARLY: usize = 4096;
/// How soon after new events a partition's agenda is looked at again.
const AFTER_EVENTS: Duration = Duration::from_millis(500);
/// How long a partition's agenda goes unlooked at when nothing happens.
const IDLE: Duration = Duration::from_secs(60);
/// How long the log is left alone after it was read: of many events it learns no more than of one.
const REST: Duration = Duration::from_millis(50);
/// What is taken from the log at once, at most.
const TURN: usize = 256;
/// The wait before something that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Appends [`Event::CameDue`] for the partitions it is given.
pub struct Scheduler {
    parts: Parts,
    agendas: BTreeMap<Partition, Agenda>,
    rests_until: Tick,
}

/// An owned partition's agenda.
#[derive(Debug)]
struct Agenda {
    /// When it is looked at next.
    look_at: Tick,
    /// The highest checkpoint seen.
    seen: Offset,
    /// The checkpoint from which on it is whole: the log's tail when the partition was given, or
    /// when the checkpoint was found to have fallen back. Absent: to be asked for.
    whole_at: Option<Offset>,
    /// What was appended and is still on the agenda, as far as that is known.
    appended: BTreeMap<(UserRef, AgendaEntry), Appended>,
}

/// An entry that was appended.
#[derive(Clone, Copy, Debug)]
struct Appended {
    /// Where it stands.
    at: Offset,
    /// When it was there.
    since: Tick,
    /// It was too early by the log's time, which comes to it then.
    again: Option<Tick>,
}

impl Agenda {
    const fn new(look_at: Tick) -> Self {
        Self { look_at, seen: Offset(0), whole_at: None, appended: BTreeMap::new() }
    }
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
        f.debug_struct("Scheduler").field("agendas", &self.agendas).finish_non_exhaustive()
    }
}

impl Scheduler {
    /// A scheduler that owns no partition yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts, agendas: BTreeMap::new(), rests_until: Tick::default() }
    }

    /// Works until shutdown.
    ///
    /// # Errors
    /// [`ReadError`] if the group is missing or the log damaged.
    pub async fn run(mut self, mut shutdown: Shutdown) -> Result<(), ReadError> {
        let mut reader = self.parts.log.join(&self.parts.group).await?;
        loop {
            let now = self.parts.clock.tick();
            let looks = self.agendas.values().map(|agenda| agenda.look_at);
            let next_look = looks.min().map_or(IDLE, |tick| tick.since(now));
            // A log that always has more must not keep what is due from being served.
            if next_look.is_zero() && !shutdown.has_begun() {
                self.look().await;
                continue;
            }
            let rest = self.rests_until.since(now);
            let wait = if rest.is_zero() { IDLE } else { rest };
            tokio::select! {
                biased;
                () = shutdown.begun() => return Ok(()),
                event = reader.next(), if rest.is_zero() => {
                    self.read(event, reader.as_mut()).await?;
                }
                () = sleep(next_look.min(wait)) => {}
            }
        }
    }

    /// Takes what the log has by now, beginning with `first`.
    async fn read(
        &mut self,
        first: Result<GroupEvent, ReadError>,
        reader: &mut dyn GroupReader,
    ) -> Result<(), ReadError> {
        let mut seen = BTreeMap::new();
        let mut next = Some(first);
        for left in (0..TURN).rev() {
            match next {
                None => break,
                Some(Ok(event)) => {
                    if let GroupEvent::Lost(partition) = &event {
                        seen.remove(partition);
                    }
                    seen.extend(self.on_event(event).map(|it| (it.partition, it)));
                }
                Some(Err(ReadError::Unavailable { .. })) => {
                    sleep(RETRY).await;
                    break;
                }
                Some(Err(error)) => return Err(error),
            }
            next = (left > 0).then(|| reader.next().now_or_never()).flatten();
        }
        if !seen.is_empty() {
            // Its own progress means nothing to the scheduler: a start anywhere is right, because it
            // looks at the agenda, not at the events.
            let seen: Vec<_> = seen.into_values().collect();
            let _hint = reader.commit(&seen).await;
        }
        self.rests_until = self.parts.clock.tick().after(REST);
        Ok(())
    }

    fn on_event(&mut self, event: GroupEvent) -> Option<Progress> {
        let now = self.parts.clock.tick();
        match event {
            GroupEvent::Assigned { progress } => {
                self.agendas.insert(progress.partition, Agenda::new(now));
                None
            }
            GroupEvent::Records { partition, records } => {
                let soon = now.after(AFTER_EVENTS);
                let agenda = self.agendas.entry(partition).or_insert_with(|| Agenda::new(soon));
                agenda.look_at = agenda.look_at.min(soon);
                Some(Progress::from(partition, records.last()?.offset.next()))
            }
            GroupEvent::Revoking { partition, .. } | GroupEvent::Lost(partition) => {
                self.agendas.remove(&partition);
                None
            }
        }
    }

    /// Looks at every agenda whose time has come.
    async fn look(&mut self) {
        let now = self.parts.clock.tick();
        let ready = self.agendas.iter().filter(|(_, agenda)| agenda.look_at <= now);
        let ready: Vec<_> = ready.map(|(partition, _)| *partition).collect();
        for partition in ready {
            let Some(mut agenda) = self.agendas.remove(&partition) else { continue };
            let wait = match self.serve(partition, &mut agenda).await {
                Ok(wait) => wait,
                Err(reason) => {
                    tracing::warn!(%partition, reason, "agenda not served");
                    RETRY
                }
            };
            agenda.look_at = now.after(wait);
            self.agendas.insert(partition, agenda);
        }
    }

    /// Appends what is due in `partition`; answers when to look again.
    async fn serve(&self, partition: Partition, agenda: &mut Agenda) -> Result<Duration, String> {
        if !self.is_whole(partition, agenda).await? {
            return Ok(RETRY);
        }
        let folded = agenda.seen;
        let now = self.parts.clock.now();
        let limit = BATCH + agenda.appended.len().min(MOST_EARLY);
        let due = self.parts.projection.due(partition, now, limit).await;
        let due = due.map_err(|error| error.to_string())?;
        // Asked again, so that what was read in between was whole too.
        if !self.is_whole(partition, agenda).await? {
            return Ok(RETRY);
        }
        self.wait_for_log(partition, agenda, &due, folded).await?;
        if due.is_empty() {
            return self.time_to_next(partition, now).await;
        }
        let tick = self.parts.clock.tick();
        let is_fresh = |due: &&DueEntry| {
            let appended = agenda.appended.get(&(due.user, due.entry));
            appended.is_none_or(|it| it.again.is_some_and(|again| again <= tick))
        };
        let fresh: Vec<_> = due.iter().filter(is_fresh).take(BATCH).collect();
        if fresh.is_empty() {
            return Ok(RETRY);
        }
        let is_all = fresh.len() < BATCH;
        let mut trouble = None;
        for due in &fresh {
            let since = self.parts.clock.tick();
            let done = match due.entry.due {
                Due::Sweep(sweep) => self.sweep(partition, due, sweep, folded).await,
                Due::Displace(who) => self.displace(partition, due, who).await,
                _ => continue,
            };
            match done {
                Ok(at) => {
                    let appended = Appended { at, since, again: None };
                    agenda.appended.insert((due.user, due.entry), appended);
                }
                Err(reason) => trouble = Some(reason),
            }
        }
        let fresh: Vec<_> = fresh.into_iter().filter(|due| !is_carried_out(due)).collect();
        let records = fresh.iter().map(|due| self.came_due(partition, due)).collect();
        let answers = self.parts.log.append(records).await;
        let since = self.parts.clock.tick();
        for (due, answer) in fresh.iter().zip(answers) {
            match answer {
                Ok(position) => {
                    let appended = Appended { at: position.offset, since, again: None };
                    agenda.appended.insert((due.user, due.entry), appended);
                    self.parts.telemetry.scheduler_due.add(1);
                }
                Err(error) => {
                    // It may be in the log: nothing is served before the fold has passed it.
                    agenda.whole_at = None;
                    trouble = Some(error.to_string());
                }
            }
        }
        trouble.map_or(Ok(if is_all { RETRY } else { Duration::from_millis(1) }), Err)
    }

    /// Forgets what was appended and is no longer on the agenda, now that it is folded. What still
    /// is there was too early by the log's time, or undone: that is due anew.
    async fn wait_for_log(
        &self,
        partition: Partition,
        agenda: &mut Agenda,
        due: &[DueEntry],
        folded: Offset,
    ) -> Result<(), String> {
        let due: BTreeSet<_> = due.iter().map(|due| (due.user, due.entry)).collect();
        agenda.appended.retain(|key, it| it.at >= folded || due.contains(key));
        let back = agenda.appended.iter().filter(|(_, it)| it.at < folded && it.again.is_none());
        let back: Vec<_> = back.map(|(key, it)| (*key, *it)).collect();
        let places: Vec<_> = back.iter().map(|(_, it)| it.at).collect();
        if places.is_empty() {
            return Ok(());
        }
        let records = self.parts.log.fetch(partition, &places).await;
        for ((key, it), record) in back.into_iter().zip(records.map_err(|it| it.to_string())?) {
            let early = record.map_or(Duration::ZERO, |record| key.1.at.since(record.time));
            let again = Some(it.since.after(early));
            agenda.appended.insert(key, Appended { again, ..it });
        }
        Ok(())
    }

    /// Whether the agenda is folded up to where the log stood when this scheduler got it, and has
    /// not fallen back since.
    async fn is_whole(&self, partition: Partition, agenda: &mut Agenda) -> Result<bool, String> {
        let checkpoint = match self.parts.projection.view(partition, &[]).await {
            Err(ProjectionError::NotBuilt(_)) => {
                (agenda.seen, agenda.whole_at) = (Offset(0), None);
                return Ok(false);
            }
            views => views.map_err(|error| error.to_string())?.checkpoint,
        };
        if checkpoint < agenda.seen {
            agenda.whole_at = None;
        }
        agenda.seen = checkpoint;
        if agenda.whole_at.is_none() {
            let kept = self.parts.log.bounds(partition).await;
            agenda.whole_at = Some(kept.map_err(|error| error.to_string())?.end);
        }
        Ok(agenda.whole_at.is_some_and(|whole_at| checkpoint >= whole_at))
    }

    async fn time_to_next(&self, partition: Partition, now: Timestamp) -> Result<Duration, String> {
        let forever = Timestamp::from_millis(u64::MAX);
        let next = self.parts.projection.due(partition, forever, 1).await;
        let next = next.map_err(|error| error.to_string())?;
        Ok(next
            .first()
            .map_or(IDLE, |due| due.entry.at.since(now).clamp(Duration::from_millis(1), IDLE)))
    }

    /// Retires an endpoint that lost its address, in its user's partition, and only then lets the
    /// entry come due; answers where.
    async fn displace(
        &self,
        partition: Partition,
        due: &DueEntry,
        who: Displaced,
    ) -> Result<Offset, String> {
        let fact =
            Fact { app: due.app.clone(), user: who.user, cause: None, event: retirement(who) };
        let own = self.parts.log.identity().partition_of(who.user);
        let body = codec::encode_fact(&fact);
        self.record(vec![NewRecord { partition: own, user: who.user, body }]).await?;
        self.parts.telemetry.scheduler_displaced.add(1);
        let at = self.record(vec![self.came_due(partition, due)]).await?;
        at.ok_or_else(|| "log gave no answer".to_owned())
    }

    fn came_due(&self, partition: Partition, due: &DueEntry) -> NewRecord {
        let event = Event::CameDue(due.entry);
        // What was put off goes on in the trace that it was in.
        let cause = match &due.entry.due {
            Due::Retry(parked) => parked.trace.map(|trace| trace.to_string().into()),
            _ => None,
        };
        let fact = Fact { app: due.app.clone(), user: due.user, cause, event };
        NewRecord { partition, user: due.user, body: codec::encode_fact(&fact) }
    }
}

/// Whether more is to be recorded than that the entry came due.
const fn is_carried_out(due: &DueEntry) -> bool {
    matches!(due.entry.due, Due::Sweep(_) | Due::Displace(_))
}
