//! The log in memory, with trouble between the steps.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use campanile_core::port::{
    AppendError, Batch, CommitError, EventLog, Flow, GroupEvent, GroupName, GroupReader, LogAdmin,
    NewRecord, Progress, ReadError, ReadLimit, Record, StartAt, Stream,
};
use campanile_core::{LogIdentity, Offset, Partition, Position, Tick, Timestamp, UserRef};
use campanile_engine::planted::{Bug, Planted};
use campanile_proto::codec;

use super::faults::Fault;
use super::fuse::Fuse;
use super::held;
use super::roles::Role;
use super::stage::Stage;
use crate::memory::MemoryLog;

/// Both streams, and the groups as their users know them.
#[derive(Clone)]
pub(crate) struct Logs {
    pub(crate) events: MemoryLog,
    pub(crate) receipts: MemoryLog,
    stage: Arc<Stage>,
    planted: Planted,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The group that stands for a name at present: a lost group's successor starts anew.
    groups: Mutex<BTreeMap<GroupName, GroupName>>,
    /// Where the log begins for whoever folds events.
    floors: Mutex<BTreeMap<Partition, Offset>>,
    /// What was read where, as a hash.
    read: Mutex<BTreeMap<(Stream, Partition, Offset), u64>>,
}

/// One role's way to one stream.
struct SimLog {
    logs: Logs,
    stream: Stream,
    who: &'static str,
    fuse: Arc<Fuse>,
}

impl Logs {
    /// The partition of a user.
    pub(crate) fn partition_of(&self, user: UserRef) -> Partition {
        self.events.identity().partition_of(user)
    }

    pub(crate) fn new(
        stage: Arc<Stage>,
        events: MemoryLog,
        receipts: MemoryLog,
        planted: Planted,
    ) -> Self {
        Self { events, receipts, stage, planted, shared: Arc::default() }
    }

    /// The way of the role called `who` to a stream.
    pub(crate) fn of(
        &self,
        who: &'static str,
        stream: Stream,
        fuse: &Arc<Fuse>,
    ) -> Arc<dyn EventLog> {
        Arc::new(SimLog { logs: self.clone(), stream, who, fuse: fuse.clone() })
    }

    pub(crate) const fn stream(&self, stream: Stream) -> &MemoryLog {
        match stream {
            Stream::Events => &self.events,
            Stream::Receipts => &self.receipts,
        }
    }

    /// Forgets the events of a partition below `floor`, to those who fold them.
    pub(crate) fn forget(&self, partition: Partition, floor: Offset) {
        held(&self.shared.floors).insert(partition, floor);
    }

    /// Where the log begins for whoever folds events.
    pub(crate) fn floor(&self, partition: Partition) -> Offset {
        held(&self.shared.floors).get(&partition).copied().unwrap_or_default()
    }

    /// Makes a group, if it is not there.
    pub(crate) async fn create_group(&self, stream: Stream, name: &GroupName, start: StartAt) {
        let alias = {
            let mut groups = held(&self.shared.groups);
            let number = groups.len();
            let new = || GroupName(format!("{name}#{number}"));
            groups.entry(name.clone()).or_insert_with(new).clone()
        };
        if let Err(error) = self.stream(stream).create_group(&alias, start).await {
            self.stage.broken("setup", error.to_string());
        }
    }

    /// Loses a group's positions.
    pub(crate) fn lose_group(&self, name: &GroupName) {
        let mut groups = held(&self.shared.groups);
        if groups.remove(name).is_some() {
            // Keeps the number of the next group apart from all before.
            let lost = GroupName(format!("lost {}", groups.len()));
            groups.insert(lost, GroupName(String::new()));
        }
    }

    /// The group that stands for `name` at present.
    pub(crate) fn group(&self, name: &GroupName) -> Option<GroupName> {
        held(&self.shared.groups).get(name).cloned()
    }

    /// How far a group has come; empty if it is lost.
    pub(crate) async fn progress(&self, stream: Stream, name: &GroupName) -> Vec<Progress> {
        let Some(group) = self.group(name) else { return Vec::new() };
        self.stream(stream).progress(&group).await.unwrap_or_default()
    }

    /// Where the next record of a partition goes.
    pub(crate) async fn tail(&self, stream: Stream, partition: Partition) -> Offset {
        self.stream(stream).bounds(partition).await.map_or(Offset(0), |kept| kept.end)
    }

