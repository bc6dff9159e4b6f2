//! A bulk run that is of several routes is read for all of them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use campanile_core::port::{
    AppendError, Batch, EventLog, GroupName, GroupReader, NewRecord, ReadError, ReadLimit, Record,
};
use campanile_core::{
    AppId, LogIdentity, Offset, Outcome, Partition, Position, Priority, Timestamp,
};
use campanile_engine::tasks::sleep;
use campanile_testkit::memory::{MemoryLog, Reply};
use campanile_testkit::scenario::{posted, registered};
use campanile_testkit::vocabulary::phone;

use crate::ground::Ground;

const APPS: [&str; 4] = ["a", "b", "c", "d"];
const USERS: u16 = 200;
const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
/// The records of the run.
const RUN: usize = USERS as usize * NAMES.len();

/// A log that counts the records that are read again.
struct Counted(MemoryLog, Arc<AtomicUsize>);

#[async_trait]
impl EventLog for Counted {
    fn identity(&self) -> &LogIdentity {
        self.0.identity()
    }

    async fn append(&self, batch: Vec<NewRecord>) -> Vec<Result<Position, AppendError>> {
        self.0.append(batch).await
    }

    async fn read(&self, of: Partition, from: Offset, most: ReadLimit) -> Result<Batch, ReadError> {
        let batch = self.0.read(of, from, most).await?;
        self.1.fetch_add(batch.records.len(), Ordering::Relaxed);
        Ok(batch)
    }

    async fn fetch(&self, of: Partition, at: &[Offset]) -> Result<Vec<Option<Record>>, ReadError> {
        self.1.fetch_add(at.len(), Ordering::Relaxed);
        self.0.fetch(of, at).await
    }

    async fn bounds(&self, of: Partition) -> Result<Range<Offset>, ReadError> {
        self.0.bounds(of).await
    }

    async fn first_at(&self, of: Partition, time: Timestamp) -> Result<Offset, ReadError> {
        self.0.first_at(of, time).await
    }

    async fn join(&self, group: &GroupName) -> Result<Box<dyn GroupReader>, ReadError> {
        self.0.join(group).await
    }
}

/// A worker whose routes take eight pushes at once, for a second each, and a run for `apps`. Answers
/// how many records were read again by the time that all of it was sent.
async fn read_again(apps: &[&str]) -> usize {
    let ground = Ground::with_room(1, 8).await;
    let accepted = Outcome::Accepted { provider_id: "1".into() };
    ground.pusher.answer_with(move |_| Reply::After(Duration::from_secs(1), accepted.clone()));
    let apps: Vec<_> = apps.iter().map(|name| AppId::new(name).unwrap()).collect();
    let read = Arc::new(AtomicUsize::new(0));
    let _deliverer = ground.deliverer_on(Arc::new(Counted(ground.events.clone(), read.clone())));
    for whose in 0..USERS {
        let app = apps[usize::from(whose) % apps.len()].clone();
        ground.happens_in(app, whose, registered(phone(1))).await;
    }
    for name in NAMES {
        for whose in 0..USERS {
            let app = apps[usize::from(whose) % apps.len()].clone();
            ground.happens_in(app, whose, posted(name).of_priority(Priority::Low)).await;
        }
    }
    sleep(Duration::from_secs(1000)).await;
    let sent = ground.pusher.sent();
    let once: BTreeSet<_> = sent.iter().map(|sent| sent.push.delivery).collect();
    assert_eq!(once.len(), sent.len(), "each once");
    assert!(ground.telemetry.deliverer_deferred.get() as usize > RUN / 2, "it is a run");
    assert_eq!(ground.progress().await.holds, vec![], "all is sent");
    read.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn a_bulk_run_is_not_read_once_for_each_route() {
    let alone = read_again(&APPS[..1]).await;
    assert!(alone >= RUN / 2, "it is read again: {alone}");
    let several = read_again(&APPS).await;
    assert!(several <= alone + alone / 2, "{several} for four routes, {alone} for one");
}
