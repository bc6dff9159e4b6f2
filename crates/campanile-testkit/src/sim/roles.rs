//! The real roles, each with a supervisor that starts it again when it is gone.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use campanile_core::port::{Carried, GroupName, ReadError, StartAt, Stream, Untraced};
use campanile_core::{Platform, SilentBudget};
use campanile_engine::planted::Planted;
use campanile_engine::tasks::{self, Shutdown, Task, sleep};
use campanile_engine::telemetry::Telemetry;
use campanile_engine::{deliverer, projector, scheduler};
use futures::FutureExt as _;
use tokio::sync::mpsc;

use super::faults::Fault;
use super::fuse::{Fuse, Gate};
use super::held;
use super::log::Logs;
use super::projection::SimProjection;
use super::provider::Provider;
use super::setup::Setup;
use super::stage::Stage;
use crate::memory::{MemoryCarried, MemoryProjection, SeededEntropy};

/// Few enough, and for long enough, that devices are told of several changes at once.
pub(crate) const SILENT: SilentBudget = SilentBudget { pushes: 3, window: Duration::from_secs(60) };

/// The longest a role may take to stop in good order.
const LONGEST_STOP: Duration = Duration::from_secs(30);

/// A role of the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    FoldEvents,
    FoldReceipts,
    Deliver,
    DeliverToo,
    DeliverFcm,
    Schedule,
}

impl Role {
    pub(crate) const ALL: [Self; 6] = [
        Self::FoldEvents,
        Self::FoldReceipts,
        Self::Deliver,
        Self::DeliverToo,
        Self::DeliverFcm,
        Self::Schedule,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::FoldEvents => "projector",
            Self::FoldReceipts => "receipts projector",
            Self::Deliver => "deliverer",
            Self::DeliverToo => "deliverer 2",
            Self::DeliverFcm => "fcm deliverer",
            Self::Schedule => "scheduler",
        }
    }

    /// Whose worker it is.
    pub(crate) const fn platform(self) -> Option<Platform> {
        match self {
            Self::Deliver | Self::DeliverToo => Some(Platform::Apns),
            Self::DeliverFcm => Some(Platform::Fcm),
            Self::FoldEvents | Self::FoldReceipts | Self::Schedule => None,
        }
    }

    /// A worker of a platform.
    pub(crate) const fn of(platform: Platform) -> Self {
        match platform {
            Platform::Fcm => Self::DeliverFcm,
            _ => Self::Deliver,
        }
    }

    /// The group it reads with, and which stream.
    pub(crate) fn group(self) -> (GroupName, Stream) {
        let (name, stream) = match self {
            Self::FoldEvents => ("projector", Stream::Events),
            Self::FoldReceipts => ("projector", Stream::Receipts),
            Self::Deliver | Self::DeliverToo => ("deliver:apns", Stream::Events),
            Self::DeliverFcm => ("deliver:fcm", Stream::Events),
            Self::Schedule => ("scheduler", Stream::Events),
        };
        (GroupName(format!("{name}:{}", stream.name())), stream)
    }
}

/// What the roles run on.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) stage: Arc<Stage>,
    pub(crate) logs: Logs,
    pub(crate) projection: MemoryProjection,
    pub(crate) carried: MemoryCarried,
    pub(crate) provider: Provider,
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) planted: Planted,
    pub(crate) setup: Setup,
}

/// What a supervisor is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Drop the role, and start it again after a while.
    Crash(Duration),
    /// Stop the role in good order, and start it again after a while.
    Stop(Duration),
}

/// How the present incarnation of a role can be reached.
#[derive(Clone, Default)]
struct Incarnation {
    fuse: Arc<Fuse>,
    gate: Arc<Gate>,
}

struct Slot {
    orders: mpsc::Sender<Order>,
    present: Arc<Mutex<Incarnation>>,
    is_up: Arc<Mutex<bool>>,
    _supervisor: Task,
}

/// Every role that runs.
pub(crate) struct Roles {
    slots: BTreeMap<Role, Slot>,
}

