//! The contract of [`GroupReader`](campanile_core::port::GroupReader) when members come and go.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

use std::collections::BTreeMap;

use campanile_core::Partition;
use campanile_core::port::{CommitError, GroupEvent, Progress};

use super::bench::{Bench, LogFactory, PARTITIONS};
use super::member::Member;
use super::soon;

const LOAD: [&str; 5] = ["a", "b", "c", "d", "e"];

async fn loaded<F: LogFactory>(factory: &F) -> Bench<'_, F> {
    let bench = Bench::new(factory).await;
    for partition in 0..PARTITIONS {
        bench.append(partition, &LOAD).await;
    }
    bench
}

/// No partition is in two hands.
fn assert_apart(one: &Member, other: &Member) {
    for partition in (0..PARTITIONS).map(Partition) {
        let leases = (one.reader.lease(partition), other.reader.lease(partition));
        assert!(leases.0.is_none() || leases.1.is_none(), "both have {partition}: {leases:?}");
    }
}

/// Each partition is assigned to at most one live member at a time, and to one in the end.
pub async fn a_partition_has_one_member_at_a_time(factory: &impl LogFactory) {
    let bench = loaded(factory).await;
    let group = bench.group().await;
    let mut first = Member::alone(&bench, &group).await;
    first.until("the records", |it| it.count() == 5 * usize::from(PARTITIONS)).await;
    let mut second = Member::join(&bench, &group).await;
    let has_some = |member: &Member| !member.assigned.is_empty();
    while factory.rebalances() && !has_some(&second) {
        let told = async {
            tokio::select! { it = first.cooperate() => it, it = second.cooperate() => it }
        };
        soon("a partition for the second member", told).await;
        assert_apart(&first, &second);
    }
    drop(first);
    second.until("every partition", Member::has_every_partition).await;
}

/// Whoever drains in time passes on exactly what it did not finish.
pub async fn what_was_finished_while_draining_is_not_done_again(factory: &impl LogFactory) {
    if !factory.rebalances() {
        return;
    }
    let bench = loaded(factory).await;
    let group = bench.group().await;
    let mut first = Member::alone(&bench, &group).await;
    first.until("the records", |it| it.count() == 5 * usize::from(PARTITIONS)).await;
    let mut second = Member::join(&bench, &group).await;
    let mut passed_on = BTreeMap::new();
    while second.assigned.is_empty() {
        let told = async {
            tokio::select! { it = first.cooperate() => it, it = second.cooperate() => it }
        };
        if let GroupEvent::Revoking { partition, .. } =
            soon("a partition for the second member", told).await
        {
            passed_on.insert(partition, bench.log().bounds(partition).await.unwrap().end);
        }
    }
    for (partition, assignment) in &second.assigned {
        let expected = Progress::from(*partition, passed_on[partition]);
        assert_eq!(assignment.progress.next, expected.next);
    }
}

/// Whoever is busy with what no position tells of keeps a partition that is to be another's, until
/// it says that it is not any more, and commits.
pub async fn what_is_busy_is_not_drained_by_its_position(factory: &impl LogFactory) {
    if !factory.rebalances() {
        return;
    }
    let bench = loaded(factory).await;
    let group = bench.group().await;
    let mut first = Member::alone(&bench, &group).await;
    first.until("the records", |it| it.count() == 5 * usize::from(PARTITIONS)).await;
    first.commit_all().await;
    (0..PARTITIONS).for_each(|it| first.reader.busy(Partition(it), true).unwrap());
    let _second = Member::join(&bench, &group).await;
    let event = soon("word of the second member", first.step()).await;
    let GroupEvent::Revoking { partition, .. } = event else { panic!("{event:?}") };
    first.commit_all().await;
    assert!(first.reader.lease(partition).is_some(), "it is busy");
    first.reader.busy(partition, false).unwrap();
    first.commit_all().await;
    assert_eq!(first.reader.lease(partition), None, "it is drained");
}

/// A member that lost a partition commits nothing for it any more.
pub async fn a_stale_commit_is_fenced(factory: &impl LogFactory) {
    if !factory.rebalances() {
        return;
    }
    let bench = loaded(factory).await;
    let group = bench.group().await;
    let mut stale = Member::alone(&bench, &group).await;
    stale.until("the records", |it| it.count() == 5 * usize::from(PARTITIONS)).await;
    let mut fresh = Member::join(&bench, &group).await;
    fresh.until("a partition", |it| !it.assigned.is_empty()).await;
    let partition = *fresh.assigned.keys().next().unwrap();
    let before = bench.admin().progress(&group).await.unwrap();
    let late = Progress::from(partition, stale.assigned[&partition].next());
    let committed = stale.reader.commit(&[late]).await;
    assert_eq!(committed, Err(CommitError::Fenced(partition)));
    assert_eq!(bench.admin().progress(&group).await.unwrap(), before);
    assert_eq!(stale.reader.lease(partition), None);
    let is_lost = |member: &Member| !member.assigned.contains_key(&partition);
    stale.until("word of the loss", is_lost).await;
    fresh.commit_all().await;
}

/// Members that come and go leave no record out.
pub async fn every_record_reaches_somebody(factory: &impl LogFactory) {
    let bench = loaded(factory).await;
    let group = bench.group().await;
    let mut seen = BTreeMap::<Partition, Vec<_>>::new();
    for round in 0..4 {
        let mut member = Member::alone(&bench, &group).await;
        bench.append(round % PARTITIONS, &LOAD).await;
        member.until("the next records", |it| it.count() >= 5).await;
        for (partition, assignment) in &member.assigned {
            seen.entry(*partition).or_default().extend(assignment.records.clone());
        }
        member.commit_all().await;
    }
    let mut member = Member::alone(&bench, &group).await;
    for partition in 0..PARTITIONS {
        let all = bench.records(partition).await;
        let end = all.last().unwrap().offset.next();
        let p = Partition(partition);
        member.until("the rest", |it| it.assigned[&p].next() == end).await;
        let records = seen.entry(p).or_default();
        records.extend(member.records(partition).iter().cloned());
        assert_eq!(*records, all, "partition {p}");
    }
}
