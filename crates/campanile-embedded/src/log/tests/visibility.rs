//! What readers see while a commit becomes visible.

use std::sync::Barrier;

use campanile_core::port::{EventLog, GroupEvent, GroupName, LogAdmin, StartAt};
use futures::FutureExt;

use super::super::READERS;
use super::*;
use crate::embedded_log::EmbeddedLog;
use crate::group::Groups;

/// The catalogue names a commit's frames before its lanes do. Who reads the files between the two
/// steps must end where the lane ends: a position beyond it is refused at the next read.
#[test]
fn the_files_are_not_read_beyond_what_is_visible() {
    run(async {
        let options = LogOptions { tail_bytes: 0, ..OPTIONS };
        let (log, _) = open_with(&new_disk(), options).unwrap();
        let log = stream(&log, Stream::Events);
        for number in 0..4 {
            append_one(&log, 0, &body(number)).await.unwrap();
        }
        log.core().lanes.change(0).unwrap().head.next = 3;
        let all = ReadLimit { records: 100, bytes: 1 << 20 };
        let batch = log.read(Partition(0), Offset(0), all).await.unwrap();
        assert_eq!((batch.records.len(), batch.next), (3, Offset(3)));
    });
}

/// Who has much else to do drops each `next` before a read of files ends, and gets what was read all
/// the same.
#[test]
fn a_read_goes_on_while_nobody_waits_for_it() {
    run(async {
        let options = LogOptions { tail_bytes: 0, ..OPTIONS };
        let (log, _) = open_with(&new_disk(), options).unwrap();
        let (stream, clock) = (stream(&log, Stream::Events), Arc::new(ManualClock::new(START)));
        append_one(&stream, 0, &body(0)).await.unwrap();
        let (disk, place) = (Arc::new(VolatileDisk::default()), Path::new(""));
        let (groups, _) = Groups::open(place, disk, IDENTITY, clock, Duration::ZERO).unwrap();
        let log = EmbeddedLog { stream, groups: Arc::new(groups) };
        let group = GroupName("group".into());
        log.create_group(&group, StartAt::Beginning).await.unwrap();
        let mut member = log.join(&group).await.unwrap();
        for _ in IDENTITY.partitions() {
            let told = member.next().await.unwrap();
            assert!(matches!(told, GroupEvent::Assigned { .. }), "{told:?}");
        }
        let first = while_readers_wait(&log, || member.next().now_or_never()).await;
        assert!(first.is_none(), "nobody can read");
        let second = while_readers_wait(&log, || member.next().now_or_never()).await;
        let Some(Ok(GroupEvent::Records { records, .. })) = second else { panic!("{second:?}") };
        assert_eq!(offsets(&records), [Offset(0)]);
    });
}

/// Does `what` after all that the log's readers were asked for before, and while they do nothing.
async fn while_readers_wait<T>(log: &EmbeddedLog, what: impl FnOnce() -> T) -> T {
    let gates = [(); 2].map(|()| Arc::new(Barrier::new(READERS + 1)));
    let wait = |_| {
        let gates = gates.clone();
        let work = move || {
            gates.iter().for_each(|gate| {
                gate.wait();
            });
        };
        let mut waiting = Box::pin(log.stream.core().readers.run(work));
        assert!(waiting.as_mut().now_or_never().is_none());
        waiting
    };
    let waiting: Vec<_> = (0..READERS).map(wait).collect();
    gates[0].wait();
    let done = what();
    gates[1].wait();
    futures::future::join_all(waiting).await;
    done
}
