//! The contract of [`EventLog`](campanile_core::port::EventLog): what is appended is kept.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

use std::time::Duration;

use bytes::Bytes;
use campanile_core::port::{AppendError, Entropy, NewRecord, Record};
use campanile_core::{Partition, Timestamp};

use super::bench::{ALL, Bench, LogFactory, LogSetup, PARTITIONS, bodies, position, record};
use super::soon;
use crate::memory::SeededEntropy;
use crate::vocabulary::{START, user};

/// `append` answers once per record, in order, each for itself.
pub async fn append_answers_once_per_record_in_order(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let huge = NewRecord { body: vec![0; NewRecord::LARGEST + 1].into(), ..record(1, "") };
    let batch = vec![record(0, "a"), record(1, "b"), huge, record(1, "c"), record(0, "d")];
    let answers = bench.log().append(batch).await;
    assert_eq!(answers.len(), 5);
    assert!(matches!(answers[2], Err(AppendError::Refused { .. })), "{:?}", answers[2]);
    for (index, body) in [(0, "a"), (1, "b"), (3, "c"), (4, "d")] {
        let at = position(answers[index].clone());
        assert_eq!(at.generation, bench.log().identity().generation);
        let found = bench.log().fetch(at.partition, &[at.offset]).await.unwrap();
        let found = found[0].as_ref().expect("the record is at the position answered");
        assert_eq!(found.body, body.as_bytes());
    }
    assert!(bench.log().append(Vec::new()).await.is_empty());
}

/// Records of one call and partition are stored in the order given.
pub async fn records_of_one_call_keep_their_order(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let batch: Vec<_> = (0..200).map(|n| record(n % 2, &n.to_string())).collect();
    let answers = bench.log().append(batch).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    for partition in 0..2 {
        let expected: Vec<_> = (0..200).filter(|n| n % 2 == partition).collect();
        let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(bodies(&bench.records(partition).await), expected);
    }
}

/// After `Ok` a record is visible to `read`, with its user and its bytes.
pub async fn appended_records_are_visible_to_read(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let every_byte: Bytes = (0..=u8::MAX).collect();
    let largest = Bytes::from(vec![7; NewRecord::LARGEST]);
    for body in [Bytes::new(), every_byte, largest] {
        let new = NewRecord { body: body.clone(), ..record(3, "") };
        let at = position(bench.log().append(vec![new]).await.remove(0));
        let batch = bench.log().read(at.partition, at.offset, ALL).await.unwrap();
        let [found] = batch.records.as_slice() else { panic!("expected one record") };
        assert_eq!((found.offset, found.user), (at.offset, user(3)));
        assert!(found.body == body, "a body of {} bytes is not what was appended", body.len());
    }
}

/// Each partition has its own records and offsets.
pub async fn partitions_are_apart(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let empty = bench.log().bounds(Partition(1)).await.unwrap();
    bench.append(0, &["a", "b"]).await;
    assert_eq!(bench.log().bounds(Partition(1)).await.unwrap(), empty);
    bench.append(1, &["c"]).await;
    assert_eq!(bodies(&bench.records(0).await), ["a", "b"]);
    assert_eq!(bodies(&bench.records(1).await), ["c"]);
}

/// After `Refused` the record is not and never will be there.
pub async fn a_refused_record_is_never_there(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let huge = NewRecord { body: vec![0; NewRecord::LARGEST + 1].into(), ..record(1, "") };
    let refused = bench.log().append(vec![huge]).await;
    assert!(matches!(refused[..], [Err(AppendError::Refused { .. })]), "{refused:?}");
    assert!(bench.records(1).await.is_empty());
    bench.append(1, &["after"]).await;
    let bench = bench.reopened().await;
    assert_eq!(bodies(&bench.records(1).await), ["after"]);
}

/// A record stays at the same offset, with the same bytes, forever.
pub async fn records_stay_the_same_forever(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    bench.append(2, &["a", "b", "c"]).await;
    let before = bench.records(2).await;
    bench.append(2, &["d"]).await;
    bench.clock().advance(Duration::from_secs(60));
    assert_eq!(bench.records(2).await[..3], before[..]);
    let bench = bench.reopened().await;
    assert_eq!(bench.records(2).await[..3], before[..]);
    bench.append(2, &["e"]).await;
    let now = bench.records(2).await;
    assert_eq!((&now[..3], bodies(&now[3..])), (&before[..], vec!["d".into(), "e".into()]));
}

/// After `Ok` a record is durable.
pub async fn records_outlive_a_restart(factory: &impl LogFactory) {
    let mut bench = Bench::new(factory).await;
    let mut expected = Vec::new();
    for round in 0..3 {
        let body = format!("of round {round}");
        bench.append(0, &[&body]).await;
        expected.push(body);
        bench = bench.reopened().await;
        assert_eq!(bodies(&bench.records(0).await), expected);
    }
}

