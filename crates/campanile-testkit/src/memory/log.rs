//! A log in memory.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use campanile_core::port::{
    AppendError, Batch, Clock, EventLog, GroupName, GroupReader, LogAdmin, NewRecord, Progress,
    ReadError, ReadLimit, Record, StartAt,
};
use campanile_core::{LogIdentity, Offset, Partition, Position, Timestamp};
use tokio::sync::Notify;

use super::group::{Memberships, MemoryReader};
use super::lock;

/// What a log in memory does differently when asked.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// The distance between offsets, at least 1. More than 1 leaves gaps, as Kafka's do.
    pub offset_step: u64,
    /// How long a member may finish a partition that another is to have, on tokio's time.
    pub drain: Duration,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { offset_step: 1, drain: Duration::from_secs(5) }
    }
}

/// One stream of a log, in memory. Clones are the same stream.
///
/// An append is durable at once; group progress is durable once committed. Memberships are not:
/// they live as long as the readers.
#[derive(Clone)]
pub struct MemoryLog {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) identity: LogIdentity,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: LogOptions,
    state: Mutex<LogState>,
    /// Told of every append and every change of an assignment.
    pub(super) changed: Notify,
}

pub(super) struct LogState {
    pub(super) durable: Durable,
    pub(super) memberships: Memberships,
}

/// What a crash leaves.
pub(super) struct Durable {
    pub(super) partitions: Vec<PartitionLog>,
    pub(super) groups: BTreeMap<GroupName, BTreeMap<Partition, Progress>>,
}

/// The records of one partition.
#[derive(Clone, Default)]
pub(super) struct PartitionLog {
    start: Offset,
    tail: Offset,
    last_time: Timestamp,
    records: VecDeque<Record>,
}

impl MemoryLog {
    /// An empty log that takes its append times from `clock`.
    #[must_use]
    pub fn new(identity: LogIdentity, clock: Arc<dyn Clock>) -> Self {
        Self::with_options(identity, clock, LogOptions::default())
    }

    /// An empty log with options.
    #[must_use]
    pub fn with_options(identity: LogIdentity, clock: Arc<dyn Clock>, options: LogOptions) -> Self {
        let partitions = vec![PartitionLog::default(); usize::from(identity.partitions)];
        let durable = Durable { partitions, groups: BTreeMap::new() };
        let state = Mutex::new(LogState { durable, memberships: Memberships::default() });
        let changed = Notify::new();
        Self { shared: Arc::new(Shared { identity, clock, options, state, changed }) }
    }

    /// Takes every partition of `group` from its members at once, as when their sessions time
    /// out, and assigns them anew.
    pub fn expire_sessions(&self, group: &GroupName) {
        self.lock().memberships.expire(group);
        self.shared.changed.notify_waiters();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, LogState> {
        lock(&self.shared.state)
    }

    fn refusal(&self, record: &NewRecord) -> Option<String> {
        let partition = self.shared.identity.partition_of(record.user);
        if record.partition != partition {
            let NewRecord { partition: wrong, user, .. } = record;
            Some(format!("user {user} belongs to partition {partition}, not {wrong}"))
        } else if record.body.len() > NewRecord::LARGEST {
            let (got, limit) = (record.body.len(), NewRecord::LARGEST);
            Some(format!("a body of {got} bytes is over the limit of {limit}"))
        } else {
            None
        }
    }

    fn append_one(&self, state: &mut LogState, record: NewRecord) -> Result<Position, AppendError> {
        let refused = |reason| AppendError::Refused { reason, retry: false };
        if let Some(reason) = self.refusal(&record) {
            return Err(refused(reason));
        }
        let NewRecord { partition, user, body } = record;
        let log = state.durable.partitions.get_mut(usize::from(partition.0));
        let log = log.ok_or_else(|| refused(format!("there is no partition {partition}")))?;
        let gap = self.shared.options.offset_step.saturating_sub(1);
        let offset = Offset(log.tail.0.saturating_add(gap));
        let time = self.shared.clock.now().max(log.last_time);
        log.records.push_back(Record { offset, time, user, body });
        (log.tail, log.last_time) = (offset.next(), time);
        Ok(Position { generation: self.shared.identity.generation, partition, offset })
    }
}

impl Durable {
    pub(super) fn partition(&self, partition: Partition) -> Result<&PartitionLog, ReadError> {
        let found = self.partitions.get(usize::from(partition.0));
        found.ok_or(ReadError::NoPartition(partition))
    }
}

impl PartitionLog {
    fn index_of(&self, offset: Offset) -> usize {
        self.records.partition_point(|record| record.offset < offset)
    }

