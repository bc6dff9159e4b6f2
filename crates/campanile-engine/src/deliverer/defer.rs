//! Deferral: what is urgent waits for nothing that is not.
//!
//! A worker can have so much under way of each partition, and reads no more before some of it ends.
//! So that what is urgent does not wait behind thousands of posts of low priority, half of that is
//! for what is urgent alone: while the other half is taken, posts below high priority are left to a
//! backlog of their route, which is read again as room appears, and reading goes on.

use campanile_core::port::Progress;
use campanile_core::{Delivery, Partition, Recorded, Urgency};

use super::Deliverer;
use super::backlog::Backlog;
use super::catch_up::AT_ONCE;

/// Endpoints of a platform that a user has, as far as room is kept for them.
const ENDPOINTS: usize = 2;

impl Deliverer {
    /// Whether there is room for deliveries that are not urgent.
    pub(super) fn has_room(&self) -> bool {
        self.takes_less_than(2)
    }

    /// Whether less than so many quarters of what may be in memory are taken, with what is being
    /// read again: that brings as many deliveries as its records have endpoints.
    pub(super) fn takes_less_than(&self, quarters: usize) -> bool {
        let coming = self.reads * AT_ONCE.records * ENDPOINTS;
        let taken = self.lanes.jobs() + self.outbox.len() + coming;
        taken < (self.parts.config.in_memory * quarters).div_ceil(4)
    }

    /// Leaves the deliveries of an event for later, unless there is room for them: each route that they
    /// are for begins a backlog with it, or goes on with the one it has, and takes nothing of the bulk
    /// as it comes until that is read. Routes that they are not for have nothing to read again.
    pub(super) fn defer(
        &mut self,
        partition: Partition,
        event: &Recorded,
        deliveries: &[Delivery],
    ) {
        if Urgency::of(&event.fact.event) == Urgency::Urgent {
            return;
        }
        let (has_room, (now, _)) = (self.has_room(), self.now());
        let Some(intake) = self.partitions.get_mut(&partition) else { return };
        if has_room && !intake.tracker.is_half_full() {
            return;
        }
        for delivery in deliveries {
            let Some(route) = intake.route(event, delivery) else { continue };
            let kind = (route, Urgency::Bulk);
            if let Some(backlog) = intake.backlogs.get_mut(&kind) {
                backlog.follows = false;
            } else if intake.backlogs.len() < Progress::MOST_HOLDS {
                let why = self.routes.get(&kind.0).held.as_ref().map(|held| held.why);
                self.numbers += 1;
                let begin = event.position.offset;
                let backlog = Backlog::new(self.numbers, partition, begin, why, now);
                intake.backlogs.insert(kind, backlog);
                self.holding.insert(partition);
            }
        }
    }

    /// Leaves out which of the `deliveries` of an event a backlog holds: they are read again.
    pub(super) fn leave(
        &self,
        partition: Partition,
        event: &Recorded,
        deliveries: &mut Vec<Delivery>,
    ) {
        let Some(intake) = self.partitions.get(&partition) else { return };
        if intake.backlogs.is_empty() {
            return;
        }
        let (offset, urgency) = (event.position.offset, Urgency::of(&event.fact.event));
        let telemetry = &self.parts.telemetry;
        deliveries.retain(|delivery| {
            let kind = intake.route(event, delivery).map(|route| (route, urgency));
            let backlog = kind.and_then(|kind| intake.backlogs.get(&kind));
            let Some(backlog) = backlog.filter(|it| it.tracker.owes(offset)) else { return true };
            match backlog.why {
                Some(_) => telemetry.deliverer_held.add(1),
                None => telemetry.deliverer_deferred.add(1),
            }
            false
        });
    }
}
