//! The log in memory keeps the contracts, with and without gaps between offsets.

#![allow(missing_docs, reason = "test code")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use campanile_core::port::{EventLog, LogAdmin};
use campanile_core::{Generation, LogIdentity};
use campanile_testkit::conformance::{LogFactory, LogSetup, OpenLog};
use campanile_testkit::memory::{LogOptions, MemoryLog};

/// Makes logs in memory.
struct Memory {
    offset_step: u64,
}

struct Open(MemoryLog);

impl OpenLog for Open {
    fn log(&self) -> &dyn EventLog {
        &self.0
    }

    fn admin(&self) -> &dyn LogAdmin {
        &self.0
    }
}

#[async_trait]
impl LogFactory for Memory {
    type Open = Open;

    async fn create(&self, setup: &LogSetup) -> Open {
        let identity =
            LogIdentity { id: [1; 16], generation: Generation(3), partitions: setup.partitions };
        let drain = Duration::from_millis(20);
        let options = LogOptions { offset_step: self.offset_step, drain };
        Open(MemoryLog::with_options(identity, Arc::new(setup.clock.clone()), options))
    }

    async fn reopen(&self, open: Open, setup: &LogSetup) -> Result<Open, String> {
        let partitions = open.0.identity().partitions;
        if partitions == setup.partitions {
            Ok(open)
        } else {
            Err(format!("the log has {partitions} partitions, not {}", setup.partitions))
        }
    }
}

mod dense {
    campanile_testkit::log_conformance!(super::Memory { offset_step: 1 });
    campanile_testkit::group_conformance!(super::Memory { offset_step: 1 });
}

mod sparse {
    campanile_testkit::log_conformance!(super::Memory { offset_step: 3 });
    campanile_testkit::group_conformance!(super::Memory { offset_step: 3 });
}

/// What the contract leaves to the adapter.
mod beyond_the_contract {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use campanile_core::port::{
        AppendError, CommitError, EventLog, GroupEvent, GroupName, LogAdmin, NewRecord, Progress,
        StartAt,
    };
    use campanile_core::{Generation, LogIdentity, Offset, Partition, Tick};
    use campanile_testkit::memory::{MemoryLog, TokioClock};
    use campanile_testkit::vocabulary::{START, user};

    const DRAIN: Duration = Duration::from_secs(5);

    fn log() -> MemoryLog {
        let identity = LogIdentity { id: [1; 16], generation: Generation(0), partitions: 2 };
        MemoryLog::new(identity, Arc::new(TokioClock::new(START)))
    }

    fn record(partition: u16) -> NewRecord {
        let body = Bytes::from_static(b"x");
        NewRecord { partition: Partition(partition), user: user(partition), body }
    }

    async fn group(log: &MemoryLog) -> GroupName {
        let group = GroupName("readers".into());
        log.create_group(&group, StartAt::Beginning).await.unwrap();
        group
    }

    #[tokio::test]
    async fn a_record_in_another_partition_than_its_users_is_refused() {
        let wrong = NewRecord { partition: Partition(0), ..record(1) };
        let answers = log().append(vec![wrong]).await;
        assert!(matches!(answers[..], [Err(AppendError::Refused { retry: false, .. })]));
    }

    #[tokio::test]
    async fn a_busy_partition_does_not_starve_the_others() {
        let log = log();
        let mut reader = log.join(&group(&log).await).await.unwrap();
        let mut batch = vec![record(0); 1000];
        batch.push(record(1));
        log.append(batch).await;
        let mut told = Vec::new();
        for _ in 0..4 {
            told.push(reader.next().await.unwrap());
        }
        let of_p1 = |event: &GroupEvent| {
            matches!(event, GroupEvent::Records { partition: Partition(1), .. })
        };
        assert!(told.iter().any(of_p1), "{} events, none of the other partition", told.len());
    }

    #[tokio::test]
    async fn an_expired_session_loses_its_partitions_and_gets_them_anew() {
        let log = log();
        let group = group(&log).await;
        log.append(vec![record(0)]).await;
        let mut reader = log.join(&group).await.unwrap();
        for _ in 0..3 {
            reader.next().await.unwrap();
        }
        log.expire_sessions(&group);
        let done = Progress::from(Partition(0), Offset(1));
        let committed = reader.commit(std::slice::from_ref(&done)).await;
        assert_eq!(committed, Err(CommitError::Fenced(Partition(0))));
        let mut told = Vec::new();
        for _ in 0..5 {
            told.push(reader.next().await.unwrap());
        }
        assert_eq!(told[0], GroupEvent::Lost(Partition(0)));
        assert!(matches!(told[4], GroupEvent::Records { partition: Partition(0), .. }));
        reader.commit(&[done]).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_drain_in_time_is_not_waited_for() {
        let log = log();
        let group = group(&log).await;
        log.append(vec![record(0), record(1)]).await;
        let mut slow = log.join(&group).await.unwrap();
        for _ in 0..4 {
            slow.next().await.unwrap();
        }
        assert_eq!(slow.lease(Partition(1)), Some(Tick::from_start(DRAIN)));
        let mut other = log.join(&group).await.unwrap();
        let told = slow.next().await.unwrap();
        let drain_by = Tick::from_start(DRAIN);
        assert_eq!(told, GroupEvent::Revoking { partition: Partition(1), drain_by });
        assert_eq!(slow.lease(Partition(1)), Some(drain_by));
        let assigned = other.next().await.unwrap();
        let progress = Progress::from(Partition(1), Offset(0));
        assert_eq!(assigned, GroupEvent::Assigned { progress });
        assert_eq!(slow.lease(Partition(1)), None);
        assert_eq!(slow.next().await.unwrap(), GroupEvent::Lost(Partition(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_nothing_in_hand_gives_up_at_once() {
        let log = log();
        let group = group(&log).await;
        let mut idle = log.join(&group).await.unwrap();
        for _ in 0..2 {
            idle.next().await.unwrap();
        }
        let mut other = log.join(&group).await.unwrap();
        assert_eq!(idle.next().await.unwrap(), GroupEvent::Lost(Partition(1)));
        let assigned = other.next().await.unwrap();
        assert!(matches!(assigned, GroupEvent::Assigned { .. }), "{assigned:?}");
    }
}
