//! Turns records of one stream into steps of its fold: what the projector and a replay have in
//! common. It reads pieces and fills a write; whose projection that is, others know.

use std::sync::Arc;

use campanile_core::port::{
    AgendaWrite, PieceKey, Projection, ProjectionError, Record, RecordRef, Stream, Write,
};
use campanile_core::{Generation, Position, Recorded, found_under, touches};
use campanile_proto::codec;

use super::open::{decode, report_undecodable};
use crate::pieces::Pieces;
use crate::telemetry::Telemetry;

/// Folds records of one stream.
#[derive(Clone)]
pub(crate) struct Steps {
    pub(crate) stream: Stream,
    pub(crate) generation: Generation,
    pub(crate) projection: Arc<dyn Projection>,
    pub(crate) telemetry: Arc<Telemetry>,
    /// Whether nothing is in the projection that is not among the known pieces.
    pub(crate) is_all_known: bool,
}

impl Steps {
    /// Fills `write`, which has its checkpoints, with what `records` change; answers how many of
    /// them were folded. `known` are pieces as they are at the first of them; what is not among
    /// them is read.
    ///
    /// # Errors
    /// [`ProjectionError`] if pieces cannot be read.
    pub(crate) async fn fill(
        &self,
        known: &mut Pieces,
        records: &[&Record],
        write: &mut Write,
    ) -> Result<usize, ProjectionError> {
        match self.stream {
            Stream::Events => self.events(known, records, write).await,
            Stream::Receipts => {
                self.receipts(records, write);
                Ok(records.len())
            }
        }
    }

    async fn events(
        &self,
        known: &mut Pieces,
        records: &[&Record],
        write: &mut Write,
    ) -> Result<usize, ProjectionError> {
        let (generation, partition) = (self.generation, write.partition);
        let position = |offset| Position { generation, partition, offset };
        let events: Vec<_> = records
            .iter()
            .filter_map(|record| decode(record, position(record.offset), &self.telemetry))
            .collect();
        self.read(known, &events, write).await?;
        let mut changed: Vec<PieceKey> = Vec::new();
        for event in &events {
            let (app, user) = (&event.fact.app, event.fact.user);
            let (changes, keys) = known.fold(event);
            changed.extend(keys);
            let offset = event.position.offset;
            let found_at = RecordRef { stream: Stream::Events, offset };
            let found = found_under(event, &changes).map(|(user, item)| (user, item, found_at));
            write.history.extend(found);
            let agenda = changes.agenda.into_iter();
            let agenda = agenda.map(|change| AgendaWrite { app: app.clone(), user, change });
            write.agenda.extend(agenda);
        }
        changed.sort_unstable();
        changed.dedup();
        write.pieces = changed.into_iter().filter_map(|key| known.write(key, write.time)).collect();
        Ok(events.len())
    }

    /// Reads the pieces that are not known yet.
    async fn read(
        &self,
        known: &mut Pieces,
        events: &[Recorded],
        write: &Write,
    ) -> Result<(), ProjectionError> {
        events.iter().for_each(|event| known.put_if_drawn(event, write.from));
        let mut keys: Vec<_> =
            events.iter().flat_map(|event| touches(event.fact.user, &event.fact.event)).collect();
        keys.retain(|key| !known.is_known(key));
        keys.sort_unstable();
        keys.dedup();
        if self.is_all_known {
            keys.iter().for_each(|key| known.put(*key, None, write.from));
            return Ok(());
        }
        let views = self.projection.view(write.partition, &keys).await?;
        let read = keys.iter().zip(views.pieces);
        read.for_each(|(key, piece)| known.put(*key, piece, write.from));
        Ok(())
    }

    fn receipts(&self, records: &[&Record], write: &mut Write) {
        for record in records {
            match codec::subject_of_receipt(&record.body) {
                Ok((user, item)) => {
                    let found_at = RecordRef { stream: Stream::Receipts, offset: record.offset };
                    write.history.push((user, Some(item), found_at));
                }
                Err(error) => report_undecodable(record.offset, &error, &self.telemetry),
            }
        }
    }
}
