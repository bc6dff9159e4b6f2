//! What is read of backlogs, and for whom.

use std::sync::Arc;

use campanile_core::port::{EventLog, ReadError, ReadLimit, Record};
use campanile_core::{Offset, Partition, Position};

use super::backlog::{Kind, Part, Pending};
use super::catch_up::AT_ONCE;
use super::intake::Intake;
use super::{Deliverer, LOG_RESTS};
use crate::projector::open::{check_format, decode};
use crate::tasks::sleep;

/// Deliveries of a backlog under way before it is given no more of what another one reads. More than
/// it would read for itself, so that routes of about the same pace stay together.
const MOST_OUT: usize = 2 * AT_ONCE.records;

impl Intake {
    /// Whether another backlog is being read where this one stands, or will be first, as far as can be
    /// told: it stands a little lower, and may be read.
    pub(super) fn is_read_for(&self, kind: &Kind, may_read: impl Fn(&Kind) -> bool) -> bool {
        let Some(place) = self.backlogs.get(kind).map(|it| it.tracker.read_to().0) else {
            return false;
        };
        let live = self.view.read_to();
        let is_near =
            |from: Offset| (from.0..from.0.saturating_add(AT_ONCE.records as u64)).contains(&place);
        self.backlogs.iter().filter(|(other, _)| *other != kind).any(|(other, it)| {
            let from = it.tracker.read_to();
            let is_next = from.0 < place
                && it.pending.is_none()
                && it.out < AT_ONCE.records
                && it.next_part(live, 1) == Some(Part::From(from));
            it.reads_on.is_some_and(is_near) || (is_next && is_near(from) && may_read(other))
        })
    }
}

impl Deliverer {
    /// A part of a backlog was read.
    pub(super) fn on_reread(
        &mut self,
        partition: Partition,
        number: u64,
        part: Part,
        read: Result<(Vec<Record>, Offset), ReadError>,
    ) -> Result<(), ReadError> {
        self.reads = self.reads.saturating_sub(1);
        let generation = self.parts.events.identity().generation;
        let Some(intake) = self.partitions.get_mut(&partition) else { return Ok(()) };
        let live = intake.view.read_to();
        let Some(backlog) = intake.backlog(number) else { return Ok(()) };
        (backlog.is_reading, backlog.reads_on) = (false, None);
        let (records, next) = match read {
            Ok(read) => read,
            Err(ReadError::OutOfRange { kept, .. }) => {
                let from = backlog.tracker.read_to();
                let start = Offset(kept.start);
                if let Some(last) = kept.start.checked_sub(1) {
                    backlog.tracker.pass(Offset(last));
                }
                let routes = intake.backlogs.iter().find(|(_, it)| it.number == number);
                let route = routes.map(|((route, _), _)| route.clone());
                route.iter().for_each(|route| self.out_of_log(partition, route, from, start));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // A later release may have left it to this route, before this one took over.
        check_format(partition, &records)?;
        let telemetry = &self.parts.telemetry;
        let is_old = |record: &&Record| record.offset < live;
        let events = records.iter().filter(is_old).filter_map(|record| {
            let position = Position { generation, partition, offset: record.offset };
            decode(record, position, telemetry).map(Arc::new)
        });
        let pending = Pending { events: events.collect(), part, next: next.min(live) };
        backlog.pending = Some(pending.clone());
        self.share(partition, &pending);
        self.process(partition);
        Ok(())
    }

    /// What was read for one backlog is for all that stand where it was read, so that a bulk run which
    /// is of many routes is read once for all of them. What is planned of it is no more for that: each
    /// delivery is of one route.
    fn share(&mut self, partition: Partition, read: &Pending) {
        let Part::From(begin) = read.part else { return };
        let (has_room, (_, tick)) = (self.has_room(), self.now());
        let Some(intake) = self.partitions.get_mut(&partition).filter(|_| has_room) else { return };
        let live = intake.view.read_to();
        for ((route, urgency), backlog) in &mut intake.backlogs {
            let from = backlog.tracker.read_to();
            let may_read = self.routes.may_read(route, (partition, *urgency), tick) == Some(true);
            let is_busy =
                backlog.is_reading || backlog.pending.is_some() || backlog.out >= MOST_OUT;
            let is_there = (begin..read.next).contains(&from)
                && backlog.next_part(live, 1) == Some(Part::From(from));
            if may_read && is_there && !is_busy {
                let events = read.events.iter().filter(|event| event.position.offset >= from);
                let (events, part) = (events.cloned().collect(), Part::From(from));
                backlog.pending = Some(Pending { events, part, next: read.next });
            }
        }
    }
}

/// Reads a part of a backlog; a log that cannot be reached is asked until it can.
pub(super) async fn read_again(
    events: &dyn EventLog,
    partition: Partition,
    part: &Part,
    limit: ReadLimit,
) -> Result<(Vec<Record>, Offset), ReadError> {
    loop {
        let read = match part {
            Part::Records(at) => {
                let found = events.fetch(partition, at).await;
                found.map(|found| (found.into_iter().flatten().collect(), Offset(0)))
            }
            Part::From(from) => {
                let batch = events.read(partition, *from, limit).await;
                batch.map(|batch| (batch.records, batch.next))
            }
        };
        match read {
            Err(ReadError::Unavailable { reason }) => {
                tracing::warn!(%reason, "log unavailable");
                sleep(LOG_RESTS).await;
            }
            read => return read,
        }
    }
}
