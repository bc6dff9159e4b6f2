//! A group member that checks what it is told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

use std::collections::BTreeMap;

use campanile_core::port::{GroupEvent, GroupName, GroupReader, Progress, Record};
use campanile_core::{Offset, Partition};

use super::bench::{Bench, LogFactory, PARTITIONS};
use super::soon;

/// A member, and what it was told.
pub(super) struct Member {
    pub(super) reader: Box<dyn GroupReader>,
    /// What it has now.
    pub(super) assigned: BTreeMap<Partition, Assignment>,
}

/// A partition as the member has it.
pub(super) struct Assignment {
    pub(super) progress: Progress,
    pub(super) records: Vec<Record>,
}

impl Assignment {
    /// The offset after everything that was handed out.
    pub(super) fn next(&self) -> Offset {
        self.records.last().map_or(self.progress.next, |last| last.offset.next())
    }
}

impl Member {
    pub(super) async fn join<F: LogFactory>(bench: &Bench<'_, F>, group: &GroupName) -> Self {
        let reader = bench.log().join(group).await.expect("the group exists");
        Self { reader, assigned: BTreeMap::new() }
    }

    /// Joins, and waits for every partition.
    pub(super) async fn alone<F: LogFactory>(bench: &Bench<'_, F>, group: &GroupName) -> Self {
        let mut member = Self::join(bench, group).await;
        member.until("every partition", Self::has_every_partition).await;
        member
    }

    pub(super) fn has_every_partition(&self) -> bool {
        self.assigned.len() == usize::from(PARTITIONS)
    }

    /// The records handed out of a partition.
    pub(super) fn records(&self, partition: u16) -> &[Record] {
        self.assigned.get(&Partition(partition)).map_or(&[], |it| &it.records)
    }

    /// How many records were handed out of the partitions it has.
    pub(super) fn count(&self) -> usize {
        self.assigned.values().map(|it| it.records.len()).sum()
    }

    /// The next event, after checking that it may come now. May be dropped while it waits.
    pub(super) async fn step(&mut self) -> GroupEvent {
        let event = self.reader.next().await.expect("the log can be read");
        self.note(&event);
        event
    }

    fn note(&mut self, event: &GroupEvent) {
        match event {
            GroupEvent::Assigned { progress } => {
                let (progress, records) = (progress.clone(), Vec::new());
                let partition = progress.partition;
                let before = self.assigned.insert(partition, Assignment { progress, records });
                assert!(before.is_none(), "{partition} assigned twice");
            }
            GroupEvent::Records { partition, records } => {
                let own = self.assigned.get_mut(partition);
                let own = own.unwrap_or_else(|| panic!("records of {partition}, not assigned"));
                assert!(!records.is_empty(), "records without a record");
                for record in records {
                    assert!(record.offset >= own.next(), "{} again or late", record.offset);
                    own.records.push(record.clone());
                }
            }
            GroupEvent::Revoking { partition, .. } => {
                assert!(self.assigned.contains_key(partition), "{partition} is not assigned");
            }
            GroupEvent::Lost(partition) => {
                let before = self.assigned.remove(partition);
                assert!(before.is_some(), "{partition} lost, but not assigned");
                assert_eq!(self.reader.lease(*partition), None, "a lease outlives the loss");
            }
        }
    }

    /// Takes events until `done`.
    pub(super) async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            soon(what, self.step()).await;
        }
    }

    /// Takes events, finishing and committing what is revoked, until dropped.
    pub(super) async fn cooperate(&mut self) -> GroupEvent {
        let event = self.step().await;
        if let GroupEvent::Revoking { partition, .. } = event {
            let next = self.assigned[&partition].next();
            self.reader.commit(&[Progress::from(partition, next)]).await.expect("still assigned");
        }
        event
    }

    /// Commits that everything handed out is finished.
    pub(super) async fn commit_all(&mut self) {
        let done = self.assigned.iter();
        let done: Vec<_> = done.map(|(p, it)| Progress::from(*p, it.next())).collect();
        self.reader.commit(&done).await.expect("still assigned");
    }
}
