//! The director: lets clients act and things go wrong, heals everything, and waits until nothing
//! is left to do.

use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{EventLog, HistoryQuery, Progress, Projection, StartAt, Stream};
use campanile_core::{Due, Offset, Partition, Platform, Timestamp};
use campanile_engine::tasks::{self, Task, sleep};

use super::clients::Clients;
use super::faults::{Fault, Sort};
use super::forgetting;
use super::mirror::Mirror;
use super::past::read;
use super::predicates;
use super::random::Random;
use super::roles::{Ground, Order, Role, Roles};
use crate::memory::ProjectionSnapshot;

/// The longest a healed run may take to have nothing left to do.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);
/// What is further ahead than this is not waited for: the wall clock runs on to it.
const AHEAD: Duration = Duration::from_secs(120);
/// The platforms that devices are reached on.
const PLATFORMS: [Platform; 2] = [Platform::Apns, Platform::Fcm];
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

/// What keeps a run from being at rest.
enum Busy {
    No,
    With(String),
    /// Nothing happens before then.
    Until(Timestamp),
}

/// What the group of a platform's workers never got to see, because its positions were lost.
#[derive(Clone, Debug)]
pub(crate) struct Skipped {
    platform: Platform,
    /// How far the lost group had come.
    pub(crate) had: Progress,
    /// Where the new one starts.
    pub(crate) end: Offset,
}

impl Skipped {
    /// Whether nobody of `platform` works on the event at `offset` any more.
    pub(crate) fn covers(&self, platform: Platform, partition: Partition, offset: Offset) -> bool {
        let owes_nothing = self.had.holds.iter().all(|hold| hold.is_finished(offset));
        self.platform == platform
            && self.had.partition == partition
            && offset < self.end
            && !(self.had.is_finished(offset) && owes_nothing)
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
            if self.random.chance(60) {
                forgetting::carry(&self.ground).await;
            }
        }
        self.heal().await;
        if self.converge("after the faults").await {
            // Who watches may be about to come back.
            sleep(Duration::from_secs(5)).await;
            predicates::check(&self.ground, &self.clients, &self.skipped).await;
            self.mirror.check(&self.ground).await;
            self.rebuild("rebuild").await;
            forgetting::forget(&self.ground, &self.random).await;
            self.rebuild("rebuild from what is carried").await;
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
        let worker = Role::of(self.platform());
        self.roles.freeze(worker, true);
        self.expire(worker);
        sleep(wait).await;
        self.ground.stage.disturbed();
        self.roles.freeze(worker, false);
    }

    fn platform(&self) -> Platform {
        self.random.pick(&PLATFORMS).copied().unwrap_or(Platform::Apns)
    }

    /// The group of a platform's workers is lost while none of them runs: nothing may be sent until an operator has
    /// made it again, and nothing from before then.
    async fn lose_group(&mut self) {
        let platform = self.platform();
        let (group, stream) = Role::of(platform).group();
        let present = self.roles.present().into_iter();
        let workers: Vec<_> = present.filter(|role| role.platform() == Some(platform)).collect();
        workers.iter().for_each(|role| self.roles.remove(*role));
        sleep(Duration::from_millis(1)).await;
        self.ground.stage.disturbed();
        let had = self.ground.logs.progress(stream, &group).await;
        self.ground.logs.lose_group(&group);
        self.ground.provider.forbid(platform, "the group's offsets were lost");
        for role in workers {
            self.roles.add(&self.ground, role);
        }
        sleep(self.random.millis(2_000, 20_000)).await;
        self.ground.logs.create_group(stream, &group, StartAt::End).await;
        for now in self.ground.logs.progress(stream, &group).await {
            let had = had.iter().find(|had| had.partition == now.partition).cloned();
            self.skipped.extend(had.map(|had| Skipped { platform, had, end: now.next }));
        }
        self.ground.provider.allow(platform);
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
        if self.random.chance(500) {
            // What was wrong is mended.
            self.clients.redrive_at_once().await;
        }
    }

