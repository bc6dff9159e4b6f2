//! The log of a stopped store: read whole, backed up, brought back, copied.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

mod place;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use campanile_core::port::{
    EventLog, GroupEvent, GroupName, LogAdmin, NewRecord, Progress, ReadLimit, Record, StartAt,
    Stream,
};
use campanile_core::{Offset, Partition, Position, UserRef};
use campanile_embedded::stopped::{CopyOptions, Renumbered, StoppedStore, restore};
use campanile_embedded::{OpenError, Options, Store};
use campanile_testkit::memory::ManualClock;
use campanile_testkit::vocabulary::{START, user};
use tempfile::TempDir;

const PARTITIONS: u16 = 4;
const USERS: u16 = 24;

/// Damages files in a directory.
type Surgery = fn(&Path);

fn options(partitions: u16) -> Options {
    let options = place::options(partitions, Arc::new(ManualClock::new(START)));
    Options { segment_bytes: 64 << 10, ..options }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

fn group() -> GroupName {
    GroupName("workers".into())
}

/// Writes some segments of records of many users, and a group that read `read` of its first
/// partition's.
async fn fill(dir: &Path, read: usize) -> BTreeMap<UserRef, Vec<Bytes>> {
    let store = Store::open(dir, &options(PARTITIONS)).unwrap();
    store.log(Stream::Events).create_group(&group(), StartAt::Beginning).await.unwrap();
    let mut written = BTreeMap::<_, Vec<Bytes>>::new();
    for round in 0..40_u16 {
        let record = |number: u16| {
            let user = user(number);
            let body = Bytes::from(format!("{round} {number} {}", "x".repeat(200)));
            NewRecord { partition: Partition(number % PARTITIONS), user, body }
        };
        let records: Vec<_> = (0..USERS).map(record).collect();
        for stream in Stream::ALL {
            let appended = store.log(stream).append(records.clone()).await;
            assert!(appended.iter().all(Result::is_ok));
        }
        records.into_iter().for_each(|it| written.entry(it.user).or_default().push(it.body));
    }
    if read > 0 {
        let mut member = store.log(Stream::Events).join(&group()).await.unwrap();
        let mut next = Vec::new();
        while next.len() < usize::from(PARTITIONS) {
            if let GroupEvent::Assigned { progress } = member.next().await.unwrap() {
                next.push(progress.partition);
            }
        }
        let finished = std::iter::once(read as u64 + 2..read as u64 + 3).collect();
        let first = Progress { finished, ..Progress::from(Partition(0), Offset(read as u64)) };
        member.commit(&[first]).await.unwrap();
    }
    store.close();
    written
}

async fn all(store: &Store, stream: Stream) -> Vec<(Partition, Vec<Record>)> {
    let log = store.log(stream);
    let mut found = Vec::new();
    for partition in log.identity().partitions() {
        let kept = log.bounds(partition).await.unwrap();
        let (mut from, mut records) = (kept.start, Vec::new());
        while from < kept.end {
            let limit = ReadLimit { records: 1000, bytes: 1 << 20 };
            let batch = log.read(partition, from, limit).await.unwrap();
            from = batch.next;
            records.extend(batch.records);
        }
        found.push((partition, records));
    }
    found
}

fn segment(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("log/{sequence:020}.segment"))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_whole_log_is_counted_and_nothing_is_changed() {
    let dir = TempDir::new().unwrap();
    run(fill(dir.path(), 0));
    let names = |dir: &Path| {
        let names = fs::read_dir(dir.join("log")).unwrap().map(|it| it.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    let before = names(dir.path());
    let found = StoppedStore::open(dir.path()).unwrap().verify().unwrap();
    let records = u64::from(USERS) * 40;
    assert_eq!((found.events, found.receipts, found.groups), (records, records, 1));
    assert!(found.segments > 2, "{found:?}");
    assert_eq!((found.damage, found.torn, found.unindexed), (None, None, 0));
    assert_eq!(names(dir.path()), before);
}

#[test]
fn a_running_store_and_a_missing_one_are_told() {
    let dir = TempDir::new().unwrap();
    let refused = |dir: &Path| StoppedStore::open(dir).err().unwrap();
    assert!(matches!(refused(&dir.path().join("none")), OpenError::Damaged { .. }));
    let store = Store::open(dir.path(), &options(PARTITIONS)).unwrap();
    assert!(matches!(refused(dir.path()), OpenError::InUse { .. }));
    drop(store);
}

#[test]
fn the_first_damage_is_told_with_file_and_position() {
    let cases: [(&str, Surgery, &str); 5] = [
        ("a flipped bit", |dir| flip(&segment(dir, 1), 30_000), "00001.segment byte "),
        ("a flipped header", |dir| flip(&segment(dir, 1), 40), "00001.segment byte 0"),
        ("a missing segment", |dir| fs::remove_file(segment(dir, 1)).unwrap(), "00001.segment"),
        (
            "a segment cut off",
            |dir| {
                let file = fs::File::options().write(true).open(segment(dir, 1)).unwrap();
                file.set_len(50_000).unwrap();
            },
            "00001.segment byte ",
        ),
        ("another log's groups", |dir| flip(&dir.join("groups"), 10), "groups"),
    ];
    for (what, damage, place) in cases {
        let dir = TempDir::new().unwrap();
        run(fill(dir.path(), 0));
        damage(dir.path());
        let store = StoppedStore::open(dir.path()).unwrap();
        let found = store.verify().unwrap().damage.expect(what);
        assert!(found.place.contains(place), "{what}: {found:?}");
        let backup = store.backup(&dir.path().join("backup"), &[]);
        assert!(matches!(backup, Err(OpenError::Damaged { .. })), "{what}");
        assert!(!dir.path().join("backup").exists(), "{what}");
    }
}

#[test]
fn a_torn_tail_and_a_missing_index_are_no_damage() {
    let dir = TempDir::new().unwrap();
    run(fill(dir.path(), 0));
    let last = (0..).map(|it| segment(dir.path(), it)).take_while(|it| it.exists()).last().unwrap();
    let mut bytes = fs::read(&last).unwrap();
    bytes.extend(b"CFRM and then the power went");
    fs::write(&last, bytes).unwrap();
    fs::remove_file(segment(dir.path(), 0).with_extension("index")).unwrap();
    let found = StoppedStore::open(dir.path()).unwrap().verify().unwrap();
    assert_eq!(found.damage, None);
    assert_eq!((found.torn.unwrap().bytes, found.unindexed), (28, 1));
    assert_eq!(found.events, u64::from(USERS) * 40);
}

#[test]
fn a_backup_comes_back_as_it_was() {
    let dir = TempDir::new().unwrap();
    let (data, backup, back) =
        (dir.path().join("data"), dir.path().join("backup"), dir.path().join("back"));
    run(fill(&data, 7));
    fs::write(data.join("beside"), "a secret").unwrap();
    // What an attempt left that was killed.
    fs::create_dir_all(dir.path().join("backup.partial/log")).unwrap();
    fs::write(dir.path().join("backup.partial/log/half"), "half").unwrap();
    let done = StoppedStore::open(&data).unwrap().backup(&backup, &["beside", "absent"]).unwrap();
    assert!(done.files > 5 && !backup.join("log/half").exists(), "{done:?}");
    let again = StoppedStore::open(&data).unwrap().backup(&backup, &[]);
    assert!(matches!(again, Err(OpenError::Used { .. })));

    assert_eq!(restore(&backup, &back).unwrap(), done.verified);
    assert_eq!(fs::read_to_string(back.join("beside")).unwrap(), "a secret");
    assert!(matches!(restore(&backup, &back), Err(OpenError::Used { .. })));
    run(async {
        let open = |dir: &Path| Store::open(dir, &options(PARTITIONS)).unwrap();
        let (was, is) = (open(&data), open(&back));
        for stream in Stream::ALL {
            assert_eq!(all(&was, stream).await, all(&is, stream).await);
        }
        let progress =
            async |store: &Store| store.log(Stream::Events).progress(&group()).await.unwrap();
        assert_eq!(progress(&was).await, progress(&is).await);
        assert_eq!(progress(&is).await[0].next, Offset(7));
    });
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let cases: [(&str, Surgery); 5] = [
        ("a flipped bit", |dir| flip(&segment(dir, 0), 9_000)),
        ("a file cut off", |dir| fs::write(dir.join("groups"), "CAMP").unwrap()),
        ("a missing file", |dir| fs::remove_file(segment(dir, 1)).unwrap()),
        ("a flipped manifest", |dir| flip(&dir.join("manifest"), 30)),
        ("half a backup", |dir| fs::remove_file(dir.join("manifest")).unwrap()),
    ];
    for (what, damage) in cases {
        let dir = TempDir::new().unwrap();
        let (data, backup) = (dir.path().join("data"), dir.path().join("backup"));
        run(fill(&data, 0));
        StoppedStore::open(&data).unwrap().backup(&backup, &[]).unwrap();
        damage(&backup);
        let back = dir.path().join("back");
        let restored = restore(&backup, &back);
        assert!(matches!(restored, Err(OpenError::Damaged { .. })), "{what}: {restored:?}");
        assert!(!back.exists(), "{what}");
    }
}

/// Copies a log whose records refer to nothing.
fn copy(from: &Path, to: &Path, partitions: u16) -> Result<(), OpenError> {
    let options = CopyOptions { partitions, segment_bytes: 64 << 10, now: START };
    let store = StoppedStore::open(from).unwrap();
    store.copy(to, options, &|_, _, _| Renumbered::Same, &[]).map(drop)
}

#[test]
fn a_copy_keeps_every_users_order_and_what_was_finished() {
    for partitions in [1, 3, PARTITIONS, 7] {
        let dir = TempDir::new().unwrap();
        let (data, target) = (dir.path().join("data"), dir.path().join("copy"));
        let written = run(fill(&data, 7));
        copy(&data, &target, partitions).unwrap();
        let verified = StoppedStore::open(&target).unwrap().verify().unwrap();
        assert_eq!((verified.damage, verified.unindexed), (None, 0));
        assert_eq!((verified.generation.0, verified.partitions), (1, partitions));
        run(async {
            let store = Store::open(&target, &options(partitions)).unwrap();
            for stream in Stream::ALL {
                let mut found = BTreeMap::<UserRef, Vec<Bytes>>::new();
                for (partition, records) in all(&store, stream).await {
                    let times = records.iter().map(|it| it.time).collect::<Vec<_>>();
                    assert!(times.is_sorted());
                    for record in records {
                        assert_eq!(
                            store.log(stream).identity().partition_of(record.user),
                            partition
                        );
                        found.entry(record.user).or_default().push(record.body);
                    }
                }
                assert_eq!(found, written);
            }
            drop(store);
            let mut old = unfinished(&data, PARTITIONS).await;
            let mut new = unfinished(&target, partitions).await;
            old.sort();
            new.sort();
            assert!(!old.is_empty());
            assert_eq!(old, new, "in {partitions} partitions");
        });
    }
}

/// The records that the group has not finished.
async fn unfinished(dir: &Path, partitions: u16) -> Vec<(UserRef, Bytes)> {
    let store = Store::open(dir, &options(partitions)).unwrap();
    let progress = store.log(Stream::Events).progress(&group()).await.unwrap();
    let mut waiting = Vec::new();
    for (partition, records) in all(&store, Stream::Events).await {
        let progress = &progress[usize::from(partition.0)];
        let is_waiting = |record: &&Record| !progress.is_finished(record.offset);
        waiting.extend(records.iter().filter(is_waiting).map(|it| (it.user, it.body.clone())));
    }
    waiting
}

#[test]
fn references_are_told_the_new_offsets() {
    let dir = TempDir::new().unwrap();
    let (data, target) = (dir.path().join("data"), dir.path().join("copy"));
    run(async {
        let store = Store::open(&data, &options(PARTITIONS)).unwrap();
        for number in (0..60_u16).map(|it| it * 7 % USERS) {
            let (partition, user) = (Partition(number % PARTITIONS), user(number));
            let end = store.log(Stream::Events).bounds(partition).await.unwrap().end;
            // An event says where it stands; the receipt refers to it.
            for stream in Stream::ALL {
                let body = Bytes::from(end.0.to_string());
                let record = NewRecord { partition, user, body };
                let done = store.log(stream).append(vec![record]).await;
                assert!(matches!(done[..], [Ok(Position { .. })]));
            }
        }
        store.close();
    });
    let options_of_copy = CopyOptions { partitions: 3, segment_bytes: 64 << 10, now: START };
    let renumber = |stream, body: &Bytes, new: &dyn Fn(Offset) -> Offset| match stream {
        Stream::Events => Renumbered::Same,
        Stream::Receipts => {
            let old: u64 = std::str::from_utf8(body).unwrap().parse().unwrap();
            Renumbered::Changed(format!("{old} {}", new(Offset(old)).0).into())
        }
    };
    let store = StoppedStore::open(&data).unwrap();
    store.copy(&target, options_of_copy, &renumber, &[]).unwrap();
    run(async {
        let store = Store::open(&target, &options(3)).unwrap();
        let events: BTreeMap<_, _> = all(&store, Stream::Events).await.into_iter().collect();
        let mut checked = 0;
        for (partition, receipts) in all(&store, Stream::Receipts).await {
            for receipt in receipts {
                let text = String::from_utf8(receipt.body.to_vec()).unwrap();
                let (old, new) = text.split_once(' ').unwrap();
                let event = &events[&partition][new.parse::<usize>().unwrap()];
                assert_eq!((event.user, &event.body[..]), (receipt.user, old.as_bytes()));
                checked += 1;
            }
        }
        assert_eq!(checked, 60);
    });
}

#[test]
fn a_group_that_is_behind_in_parts_is_not_carried_over() {
    let dir = TempDir::new().unwrap();
    let (data, target) = (dir.path().join("data"), dir.path().join("copy"));
    run(async {
        let store = Store::open(&data, &options(2)).unwrap();
        let log = store.log(Stream::Events);
        log.create_group(&group(), StartAt::Beginning).await.unwrap();
        for number in 0..600_u16 {
            let (partition, user) = (Partition(number % 2), user(number));
            let record = NewRecord { partition, user, body: Bytes::from_static(b"one") };
            assert!(log.append(vec![record]).await[0].is_ok());
        }
        let mut member = log.join(&group()).await.unwrap();
        let mut assigned = 0;
        while assigned < 2 {
            assigned += u8::from(matches!(member.next().await, Ok(GroupEvent::Assigned { .. })));
        }
        member.commit(&[Progress::from(Partition(1), Offset(300))]).await.unwrap();
        drop(member);
        store.close();
    });
    let refused = copy(&data, &target, 1);
    assert!(matches!(refused, Err(OpenError::Scattered { .. })), "{refused:?}");
    assert!(!target.exists());
    copy(&data, &target, 2).unwrap();
}