impl Roles {
    /// Starts the roles of a setup.
    pub(crate) async fn start(ground: &Ground) -> Self {
        let mut slots = BTreeMap::new();
        for role in Role::ALL {
            let (group, stream) = role.group();
            ground.logs.create_group(stream, &group, StartAt::Beginning).await;
            if role == Role::DeliverToo && !ground.setup.two_deliverers {
                continue;
            }
            slots.insert(role, Slot::start(ground.clone(), role));
        }
        Self { slots }
    }

    /// Drops a role and its supervisor.
    pub(crate) fn remove(&mut self, role: Role) {
        self.slots.remove(&role);
    }

    /// Starts a role that was removed.
    pub(crate) fn add(&mut self, ground: &Ground, role: Role) {
        self.slots.insert(role, Slot::start(ground.clone(), role));
    }

    /// The roles there are.
    pub(crate) fn present(&self) -> Vec<Role> {
        self.slots.keys().copied().collect()
    }

    pub(crate) fn order(&self, role: Role, order: Order) {
        if let Some(slot) = self.slots.get(&role) {
            // With a full inbox, the role has enough to cope with.
            let _full = slot.orders.try_send(order);
        }
    }

    /// Crashes the role after some more steps.
    pub(crate) fn light_fuse(&self, role: Role, steps: u32) {
        if let Some(slot) = self.slots.get(&role) {
            held(&slot.present).fuse.light(steps);
        }
    }

    /// Keeps a role from running, or lets it run.
    pub(crate) fn freeze(&self, role: Role, is_frozen: bool) {
        if let Some(slot) = self.slots.get(&role) {
            let gate = held(&slot.present).gate.clone();
            if is_frozen {
                gate.shut();
            } else {
                gate.open();
            }
        }
    }

    /// Whether every role is running.
    pub(crate) fn are_up(&self) -> bool {
        self.slots.values().all(|slot| *held(&slot.is_up))
    }
}

impl Slot {
    fn start(ground: Ground, role: Role) -> Self {
        let (orders, inbox) = mpsc::channel(8);
        let present = Arc::new(Mutex::new(Incarnation::default()));
        let is_up = Arc::new(Mutex::new(false));
        let (state, up) = (present.clone(), is_up.clone());
        let supervisor = Supervisor { ground, role, inbox, present: state, is_up: up };
        let _supervisor = tasks::spawn(supervisor.run());
        Self { orders, present, is_up, _supervisor }
    }
}

struct Supervisor {
    ground: Ground,
    role: Role,
    inbox: mpsc::Receiver<Order>,
    present: Arc<Mutex<Incarnation>>,
    is_up: Arc<Mutex<bool>>,
}

type End = Result<Result<(), ReadError>, Box<dyn std::any::Any + Send>>;

impl Supervisor {
    async fn run(mut self) {
        let stage = self.ground.stage.clone();
        let mut is_back = false;
        loop {
            let incarnation = Incarnation::default();
            // Whoever comes back takes partitions from others.
            if std::mem::replace(&mut is_back, true) {
                stage.disturbed();
            }
            *held(&self.present) = incarnation.clone();
            let (handle, shutdown) = Shutdown::new();
            let role = run_role(self.ground.clone(), self.role, incarnation.fuse.clone(), shutdown);
            let role = AssertUnwindSafe(role).catch_unwind();
            let (sender, mut ended) = tokio::sync::oneshot::channel();
            let gate = incarnation.gate.clone();
            let task = tasks::spawn(async move { drop(sender.send(gate.guard(role).await)) });
            *held(&self.is_up) = true;
            stage.note(format_args!("{} starts", self.role.name()));
            let wait = tokio::select! {
                biased;
                end = &mut ended => self.ended(end.ok()),
                () = incarnation.fuse.burned() => self.crashed(Duration::from_millis(50)),
                order = self.inbox.recv() => match order {
                    Some(Order::Crash(wait)) => self.crashed(wait),
                    Some(Order::Stop(wait)) => {
                        // Handing partitions over is a rebalance.
                        stage.disturbed();
                        incarnation.gate.open();
                        handle.begin();
                        tokio::select! {
                            biased;
                            end = ended => self.stopped(end.ok()),
                            // It crashes while it stops.
                            () = incarnation.fuse.burned() => drop(self.crashed(wait)),
                            () = sleep(LONGEST_STOP) => self.stopped(None),
                        }
                        wait
                    }
                    None => return,
                },
            };
            *held(&self.is_up) = false;
            drop(task);
            sleep(wait).await;
        }
    }

