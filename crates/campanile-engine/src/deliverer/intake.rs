//! Intake: from records of a partition to jobs in lanes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use campanile_core::port::{PieceKey, Progress, ReadError, ReadLimit, Record, Views};
use campanile_core::{
    Delivery, Event, Offset, ParkedDelivery, Partition, PlatformMask, Position, Recorded, Route,
    Urgency, plan_on,
};

use super::backlog::{Backlog, Kind, Owed};
use super::ended::Latest;
use super::lanes::Job;
use super::progress::Tracker;
use super::sealed::Read;
use super::takeover::Takeover;
use super::view::View;
use super::{Deliverer, Wake, load};
use crate::planted::{Bug, Planted};
use crate::projector::open::check_format;

/// Batches of a partition that wait while the state for the first is read.
const BATCHES: usize = 2;
/// Pieces of state that a partition may keep, however many partitions there are.
const LEAST_PIECES: usize = 16;

/// A partition in a worker's hands.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) view: View,
    pub(crate) tracker: Tracker,
    pub(crate) ended: Latest<()>,
    /// Where it was read that deliveries were put off, while anything is owed.
    pub(crate) put_off: Latest<Offset>,
    /// What is yet to be known before what others left is sent.
    pub(crate) takeover: Option<Takeover>,
    /// Which assignment of the partition this is.
    pub(crate) assignment: u64,
    pub(crate) is_revoking: bool,
    pub(crate) is_paused: bool,
    /// What routes owe that do not send, or catch up; mostly none.
    pub(crate) backlogs: BTreeMap<Kind, Backlog>,
    /// The number of the backlog that was planned last.
    pub(crate) planned_last: u64,
    /// What is live comes before the next backlog.
    live_is_next: bool,
    waiting: VecDeque<Batch>,
    /// The number of the read of state that is going on.
    loading: Option<u64>,
}

/// Records read together.
#[derive(Debug)]
struct Batch {
    read: Vec<Read>,
    /// The offset after the last record, whether or not it could be opened.
    end: Offset,
}

impl Intake {
    fn new(view: View, progress: Progress, assignment: u64) -> Self {
        Self {
            view,
            tracker: Tracker::new(progress),
            ended: Latest::default(),
            put_off: Latest::default(),
            takeover: None,
            assignment,
            is_revoking: false,
            is_paused: false,
            backlogs: BTreeMap::new(),
            planned_last: 0,
            live_is_next: false,
            waiting: VecDeque::new(),
            loading: None,
        }
    }

    /// Whether no more should be read for now.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= BATCHES || self.tracker.is_full()
    }

    /// One delivery is settled durably.
    pub(crate) fn settle(&mut self, owed: Owed) {
        if owed.backlog == 0 {
            self.tracker.settle(owed.record);
        } else if let Some(backlog) = self.backlog(owed.backlog) {
            backlog.settle(owed.record);
        }
    }

    /// The backlog with a number.
    pub(crate) fn backlog(&mut self, number: u64) -> Option<&mut Backlog> {
        self.backlogs.values_mut().find(|backlog| backlog.number == number)
    }

    /// What may be committed now.
    pub(crate) fn progress(&self, planted: Planted) -> Progress {
        let holds = match planted.has(Bug::HoldLosesItsRange) {
            true => Vec::new(),
            false => self.backlogs.iter().map(|(kind, it)| it.hold(kind)).collect(),
        };
        Progress { holds, ..self.tracker.progress() }
    }

    /// Everything up to and with `last` was read; whoever follows has nothing to read of it again.
    fn pass(&mut self, last: Offset) {
        for backlog in self.backlogs.values_mut().filter(|backlog| backlog.follows) {
            backlog.tracker.pass(last);
        }
    }

    /// The route to a delivery's endpoint, as it is registered now.
    pub(crate) fn route(&self, event: &Recorded, delivery: &Delivery) -> Option<Route> {
        let reach = self.view.reach(event.fact.user);
        let endpoint = reach.endpoints.get(&delivery.endpoint)?;
        Some(endpoint.address.route(&event.fact.app))
    }
}

impl Deliverer {
    /// A partition is this worker's from now on.
    pub(super) async fn assigned(&mut self, progress: Progress) -> Result<(), ReadError> {
        let (platform, planted) = (self.parts.config.platform, self.parts.planted);
        let telemetry = self.parts.telemetry.clone();
        let (partition, partitions) = (progress.partition, self.parts.events.identity().partitions);
        self.forget(partition);
        self.numbers += 1;
        let assignment = self.numbers;
        if planted.has(Bug::ReplayThroughLivePath) {
            let limit = ReadLimit { records: 100_000, bytes: usize::MAX };
            let all = self.parts.events.read(partition, Offset(0), limit).await?;
            let view = View::new(platform, Offset(0), partitions, telemetry, planted);
            let replay = Progress::from(partition, Offset(0));
            self.partitions.insert(partition, Intake::new(view, replay, assignment));
            return self.take_in(partition, all.records);
        }
        let view = View::new(platform, progress.next, partitions, telemetry, planted);
        let holds = progress.holds.clone();
        self.partitions.insert(partition, Intake::new(view, progress, assignment));
        self.restore(partition, &holds).await
    }

