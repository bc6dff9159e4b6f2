//! The deliverer: hands deliveries to one platform.
//!
//! Per partition: read in order → fold → plan → dispatch in order → thousands in flight → write
//! down what came of them → commit. Nothing is committed before it is settled, and settled means
//! written down: accepted or given up as a receipt, put off as an event. A restart repeats what
//! was in flight, and nothing else.
//!
//! One task does all the thinking; attempts are futures it polls, so no state is shared and no
//! lock is held. The last check of a delivery happens with room on a live connection in hand.

mod backlog;
mod board;
mod catch_up;
mod cold;
mod defer;
mod dispatch;
mod ended;
mod flight;
mod follow;
mod intake;
mod lanes;
mod outbox;
mod outcome;
mod progress;
mod reread;
mod routes;
mod sealed;
mod settle;
mod silence;
mod takeover;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{
    Clock, Entropy, EventLog, GroupEvent, GroupName, GroupReader, PieceKey, Projection, Pusher,
    ReadError, Record, RouteDown, Slot, Tracer, Views,
};
use campanile_core::{
    EndpointId, Offset, Outcome, Partition, Platform, RegistrationId, RetryPolicy, Route,
    SilentBudget, Tick, Timestamp,
};
use futures::future::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};

use self::backlog::Part;
use self::board::Said;
use self::cold::load;
use self::flight::{Flight, Sent};
use self::intake::Intake;
use self::lanes::Lanes;
use self::outbox::{Done, Outbox};
use self::routes::Routes;
use self::silence::Silence;
use self::takeover::Learned;
use crate::planted::Planted;
use crate::tasks::{Shutdown, sleep};
use crate::telemetry::Telemetry;

/// The wait before a log that could not be read is asked again.
const LOG_RESTS: Duration = Duration::from_millis(200);

/// How much is done in one turn at most, before reading, writing and timers get theirs.
const TURN: usize = 256;

/// How much a worker keeps and how long it waits.
#[derive(Clone, Debug)]
pub struct Config {
    /// The platform it serves.
    pub platform: Platform,
    /// How patient it is.
    pub policy: RetryPolicy,
    /// How many silent pushes it sends to a device.
    pub silent: SilentBudget,
    /// Deliveries in memory; at this many, reading stops.
    pub in_memory: usize,
    /// Pieces of state in memory, over all partitions.
    pub pieces: usize,
    /// Slots asked for at once, per route.
    pub slots: usize,
    /// Settled deliveries that start a write at once.
    pub flush_at: usize,
    /// The longest time a settled delivery waits to be written down.
    pub flush_after: Duration,
    /// The longest time between a write and the commit that follows it.
    pub commit_after: Duration,
    /// How long a shutdown waits for what is in flight.
    pub drain: Duration,
}

impl Config {
    /// What serves `platform` well.
    #[must_use]
    pub fn of(platform: Platform) -> Self {
        Self {
            platform,
            policy: RetryPolicy::default(),
            silent: SilentBudget::default(),
            in_memory: 16_384,
            pieces: 65_536,
            slots: 64,
            flush_at: 1024,
            flush_after: Duration::from_millis(5),
            commit_after: Duration::from_millis(50),
            drain: Duration::from_secs(8),
        }
    }
}

/// What a deliverer works with.
#[derive(Clone)]
pub struct Parts {
    /// What happened, and where parked deliveries and retirements are written.
    pub events: Arc<dyn EventLog>,
    /// Where receipts are written.
    pub receipts: Arc<dyn EventLog>,
    /// Users the worker does not know yet.
    pub projection: Arc<dyn Projection>,
    /// The platform.
    pub pusher: Arc<dyn Pusher>,
    /// The group that shares out the partitions.
    pub group: GroupName,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub entropy: Arc<dyn Entropy>,
    /// The counters.
    pub telemetry: Arc<Telemetry>,
    /// Follows deliveries to the platform's answer.
    pub tracer: Arc<dyn Tracer>,
    /// The limits.
    pub config: Config,
    /// For tests of the tests.
    pub planted: Planted,
}