    fn crashed(&self, wait: Duration) -> Duration {
        self.ground.stage.disturbed();
        self.ground.stage.note(format_args!("{} crashes", self.role.name()));
        wait
    }

    fn stopped(&self, end: Option<End>) {
        let stage = &self.ground.stage;
        stage.disturbed();
        match end {
            None => stage.broken("shutdown", format!("{} does not stop", self.role.name())),
            Some(Ok(Ok(()))) => stage.note(format_args!("{} has stopped", self.role.name())),
            end => drop(self.ended(end)),
        }
    }

    /// A role that ended by itself; answers when to start it again.
    fn ended(&self, end: Option<End>) -> Duration {
        let (stage, name) = (&self.ground.stage, self.role.name());
        stage.disturbed();
        match end {
            Some(Ok(Err(ReadError::NoGroup(group)))) => {
                stage.note(format_args!("{name} stops: no group {group}"));
                stage.reach("role stops because its group is missing");
                if self.ground.logs.group(&self.role.group().0).is_some() {
                    stage.broken("G6", format!("{name} missed a group that is there"));
                }
            }
            Some(Ok(Err(ReadError::Unavailable { reason })))
                if stage.faults.has(Fault::ReadUnavailable) =>
            {
                stage.note(format_args!("{name} could not join: {reason}"));
                stage.reach("role stops because the log is away at its start");
            }
            Some(Ok(Err(error))) => stage.broken("roles", format!("{name} stopped: {error}")),
            Some(Ok(Ok(()))) => stage.broken("roles", format!("{name} ended by itself")),
            Some(Err(panic)) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                stage.broken("panic", format!("{name}: {}", text.unwrap_or("no message")));
            }
            None => stage.broken("roles", format!("{name} vanished")),
        }
        Duration::from_secs(1)
    }
}

async fn run_role(
    ground: Ground,
    role: Role,
    fuse: Arc<Fuse>,
    shutdown: Shutdown,
) -> Result<(), ReadError> {
    let Ground { stage, logs, entropy, telemetry, planted, setup, .. } = ground.clone();
    let (who, clock) = (role.name(), Arc::new(stage.clock.clone()));
    let (group, stream) = role.group();
    let projection = ground.projection.clone();
    let projection = Arc::new(SimProjection { stage, inner: projection, who, fuse: fuse.clone() });
    let events = logs.of(who, Stream::Events, &fuse);
    match role {
        Role::FoldEvents | Role::FoldReceipts => {
            let log = logs.of(who, stream, &fuse);
            let carried: Option<Arc<dyn Carried>> = Some(Arc::new(ground.carried.clone()));
            let parts = projector::Parts {
                log,
                stream,
                projection,
                carried,
                group,
                clock,
                telemetry,
                planted,
            };
            projector::Projector::new(parts).run(shutdown).await
        }
        Role::Deliver | Role::DeliverToo | Role::DeliverFcm => {
            let receipts = logs.of(who, Stream::Receipts, &fuse);
            let pusher = Arc::new(ground.provider.client(who, setup.room, &fuse));
            let config = deliverer::Config {
                policy: setup.policy.clone(),
                in_memory: setup.in_memory,
                silent: SILENT,
                ..deliverer::Config::of(role.platform().unwrap_or(Platform::Apns))
            };
            let parts = deliverer::Parts {
                events,
                receipts,
                projection,
                pusher,
                group,
                clock,
                entropy,
                telemetry,
                tracer: Arc::new(Untraced),
                config,
                planted,
            };
            deliverer::Deliverer::new(parts).run(shutdown).await
        }
        Role::Schedule => {
            let parts = scheduler::Parts { log: events, projection, group, clock, telemetry };
            scheduler::Scheduler::new(parts).run(shutdown).await
        }
    }
}