    /// Drops everything about a partition that is another worker's from now on.
    pub(super) fn forget(&mut self, partition: Partition) {
        self.partitions.remove(&partition);
        self.lanes.drop_partition(partition);
        self.outbox.drop_partition(partition);
        self.uncommitted.remove(&partition);
        self.holding.remove(&partition);
        self.busy.remove(&partition);
        self.routes.drop_partition(partition);
        self.condemned.retain(|_, of| *of != partition);
        // A timer without anything to do would fire for ever.
        self.unwritten_since = self.unwritten_since.filter(|_| self.outbox.len() > 0);
        self.uncommitted_since = self.uncommitted_since.filter(|_| !self.uncommitted.is_empty());
    }

    /// Records of a partition arrived.
    ///
    /// # Errors
    /// [`ReadError::Newer`] if a later release wrote one of them.
    pub(super) fn take_in(
        &mut self,
        partition: Partition,
        records: Vec<Record>,
    ) -> Result<(), ReadError> {
        check_format(partition, &records)?;
        let (generation, telemetry) =
            (self.parts.events.identity().generation, &self.parts.telemetry);
        let Some(intake) = self.partitions.get_mut(&partition) else { return Ok(()) };
        let Some(end) = records.last().map(|record| record.offset.next()) else { return Ok(()) };
        let read = records.into_iter().filter_map(|record| {
            let position = Position { generation, partition, offset: record.offset };
            Read::new(record, position, telemetry)
        });
        intake.waiting.push_back(Batch { read: read.collect(), end });
        self.process(partition);
        Ok(())
    }

    /// The state that a batch waited for is there.
    pub(super) fn on_loaded(
        &mut self,
        partition: Partition,
        load: u64,
        keys: &[PieceKey],
        views: Views,
    ) {
        let Some(intake) = self.partitions.get_mut(&partition) else { return };
        if intake.loading != Some(load) {
            return;
        }
        intake.loading = None;
        intake.view.load(keys, views);
        self.process(partition);
    }

    /// Processes batches as far as the state for them is known.
    pub(super) fn process(&mut self, partition: Partition) {
        loop {
            let (now, _) = self.now();
            let Some(intake) = self.partitions.get_mut(&partition) else { return };
            if intake.loading.is_some() {
                return;
            }
            // A backlog and what is live have their turns.
            let is_turn = !intake.live_is_next || intake.waiting.is_empty();
            if let Some((number, missing)) = intake.next_pending(now).filter(|_| is_turn) {
                if missing.is_empty() {
                    (intake.planned_last, intake.live_is_next) = (number, true);
                    self.plan_again(partition, number);
                    self.make_room(partition);
                    continue;
                }
                self.load(partition, missing);
                return;
            }
            let Some(batch) = intake.waiting.front_mut() else { return };
            let mut missing = intake.view.open(&mut batch.read);
            if missing.is_empty() {
                missing = intake.view.missing(batch.read.iter().filter_map(Read::opened), now);
            }
            if !missing.is_empty() {
                self.load(partition, missing);
                return;
            }
            intake.live_is_next = false;
            let Some(batch) = intake.waiting.pop_front() else { return };
            for read in batch.read {
                match read {
                    Read::Open(event) => self.plan(partition, &event),
                    Read::Sealed(_) => self.pass_over(partition, read),
                }
            }
            if let Some(intake) = self.partitions.get_mut(&partition) {
                if let Some(last) = batch.end.0.checked_sub(1) {
                    intake.tracker.pass(Offset(last));
                    intake.pass(Offset(last));
                }
                self.uncommitted.insert(partition);
            }
            self.make_room(partition);
        }
    }

    fn load(&mut self, partition: Partition, missing: Vec<PieceKey>) {
        self.numbers += 1;
        let number = self.numbers;
        let Some(intake) = self.partitions.get_mut(&partition) else { return };
        intake.loading = Some(number);
        let load = load(self.parts.clone(), partition, missing, intake.view.needs());
        self.wait_for(async move {
            let (keys, views) = load.await;
            Wake::Loaded { partition, load: number, keys, views }
        });
    }

    /// A post was read that nobody has to hear of.
    fn pass_over(&mut self, partition: Partition, read: Read) {
        let Some(intake) = self.partitions.get_mut(&partition) else { return };
        let offset = read.position().offset;
        intake.view.hold(read);
        intake.pass(offset);
        intake.tracker.pass(offset);
    }

