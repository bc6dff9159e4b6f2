//! Holds: what a route that does not send owes is left in the log, and read again when it works.
//!
//! Nothing is written for a delivery that waits: a partition's progress says from where on the
//! route owes, and that is committed with the rest. When the pause is over, one delivery tries the
//! route; if the platform answers it, all that waits is read again, in order, a little at a time.

use std::collections::BTreeSet;

use campanile_core::port::{Hold, PieceKey, Progress, ReadError, ReadLimit};
use campanile_core::{
    Delivery, Offset, Partition, PlatformMask, PutOff, Recorded, Route, Timestamp, Urgency, plan_on,
};

use super::backlog::{Backlog, Kind, Owed, Part, Pending};
use super::intake::Intake;
use super::lanes::{Job, LaneKey};
use super::reread::read_again;
use super::{Deliverer, Wake};

/// Records read again at once, and deliveries of a backlog under way before more are read.
pub(super) const AT_ONCE: ReadLimit = ReadLimit { records: 256, bytes: 1 << 20 };
/// Backlogs that are read at once, over all partitions.
const READS: usize = 16;
/// Records read at once to find one delivery that tries a route.
const TO_TRY: usize = 32;
/// Records read again on a route with nothing to do, while others take the room of all.
const IDLE: usize = 64;

impl Intake {
    /// A backlog that waits to be planned, and the state that is missing for it.
    pub(super) fn next_pending(&mut self, now: Timestamp) -> Option<(u64, Vec<PieceKey>)> {
        let pending = self.backlogs.values().filter(|it| it.pending.is_some());
        // One after the other.
        let last = self.planned_last;
        let next = pending.min_by_key(|it| (it.number <= last, it.number))?;
        Some((next.number, self.view.missing(next.pending.as_ref()?.events.iter(), now)))
    }
}

impl Deliverer {
    /// Takes over what former workers left of a partition. What the log has no more of it is lost,
    /// and that is said loudly.
    pub(super) async fn restore(
        &mut self,
        partition: Partition,
        holds: &[Hold],
    ) -> Result<(), ReadError> {
        if holds.is_empty() {
            return Ok(());
        }
        let kept = self.parts.events.bounds(partition).await;
        let tick = self.parts.clock.tick();
        for hold in holds {
            if let Ok(kept) = &kept
                && hold.next < kept.start
            {
                self.out_of_log(partition, &hold.route, hold.next, kept.start);
            }
            self.numbers += 1;
            let backlog = Backlog::restored(self.numbers, partition, hold);
            self.routes.restore(hold, tick);
            if let Some(intake) = self.partitions.get_mut(&partition) {
                intake.backlogs.insert((hold.route.clone(), hold.urgency), backlog);
            }
            self.holding.insert(partition);
        }
        self.take_over(partition);
        Ok(())
    }

    /// The first job of a lane waits for its route: it leaves memory, and is read again. With too
    /// many routes in trouble it goes on the agenda.
    pub(super) fn hold_back(&mut self, lane: &LaneKey, route: &Route) {
        let Some((job, _)) = self.lanes.first(lane) else { return };
        let (partition, is_parked) = (job.partition, job.is_parked);
        let Some(held) = self.routes.get(route).held.clone() else { return };
        let Some(intake) = self.partitions.get_mut(&partition) else { return };
        let owed = std::iter::once(&job.owed).chain(&job.also);
        let kinds: BTreeSet<Kind> = owed.map(|owed| (route.clone(), owed.urgency)).collect();
        let new = kinds.iter().filter(|kind| !intake.backlogs.contains_key(*kind)).count();
        if is_parked || intake.backlogs.len() + new > Progress::MOST_HOLDS {
            // Not before a pause that begins now is over: to come due while another delivery tries the
            // route would only write the same again.
            let (now, jitter) = (self.now().0, self.jitter());
            let pause =
                self.routes.get(route).health.pause(jitter, None, &self.parts.config.policy);
            let until = held.until.max(now.after(pause));
            return self.park(lane, until, held.reason, PutOff::Held(held.why));
        }
        let Some(mut job) = self.lanes.pop(lane) else { return };
        let told = job.followed.take();
        let read_to = intake.view.read_to();
        for owed in std::iter::once(job.owed).chain(job.also) {
            self.numbers += 1;
            let number = self.numbers;
            let backlog = intake
                .backlogs
                .entry((route.clone(), owed.urgency))
                .or_insert_with(|| Backlog::new(number, partition, read_to, None, held.since));
            backlog.why = Some(held.why);
            backlog.take_back(owed, job.delivery.id, job.attempts, *lane);
            let mine = backlog.number;
            if owed.backlog != mine {
                intake.settle(owed);
            }
        }
        self.tell_held(told, &job.delivery, job.attempts, held.why);
        self.parts.telemetry.deliverer_held.add(1);
        self.holding.insert(partition);
        self.uncommitted.insert(partition);
    }