    /// G1: two readers never see different bytes at one offset.
    fn saw(&self, stream: Stream, partition: Partition, record: &Record) {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in &record.body {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let place = (stream, partition, record.offset);
        let before = *held(&self.shared.read).entry(place).or_insert(hash);
        if before != hash {
            let offset = record.offset;
            self.stage.broken("G1", format!("{partition}/{offset} was read with other bytes"));
        }
    }
}

impl SimLog {
    fn inner(&self) -> &MemoryLog {
        self.logs.stream(self.stream)
    }

    fn stage(&self) -> &Stage {
        &self.logs.stage
    }

    /// Where the log begins for this role.
    fn floor(&self, partition: Partition) -> Offset {
        match self.who == Role::FoldEvents.name() && self.stream == Stream::Events {
            true => self.logs.floor(partition),
            false => Offset(0),
        }
    }

    /// Trouble with one record: the answer instead of the log's, and whether it is appended.
    fn trouble(&self) -> Option<(bool, AppendError)> {
        let stage = self.stage();
        let reason = || "simulated".to_owned();
        let refused = |retry| AppendError::Refused { reason: reason(), retry };
        if stage.is_open(Fault::LogDown) {
            return Some((false, refused(false)));
        }
        if stage.strikes(Fault::AppendRefused) {
            return Some((false, refused(stage.faults.random().chance(500))));
        }
        if stage.strikes(Fault::AppendLost) {
            return Some((false, AppendError::Indefinite { reason: reason() }));
        }
        if stage.strikes(Fault::AppendUnanswered) {
            // What a role repeats because of it is as after a crash.
            stage.disturbed();
            return Some((true, AppendError::Indefinite { reason: reason() }));
        }
        None
    }

    fn note(&self, record: &NewRecord, answer: &Result<Position, AppendError>) {
        let (stage, stream, who) = (self.stage(), self.stream.name(), self.who);
        let what = match self.stream {
            Stream::Events => codec::decode_fact(&record.body).map(|fact| fact.event.name()),
            Stream::Receipts => Ok("Receipt"),
        };
        let what = what.unwrap_or("undecodable");
        match answer {
            Ok(position) => stage.note(format_args!("{who} appends {stream} {position} {what}")),
            Err(error) => stage.note(format_args!("{who} appends {stream} {what}: {error}")),
        }
    }

    async fn readable(&self) -> Result<(), ReadError> {
        self.fuse.step().await;
        if self.stage().strikes(Fault::ReadUnavailable) {
            return Err(ReadError::Unavailable { reason: "simulated".to_owned() });
        }
        Ok(())
    }
}

#[async_trait]
impl EventLog for SimLog {
    fn identity(&self) -> &LogIdentity {
        self.inner().identity()
    }

    async fn append(&self, batch: Vec<NewRecord>) -> Vec<Result<Position, AppendError>> {
        self.fuse.step().await;
        if self.stage().strikes(Fault::AppendSlow) {
            self.stage().dawdle(1, 4000).await;
        }
        let troubles: Vec<_> = batch.iter().map(|_| self.trouble()).collect();
        let lands = |trouble: &Option<(bool, AppendError)>| {
            trouble.as_ref().is_none_or(|(is_appended, _)| *is_appended)
        };
        let landing = batch.iter().zip(&troubles).filter(|(_, trouble)| lands(trouble));
        let landing: Vec<_> = landing.map(|(record, _)| record.clone()).collect();
        let mut landed = self.inner().append(landing).await.into_iter();
        let lost = || Err(AppendError::Indefinite { reason: "no answer".to_owned() });
        let answers: Vec<_> = troubles
            .into_iter()
            .map(|trouble| match trouble {
                None => landed.next().unwrap_or_else(lost),
                Some((is_appended, error)) => {
                    let _unheard = if is_appended { landed.next() } else { None };
                    Err(error)
                }
            })
            .collect();
        batch.iter().zip(&answers).for_each(|(record, answer)| self.note(record, answer));
        self.fuse.step().await;
        answers
    }

    async fn read(
        &self,
        partition: Partition,
        from: Offset,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        self.readable().await?;
        let floor = self.floor(partition);
        if from < floor {
            let kept = floor.0..self.logs.tail(self.stream, partition).await.0;
            return Err(ReadError::OutOfRange { partition, offset: from, kept });
        }
        // Fewer than asked for, so that what takes several reads does so here too.
        let records = limit.records.min(1 + self.stage().faults.random().index(12));
        let batch = self.inner().read(partition, from, ReadLimit { records, ..limit }).await?;
        batch.records.iter().for_each(|record| self.logs.saw(self.stream, partition, record));
        Ok(batch)
    }

    async fn fetch(
        &self,
        partition: Partition,
        at: &[Offset],
    ) -> Result<Vec<Option<Record>>, ReadError> {
        self.readable().await?;
        let found = self.inner().fetch(partition, at).await?;
        found.iter().flatten().for_each(|record| self.logs.saw(self.stream, partition, record));
        Ok(found)
    }

