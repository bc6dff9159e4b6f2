//! Failing and full disks, and queues that fill up.

#![allow(clippy::disallowed_methods, reason = "tests join what they spawn")]

use std::io;

use campanile_core::port::{LogAdmin, Stream};
use futures::future::join_all;

use super::*;
use crate::EmbeddedLog;
use crate::disk::volatile::Fault;
use crate::group::Groups;

#[test]
fn after_a_failure_nothing_is_acknowledged() {
    for after in 1..=50 {
        run(fail_at(after));
    }
}

/// Appends until the call `after` of the disk fails, and on.
async fn fail_at(after: u64) {
    let disk = new_disk();
    let (log, _) = open(&disk).unwrap();
    disk.fail(Fault { after, kind: io::ErrorKind::Other });
    let events = stream(&log, Stream::Events);
    let (mut acknowledged, mut indefinite) = (Vec::new(), 0);
    for number in 0..60_usize {
        let failed_before = disk.has_failed();
        let bodies = [body(3 * number), body(3 * number + 1), body(3 * number + 2)];
        let appends = bodies.iter().map(|body| append_one(&events, 0, body));
        for (answer, body) in join_all(appends).await.into_iter().zip(&bodies) {
            match answer {
                Ok(at) => {
                    assert!(!failed_before, "acknowledged after the failure at {after}");
                    acknowledged.push((at.offset, body.clone()));
                }
                Err(AppendError::Indefinite { .. }) => indefinite += 1,
                Err(AppendError::Refused { retry, .. }) => assert!(retry),
            }
        }
    }
    assert!(disk.has_failed() && log.core.stopped().borrow().is_some(), "no failure at {after}");
    assert!(indefinite <= 3, "only the commit that failed is in doubt, not {indefinite}");
    let found = read_all(&events, 0).await.unwrap();
    assert_eq!(found.len(), acknowledged.len(), "visible without being acknowledged");
    drop((log, events));
    // The kernel may keep what the sync did not write as if it were clean: the power goes only
    // after the log was opened again.
    let (log, _) = open(&disk).unwrap();
    let again = append_one(&stream(&log, Stream::Events), 0, b"again").await.unwrap();
    let (log, _) = open(&disk.after_power_cut(|| 1)).unwrap();
    let found = read_all(&stream(&log, Stream::Events), 0).await.unwrap();
    for (offset, body) in acknowledged {
        assert_eq!(found[offset.0 as usize].body, body, "lost {offset}");
    }
    assert_eq!(found[again.offset.0 as usize].body, "again");
}

