//! What a worker has to write down before it may commit: receipts, parked deliveries,
//! retirements. Written in batches, one write at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{AppendError, EventLog, NewRecord};
use campanile_core::{
    Event, Fact, LogIdentity, Offset, Parked, ParkedDelivery, Partition, Position, PutOff, Receipt,
    Settled, Timestamp, UserRef,
};
use campanile_proto::codec;

use super::backlog::Owed;
use super::lanes::Job;
use crate::tasks::sleep;
use crate::telemetry::Telemetry;

/// The wait before a failed write is repeated.
const RETRY: Duration = Duration::from_millis(50);

/// Why and until when deliveries are put off; deliveries with the same are one event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Putoff {
    pub(crate) until: Timestamp,
    pub(crate) reason: String,
    pub(crate) why: PutOff,
}

/// One settled delivery, and the event whose progress waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) partition: Partition,
    pub(crate) assignment: u64,
    pub(crate) owed: Owed,
}

/// What is settled and not written down yet.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    receipts: BTreeMap<(Partition, Offset), Receipt>,
    parked: BTreeMap<(Partition, Offset, Putoff), (Fact, Parked)>,
    retired: Vec<Fact>,
    settled: Vec<Done>,
}

impl Outbox {
    /// How many deliveries it holds.
    pub(crate) const fn len(&self) -> usize {
        self.settled.len()
    }

    /// A delivery that needs no receipt, because another stands for it.
    pub(crate) fn absorbed(&mut self, job: &Job) {
        self.settled.extend(done(job));
    }

    /// A delivery that ended.
    pub(crate) fn ended(&mut self, job: &Job, settled: Settled) {
        let receipt =
            self.receipts.entry((job.partition, job.delivery.cause)).or_insert_with(|| Receipt {
                app: job.app.clone(),
                user: job.user,
                cause: job.delivery.cause,
                item: job.delivery.item,
                platform: job.delivery.platform,
                settled: Vec::new(),
            });
        receipt.settled.push(settled);
        self.settled.extend(done(job));
    }

    /// A delivery that goes on the agenda.
    pub(crate) fn parked(&mut self, job: &Job, putoff: Putoff) {
        let delivery = &job.delivery;
        let parked = ParkedDelivery {
            delivery: delivery.id,
            item: delivery.item,
            cause: delivery.cause,
            tells_of: delivery.tells_of,
            endpoint: delivery.endpoint,
            platform: delivery.platform,
            kind: delivery.kind,
            attempts: job.attempts,
            urgency: job.urgency(),
            trace: job.followed.as_ref().map(|followed| *followed.context()),
        };
        let key = (job.partition, delivery.cause, putoff.clone());
        let (_, event) = self.parked.entry(key).or_insert_with(|| {
            let Putoff { until, reason, why } = putoff;
            let event = Parked { item: delivery.item, until, reason, why, deliveries: Vec::new() };
            (fact(job, Event::DeliveriesParked(event.clone())), event)
        });
        event.deliveries.push(parked);
        self.settled.extend(done(job));
    }

    /// An endpoint that a platform knows no more.
    pub(crate) fn retired(&mut self, job: &Job, event: Event) {
        self.retired.push(fact(job, event));
    }

    /// Forgets what concerns a partition that is another worker's now.
    pub(crate) fn drop_partition(&mut self, gone: Partition) {
        self.receipts.retain(|(partition, _), _| *partition != gone);
        self.parked.retain(|(partition, ..), _| *partition != gone);
        self.settled.retain(|done| done.partition != gone);
    }

    /// Takes everything, encoded, to be written.
    pub(crate) fn take(&mut self, log: &LogIdentity) -> Pages {
        let receipts = std::mem::take(&mut self.receipts).into_values();
        let receipts = receipts
            .map(|receipt| record(log, receipt.user, codec::encode_receipt(&receipt)))
            .collect();
        let parked = std::mem::take(&mut self.parked).into_values();
        let parked =
            parked.map(|(fact, parked)| Fact { event: Event::DeliveriesParked(parked), ..fact });
        let facts = parked.chain(std::mem::take(&mut self.retired));
        let events = facts.map(|fact| record(log, fact.user, codec::encode_fact(&fact))).collect();
        // The next write has about as many.
        let next = Vec::with_capacity(self.settled.len());
        Pages { receipts, events, settled: std::mem::replace(&mut self.settled, next) }
    }
}

fn done(job: &Job) -> impl Iterator<Item = Done> {
    let (partition, assignment) = (job.partition, job.assignment);
    let all = std::iter::once(job.owed).chain(job.also.iter().copied());
    all.map(move |owed| Done { partition, assignment, owed })
}

fn fact(job: &Job, event: Event) -> Fact {
    // Of deliveries that are told of together, the trace of the first.
    let cause = job.followed.as_ref().map(|followed| followed.context().to_string().into());
    Fact { app: job.app.clone(), user: job.user, cause, event }
}

fn record(log: &LogIdentity, user: UserRef, body: bytes::Bytes) -> NewRecord {
    NewRecord { partition: log.partition_of(user), user, body }
}

/// One write: what to append, and whose progress waits for it.
#[derive(Debug)]
pub(crate) struct Pages {
    receipts: Vec<NewRecord>,
    events: Vec<NewRecord>,
    settled: Vec<Done>,
}

/// Where pages are written.
#[derive(Clone)]
pub(crate) struct Logs {
    pub(crate) events: Arc<dyn EventLog>,
    pub(crate) receipts: Arc<dyn EventLog>,
}

impl Pages {
    /// Appends until everything is durable; answers whose progress may go on. What may or may not
    /// be appended is appended again: a receipt told twice is the same receipt.
    pub(crate) async fn write(mut self, logs: Logs, telemetry: Arc<Telemetry>) -> Vec<Done> {
        loop {
            let (events, receipts) = futures::join!(
                append(&*logs.events, std::mem::take(&mut self.events)),
                append(&*logs.receipts, std::mem::take(&mut self.receipts)),
            );
            (self.events, self.receipts) = (events, receipts);
            if self.events.is_empty() && self.receipts.is_empty() {
                return self.settled;
            }
            telemetry.deliverer_flush_retries.add(1);
            sleep(RETRY).await;
        }
    }
}

/// Appends records; answers those that have to be appended again.
async fn append(log: &dyn EventLog, records: Vec<NewRecord>) -> Vec<NewRecord> {
    if records.is_empty() {
        return records;
    }
    let answers: Vec<Result<Position, AppendError>> = log.append(records.clone()).await;
    let failed = records.into_iter().zip(answers).filter(|(_, answer)| answer.is_err());
    failed.map(|(record, _)| record).collect()
}