    fn plan(&mut self, partition: Partition, event: &Arc<Recorded>) {
        let Some(intake) = self.partitions.get_mut(&partition) else { return };
        let offset = event.position.offset;
        intake.view.fold(event);
        let was_finished = intake.tracker.was_finished(offset);
        let platform = PlatformMask::of(&[self.parts.config.platform]);
        let mut deliveries = match was_finished {
            true => Vec::new(),
            false => plan_on(platform, &intake.view.state(event), event),
        };
        self.defer(partition, event, &deliveries);
        let Some(intake) = self.partitions.get_mut(&partition) else { return };
        intake.pass(offset);
        if let Event::EndpointRetired { endpoint, registration: Some(registration), .. } =
            &event.fact.event
        {
            self.condemned.remove(&(*endpoint, *registration));
        }
        if let Event::DeliveriesParked(parked) = &event.fact.event {
            self.leave_to_agenda(partition, offset, &parked.deliveries);
        }
        self.leave(partition, event, &mut deliveries);
        let Some(intake) = self.partitions.get_mut(&partition) else { return };
        let early = self.parts.planted.has(Bug::CommitBeforeSettled);
        intake.tracker.read(offset, if early { 0 } else { deliveries.len() });
        self.parts.telemetry.deliverer_planned.add(deliveries.len());
        for delivery in deliveries {
            self.enqueue(partition, event, delivery, 0);
        }
    }

    /// Puts a delivery into its lane; its progress is the partition's, or that of a `backlog`.
    pub(super) fn enqueue(
        &mut self,
        partition: Partition,
        event: &Recorded,
        delivery: Delivery,
        backlog: u64,
    ) {
        let Some(intake) = self.partitions.get(&partition) else { return };
        self.numbers += 1;
        let urgency = Urgency::of(&event.fact.event);
        let is_post = matches!(event.fact.event, Event::NotificationPosted(_));
        let job = Job {
            arrival: self.numbers,
            assignment: intake.assignment,
            attempts: delivery.attempts,
            app: event.fact.app.clone(),
            user: event.fact.user,
            partition,
            owed: Owed { backlog, record: event.position.offset, urgency },
            also: Vec::new(),
            is_parked: false,
            posted: (backlog == 0 && is_post).then_some(event.time),
            followed: self.follow(event),
            delivery,
        };
        // What is planned for the first time has not ended.
        let is_first = backlog == 0 && job.delivery.cause == event.position.offset;
        if !is_first && intake.ended.get(job.delivery.id).is_some() {
            self.parts.telemetry.deliverer_ended_before.add(1);
            return self.outbox.absorbed(&job);
        }
        let planted = self.parts.planted;
        let serial =
            !planted.has(Bug::ClearOvertakenByRetry) && !planted.has(Bug::RevisionOvertakesClear);
        let number = if serial { 0 } else { job.arrival };
        let lane = (job.delivery.endpoint, job.delivery.item, number);
        if self.lanes.push(lane, job) {
            self.recheck(lane);
            self.advance(lane);
        } else {
            self.parts.telemetry.deliverer_joined.add(1);
        }
    }

    /// Deliveries were put off. Those that are still to be sent here were put off by a former
    /// worker, who died before it committed that: they would be sent now, and again when they come
    /// due.
    fn leave_to_agenda(&mut self, partition: Partition, at: Offset, deliveries: &[ParkedDelivery]) {
        for parked in deliveries {
            let intake = self.partitions.get_mut(&partition);
            for intake in intake.into_iter().filter(|intake| !intake.backlogs.is_empty()) {
                intake.put_off.insert(parked.delivery, at);
                intake.backlogs.values_mut().for_each(|it| it.leave_to_agenda(parked));
            }
            let lane = (parked.endpoint, parked.item, 0);
            if let Some(job) = self.lanes.take_parked(&lane, parked.delivery) {
                self.absorb(&job);
                self.advance(lane);
            }
        }
    }

    /// Forgets state that no delivery needs once there is too much of it. Only after a batch was
    /// planned: what was read for the next one must last until then.
    fn make_room(&mut self, partition: Partition) {
        let share = (self.parts.config.pieces / self.partitions.len().max(1)).max(LEAST_PIECES);
        if self.partitions.get(&partition).is_none_or(|intake| !intake.view.is_full(share)) {
            return;
        }
        // To find out what is needed all jobs are looked at: once for every partition that is half
        // as full, too.
        let mut needed = self.lanes.needed();
        needed.extend(self.silence.needed());
        for intake in self.partitions.values_mut().filter(|intake| intake.loading.is_none()) {
            if intake.view.is_full(share / 2) {
                intake.view.forget(share, &needed);
            }
        }
    }
}
