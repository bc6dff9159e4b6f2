//! Settlement: write down, then commit; and stop reading while there is enough to do.

use std::time::Duration;

use campanile_core::port::{Flow, GroupReader};

use super::outbox::{Done, Logs};
use super::{Deliverer, Wake};
use crate::tasks::{Shutdown, sleep};

impl Deliverer {
    /// Starts a write of the outbox if it is time; one at a time, so that while it lasts the next
    /// one grows.
    pub(super) fn write_if_due(&mut self) {
        if self.is_writing || self.outbox.len() == 0 {
            return;
        }
        let (_, tick) = self.now();
        let since = *self.unwritten_since.get_or_insert(tick);
        let config = &self.parts.config;
        if self.outbox.len() < config.flush_at && tick < since.after(config.flush_after) {
            return;
        }
        let pages = self.outbox.take(self.parts.events.identity());
        let (events, receipts) = (self.parts.events.clone(), self.parts.receipts.clone());
        let telemetry = self.parts.telemetry.clone();
        self.wait_for(async move {
            Wake::Written(pages.write(Logs { events, receipts }, telemetry).await)
        });
        self.is_writing = true;
        self.unwritten_since = None;
    }

    /// What an earlier assignment of a partition settled says nothing about the present one,
    /// which has read the same events again.
    pub(super) fn on_written(&mut self, settled: &[Done]) {
        self.is_writing = false;
        for done in settled {
            let intake = self.partitions.get_mut(&done.partition);
            if let Some(intake) = intake.filter(|intake| intake.assignment == done.assignment) {
                intake.settle(done.owed);
                self.uncommitted.insert(done.partition);
            }
        }
    }

    pub(super) async fn commit_if_due(&mut self, reader: &mut dyn GroupReader) {
        if self.uncommitted.is_empty() {
            return;
        }
        let (_, tick) = self.now();
        let since = *self.uncommitted_since.get_or_insert(tick);
        if tick >= since.after(self.parts.config.commit_after) {
            self.commit(reader).await;
        }
    }

    /// A commit that fails is repeated with the next one; until then more would be delivered again
    /// after a crash, and nothing less.
    pub(super) async fn commit(&mut self, reader: &mut dyn GroupReader) {
        let partitions = std::mem::take(&mut self.uncommitted);
        self.say_busy(reader);
        let known = partitions.iter().filter_map(|partition| self.partitions.get(partition));
        let progress: Vec<_> = known.map(|intake| intake.progress(self.parts.planted)).collect();
        self.uncommitted_since = None;
        if let Err(error) = reader.commit(&progress).await {
            tracing::warn!(%error, "progress not committed");
            self.uncommitted = partitions;
            // Also if nothing else happens.
            self.uncommitted_since = Some(self.parts.clock.tick());
        }
    }

    /// Says in which partitions deliveries of backlogs are under way: their positions do not tell.
    /// What has ended is under way until it is committed: a successor would do it again.
    fn say_busy(&mut self, reader: &mut dyn GroupReader) {
        let may_be: Vec<_> = self.holding.union(&self.busy).copied().collect();
        for partition in may_be {
            let Some(intake) = self.partitions.get(&partition) else { continue };
            let was_busy = self.busy.contains(&partition);
            let is_out = intake.backlogs.values().any(|backlog| backlog.out > 0);
            let is_busy = is_out || (was_busy && self.uncommitted.contains(&partition));
            if is_busy != was_busy && reader.busy(partition, is_busy).is_ok() {
                match is_busy {
                    true => self.busy.insert(partition),
                    false => self.busy.remove(&partition),
                };
            }
        }
    }

    /// Stops reading while enough is in memory, so that a fast log cannot outrun a slow platform.
    pub(super) fn flow(&mut self, reader: &mut dyn GroupReader) {
        self.say_busy(reader);
        let telemetry = &self.parts.telemetry;
        telemetry.deliverer_jobs.set(self.lanes.jobs());
        telemetry.deliverer_outbox.set(self.outbox.len());
        let (jobs, limit) = (self.lanes.jobs() + self.outbox.len(), self.parts.config.in_memory);
        if !self.is_paused && jobs >= limit {
            self.is_paused = true;
            telemetry.deliverer_paused.add(1);
        } else if self.is_paused && jobs < limit / 2 {
            self.is_paused = false;
        }
        for (partition, intake) in &mut self.partitions {
            let wants_pause = self.is_paused || intake.is_full();
            if wants_pause != intake.is_paused {
                let flow = if wants_pause { Flow::Pause } else { Flow::Resume };
                if reader.flow(*partition, flow).is_ok() {
                    intake.is_paused = wants_pause;
                }
            }
        }
    }

    /// Waits for what is in flight, writes it down and commits.
    pub(super) async fn drain(&mut self, reader: &mut dyn GroupReader) {
        let until = self.parts.clock.tick().after(self.parts.config.drain);
        self.drain_until = Some(until);
        let (_handle, mut never) = Shutdown::new();
        loop {
            let sending = self.lanes.in_flight();
            let left = until.since(self.parts.clock.tick());
            let is_done = sending == 0 && self.outbox.len() == 0 && !self.is_writing;
            if is_done || left.is_zero() {
                break;
            }
            let wake = tokio::select! {
                biased;
                wake = self.wake(reader, &mut never) => wake,
                () = sleep(left) => break,
            };
            self.look_at_clock();
            match wake {
                Wake::Sent(sent, outcome) => self.on_sent(sent, &outcome),
                Wake::Written(settled) => self.on_written(&settled),
                Wake::Room { .. }
                | Wake::Loaded { .. }
                | Wake::Reread { .. }
                | Wake::TookOver { .. }
                | Wake::Group(_)
                | Wake::Shutdown => {}
                Wake::Timer => sleep(Duration::from_millis(1)).await,
            }
            self.write_if_due();
        }
        self.commit(reader).await;
    }
}