/// A log remains the log it was created as.
pub async fn identity_outlives_a_restart(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let before = *bench.log().identity();
    assert_eq!(before.partitions, PARTITIONS);
    let bench = bench.reopened().await;
    assert_eq!(*bench.log().identity(), before);
}

/// A log opened with another partition count than it was created with is an error.
pub async fn another_partition_count_is_an_error(factory: &impl LogFactory) {
    let Bench { factory, setup, open } = Bench::new(factory).await;
    let other = LogSetup { partitions: PARTITIONS * 2, ..setup };
    let opened = factory.reopen(open, &other).await;
    assert!(opened.is_err(), "the log opened with {} partitions", other.partitions);
}

/// Append times never decrease within a partition, whatever the clock does.
pub async fn times_never_decrease(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    for hours in [0, 5, 2, 9, 0] {
        bench.clock().set(START.after(Duration::from_secs(hours * 3600)));
        bench.append(0, &["a", "b"]).await;
    }
    assert_ascending(&bench.records(0).await);
}

/// The clock may have been set back while the log was closed.
pub async fn times_never_decrease_across_a_restart(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    bench.append(0, &["a"]).await;
    bench.clock().set(Timestamp::from_millis(1_000));
    let bench = bench.reopened().await;
    bench.append(0, &["b"]).await;
    assert_ascending(&bench.records(0).await);
}

fn assert_ascending(records: &[Record]) {
    for pair in records.windows(2) {
        assert!(pair[0].offset < pair[1].offset, "offsets go back: {pair:?}");
        assert!(pair[0].time <= pair[1].time, "times go back: {pair:?}");
    }
}

/// What a reader sees while others append is always the beginning of what is there in the end.
pub async fn readers_see_a_growing_prefix(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let append = async {
        for n in 0..50 {
            bench.append(0, &[&format!("{n}a"), &format!("{n}b")]).await;
        }
    };
    let mut seen = Vec::new();
    let read = async {
        while seen.last().is_none_or(|last: &Vec<Record>| last.len() < 100) {
            seen.push(bench.records(0).await);
            tokio::task::yield_now().await;
        }
    };
    futures::join!(append, soon("a reader to see every record", read));
    let all = bench.records(0).await;
    for pair in seen.windows(2) {
        assert!(pair[0].len() <= pair[1].len(), "records vanished");
    }
    assert!(seen.iter().all(|prefix| all.starts_with(prefix)), "a reader saw something else");
}

/// Every append of several at a time is answered, with a position of its own.
pub async fn concurrent_appends_are_all_kept(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let appends = (0..40_u16).map(|n| {
        let bench = &bench;
        async move {
            let body = n.to_string();
            (bench.append(n % 2, &[&body]).await[0], body)
        }
    });
    let answered = futures::future::join_all(appends).await;
    for partition in 0..2_u16 {
        let own = answered.iter().enumerate().filter(|(n, _)| n % 2 == usize::from(partition));
        let mut own: Vec<_> = own.map(|(_, answer)| answer.clone()).collect();
        own.sort();
        let found = bench.records(partition).await;
        let found = found.iter().map(|it| it.offset).zip(bodies(&found)).collect::<Vec<_>>();
        assert_eq!(found, own);
    }
}

/// Whatever is appended in whatever batches, with restarts between, is what is read.
pub async fn random_batches_match_a_list(factory: &impl LogFactory) {
    for seed in 0..8 {
        let entropy = SeededEntropy::new(seed);
        let draw = |below: u64| entropy.draw_u64() % below;
        let mut bench = Bench::new(factory).await;
        let mut model = vec![Vec::new(); usize::from(PARTITIONS)];
        for _ in 0..30 {
            if draw(12) == 0 {
                bench = bench.reopened().await;
            }
            bench.clock().set(START.after(Duration::from_millis(draw(1_000_000))));
            let batch: Vec<NewRecord> = (0..draw(6))
                .map(|_| {
                    let partition = (draw(u64::from(PARTITIONS))) as u16;
                    let body = entropy.draw()[..draw(16) as usize].to_vec().into();
                    NewRecord { body, ..record(partition, "") }
                })
                .collect();
            let answers = bench.log().append(batch.clone()).await;
            for (record, answer) in batch.into_iter().zip(answers) {
                let at = position(answer);
                model[usize::from(at.partition.0)].push((at.offset, record.user, record.body));
            }
        }
        for (partition, expected) in (0..PARTITIONS).zip(&model) {
            let found = bench.records(partition).await;
            assert_ascending(&found);
            let found: Vec<_> = found.into_iter().map(|it| (it.offset, it.user, it.body)).collect();
            assert_eq!(&found, expected, "partition {partition} of seed {seed}");
        }
    }
}