    /// Reads on in the backlogs of routes that work, or that one delivery should try.
    pub(super) fn catch_up(&mut self) {
        if self.holding.is_empty() || self.drain_until.is_some() {
            return;
        }
        self.routes.forget_lost_probes(&self.lanes);
        self.looked_at = self.now().1;
        let (routes, tick) = (&self.routes, self.looked_at);
        let owned = self.holding.iter().filter_map(|it| Some((*it, self.partitions.get(it)?)));
        let may_send = |(_, it): &(_, &Intake)| !it.is_revoking && it.has_taken_over(tick);
        let readable = owned.filter(may_send).flat_map(|(it, intake)| {
            let may_read = move |(route, urgency): &&Kind| {
                routes.may_read(route, (it, *urgency), tick).is_some()
            };
            intake.backlogs.keys().filter(may_read).map(move |kind| (it, kind.clone()))
        });
        let mut readable: Vec<_> = readable.collect();
        // With more to read than is read at once, everybody has a turn.
        let most = readable.len().max(1);
        readable.rotate_left(self.reads_begun % most);
        // Each backlog has its turn to try a route.
        readable.sort_by_key(|(partition, (route, urgency))| {
            routes.had_its_turn(route, (*partition, *urgency))
        });
        for (partition, kind) in readable {
            self.catch_up_on(partition, &kind);
        }
    }

    fn catch_up_on(&mut self, partition: Partition, kind: &Kind) {
        let (route, place) = (&kind.0, (partition, kind.1));
        let (_, tick) = self.now();
        let Some(is_open) = self.routes.may_read(route, place, tick) else { return };
        let (has_room, has_spare) = (self.has_room(), self.takes_less_than(3));
        let Some(intake) = self.partitions.get_mut(&partition) else { return };
        let live = intake.view.read_to();
        let works = |(route, urgency): &Kind| {
            self.routes.may_read(route, (partition, *urgency), tick) == Some(true)
        };
        let is_read = has_room && is_open && intake.is_read_for(kind, works);
        let Some(backlog) = intake.backlogs.get_mut(kind) else { return };
        if backlog.is_reading || backlog.pending.is_some() {
            return;
        }
        let state = self.routes.get(route);
        state.trying = state.trying.filter(|trying| *trying != place);
        // A route that others leave nothing to do is not to pay for those that are slow.
        let is_idle = is_open && has_spare && backlog.out == 0 && state.ready.is_empty();
        let most = match (is_open, has_room) {
            (true, true) => AT_ONCE.records,
            (true, false) => IDLE,
            (false, _) => TO_TRY,
        };
        let part = match is_open {
            true => backlog.next_part(live, most),
            false => backlog.next_to_try(live, most),
        };
        let Some(part) = part else {
            // What a former worker finished for others it may have left here.
            let is_new = intake.tracker.is_new_from(live);
            backlog.follows |= is_new && backlog.has_caught_up(live);
            if backlog.follows && backlog.tracker.is_settled() {
                intake.backlogs.remove(kind);
                let is_done = intake.backlogs.is_empty();
                self.uncommitted.insert(partition);
                if is_done {
                    self.holding.remove(&partition);
                }
            }
            return;
        };
        if !(has_room || is_idle) || backlog.out >= AT_ONCE.records || self.reads >= READS {
            return;
        }
        backlog.reads_on = match part {
            // It is given what another one reads.
            Part::From(_) if is_read => return,
            Part::From(from) if is_open => Some(from),
            Part::From(_) | Part::Records(_) => None,
        };
        backlog.is_reading = true;
        self.reads += 1;
        self.reads_begun = self.reads_begun.wrapping_add(1);
        let number = backlog.number;
        if !is_open {
            self.routes.get(route).trying = Some(place);
        }
        let events = self.parts.events.clone();
        // What the partition has not come to would have to be read once more.
        let records = match part {
            Part::From(from) => most.min(usize::try_from(live.0 - from.0).unwrap_or(most)),
            Part::Records(_) => most,
        };
        let limit = ReadLimit { records, ..AT_ONCE };
        self.wait_for(async move {
            let read = read_again(&*events, partition, &part, limit).await;
            Wake::Reread { partition, backlog: number, part, read }
        });
    }

