//! The contract of [`GroupReader`](campanile_core::port::GroupReader), and of the administration
//! of groups.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

use std::pin::pin;
use std::time::Duration;

use campanile_core::port::{
    CommitError, Flow, GroupEvent, GroupName, Hold, Progress, ReadError, StartAt,
};
use campanile_core::{
    AppId, Environment, HoldReason, Offset, Partition, Platform, Route, Timestamp, Urgency,
};
use futures::FutureExt;

use super::bench::{Bench, LogFactory, PARTITIONS, bodies};
use super::member::Member;
use super::read::anything;
use super::soon;

const P0: Partition = Partition(0);

/// Joining, or asking for the progress of, a group that was never created is an error.
pub async fn a_group_must_be_created(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let group = GroupName("nobody".into());
    let joined = bench.log().join(&group).await.err();
    assert_eq!(joined, Some(ReadError::NoGroup(group.clone())));
    assert_eq!(bench.admin().progress(&group).await, Err(ReadError::NoGroup(group)));
}

/// A group starts with the first record kept, or with the next one appended.
pub async fn a_group_starts_where_it_was_told(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    bench.append(0, &["a", "b"]).await;
    let (all, new) = (GroupName("all".into()), GroupName("new".into()));
    bench.admin().create_group(&all, StartAt::Beginning).await.unwrap();
    bench.admin().create_group(&new, StartAt::End).await.unwrap();
    bench.append(0, &["c"]).await;
    for (group, expected) in [(all, &["a", "b", "c"][..]), (new, &["c"])] {
        let progress = bench.admin().progress(&group).await.unwrap();
        let partitions: Vec<_> = progress.iter().map(|it| it.partition).collect();
        assert_eq!(partitions, bench.log().identity().partitions().collect::<Vec<_>>());
        let mut member = Member::alone(&bench, &group).await;
        member.until("the records", |it| it.count() == expected.len()).await;
        assert_eq!(bodies(member.records(0)), expected);
    }
}

/// Creating a group that exists changes nothing.
pub async fn creating_a_group_again_changes_nothing(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let group = bench.group().await;
    bench.append(0, &["a"]).await;
    let before = bench.admin().progress(&group).await.unwrap();
    bench.admin().create_group(&group, StartAt::End).await.unwrap();
    assert_eq!(bench.admin().progress(&group).await.unwrap(), before);
    let bench = bench.reopened().await;
    bench.admin().create_group(&group, StartAt::End).await.unwrap();
    assert_eq!(bench.admin().progress(&group).await.unwrap(), before);
}

/// A lone member is assigned every partition.
pub async fn a_lone_member_has_every_partition(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let group = bench.group().await;
    let member = Member::alone(&bench, &group).await;
    let expected: Vec<_> = bench.log().identity().partitions().collect();
    assert_eq!(member.assigned.keys().copied().collect::<Vec<_>>(), expected);
}

/// After `Assigned` come the partition's records, each once and in order.
pub async fn records_come_once_and_in_order(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let group = bench.group().await;
    let sent: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let sent: Vec<&str> = sent.iter().map(String::as_str).collect();
    bench.append(0, &sent[..150]).await;
    bench.append(1, &["x", "y"]).await;
    let mut member = Member::alone(&bench, &group).await;
    member.until("records from before", |it| it.count() == 152).await;
    bench.append(0, &sent[150..]).await;
    member.until("records from after", |it| it.count() == 302).await;
    assert_eq!(bodies(member.records(0)), sent);
    assert_eq!(bodies(member.records(1)), ["x", "y"]);
}

/// `next` waits until there is something to tell.
pub async fn next_waits_for_an_append(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let group = bench.group().await;
    let mut member = Member::alone(&bench, &group).await;
    for body in ["a", "b"] {
        let mut next = pin!(member.reader.next());
        assert!(next.as_mut().now_or_never().is_none(), "told something, but nothing happened");
        bench.append(2, &[body]).await;
        let told = soon("the record appended", next).await.unwrap();
        let GroupEvent::Records { partition, records } = told else { panic!("told {told:?}") };
        assert_eq!((partition, bodies(&records)), (Partition(2), vec![body.to_owned()]));
    }
}

