//! One stream of the log: appending, reading, retention.

use std::ops::Range;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use campanile_core::port::{AppendError, Batch, NewRecord, ReadError, ReadLimit, Record, Stream};
use campanile_core::{Offset, Partition, Position, Timestamp};
use tokio::sync::oneshot;

use super::queue::Waiting;
use super::{Core, Log};

/// How much one job holds, in bytes as the queue counts them: small enough that an append of any
/// size passes through a queue of any allowed size.
const JOB_BYTES: usize = 1 << 20;

/// One stream. Clones are the same stream, and keep the log open.
#[derive(Clone)]
pub(crate) struct StreamLog {
    pub(crate) log: Arc<Log>,
    pub(crate) stream: Stream,
}

/// The records of an append that are written together, by their place in the append.
#[derive(Default)]
struct Part {
    places: Vec<usize>,
    records: Vec<Waiting>,
    cost: usize,
}

/// An answer per record.
struct Answers(Vec<Result<Position, AppendError>>);

impl Answers {
    fn unknown(count: usize) -> Self {
        let reason = String::from("the log gave no answer");
        Self(vec![Err(AppendError::Indefinite { reason }); count])
    }

    fn put(&mut self, place: usize, answer: Result<Position, AppendError>) {
        if let Some(it) = self.0.get_mut(place) {
            *it = answer;
        }
    }

    fn fail(&mut self, places: &[usize], error: &AppendError) {
        places.iter().for_each(|place| self.put(*place, Err(error.clone())));
    }
}

type Answered = oneshot::Receiver<Result<Vec<Position>, AppendError>>;

impl StreamLog {
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.log.core
    }

    /// Appends each record for itself; see `EventLog::append`.
    pub(crate) async fn append(&self, batch: Vec<NewRecord>) -> Vec<Result<Position, AppendError>> {
        let mut answers = Answers::unknown(batch.len());
        let mut parts = vec![Part::default()];
        for (place, record) in batch.into_iter().enumerate() {
            match self.admit(record) {
                Ok(waiting) => self.add(&mut parts, place, waiting),
                Err(refused) => answers.put(place, Err(refused)),
            }
        }
        let mut pending: Vec<(Vec<usize>, Answered)> = Vec::new();
        let mut refused = None;
        for part in parts.into_iter().filter(|part| !part.records.is_empty()) {
            let pushed = match &refused {
                None => self.core().queue.push(part.records).await,
                Some(error) => Err(AppendError::clone(error)),
            };
            match pushed {
                Ok(answered) => pending.push((part.places, answered)),
                // What follows is refused too: it must not overtake.
                Err(error) => {
                    answers.fail(&part.places, &error);
                    refused = Some(error);
                }
            }
        }
        for (places, answered) in pending {
            match answered.await {
                Ok(Ok(at)) => places.iter().zip(at).for_each(|(it, at)| answers.put(*it, Ok(at))),
                Ok(Err(error)) => answers.fail(&places, &error),
                // The writer went without a word: nobody knows.
                Err(_) => {}
            }
        }
        answers.0
    }

    fn admit(&self, record: NewRecord) -> Result<Waiting, AppendError> {
        let refused = |reason| AppendError::Refused { reason, retry: false };
        let NewRecord { partition, user, body } = record;
        let belongs = self.core().identity.partition_of(user);
        if partition != belongs {
            let reason = format!("user {user} belongs to partition {belongs}, not {partition}");
            return Err(refused(reason));
        }
        let (got, limit) = (body.len(), NewRecord::LARGEST);
        if got > limit {
            return Err(refused(format!("a body of {got} bytes is over the limit of {limit}")));
        }
        let lane = self.core().lane(self.stream, partition);
        let lane = lane.map_err(|error| refused(error.to_string()))?;
        // A copy, because the body may be a small part of a large buffer that it would keep alive
        // in the queue and in the lanes' memory.
        Ok(Waiting { lane, user, body: Bytes::copy_from_slice(&body) })
    }

    fn add(&self, parts: &mut Vec<Part>, place: usize, waiting: Waiting) {
        let cost = self.core().queue.cost(waiting.body.len());
        if parts.last().is_none_or(|part| part.cost + cost > JOB_BYTES && part.cost > 0) {
            parts.push(Part::default());
        }
        if let Some(part) = parts.last_mut() {
            part.places.push(place);
            part.records.push(waiting);
            part.cost += cost;
        }
    }

    /// Reads on; see `EventLog::read`.
    pub(crate) async fn read(
        &self,
        partition: Partition,
        from: Offset,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        let lane = self.core().lane(self.stream, partition)?;
        match self.read_recent(partition, from, limit)? {
            Some(batch) => Ok(batch),
            None => self.blocking(move |core| core.read_files(partition, lane, from, limit)).await,
        }
    }

    /// Reads on if that needs no file.
    pub(crate) fn read_recent(
        &self,
        partition: Partition,
        from: Offset,
        limit: ReadLimit,
    ) -> Result<Option<Batch>, ReadError> {
        let lane = self.core().lane(self.stream, partition)?;
        let lane = self.core().lanes.get(lane).ok_or(ReadError::NoPartition(partition))?;
        let kept = lane.first..lane.head.next;
        if from.0 == kept.end {
            return Ok(Some(Batch { records: Vec::new(), next: from }));
        }
        if !kept.contains(&from.0) {
            return Err(ReadError::OutOfRange { partition, offset: from, kept });
        }
        Ok(lane.recent(from.0, limit))
    }

    /// Reads single records; see `EventLog::fetch`.
    pub(crate) async fn fetch(
        &self,
        partition: Partition,
        at: &[Offset],
    ) -> Result<Vec<Option<Record>>, ReadError> {
        let one = ReadLimit { records: 1, bytes: 1 };
        let mut found = Vec::with_capacity(at.len());
        for offset in at {
            let batch = match self.read(partition, *offset, one).await {
                Ok(batch) => batch,
                Err(ReadError::OutOfRange { .. }) => Batch::default(),
                Err(error) => return Err(error),
            };
            found.push(batch.records.into_iter().next());
        }
        Ok(found)
    }

    /// See `EventLog::bounds`.
    pub(crate) fn bounds(&self, partition: Partition) -> Result<Range<Offset>, ReadError> {
        let lane = self.core().lane(self.stream, partition)?;
        let lane = self.core().lanes.get(lane).ok_or(ReadError::NoPartition(partition))?;
        Ok(Offset(lane.first)..Offset(lane.head.next))
    }

    /// See `EventLog::first_at`.
    pub(crate) async fn first_at(
        &self,
        partition: Partition,
        time: Timestamp,
    ) -> Result<Offset, ReadError> {
        let number = self.core().lane(self.stream, partition)?;
        let tail = {
            let lane = self.core().lanes.get(number).ok_or(ReadError::NoPartition(partition))?;
            if let Some(found) = lane.recent_at(time) {
                return Ok(found);
            }
            Offset(lane.head.next)
        };
        let millis = time.as_millis();
        let found = self.blocking(move |core| core.first_at(number, millis)).await?;
        Ok(found.map_or(tail, Offset))
    }

    /// Runs what may wait for the disk where that disturbs nobody, a few at a time.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Core) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let unavailable = |reason: &str| ReadError::Unavailable { reason: reason.to_owned() };
        let core = self.core().clone();
        let done = self.core().readers.run(move || work(&core)).await;
        done.ok_or_else(|| unavailable("the read was cancelled"))?
    }
}