    /// Plans what was read of a backlog, once more, with the state of now.
    pub(super) fn plan_again(&mut self, partition: Partition, number: u64) {
        let Some(intake) = self.partitions.get_mut(&partition) else { return };
        let Some((kind, backlog)) = intake.backlogs.iter_mut().find(|(_, it)| it.number == number)
        else {
            return;
        };
        let Some(Pending { events, part, next }) = backlog.pending.take() else { return };
        let kind = kind.clone();
        let route = &kind.0;
        if self.routes.get(route).held.is_none() && backlog.owes_below(&part) {
            // Read to try the route, which works meanwhile: it is read again, in order.
            return;
        }
        for event in &events {
            self.plan_one_again(partition, &kind, number, event, &part);
        }
        let Some(intake) = self.partitions.get_mut(&partition) else { return };
        let Some(backlog) = intake.backlog(number) else { return };
        match part {
            Part::From(_) => {
                if let Some(last) = next.0.checked_sub(1) {
                    backlog.tracker.pass(Offset(last));
                }
            }
            // Those that the log does not have.
            Part::Records(ref asked) => {
                let found = |at: &Offset| events.iter().any(|it| it.position.offset == *at);
                asked.iter().filter(|at| !found(at)).for_each(|at| backlog.give_up(*at));
            }
        }
        let (state, place) = (self.routes.get(route), (partition, kind.1));
        if state.lacks_probe() {
            backlog.found_none(&part);
            // The next one is another's: what was found here may have to wait for it.
            state.trying = state.trying.filter(|trying| *trying != place);
            state.tried_in = Some(place);
        }
        self.uncommitted.insert(partition);
    }

    /// A delivery of `partition` tried a route and learned nothing: the next one is another.
    pub(super) fn try_another(&mut self, partition: Partition, route: &Route, owed: Owed) {
        self.routes.get(route).tried_in = Some((partition, owed.urgency));
        let (intake, kind) = (self.partitions.get_mut(&partition), (route.clone(), owed.urgency));
        if let Some(backlog) = intake.and_then(|intake| intake.backlogs.get_mut(&kind)) {
            backlog.tried = Some(owed.record);
        }
    }

    /// Whether a delivery of the same lane waits that comes before the lane's first job.
    pub(super) fn overtakes(&self, job: &Job, lane: &LaneKey, route: &Route) -> bool {
        let backlogs = self.partitions.get(&job.partition).map(|intake| &intake.backlogs);
        let of_route = backlogs.into_iter().flatten().filter(|((of, _), _)| of == route);
        let mut backlogs = of_route.map(|(_, backlog)| backlog);
        backlogs.any(|backlog| backlog.owes_before(job.owed.record, lane))
    }

    fn plan_one_again(
        &mut self,
        partition: Partition,
        (route, urgency): &Kind,
        number: u64,
        event: &Recorded,
        part: &Part,
    ) {
        let platform = PlatformMask::of(&[self.parts.config.platform]);
        let Some(intake) = self.partitions.get_mut(&partition) else { return };
        let offset = event.position.offset;
        let mut deliveries = plan_on(platform, &intake.view.state(event), event);
        let knows = intake.backlog(number).is_some_and(|backlog| backlog.knows(offset));
        if !knows {
            let is_about = Urgency::of(&event.fact.event) == *urgency;
            let on_route = |it: &_| is_about && intake.route(event, it).as_ref() == Some(route);
            deliveries.retain(on_route);
        }
        let was_finished = intake.tracker.was_finished(offset);
        let Some(backlog) = intake.backlog(number) else { return };
        if was_finished && backlog.is_own && !knows {
            deliveries.clear();
        }
        let owed = backlog.begin(part, offset, &deliveries);
        self.parts.telemetry.deliverer_reread.add(owed.len());
        for (at, attempts) in owed {
            let Some(mut delivery) = deliveries.get(at).cloned() else { continue };
            if self.agenda_has(partition, number, &delivery, offset) {
                continue;
            }
            delivery.attempts = delivery.attempts.max(attempts);
            self.enqueue(partition, event, delivery, number);
        }
    }

    /// Whether a delivery that a record calls for was put off since, and so is not owed any more.
    fn agenda_has(
        &mut self,
        partition: Partition,
        number: u64,
        delivery: &Delivery,
        record: Offset,
    ) -> bool {
        let Some(intake) = self.partitions.get_mut(&partition) else { return false };
        let has = intake.put_off.get(delivery.id).is_some_and(|at| record < *at);
        if has && let Some(backlog) = intake.backlog(number) {
            backlog.settle(record);
            self.parts.telemetry.deliverer_left_to_agenda.add(1);
        }
        has
    }

    pub(super) fn out_of_log(
        &self,
        partition: Partition,
        route: &Route,
        from: Offset,
        kept: Offset,
    ) {
        self.parts.telemetry.deliverer_holds_cut.add(1);
        tracing::error!(
            %route, %partition, %from, %kept,
            "route was held for longer than the log is kept; what it owed before that is lost"
        );
    }
}
