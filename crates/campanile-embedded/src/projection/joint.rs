//! Steps of several partitions, written together: a write has its price, whatever is in it.

use campanile_core::UserRef;
use campanile_core::port::{Applied, ProjectionError, Stream, Write};

use super::database::{Table, failed};
use super::fold::Folds;
use super::{Part, Shared, step};

impl Shared {
    /// Stores steps; those of partitions that are in order, in one write.
    pub(super) fn apply_all(&self, writes: &[Write]) -> Vec<Result<Applied, ProjectionError>> {
        let in_order = writes.chunk_by(|before, after| before.partition < after.partition);
        let applied = in_order.flat_map(|writes| match self.apply(writes) {
            Ok(applied) => applied.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error); writes.len()],
        });
        applied.collect()
    }

    fn apply(&self, writes: &[Write]) -> Result<Vec<Applied>, ProjectionError> {
        let partitions: Vec<_> = writes.iter().map(|write| write.partition).collect();
        self.with_all_folds(&partitions, |table, folds| {
            let applied: Vec<_> = writes
                .iter()
                .zip(folds.iter_mut())
                .map(|(write, folds)| folds.refuse(write).unwrap_or(Applied::Applied))
                .collect();
            let steps = writes.iter().zip(folds).zip(&applied);
            let steps = steps.filter(|(_, applied)| **applied == Applied::Applied);
            self.write(table, steps.map(|(step, _)| step).collect())?;
            Ok(applied)
        })
    }

    fn write(
        &self,
        table: &Table,
        mut steps: Vec<(&Write, &mut Folds)>,
    ) -> Result<(), ProjectionError> {
        let partitions: Vec<_> = steps.iter().map(|(write, _)| write.partition).collect();
        let parts = partitions.iter().map(|partition| self.part(*partition));
        let parts: Vec<&Part> = parts.collect::<Result<_, _>>()?;
        let changes = steps.iter_mut().zip(&parts).map(|((write, folds), part)| {
            if write.stream == Stream::Events {
                part.known.begin();
            }
            step::changes(table, folds, write)
        });
        let changes: Result<Vec<_>, _> = changes.collect();
        let changes = changes.map(|changes| changes.into_iter().flatten());
        let written = changes.and_then(|it| table.write(&partitions, it).map_err(failed));
        let events = steps.iter().zip(parts).filter(|((step, _), _)| step.stream == Stream::Events);
        for ((step, _), part) in events {
            match &written {
                Ok(()) => part.tell(step),
                Err(_) => part.known.forget(),
            }
        }
        written
    }
}

impl Part {
    /// A step of events is stored.
    fn tell(&self, step: &Write) {
        self.known.end(step);
        let mut users: Vec<UserRef> = step.pieces.iter().map(|it| it.key.user()).collect();
        users.sort_unstable();
        users.dedup();
        self.feeds.tell(step.to, users);
    }
}
