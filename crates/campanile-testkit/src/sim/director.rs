//! The director: lets clients act and things go wrong, heals everything, and waits until nothing
//! is left to do.

use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{EventLog, Progress, Projection, StartAt};
use campanile_core::{Due, Offset, Partition};
use campanile_engine::tasks::{self, Task, sleep};

use super::clients::Clients;
use super::faults::{Fault, Sort};
use super::mirror::Mirror;
use super::predicates;
use super::random::Random;
use super::roles::{Ground, Order, Role, Roles};
use crate::memory::ProjectionSnapshot;

/// The longest a healed run may take to have nothing left to do: a day that the clock may have
/// jumped, an hour that a provider may have asked for, and some.
const PATIENCE: Duration = Duration::from_secs(27 * 3600);
/// The longest clock jump, in milliseconds: a day.
const JUMP: i64 = 86_400_000;

/// Directs one run.
pub(crate) struct Director {
    ground: Ground,
    clients: Arc<Clients>,
    roles: Roles,
    random: Random,
    calls: Vec<Task>,
    watchers: Vec<Task>,
    snapshot: Option<ProjectionSnapshot>,
    mirror: Mirror,
    skew: i64,
    skipped: Vec<Skipped>,
}

/// What the workers' group never got to see, because its positions were lost.
#[derive(Clone, Debug)]
pub(crate) struct Skipped {
    /// How far the lost group had come.
    pub(crate) had: Progress,
    /// Where the new one starts.
    pub(crate) end: Offset,
}

impl Skipped {
    /// Whether nobody works on the event at `offset` any more.
    pub(crate) fn covers(&self, partition: Partition, offset: Offset) -> bool {
        self.had.partition == partition && offset < self.end && !self.had.is_finished(offset)
    }
}

impl Director {
    pub(crate) async fn new(ground: Ground, seed: u64) -> Self {
        let clients = Arc::new(Clients::new(ground.clone(), seed));
        let roles = Roles::start(&ground).await;
        Self {
            ground,
            clients,
            roles,
            random: Random::new(seed, 0xd12),
            calls: Vec::new(),
            watchers: Vec::new(),
            snapshot: None,
            mirror: Mirror::default(),
            skew: 0,
            skipped: Vec::new(),
        }
    }

    /// Plays the whole run.
    pub(crate) async fn play(mut self) {
        let first: Vec<_> = self.clients.devices();
        for _ in first {
            let clients = self.clients.clone();
            self.calls.push(tasks::spawn(async move { clients.register_first().await }));
        }
        self.start_watchers();
        let troubles = self.ground.stage.faults.of_director();
        for _ in 0..self.ground.setup.operations {
            match self.random.pick(&troubles) {
                Some((fault, sort)) if self.random.chance(self.ground.setup.trouble) => {
                    self.trouble(*fault, *sort).await;
                }
                _ => {
                    let clients = self.clients.clone();
                    self.calls.push(tasks::spawn(clients.act()));
                }
            }
            sleep(self.random.millis(0, self.ground.setup.tempo)).await;
            if self.random.chance(300) {
                self.mirror.check(&self.ground).await;
            }
        }
        self.heal().await;
        if self.converge("after the faults").await {
            predicates::check(&self.ground, &self.clients, &self.skipped).await;
            self.mirror.check(&self.ground).await;
            self.rebuild().await;
        }
    }

    fn start_watchers(&mut self) {
        for user in 0..self.ground.setup.users / 2 {
            self.watchers.push(tasks::spawn(self.clients.clone().watch(user)));
        }
    }

    async fn trouble(&mut self, fault: Fault, sort: Sort) {
        let stage = self.ground.stage.clone();
        stage.reach(fault.name());
        stage.note(format_args!("trouble: {}", fault.name()));
        if sort == Sort::Window {
            let long = self.random.millis(100, 60_000);
            stage.faults.open(fault, stage.tick().after(long));
            return;
        }
        let roles = self.roles.present();
        let role = self.random.pick(&roles).copied().unwrap_or(Role::Deliver);
        let wait = self.random.millis(1, 20_000);
        match fault {
            Fault::CrashRole => self.roles.order(role, Order::Crash(wait)),
            Fault::StopRole => self.roles.order(role, Order::Stop(wait)),
            Fault::CrashMidStep => {
                let steps = self.random.between(1, 30);
                self.roles.light_fuse(role, u32::try_from(steps).unwrap_or(1));
            }
            Fault::CrashProcess => self.crash_process(wait),
            Fault::Zombie => self.zombie(wait).await,
            Fault::SessionsExpire => self.expire(role),
            Fault::WipeProjection => self.ground.projection.wipe(),
            Fault::StaleProjection => match self.snapshot.take() {
                Some(snapshot) => self.ground.projection.restore(snapshot),
                None => self.snapshot = Some(self.ground.projection.snapshot()),
            },
            Fault::ClockForward => self.jump(1),
            Fault::ClockBack => self.jump(-1),
            Fault::GroupLost => self.lose_group().await,
            Fault::Uninstall => self.clients.uninstall(),
            _ => {}
        }
        self.mirror.check(&self.ground).await;
    }

    fn jump(&mut self, direction: i64) {
        let jumps = [2_000, 120_000, 4_000_000, JUMP];
        let by = self.random.pick(&jumps).copied().unwrap_or(JUMP);
        self.skew = (self.skew + direction * by).clamp(-JUMP, JUMP);
        self.ground.stage.clock.set_skew(self.skew);
        self.ground.stage.note(format_args!("the clock is {} ms ahead", self.skew));
    }