/// Hands the deliveries of its partitions to one platform.
pub struct Deliverer {
    parts: Parts,
    partitions: BTreeMap<Partition, Intake>,
    lanes: Lanes,
    routes: Routes,
    outbox: Outbox,
    in_flight: FuturesUnordered<Flight>,
    /// When the outbox got its first entry since the last write, while none is being written.
    unwritten_since: Option<Tick>,
    is_writing: bool,
    /// Partitions whose progress moved, and since when it waits to be committed.
    uncommitted: BTreeSet<Partition>,
    uncommitted_since: Option<Tick>,
    is_paused: bool,
    /// The log could not be read, and is not asked again before this.
    log_rests_until: Option<Tick>,
    /// Set by a shutdown: nothing more is started, and what is in flight has until then.
    drain_until: Option<Tick>,
    /// Endpoints that a platform knows no more, until the event that retires them is read.
    condemned: BTreeMap<(EndpointId, RegistrationId), Partition>,
    /// What devices were sent silently.
    silence: Silence,
    /// Partitions that owe something on a route that does not send, or catches up.
    holding: BTreeSet<Partition>,
    /// Partitions of which the log was told that deliveries of backlogs are under way.
    busy: BTreeSet<Partition>,
    /// Backlogs that are being read, and how many were.
    reads: usize,
    reads_begun: usize,
    /// Up to when it was looked at which pauses of routes are over.
    looked_at: Tick,
    /// What was last said about routes.
    said: Said,
    /// What the clock showed when it was last looked at: what is done at once is done at one time.
    time: (Timestamp, Tick),
    /// Numbers assignments, reads of state and attempts.
    numbers: u64,
}

impl std::fmt::Debug for Deliverer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deliverer").field("jobs", &self.lanes.jobs()).finish_non_exhaustive()
    }
}

/// What a deliverer waits for.
enum Wake {
    Group(Result<GroupEvent, ReadError>),
    Loaded {
        partition: Partition,
        load: u64,
        keys: Vec<PieceKey>,
        views: Views,
    },
    Room {
        route: Route,
        slot: Result<Box<dyn Slot>, RouteDown>,
    },
    Sent(Sent, Outcome),
    Reread {
        partition: Partition,
        backlog: u64,
        part: Part,
        read: Result<(Vec<Record>, Offset), ReadError>,
    },
    TookOver {
        partition: Partition,
        assignment: u64,
        learned: Learned,
    },
    Written(Vec<Done>),
    Timer,
    Shutdown,
}