impl Core {
    fn read_files(
        &self,
        partition: Partition,
        lane: usize,
        from: Offset,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        let limit = self.visible(lane, from, limit);
        let place = {
            let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
            catalogue.find(lane, from.0)
        };
        let read = self.reader.read(place, lane, from.0, limit);
        // The segment may have been dropped meanwhile, which is no trouble of the disk.
        let kept = self.lanes.get(lane).map_or(0..0, |lane| lane.first..lane.head.next);
        match read {
            Err(ReadError::Unavailable { .. } | ReadError::Damaged { .. })
                if from.0 < kept.start =>
            {
                Err(ReadError::OutOfRange { partition, offset: from, kept })
            }
            other => other,
        }
    }

    /// A limit that ends where the lane ends. A commit is in the catalogue a moment before it is
    /// visible: who read beyond would be told that the place where it stands does not exist.
    fn visible(&self, lane: usize, from: Offset, limit: ReadLimit) -> ReadLimit {
        let end = self.lanes.get(lane).map_or(0, |lane| lane.head.next);
        let left = usize::try_from(end.saturating_sub(from.0)).unwrap_or(usize::MAX);
        ReadLimit { records: limit.records.min(left), ..limit }
    }

    fn first_at(&self, lane: usize, time: u64) -> Result<Option<u64>, ReadError> {
        let (sealed, active) = {
            let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
            let entries = catalogue.active.lanes.get(lane).map(Vec::as_slice).unwrap_or_default();
            let later = entries.partition_point(|entry| entry.time < time);
            (catalogue.find_time(lane, time), entries.get(later).map(|entry| entry.base))
        };
        let Some(segment) = sealed else { return Ok(active) };
        Ok(self.reader.first_at(&segment, lane, time)?.or(active))
    }
}