    /// Waits until nothing is left to do; a run that does not come to rest breaks G4.
    async fn converge(&mut self, when: &str) -> bool {
        let stage = self.ground.stage.clone();
        let until = stage.tick().after(PATIENCE);
        let mut wait = Duration::from_millis(100);
        loop {
            let busy = match self.busy().await {
                Busy::No => return true,
                Busy::Until(at) => {
                    self.forward(at);
                    "something is on the agenda".to_owned()
                }
                Busy::With(what) => what,
            };
            if stage.tick() >= until {
                stage.broken("G4", format!("does not come to rest {when}: {busy}"));
                return false;
            }
            sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(120));
        }
    }

    /// Lets the wall clock run ahead to `at`, when nothing happens before.
    fn forward(&mut self, at: Timestamp) {
        let stage = &self.ground.stage;
        let ahead = at.since(stage.now());
        if ahead > AHEAD {
            self.skew += i64::try_from(ahead.as_millis()).unwrap_or_default();
            stage.clock.set_skew(self.skew);
            stage.note(format_args!("the clock runs on to {at}"));
        }
    }

    /// What is left to do.
    async fn busy(&self) -> Busy {
        let Ground { logs, provider, .. } = &self.ground;
        if !self.roles.are_up() {
            return Busy::With("a role is down".to_owned());
        }
        if provider.in_flight() > 0 {
            return Busy::With("pushes are in flight".to_owned());
        }
        for platform in PLATFORMS {
            let (group, stream) = Role::of(platform).group();
            for progress in logs.progress(stream, &group).await {
                let tail = logs.tail(stream, progress.partition).await;
                let is_behind = progress.next < tail || !progress.finished.is_empty();
                if is_behind || !progress.holds.is_empty() {
                    let what = format!("the workers of {platform} are at {progress:?} of {tail}");
                    return Busy::With(what);
                }
            }
        }
        let mut next = Busy::No;
        for partition in logs.events.identity().partitions() {
            match self.left_in(partition).await {
                Busy::No => {}
                Busy::With(what) => return Busy::With(what),
                Busy::Until(at) => {
                    next = match next {
                        Busy::Until(other) => Busy::Until(other.min(at)),
                        _ => Busy::Until(at),
                    }
                }
            }
        }
        next
    }

    /// What is left to fold and on the agenda of a partition. What ends by itself is not waited
    /// for.
    async fn left_in(&self, partition: Partition) -> Busy {
        let Ground { logs, projection, stage, .. } = &self.ground;
        let tail = logs.tail(Stream::Events, partition).await;
        match projection.view(partition, &[]).await {
            Ok(views) if views.checkpoint == tail => {}
            Err(_) if tail == Offset(0) => return Busy::No,
            other => return Busy::With(format!("{partition} is folded to {other:?} of {tail}")),
        }
        let written = read(logs, Stream::Receipts, partition, Offset(0)).await.len();
        let mut folded = 0;
        for user in (0..self.ground.setup.users).map(|user| self.clients.user_ref(user)) {
            if logs.events.identity().partition_of(user) == partition {
                let history = projection
                    .history(partition, user, HistoryQuery::default())
                    .await
                    .unwrap_or_default();
                folded += history.iter().filter(|it| it.stream == Stream::Receipts).count();
            }
        }
        if folded < written {
            return Busy::With(format!("{folded} of {written} receipts of {partition} are folded"));
        }
        let end = Timestamp::from_millis(u64::MAX);
        let agenda = projection.due(partition, end, 100_000).await.unwrap_or_default();
        if let Some(late) = agenda.iter().find(|due| due.entry.at <= stage.now()) {
            return Busy::With(format!("{:?} is late in {partition}", late.entry));
        }
        let mut tells = agenda
            .iter()
            .filter(|due| matches!(due.entry.due, Due::Retry(_) | Due::Fallback { .. }));
        tells.next().map_or(Busy::No, |due| Busy::Until(due.entry.at))
    }

    /// G6: a rebuild sends nothing, and adds nothing to the log.
    async fn rebuild(&mut self, what: &str) {
        let Ground { stage, provider, projection, .. } = self.ground.clone();
        stage.note(format_args!("{what}"));
        let why = "the projection is being rebuilt";
        PLATFORMS.into_iter().for_each(|platform| provider.forbid(platform, why));
        projection.wipe();
        for role in [Role::FoldEvents, Role::FoldReceipts] {
            self.roles.order(role, Order::Crash(Duration::from_millis(1)));
        }
        sleep(Duration::from_millis(10)).await;
        if self.converge(&format!("after the {what}")).await {
            sleep(Duration::from_secs(30)).await;
            self.mirror.check(&self.ground).await;
            predicates::replicas(&self.ground, &self.clients).await;
        }
    }
}