    fn crash_process(&mut self, wait: Duration) {
        for role in self.roles.present() {
            self.roles.order(role, Order::Crash(wait));
        }
        self.calls.clear();
        self.watchers.clear();
        self.clients.restart_front();
        self.start_watchers();
    }

    fn expire(&self, role: Role) {
        let (group, stream) = role.group();
        self.ground.stage.disturbed();
        if let Some(alias) = self.ground.logs.group(&group) {
            self.ground.logs.stream(stream).expire_sessions(&alias);
        }
    }

    /// A worker stops running, loses its partitions, and runs on as if nothing had happened.
    async fn zombie(&mut self, wait: Duration) {
        self.roles.freeze(Role::Deliver, true);
        self.expire(Role::Deliver);
        sleep(wait).await;
        self.ground.stage.disturbed();
        self.roles.freeze(Role::Deliver, false);
    }

    /// The workers' group is lost while no worker runs: nothing may be sent until an operator has
    /// made it again, and nothing from before then.
    async fn lose_group(&mut self) {
        let (group, stream) = Role::Deliver.group();
        let workers: Vec<_> =
            self.roles.present().into_iter().filter(|role| role.delivers()).collect();
        workers.iter().for_each(|role| self.roles.remove(*role));
        sleep(Duration::from_millis(1)).await;
        self.ground.stage.disturbed();
        let had = self.ground.logs.progress(stream, &group).await;
        self.ground.logs.lose_group(&group);
        self.ground.provider.forbid(Some("the group's offsets were lost"));
        for role in workers {
            self.roles.add(&self.ground, role);
        }
        sleep(self.random.millis(2_000, 20_000)).await;
        self.ground.logs.create_group(stream, &group, StartAt::End).await;
        for now in self.ground.logs.progress(stream, &group).await {
            let had = had.iter().find(|had| had.partition == now.partition).cloned();
            self.skipped.extend(had.map(|had| Skipped { had, end: now.next }));
        }
        self.ground.provider.forbid(None);
    }

    /// Ends all trouble, and lets everybody finish what they do.
    async fn heal(&mut self) {
        self.ground.stage.note(format_args!("heal"));
        self.ground.stage.faults.heal();
        if self.random.chance(500) {
            self.skew = 0;
            self.ground.stage.clock.set_skew(0);
        }
        for role in self.roles.present() {
            self.roles.light_fuse(role, 0);
            self.roles.freeze(role, false);
        }
        for call in std::mem::take(&mut self.calls) {
            if call.join().await.is_none() {
                self.ground.stage.broken("panic", "a client's call panicked".to_owned());
            }
        }
        self.clients.register_all().await;
    }

    /// Waits until nothing is left to do; a run that does not come to rest breaks G4.
    async fn converge(&mut self, when: &str) -> bool {
        let stage = self.ground.stage.clone();
        let until = stage.tick().after(PATIENCE);
        let mut wait = Duration::from_millis(100);
        loop {
            let Some(busy) = self.busy().await else { return true };
            if stage.tick() >= until {
                stage.broken("G4", format!("does not come to rest {when}: {busy}"));
                return false;
            }
            sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(120));
        }
    }

    /// What is left to do, if anything is.
    async fn busy(&self) -> Option<String> {
        let Ground { logs, projection, provider, stage, .. } = &self.ground;
        if !self.roles.are_up() {
            return Some("a role is down".to_owned());
        }
        if provider.in_flight() > 0 {
            return Some("pushes are in flight".to_owned());
        }
        for role in Role::ALL.into_iter().filter(|role| *role != Role::Schedule) {
            let (group, stream) = role.group();
            for progress in logs.progress(stream, &group).await {
                let partition = progress.partition;
                let tail = logs.stream(stream).bounds(partition).await.ok()?.end;
                if progress.next < tail || !progress.finished.is_empty() {
                    return Some(format!("{} is at {progress:?} of {tail}", role.name()));
                }
            }
        }
        for partition in logs.events.identity().partitions() {
            let tail = logs.events.bounds(partition).await.ok()?.end;
            match projection.view(partition, &[]).await {
                Ok(views) if views.checkpoint == tail || tail == Offset(0) => {}
                Err(_) if tail == Offset(0) => {}
                other => return Some(format!("{partition} is folded to {other:?} of {tail}")),
            }
            let end = campanile_core::Timestamp::from_millis(u64::MAX);
            let agenda = projection.due(partition, end, 100_000).await.unwrap_or_default();
            let now = stage.now();
            let is_left = |due: &&campanile_core::port::DueEntry| {
                due.entry.at <= now || matches!(due.entry.due, Due::Retry(_))
            };
            if let Some(left) = agenda.iter().find(is_left) {
                return Some(format!("{:?} is on the agenda of {partition}", left.entry));
            }
        }
        None
    }

    /// G6: a rebuild sends nothing, and adds nothing to the log.
    async fn rebuild(&mut self) {
        let Ground { stage, provider, projection, .. } = self.ground.clone();
        stage.note(format_args!("rebuild"));
        provider.forbid(Some("the projection is being rebuilt"));
        projection.wipe();
        for role in [Role::FoldEvents, Role::FoldReceipts] {
            self.roles.order(role, Order::Crash(Duration::from_millis(1)));
        }
        sleep(Duration::from_millis(10)).await;
        if self.converge("after the rebuild").await {
            sleep(Duration::from_secs(30)).await;
            self.mirror.check(&self.ground).await;
            predicates::replicas(&self.ground, &self.clients).await;
        }
    }
}