/// A group that a power cut set back below what was dropped could never go on.
#[test]
fn nothing_is_dropped_before_the_groups_are_on_disk() {
    run(async {
        let (log, _) = open(&new_disk()).unwrap();
        let events = stream(&log, Stream::Events);
        for number in 0..60 {
            append_one(&events, 0, &body(number)).await.unwrap();
        }
        let disk = VolatileDisk::default();
        let clock = Arc::new(ManualClock::new(START));
        let groups =
            Groups::open(Path::new(""), Arc::new(disk.clone()), IDENTITY, clock, Duration::ZERO);
        let groups = Arc::new(groups.unwrap().0);
        let log = EmbeddedLog { stream: events, groups };
        disk.fail(Fault { after: 1, kind: io::ErrorKind::Other });
        let (now, below) = (START.after(Duration::from_secs(60)), [Offset(u64::MAX); 3]);
        let refused = log.retain(Duration::ZERO, now, &below).await;
        assert!(matches!(refused, Err(ReadError::Unavailable { .. })), "{refused:?}");
        assert!(disk.has_failed());
        assert_eq!(log.stream.bounds(Partition(0)).unwrap().start, Offset(0));
        log.retain(Duration::ZERO, now, &below).await.unwrap();
        assert!(log.stream.bounds(Partition(0)).unwrap().start > Offset(0));
    });
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    run(async {
        let disk = new_disk();
        let (log, _) = open(&disk).unwrap();
        let events = stream(&log, Stream::Events);
        disk.limit(Some(disk.used() + 6000));
        let mut kept = Vec::new();
        let mut refused = 0;
        for number in 0..60 {
            match append_one(&events, 0, &body(number)).await {
                Ok(_) => kept.push(body(number)),
                Err(AppendError::Refused { retry: true, .. }) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(kept.len() > 5 && refused > 5, "{} kept, {refused} refused", kept.len());
        disk.limit(None);
        for number in 60..80 {
            append_one(&events, 0, &body(number)).await.unwrap();
            kept.push(body(number));
        }
        let bodies =
            |found: Vec<Record>| found.iter().map(|it| it.body.to_vec()).collect::<Vec<_>>();
        assert_eq!(bodies(read_all(&events, 0).await.unwrap()), kept);
        let (log, _) = open(&disk.after_power_cut(|| 0)).unwrap();
        let found = read_all(&stream(&log, Stream::Events), 0).await.unwrap();
        assert_eq!(bodies(found), kept);
    });
}

#[test]
fn a_publisher_faster_than_the_disk_waits_and_is_refused() {
    run(async {
        let disk = new_disk();
        let options = LogOptions { queue_bytes: 4 << 20, queue_records: 1024, ..OPTIONS };
        let (log, _) = open_with(&disk, options).unwrap();
        let events = stream(&log, Stream::Events);
        disk.hold_syncs(true);
        let large = vec![b'x'; 1 << 20];
        let appends = (0..40).map(|_| {
            let (events, large) = (events.clone(), large.clone());
            tokio::spawn(async move { append_one(&events, 0, &large).await })
        });
        let appends: Vec<_> = appends.collect();
        // Four of them fill the queue, and stay in it until their sync is done.
        while appends.iter().filter(|append| append.is_finished()).count() < 36 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (refused, waiting): (Vec<_>, Vec<_>) =
            appends.into_iter().partition(|append| append.is_finished());
        assert_eq!((refused.len(), waiting.len()), (36, 4));
        for append in refused {
            match append.await.unwrap() {
                Err(AppendError::Refused { retry: true, reason }) => {
                    assert!(reason.contains("full"), "{reason}");
                }
                other => panic!("{other:?}"),
            }
        }
        disk.hold_syncs(false);
        for append in waiting {
            append.await.unwrap().unwrap();
        }
        append_one(&events, 0, b"small").await.unwrap();
    });
}

#[test]
fn a_large_append_passes_through_a_small_queue() {
    run(async {
        let disk = new_disk();
        let options = LogOptions { append_wait: Duration::from_secs(20), ..OPTIONS };
        let (log, _) = open_with(&disk, options).unwrap();
        let events = stream(&log, Stream::Events);
        let batch: Vec<_> = (0..5000).map(|number| record(0, &body(number))).collect();
        let answers = events.append(batch).await;
        let offsets: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().offset.0).collect();
        assert_eq!(offsets, (0..5000).collect::<Vec<_>>());
    });
}

#[test]
fn closing_writes_what_waits() {
    run(async {
        let disk = new_disk();
        let (log, _) = open(&disk).unwrap();
        let events = stream(&log, Stream::Events);
        disk.hold_syncs(true);
        let before = disk.used();
        let append = tokio::spawn({
            let events = events.clone();
            async move { append_one(&events, 0, b"waits").await }
        });
        while disk.used() == before {
            tokio::task::yield_now().await;
        }
        let closing = tokio::task::spawn_blocking({
            let log = log.clone();
            move || log.close()
        });
        disk.hold_syncs(false);
        closing.await.unwrap();
        assert!(append.await.unwrap().is_ok());
        let late = append_one(&events, 0, b"late").await;
        assert!(matches!(late, Err(AppendError::Refused { .. })), "{late:?}");
        let (log, report) = open(&disk.after_power_cut(|| 0)).unwrap();
        assert_eq!(report.torn, None);
        assert_eq!(read_all(&stream(&log, Stream::Events), 0).await.unwrap().len(), 1);
    });
}