    async fn bounds(&self, partition: Partition) -> Result<Range<Offset>, ReadError> {
        self.readable().await?;
        let kept = self.inner().bounds(partition).await?;
        Ok(kept.start.max(self.floor(partition))..kept.end)
    }

    async fn first_at(&self, partition: Partition, time: Timestamp) -> Result<Offset, ReadError> {
        self.readable().await?;
        self.inner().first_at(partition, time).await
    }

    async fn join(&self, group: &GroupName) -> Result<Box<dyn GroupReader>, ReadError> {
        self.readable().await?;
        let known = self.logs.group(group);
        if known.is_none() && self.logs.planted.has(Bug::MissingOffsetIsBeginning) {
            self.logs.create_group(self.stream, group, StartAt::Beginning).await;
        }
        let alias = self.logs.group(group).ok_or_else(|| ReadError::NoGroup(group.clone()))?;
        let (inner, logs) = (self.inner().join(&alias).await?, self.logs.clone());
        let (stream, who, fuse) = (self.stream, self.who, self.fuse.clone());
        Ok(Box::new(SimReader { inner, logs, stream, who, fuse }))
    }
}

struct SimReader {
    inner: Box<dyn GroupReader>,
    logs: Logs,
    stream: Stream,
    who: &'static str,
    fuse: Arc<Fuse>,
}

impl SimReader {
    fn note(&self, event: &GroupEvent) {
        let (stage, who, stream) = (&self.logs.stage, self.who, self.stream.name());
        match event {
            GroupEvent::Assigned { progress } => {
                let (partition, next) = (progress.partition, progress.next);
                stage.note(format_args!("{who} is assigned {stream} {partition} from {next}"));
                if !progress.finished.is_empty() {
                    stage.reach("assigned with finished ranges");
                }
            }
            GroupEvent::Records { partition, records } => {
                let first = records.first().map_or(Offset(0), |record| record.offset);
                let count = records.len();
                let line = format_args!("{who} reads {stream} {partition}/{first} +{count}");
                stage.note(line);
            }
            GroupEvent::Revoking { partition, .. } => {
                stage.reach("partition revoked");
                stage.disturbed();
                stage.note(format_args!("{who} is revoked {stream} {partition}"));
            }
            GroupEvent::Lost(partition) => {
                stage.reach("partition lost");
                stage.disturbed();
                stage.note(format_args!("{who} lost {stream} {partition}"));
            }
        }
    }
}

#[async_trait]
impl GroupReader for SimReader {
    async fn next(&mut self) -> Result<GroupEvent, ReadError> {
        self.fuse.step().await;
        if self.logs.stage.strikes(Fault::ReadUnavailable) {
            return Err(ReadError::Unavailable { reason: "simulated".to_owned() });
        }
        let event = self.inner.next().await?;
        self.note(&event);
        if let GroupEvent::Records { partition, records } = &event {
            records.iter().for_each(|record| self.logs.saw(self.stream, *partition, record));
        }
        Ok(event)
    }

    fn flow(&mut self, partition: Partition, flow: Flow) -> Result<(), ReadError> {
        self.logs.stage.reach(if flow == Flow::Pause { "intake paused" } else { "intake resumed" });
        self.inner.flow(partition, flow)
    }

    fn busy(&mut self, partition: Partition, is_busy: bool) -> Result<(), ReadError> {
        self.inner.busy(partition, is_busy)
    }

    async fn commit(&mut self, done: &[Progress]) -> Result<(), CommitError> {
        self.fuse.step().await;
        let stage = self.logs.stage.clone();
        let unavailable = || CommitError::Unavailable { reason: "simulated".to_owned() };
        if stage.strikes(Fault::CommitSlow) {
            stage.dawdle(1, 9000).await;
        }
        if stage.strikes(Fault::CommitLost) {
            return Err(unavailable());
        }
        let answer = self.inner.commit(done).await;
        let who = self.who;
        for Progress { partition, next, finished, holds } in done {
            stage.note(format_args!("{who} commits {partition} {next} {finished:?} {holds:?}"));
        }
        if let Err(error) = &answer {
            stage.reach("commit fenced");
            stage.note(format_args!("{who} is not heard: {error}"));
        }
        if stage.strikes(Fault::CommitUnanswered) {
            return Err(unavailable());
        }
        self.fuse.step().await;
        answer
    }

    fn lease(&self, partition: Partition) -> Option<Tick> {
        self.inner.lease(partition)
    }
}