impl Deliverer {
    /// A deliverer that owns no partition yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            partitions: BTreeMap::new(),
            lanes: Lanes::default(),
            routes: Routes::default(),
            outbox: Outbox::default(),
            in_flight: FuturesUnordered::new(),
            unwritten_since: None,
            is_writing: false,
            uncommitted: BTreeSet::new(),
            uncommitted_since: None,
            is_paused: false,
            log_rests_until: None,
            drain_until: None,
            condemned: BTreeMap::new(),
            silence: Silence::default(),
            holding: BTreeSet::new(),
            busy: BTreeSet::new(),
            reads: 0,
            reads_begun: 0,
            looked_at: Tick::default(),
            said: Said::default(),
            time: Default::default(),
            numbers: 0,
        }
    }

    /// Delivers until shutdown, and then finishes what is in flight.
    ///
    /// # Errors
    /// [`ReadError`] if the group is missing, its position is not in the log any more, or the log
    /// is damaged: a human must look, because guessing a position would ring or lose.
    pub async fn run(mut self, mut shutdown: Shutdown) -> Result<(), ReadError> {
        let mut reader = self.parts.events.join(&self.parts.group).await?;
        let ended = loop {
            match self.turn(reader.as_mut(), &mut shutdown).await {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // Also after an error: whoever is started next would ring again for what is in flight.
        self.drain(reader.as_mut()).await;
        ended
    }

    /// Waits for something to do and does it, with all that is there already: what follows is done
    /// once for all of it.
    async fn turn(
        &mut self,
        reader: &mut dyn GroupReader,
        shutdown: &mut Shutdown,
    ) -> Result<ControlFlow<()>, ReadError> {
        let mut wake = self.wake(reader, shutdown).await;
        for left in (0..TURN).rev() {
            self.look_at_clock();
            match wake {
                Wake::Group(event) => self.on_group(event, reader).await?,
                Wake::Loaded { partition, load, keys, views } => {
                    self.on_loaded(partition, load, &keys, views);
                }
                Wake::Room { route, slot } => self.on_room(&route, slot, reader),
                Wake::Sent(sent, outcome) => self.on_sent(sent, &outcome),
                Wake::Reread { partition, backlog, part, read } => {
                    self.on_reread(partition, backlog, part, read)?;
                }
                Wake::TookOver { partition, assignment, learned } => {
                    self.on_took_over(partition, assignment, &learned);
                }
                Wake::Written(settled) => self.on_written(&settled),
                Wake::Timer => self.on_timer(),
                Wake::Shutdown => return Ok(ControlFlow::Break(())),
            }
            let more = (left > 0).then(|| self.in_flight.next().now_or_never()).flatten();
            let Some(more) = more.flatten() else { break };
            wake = more;
        }
        self.look_at_clock();
        self.catch_up();
        self.dispatch(reader);
        self.flow(reader);
        self.tell_routes();
        self.write_if_due();
        self.commit_if_due(reader).await;
        Ok(ControlFlow::Continue(()))
    }

    /// Waits for the next thing to do: answers first, because they make room.
    async fn wake(&mut self, reader: &mut dyn GroupReader, shutdown: &mut Shutdown) -> Wake {
        let now = self.parts.clock.tick();
        let timer = self.next_timer().map(|tick| tick.since(now));
        let is_draining = self.drain_until.is_some();
        // A log that always has more must not keep what is due from being looked at. Who drains
        // does not read, and looks at nothing that is due: only answers end the wait.
        if timer.is_some_and(|timer| timer.is_zero()) && !shutdown.has_begun() && !is_draining {
            return Wake::Timer;
        }
        let may_read = !is_draining && self.log_rests_until.is_none();
        tokio::select! {
            biased;
            () = shutdown.begun(), if !is_draining => Wake::Shutdown,
            Some(wake) = self.in_flight.next() => wake,
            event = reader.next(), if may_read => Wake::Group(event),
            () = sleep(timer.unwrap_or_default()), if timer.is_some() => Wake::Timer,
        }
    }

    /// Has something done beside everything else.
    fn wait_for(&mut self, what: impl Future<Output = Wake> + Send + 'static) {
        self.in_flight.push(Flight::Other(Box::pin(what)));
    }

    fn next_timer(&self) -> Option<Tick> {
        let config = &self.parts.config;
        let write = self.unwritten_since.filter(|_| !self.is_writing);
        let write = write.map(|since| since.after(config.flush_after));
        let commit = self.uncommitted_since.map(|since| since.after(config.commit_after));
        let retry = self.lanes.next_retry();
        let rest = self.routes.next_rest();
        let log = self.log_rests_until.filter(|_| self.drain_until.is_none());
        // Who drains does not look. A pause may end while a turn lasts, after the others were looked
        // at: it is over at once.
        let looks = !self.holding.is_empty() && self.drain_until.is_none();
        let held = looks.then(|| self.routes.next_try(self.looked_at)).flatten();
        let holding = self.holding.iter().filter(|_| looks);
        let taken = holding.filter_map(|it| self.partitions.get(it)?.takes_over_by());
        let held = taken.filter(|at| *at > self.looked_at).chain(held).min();
        [write, commit, retry, rest, log, held, self.drain_until].into_iter().flatten().min()
    }

    fn on_timer(&mut self) {
        let (_, now) = self.now();
        self.log_rests_until = self.log_rests_until.filter(|until| now < *until);
        for lane in self.lanes.wake(now) {
            self.advance(lane);
        }
        for route in self.routes.rested(now) {
            self.routes.want_room(&route);
        }
    }

    async fn on_group(
        &mut self,
        event: Result<GroupEvent, ReadError>,
        reader: &mut dyn GroupReader,
    ) -> Result<(), ReadError> {
        match event {
            Ok(GroupEvent::Assigned { progress }) => self.assigned(progress).await?,
            Ok(GroupEvent::Records { partition, records }) => self.take_in(partition, records)?,
            Ok(GroupEvent::Revoking { partition, .. }) => {
                if let Some(intake) = self.partitions.get_mut(&partition) {
                    intake.is_revoking = true;
                    self.uncommitted.insert(partition);
                    self.commit(reader).await;
                }
            }
            Ok(GroupEvent::Lost(partition)) => self.forget(partition),
            Err(ReadError::Unavailable { reason }) => {
                tracing::warn!(%reason, "log unavailable");
                self.log_rests_until = Some(self.now().1.after(LOG_RESTS));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// What is done until it is called again is done at this time.
    fn look_at_clock(&mut self) {
        self.time = (self.parts.clock.now(), self.parts.clock.tick());
    }

    const fn now(&self) -> (Timestamp, Tick) {
        self.time
    }
}
