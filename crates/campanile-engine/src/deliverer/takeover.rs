//! What a worker has to know before it sends what others left it.
//!
//! Who took over a hold begins behind what it owes, and has not read what was between: a sweep that
//! nobody carried out yet is on the agenda, and that a delivery was put off just before the former
//! worker died is in what is not read yet.

use std::time::Duration;

use campanile_core::port::ProjectionError;
use campanile_core::{AgendaEntry, Due, Offset, Partition, Position, Recorded, Sweeps, Tick};

use super::intake::Intake;
use super::{Deliverer, Parts, Wake};
use crate::projector::open::decode;
use crate::tasks::sleep;

/// The longest wait until a partition is read as far as it went when it was taken over.
const LONGEST: Duration = Duration::from_secs(60);
/// The wait before a projection or a log that did not answer is asked again.
const RETRY: Duration = Duration::from_millis(200);
/// After so many retries, a minute, it is said that nothing of what was left is sent yet.
const TOLD_EVERY: usize = 300;
/// What is due at once and is no sweep stands between the sweeps; with more than this of both it is
/// waited until the scheduler has carried some of it out.
const MOST_DUE: usize = 64 * Sweeps::MOST;

/// What is yet to be known.
#[derive(Debug)]
pub(crate) enum Takeover {
    /// The sweeps that are not carried out, and how far the log goes.
    Everything,
    /// What was put off: the log is to be read to there, but not waited for past a time.
    Until(Offset, Tick),
}

/// What was found out for a partition that was taken over.
#[derive(Debug)]
pub(crate) struct Learned {
    sweeps: Vec<Recorded>,
    tail: Offset,
}

impl Intake {
    /// Whether what others left may be sent.
    pub(crate) fn has_taken_over(&self, now: Tick) -> bool {
        match self.takeover {
            None => true,
            Some(Takeover::Everything) => false,
            Some(Takeover::Until(tail, at)) => self.tracker.read_to() >= tail || at <= now,
        }
    }

    /// When what others left may be sent at the latest, if that is known.
    pub(crate) fn takes_over_by(&self) -> Option<Tick> {
        match self.takeover {
            Some(Takeover::Until(_, at)) => Some(at),
            _ => None,
        }
    }
}

impl Deliverer {
    /// Finds out what there is to know of a partition with holds.
    pub(super) fn take_over(&mut self, partition: Partition) {
        let Some(intake) = self.partitions.get_mut(&partition) else { return };
        intake.takeover = Some(Takeover::Everything);
        let (assignment, needed) = (intake.assignment, intake.view.read_to());
        let parts = self.parts.clone();
        self.wait_for(async move {
            let learned = learn(&parts, partition, needed).await;
            Wake::TookOver { partition, assignment, learned }
        });
    }

    /// It was found out.
    pub(super) fn on_took_over(&mut self, partition: Partition, assignment: u64, told: &Learned) {
        let by = self.now().1.after(LONGEST);
        let intake = self.partitions.get_mut(&partition);
        if let Some(intake) = intake.filter(|intake| intake.assignment == assignment) {
            told.sweeps.iter().for_each(|sweep| intake.view.learn(sweep));
            intake.takeover = Some(Takeover::Until(told.tail, by));
        }
    }
}

/// The sweeps on the agenda of a projection that has folded at least up to `needed`, and then the
/// log's tail: what a sweep that is on the agenda no more became is below it.
async fn learn(parts: &Parts, partition: Partition, needed: Offset) -> Learned {
    let mut retries: usize = 0;
    loop {
        match sweeps(parts, partition, needed).await {
            Ok(Some(sweeps)) => match parts.events.bounds(partition).await {
                Ok(kept) => return Learned { sweeps, tail: kept.end },
                Err(error) => tracing::warn!(%partition, %error, "log unavailable"),
            },
            Ok(None) | Err(ProjectionError::NotBuilt(_)) => {}
            Err(error) => tracing::warn!(%partition, %error, "projection unavailable"),
        }
        parts.telemetry.deliverer_takeover_waits.add(1);
        retries += 1;
        if retries.is_multiple_of(TOLD_EVERY) {
            tracing::warn!(%partition, %needed, "what was left here waits for the projection");
        }
        sleep(RETRY).await;
    }
}

async fn sweeps(
    parts: &Parts,
    partition: Partition,
    needed: Offset,
) -> Result<Option<Vec<Recorded>>, ProjectionError> {
    if parts.projection.view(partition, &[]).await?.checkpoint < needed {
        return Ok(None);
    }
    let mut limit = Sweeps::MOST;
    let due = loop {
        let due = parts.projection.due(partition, AgendaEntry::AT_ONCE, limit).await?;
        if due.len() < limit {
            break due;
        }
        if limit >= MOST_DUE {
            return Ok(None);
        }
        limit *= 2;
    };
    let events = due.iter().filter_map(|entry| match entry.entry.due {
        Due::Sweep(sweep) => Some(sweep.event),
        _ => None,
    });
    let events: Vec<_> = events.collect();
    if events.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let Ok(found) = parts.events.fetch(partition, &events).await else { return Ok(None) };
    let generation = parts.events.identity().generation;
    let sweeps = found.iter().flatten().filter_map(|record| {
        let position = Position { generation, partition, offset: record.offset };
        decode(record, position, &parts.telemetry)
    });
    Ok(Some(sweeps.collect()))
}