    pub(super) fn read(
        &self,
        partition: Partition,
        from: Offset,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        if from < self.start || from > self.tail {
            let kept = self.start.0..self.tail.0;
            return Err(ReadError::OutOfRange { partition, offset: from, kept });
        }
        let mut batch = Batch { records: Vec::new(), next: self.tail };
        let mut bytes = 0_usize;
        for record in self.records.iter().skip(self.index_of(from)) {
            bytes = bytes.saturating_add(record.body.len());
            let full = batch.records.len() >= limit.records || bytes > limit.bytes;
            if full && !batch.records.is_empty() {
                batch.next = record.offset;
                break;
            }
            batch.records.push(record.clone());
        }
        Ok(batch)
    }

    fn get(&self, offset: Offset) -> Option<Record> {
        self.records.get(self.index_of(offset)).filter(|found| found.offset == offset).cloned()
    }

    fn first_at(&self, time: Timestamp) -> Offset {
        let found = self.records.iter().find(|record| record.time >= time);
        found.map_or(self.tail, |record| record.offset)
    }

    fn retain(&mut self, keep: Duration, now: Timestamp, below: Offset) {
        let is_old = |record: &Record| now.since(record.time) > keep && record.offset < below;
        while self.records.front().is_some_and(is_old) {
            self.records.pop_front();
            self.start = self.records.front().map_or(self.tail, |record| record.offset);
        }
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    fn identity(&self) -> &LogIdentity {
        &self.shared.identity
    }

    async fn append(&self, batch: Vec<NewRecord>) -> Vec<Result<Position, AppendError>> {
        let answers = {
            let mut state = self.lock();
            batch.into_iter().map(|record| self.append_one(&mut state, record)).collect()
        };
        self.shared.changed.notify_waiters();
        answers
    }

    async fn read(
        &self,
        partition: Partition,
        from: Offset,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        self.lock().durable.partition(partition)?.read(partition, from, limit)
    }

    async fn fetch(
        &self,
        partition: Partition,
        at: &[Offset],
    ) -> Result<Vec<Option<Record>>, ReadError> {
        let state = self.lock();
        let log = state.durable.partition(partition)?;
        Ok(at.iter().map(|offset| log.get(*offset)).collect())
    }

    async fn bounds(&self, partition: Partition) -> Result<Range<Offset>, ReadError> {
        let state = self.lock();
        let log = state.durable.partition(partition)?;
        Ok(log.start..log.tail)
    }

    async fn first_at(&self, partition: Partition, time: Timestamp) -> Result<Offset, ReadError> {
        Ok(self.lock().durable.partition(partition)?.first_at(time))
    }

    async fn join(&self, group: &GroupName) -> Result<Box<dyn GroupReader>, ReadError> {
        if !self.lock().durable.groups.contains_key(group) {
            return Err(ReadError::NoGroup(group.clone()));
        }
        Ok(Box::new(MemoryReader::join(self.clone(), group.clone())))
    }
}

#[async_trait]
impl LogAdmin for MemoryLog {
    async fn create_group(&self, group: &GroupName, start: StartAt) -> Result<(), ReadError> {
        let durable = &mut self.lock().durable;
        let partitions = self.shared.identity.partitions().zip(&durable.partitions);
        let first = |(partition, log): (Partition, &PartitionLog)| {
            let next = if start == StartAt::Beginning { log.start } else { log.tail };
            (partition, Progress::from(partition, next))
        };
        let progress = partitions.map(first).collect();
        durable.groups.entry(group.clone()).or_insert(progress);
        Ok(())
    }

    async fn progress(&self, group: &GroupName) -> Result<Vec<Progress>, ReadError> {
        let state = self.lock();
        let found = state.durable.groups.get(group);
        let found = found.ok_or_else(|| ReadError::NoGroup(group.clone()))?;
        Ok(found.values().cloned().collect())
    }

    async fn retain(
        &self,
        keep: Duration,
        now: Timestamp,
        below: &[Offset],
    ) -> Result<(), ReadError> {
        let durable = &mut self.lock().durable;
        for (log, below) in durable.partitions.iter_mut().zip(below) {
            log.retain(keep, now, *below);
        }
        Ok(())
    }
}
