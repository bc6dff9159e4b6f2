//! The contract of [`EventLog`](campanile_core::port::EventLog): what is kept is read; and of
//! retention.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

use std::time::Duration;

use campanile_core::port::{AppendError, ReadError, ReadLimit};
use campanile_core::{Offset, Partition, Timestamp};

use super::bench::{ALL, Bench, LogFactory, PARTITIONS, bodies, record};
use super::soon;

/// `read` from the tail returns an empty batch at once.
pub async fn reading_at_the_tail_is_empty(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    for _ in 0..2 {
        let tail = bench.log().bounds(Partition(0)).await.unwrap().end;
        let read = bench.log().read(Partition(0), tail, ALL);
        let batch = soon("a read at the tail", read).await.unwrap();
        assert_eq!((batch.records.len(), batch.next), (0, tail));
        bench.append(0, &["a"]).await;
    }
}

/// `read` never skips a record, and `next` says where to read on, even if offsets have gaps.
pub async fn reading_skips_nothing_whatever_the_limit(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let sent: Vec<String> = (0..30).map(|n| "x".repeat(n % 7)).collect();
    bench.append(0, &sent.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let range = bench.log().bounds(Partition(0)).await.unwrap();
    for limit in [(1, 1000), (3, 1000), (1000, 8), (4, 10), (1000, 1000)] {
        let limit = ReadLimit { records: limit.0, bytes: limit.1 };
        let (mut from, mut read) = (range.start, Vec::new());
        while from < range.end {
            let batch = bench.log().read(Partition(0), from, limit).await.unwrap();
            let bytes: usize = batch.records.iter().map(|record| record.body.len()).sum();
            assert!(batch.records.len() <= limit.records, "over {limit:?}");
            assert!(bytes <= limit.bytes || batch.records.len() == 1, "over {limit:?}");
            assert!(batch.next > from, "no way on from {from}");
            from = batch.next;
            read.extend(batch.records);
        }
        assert_eq!(bodies(&read), sent, "with {limit:?}");
    }
}

/// At least one record is returned if there is one.
pub async fn a_read_answers_a_record_however_small_the_limit(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let offsets = bench.append(0, &["long", "longer"]).await;
    for limit in [ReadLimit { records: 1, bytes: 0 }, ReadLimit { records: 0, bytes: 0 }] {
        let batch = bench.log().read(Partition(0), offsets[0], limit).await.unwrap();
        assert_eq!(bodies(&batch.records), ["long"]);
    }
}

/// `read` before the first kept record or past the tail is `OutOfRange`.
pub async fn reading_outside_the_bounds_is_an_error(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    bench.append(0, &["a"]).await;
    let range = bench.log().bounds(Partition(0)).await.unwrap();
    let past = Offset(range.end.0 + 1);
    let expected = ReadError::OutOfRange {
        partition: Partition(0),
        offset: past,
        kept: range.start.0..range.end.0,
    };
    assert_eq!(bench.log().read(Partition(0), past, ALL).await, Err(expected));
}

/// `fetch` answers once per offset, in order; `None` where no record is kept.
pub async fn fetch_answers_once_per_offset(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let offsets = bench.append(0, &["a", "b", "c"]).await;
    let nowhere = Offset(offsets[2].0 + 100);
    let at = [offsets[2], nowhere, offsets[0], offsets[2]];
    let found = bench.log().fetch(Partition(0), &at).await.unwrap();
    let records = bench.records(0).await;
    let expected = [Some(&records[2]), None, Some(&records[0]), Some(&records[2])];
    assert_eq!(found.iter().map(Option::as_ref).collect::<Vec<_>>(), expected);
    assert_eq!(bench.log().fetch(Partition(0), &[]).await, Ok(Vec::new()));
}

/// `bounds` are the first kept offset, and the one that the next record gets at least.
pub async fn bounds_enclose_what_is_kept(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let empty = bench.log().bounds(Partition(0)).await.unwrap();
    assert_eq!(empty.start, empty.end);
    for body in ["a", "b", "c"] {
        let before = bench.log().bounds(Partition(0)).await.unwrap();
        let at = bench.append(0, &[body]).await[0];
        let after = bench.log().bounds(Partition(0)).await.unwrap();
        assert!(at >= before.end && after.contains(&at), "{at} {before:?} {after:?}");
        assert_eq!(after.start, empty.start);
    }
}

/// `first_at` is the first offset appended at or after a time, or the tail.
pub async fn first_at_finds_the_first_record_of_a_time(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    for bodies in [&["a", "b"][..], &["c"], &["d", "e"]] {
        bench.append(0, bodies).await;
        bench.clock().advance(Duration::from_secs(10));
    }
    let (p, records) = (Partition(0), bench.records(0).await);
    let tail = bench.log().bounds(p).await.unwrap().end;
    let times = records.iter().flat_map(|record| {
        let millis = record.time.as_millis();
        [millis - 1, millis, millis + 1]
    });
    for time in times.map(Timestamp::from_millis) {
        let first = records.iter().find(|record| record.time >= time);
        let expected = first.map_or(tail, |record| record.offset);
        assert_eq!(bench.log().first_at(p, time).await, Ok(expected), "at {time}");
    }
}

/// There is nothing to read in a partition that does not exist, and nothing can be appended.
pub async fn partitions_that_do_not_exist_are_an_error(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let nowhere = Partition(PARTITIONS);
    let log = bench.log();
    assert_eq!(log.read(nowhere, Offset(0), ALL).await, Err(ReadError::NoPartition(nowhere)));
    assert_eq!(log.fetch(nowhere, &[Offset(0)]).await, Err(ReadError::NoPartition(nowhere)));
    assert_eq!(log.bounds(nowhere).await, Err(ReadError::NoPartition(nowhere)));
    let first = log.first_at(nowhere, Timestamp::ZERO).await;
    assert_eq!(first, Err(ReadError::NoPartition(nowhere)));
    let answers = log.append(vec![record(PARTITIONS, "a"), record(0, "b")]).await;
    assert!(matches!(answers[0], Err(AppendError::Refused { retry: false, .. })), "{answers:?}");
    assert!(answers[1].is_ok());
}

/// Says that any record may be dropped.
pub(super) fn anything(bench: &Bench<'_, impl LogFactory>) -> Vec<Offset> {
    bench.log().identity().partitions().map(|_| Offset(u64::MAX)).collect()
}

/// `retain` drops nothing that is not below what was said, however old it is.
pub async fn retention_stays_below_what_is_needed(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    let mut at = Vec::new();
    for n in 0..20 {
        at.extend(bench.append(0, &[&n.to_string()]).await);
        bench.append(1, &[&n.to_string()]).await;
        bench.clock().advance(Duration::from_secs(3600));
    }
    let now = bench.records(0).await[19].time.after(Duration::from_secs(3600));
    let keep = Duration::from_secs(60);
    for below in [vec![], vec![Offset(0), Offset(u64::MAX)]] {
        bench.admin().retain(keep, now, &below).await.unwrap();
        assert_eq!(bench.records(0).await.len(), 20, "dropped below {below:?}");
    }
    let mut below = anything(&bench);
    below[0] = at[12];
    bench.admin().retain(keep, now, &below).await.unwrap();
    let kept = bench.log().bounds(Partition(0)).await.unwrap();
    assert!(kept.start <= at[12], "dropped up to {}", kept.start);
}

/// `retain` drops whole prefixes only, never a record younger than asked.
pub async fn retention_drops_only_old_prefixes(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    for n in 0..20 {
        bench.append(0, &[&n.to_string()]).await;
        bench.clock().advance(Duration::from_secs(3600));
    }
    let all = bench.records(0).await;
    let now = all[19].time.after(Duration::from_secs(3600));
    let keep = Duration::from_secs(8 * 3600);
    bench.admin().retain(keep, now, &anything(&bench)).await.unwrap();
    let kept = bench.records(0).await;
    assert!(all.ends_with(&kept), "what is kept is not the end of the log");
    let young = all.iter().filter(|record| now.since(record.time) <= keep).count();
    assert!(kept.len() >= young, "kept {} of {young} young records", kept.len());
    let range = bench.log().bounds(Partition(0)).await.unwrap();
    let dropped: Vec<_> = all[..all.len() - kept.len()].iter().map(|it| it.offset).collect();
    let found = bench.log().fetch(Partition(0), &dropped).await.unwrap();
    assert!(found.iter().all(Option::is_none), "a dropped record can be fetched");
    if let Some(last) = dropped.last() {
        assert!(range.start > *last);
        let read = bench.log().read(Partition(0), *last, ALL).await;
        assert!(matches!(read, Err(ReadError::OutOfRange { .. })), "{read:?}");
    }
    let next = bench.append(0, &["after"]).await;
    assert!(next[0] >= range.end, "an offset was used again");
}

/// What retention dropped does not come back, and offsets are not used again, even if nothing was
/// kept.
pub async fn retention_outlives_a_restart(factory: &impl LogFactory) {
    let bench = Bench::new(factory).await;
    bench.append(0, &["a", "b", "c"]).await;
    let last = bench.records(0).await[2].clone();
    let now = last.time.after(Duration::from_secs(3600));
    bench.admin().retain(Duration::from_secs(60), now, &anything(&bench)).await.unwrap();
    let before = bench.log().bounds(Partition(0)).await.unwrap();
    let bench = bench.reopened().await;
    assert_eq!(bench.log().bounds(Partition(0)).await.unwrap(), before);
    assert!(bench.append(0, &["d"]).await[0] > last.offset, "an offset was used again");
}
