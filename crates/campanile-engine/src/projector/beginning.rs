//! How a fold begins where the log has lost its beginning: with what is carried.
//!
//! State is put in place as it was carried, with its checkpoint, in one write: what is carried has
//! every event before in it, so nothing in it can undo what came later. Records that the log still
//! has of the time before only make history.

use campanile_core::port::{
    Carried, CarriedState, Claim, EventLog, Projection, ProjectionError, ReadError, ReadLimit,
    RecordRef, Stream, Write,
};
use campanile_core::{Changes, Offset, Partition, Position, Timestamp, found_under};

use super::open::decode;
use crate::planted::{Bug, Planted};
use crate::telemetry::Telemetry;

/// Records read at once.
const READ: ReadLimit = ReadLimit { records: 4096, bytes: 4 << 20 };

/// A fold that is to begin.
pub(crate) struct Beginning<'a> {
    pub(crate) log: &'a dyn EventLog,
    pub(crate) projection: &'a dyn Projection,
    pub(crate) carried: Option<&'a dyn Carried>,
    pub(crate) stream: Stream,
    pub(crate) partition: Partition,
    pub(crate) telemetry: &'a Telemetry,
    pub(crate) planted: Planted,
}

/// Why a fold did not begin.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The log cannot be read.
    Log(ReadError),
    /// The projection cannot be read or written, or what is carried cannot be trusted.
    Projection(ProjectionError),
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Self {
        Self::Log(error)
    }
}

impl From<ProjectionError> for Trouble {
    fn from(error: ProjectionError) -> Self {
        Self::Projection(error)
    }
}

impl Beginning<'_> {
    /// Moves a fold that `claim` found where the log has lost its records to where it can go on;
    /// answers where that is. A fold of events that has begun stays where it is: nobody knows what
    /// it has missed. Receipts make history only, and that of dropped records is dropped with them.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(crate) async fn reach(&self, claim: Claim) -> Result<Offset, Trouble> {
        let kept = self.log.bounds(self.partition).await?;
        let first = kept.start;
        let can_move = claim.next == Offset(0) || self.stream == Stream::Receipts;
        if !can_move || first <= claim.next {
            return Ok(claim.next);
        }
        let carried = match (self.stream, self.carried) {
            (Stream::Receipts, _) => Some(CarriedState {
                as_of: first,
                time: Timestamp::ZERO,
                pieces: Vec::new(),
                agenda: Vec::new(),
            }),
            (Stream::Events, Some(carried)) => carried.state(self.partition).await?,
            (Stream::Events, None) => None,
        };
        let Some(carried) = carried.filter(|carried| carried.as_of >= first) else {
            return Ok(claim.next);
        };
        self.find_again(claim, first, carried.as_of).await?;
        let CarriedState { mut as_of, time, pieces, agenda } = carried;
        if self.planted.has(Bug::CarriedIsCurrent) {
            as_of = kept.end;
        }
        let (partition, stream) = (self.partition, self.stream.name());
        if self.stream == Stream::Receipts && claim.next > Offset(0) {
            self.telemetry.projector_receipts_missed.add(1);
            tracing::warn!(%partition, from = %claim.next, to = %as_of, "receipts were dropped unfolded");
        }
        tracing::info!(%partition, stream, %as_of, pieces = pieces.len(), "fold begins");
        let write = Write { to: as_of, time, pieces, agenda, ..self.write(claim) };
        self.projection.apply(write).await?;
        Ok(as_of)
    }

    /// Makes history of the records that the log still has, up to `end`.
    async fn find_again(&self, claim: Claim, first: Offset, end: Offset) -> Result<(), Trouble> {
        let generation = self.log.identity().generation;
        let mut next = first;
        while self.stream == Stream::Events && next < end {
            let batch = self.log.read(self.partition, next, READ).await?;
            let mut write = self.write(claim);
            for record in batch.records.iter().filter(|record| record.offset < end) {
                let (partition, offset) = (self.partition, record.offset);
                let position = Position { generation, partition, offset };
                let found_at = RecordRef { stream: self.stream, offset };
                let recorded = decode(record, position, self.telemetry);
                // Whether a retirement had an effect is not known here: rather told than not.
                let changes = Changes { reach: true, ..Changes::default() };
                let found = recorded.iter().flat_map(|record| found_under(record, &changes));
                write.history.extend(found.map(|(user, item)| (user, item, found_at)));
            }
            self.projection.apply(write).await?;
            next = batch.next;
        }
        Ok(())
    }

    /// A step that changes nothing.
    fn write(&self, claim: Claim) -> Write {
        Write {
            partition: self.partition,
            stream: self.stream,
            epoch: claim.epoch,
            from: claim.next,
            to: claim.next,
            time: Timestamp::ZERO,
            pieces: Vec::new(),
            agenda: Vec::new(),
            history: Vec::new(),
        }
    }
}