/// A member gets everything also if it never waits: who has much else to do drops each `next` as
/// soon as it is not ready.
pub async fn who_never_waits_gets_everything(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let group = bench.group().await;
    bench.append(0, &["a", "b"]).await;
    bench.append(1, &["c"]).await;
    let mut member = Member::alone(&bench, &group).await;
    let looking = async {
        while member.count() < 3 {
            let _event = member.step().now_or_never();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon("all records", looking).await;
}

/// `next` may be dropped while it waits without losing anything.
pub async fn a_dropped_next_loses_nothing(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let group = bench.group().await;
    let mut member = Member::join(&bench, &group).await;
    let sent: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    for body in &sent {
        // Dropped before anything happened, and dropped when there was something to tell.
        drop(member.step().now_or_never());
        let mut next = pin!(member.step());
        drop(next.as_mut().now_or_never());
        bench.append(0, &[body]).await;
    }
    bench.append(0, &["last"]).await;
    let is_last = |member: &Member| member.records(0).last().is_some_and(|it| it.body == "last");
    member.until("the last record", is_last).await;
    assert_eq!(bodies(member.records(0)), bodies(&bench.records(0).await));
    member.until("every partition", Member::has_every_partition).await;
}

/// `flow` stops the records of one partition and restarts them, without losing any.
pub async fn a_paused_partition_waits(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let group = bench.group().await;
    let mut member = Member::alone(&bench, &group).await;
    bench.append(0, &["a"]).await;
    member.until("the first record", |it| it.count() == 1).await;
    member.reader.flow(P0, Flow::Pause).unwrap();
    for (n, body) in ["b", "c", "d"].into_iter().enumerate() {
        bench.append(0, &[body]).await;
        bench.append(1, &[body]).await;
        member.until("the other partition", |it| it.records(1).len() == n + 1).await;
    }
    assert_eq!(bodies(member.records(0)), ["a"], "a paused partition was served");
    member.reader.flow(P0, Flow::Resume).unwrap();
    member.until("the paused records", |it| it.records(0).len() == 4).await;
    assert_eq!(bodies(member.records(0)), ["a", "b", "c", "d"]);
}

/// What is not assigned can be neither paused nor committed, and has no lease.
pub async fn nothing_goes_without_an_assignment(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let group = bench.group().await;
    let before = bench.admin().progress(&group).await.unwrap();
    let mut member = Member::alone(&bench, &group).await;
    let nowhere = Partition(PARTITIONS);
    let paused = member.reader.flow(nowhere, Flow::Pause);
    assert_eq!(paused, Err(ReadError::NoPartition(nowhere)));
    let committed = member.reader.commit(&[Progress::from(nowhere, Offset(1))]).await;
    assert_eq!(committed, Err(CommitError::Fenced(nowhere)));
    assert_eq!(member.reader.lease(nowhere), None);
    for partition in bench.log().identity().partitions() {
        assert!(member.reader.lease(partition).is_some(), "{partition} has no lease");
    }
    assert_eq!(bench.admin().progress(&group).await.unwrap(), before);
}

fn route(platform: Platform) -> Route {
    let app = AppId::new("app").expect("an id");
    Route { app, platform, environment: Environment::Sandbox, credential: "com.acme.app".into() }
}

/// What `commit` stored is what a later `Assigned` tells, finished ranges and holds and all, and the
/// records come from `next` on, the finished ones too.
pub async fn a_later_member_goes_on_where_progress_was_committed(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let group = bench.group().await;
    let at = bench.append(0, &["a", "b", "c", "d"]).await;
    let finished = at[2].0..at[2].0 + 1;
    let hold = Hold {
        route: route(Platform::Apns),
        urgency: Urgency::Urgent,
        why: Some(HoldReason::Credential),
        since: Timestamp::from_millis(1),
        next: at[0],
        finished: std::iter::once(at[2].0..at[3].0).collect(),
    };
    let bulk = Hold { urgency: Urgency::Bulk, why: None, finished: vec![], ..hold.clone() };
    let holds = vec![hold, bulk.clone(), Hold { route: route(Platform::Fcm), ..bulk }];
    let progress = Progress { finished: vec![finished], holds, ..Progress::from(P0, at[1]) };
    let mut member = Member::alone(&bench, &group).await;
    member.until("the records", |it| it.count() == 4).await;
    member.reader.commit(std::slice::from_ref(&progress)).await.unwrap();
    drop(member);
    let mut member = Member::alone(&bench, &group).await;
    assert_eq!(member.assigned[&P0].progress, progress);
    member.until("the rest", |it| it.count() == 3).await;
    assert_eq!(bodies(member.records(0)), ["b", "c", "d"]);
    assert_eq!(bench.admin().progress(&group).await.unwrap()[0], progress);
}

/// Progress outlives a restart; nothing is ever invented.
pub async fn progress_outlives_a_restart(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let group = bench.group().await;
    let at = bench.append(0, &["a", "b", "c"]).await;
    let begin = bench.admin().progress(&group).await.unwrap();
    let mut member = Member::alone(&bench, &group).await;
    let stored = Progress::from(P0, at[1]);
    member.reader.commit(std::slice::from_ref(&stored)).await.unwrap();
    drop(member);
    let bench = bench.reopened().await;
    let found = bench.admin().progress(&group).await.unwrap();
    assert!(found[0] == stored || found[0] == begin[0], "invented {:?}", found[0]);
    assert_eq!(found[1..], begin[1..]);
    let member = Member::alone(&bench, &group).await;
    assert_eq!(member.assigned[&P0].progress, found[0]);
}

/// Every group reads every record, at its own pace.
pub async fn groups_are_apart(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let (one, other) = (bench.group().await, GroupName("others".into()));
    bench.admin().create_group(&other, StartAt::Beginning).await.unwrap();
    bench.append(0, &["a"]).await;
    let before = bench.admin().progress(&other).await.unwrap();
    let mut first = Member::alone(&bench, &one).await;
    first.until("the record", |it| it.count() == 1).await;
    first.commit_all().await;
    let mut second = Member::alone(&bench, &other).await;
    second.until("the record", |it| it.count() == 1).await;
    assert_eq!(bench.admin().progress(&other).await.unwrap(), before);
}

/// Dropping the member gives its partitions back.
pub async fn a_dropped_member_gives_its_partitions_back(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let group = bench.group().await;
    bench.append(0, &["a"]).await;
    let mut first = Member::alone(&bench, &group).await;
    first.until("the record", |it| it.count() == 1).await;
    let mut second = Member::join(&bench, &group).await;
    drop(second.step().now_or_never());
    drop(first);
    second.until("every partition", Member::has_every_partition).await;
    second.until("the record that nobody finished", |it| it.count() == 1).await;
}

/// A group whose position was dropped by retention gets an error: positions are never guessed.
pub async fn a_dropped_position_is_an_error(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let group = bench.group().await;
    let at = bench.append(0, &["a", "b", "c"]).await;
    let now = bench.records(0).await[2].time.after(Duration::from_secs(3600));
    bench.admin().retain(Duration::from_secs(60), now, &anything(&bench)).await.unwrap();
    let kept = bench.log().bounds(P0).await.unwrap();
    if kept.start == Offset(0) {
        return;
    }
    let mut reader = bench.log().join(&group).await.unwrap();
    let error = loop {
        match soon("an error", reader.next()).await {
            Ok(GroupEvent::Assigned { .. }) => {}
            Ok(told) => panic!("told {told:?}, but {} was dropped", at[0]),
            Err(error) => break error,
        }
    };
    let (kept, offset) = (kept.start.0..kept.end.0, Offset(0));
    assert_eq!(error, ReadError::OutOfRange { partition: P0, offset, kept });
}
