//! Opening a store: who may, and what is found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

mod place;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use campanile_core::Partition;
use campanile_core::port::{EventLog, NewRecord, Projection, ProjectionError, Stream};
use campanile_embedded::{OpenError, Options, Store};
use campanile_testkit::memory::{ManualClock, SeededEntropy};
use campanile_testkit::vocabulary::{START, user};
use tempfile::TempDir;

fn options() -> Options {
    place::options(4, Arc::new(ManualClock::new(START)))
}

fn refused(dir: &Path, options: &Options) -> OpenError {
    match Store::open(dir, options) {
        Ok(_) => panic!("the store opened"),
        Err(error) => error,
    }
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    assert!(matches!(refused(dir.path(), &options()), OpenError::InUse { .. }));
    let log = store.log(Stream::Events);
    drop(store);
    assert!(
        matches!(refused(dir.path(), &options()), OpenError::InUse { .. }),
        "a stream of the log is still in use"
    );
    drop(log);
    Store::open(dir.path(), &options()).unwrap();
}

#[test]
fn another_partition_count_is_refused_and_both_are_named() {
    let dir = TempDir::new().unwrap();
    drop(Store::open(dir.path(), &options()).unwrap());
    let error = refused(dir.path(), &Options { partitions: 5, ..options() });
    assert!(matches!(error, OpenError::Partitions { stored: 4, asked: 5, .. }), "{error}");
    assert!(error.to_string().contains("4 partitions, not 5"), "{error}");
    Store::open(dir.path(), &options()).unwrap();
}

#[test]
fn directories_above_are_made() {
    let dir = TempDir::new().unwrap();
    let deep = dir.path().join("a").join("b").join("c");
    drop(Store::open(&deep, &options()).unwrap());
    Store::open(&deep, &options()).unwrap();
}

#[test]
fn options_out_of_range_are_named() {
    let dir = TempDir::new().unwrap();
    let wrong = [
        ("partitions", Options { partitions: 0, ..options() }),
        ("segment_bytes", Options { segment_bytes: 1, ..options() }),
        ("segment_bytes", Options { partitions: 100, segment_bytes: 64 << 10, ..options() }),
        ("queue_bytes", Options { queue_bytes: 1, ..options() }),
        ("queue_records", Options { queue_records: 0, ..options() }),
    ];
    for (name, options) in wrong {
        let error = refused(dir.path(), &options);
        assert!(matches!(error, OpenError::Option { field, .. } if field == name), "{error}");
    }
}

#[tokio::test]
async fn a_log_without_its_identity_is_refused() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let record = NewRecord { partition: Partition(0), user: user(0), body: Bytes::new() };
    store.log(Stream::Events).append(vec![record]).await.remove(0).unwrap();
    drop(store);
    let identity = dir.path().join("identity");
    let whole = fs::read(&identity).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        *flipped.get_mut(at).unwrap() ^= 1;
        fs::write(&identity, flipped).unwrap();
        assert!(matches!(refused(dir.path(), &options()), OpenError::Damaged { .. }), "byte {at}");
    }
    fs::remove_file(&identity).unwrap();
    assert!(matches!(refused(dir.path(), &options()), OpenError::Damaged { .. }));
    fs::write(&identity, whole).unwrap();
    Store::open(dir.path(), &options()).unwrap();
}

#[tokio::test]
async fn a_projection_of_another_log_answers_nothing() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let elsewhere = Options { entropy: Arc::new(SeededEntropy::new(7)), ..options() };
    drop(Store::open(one.path(), &options()).unwrap());
    drop(Store::open(other.path(), &elsewhere).unwrap());
    fs::remove_dir_all(one.path().join("projection")).unwrap();
    fs::rename(other.path().join("projection"), one.path().join("projection")).unwrap();
    let store = Store::open(one.path(), &options()).unwrap();
    let claimed = store.projection().claim(Partition(0), Stream::Events).await;
    assert_eq!(claimed, Err(ProjectionError::OtherLog));
}

#[tokio::test]
async fn a_damaged_projection_is_put_aside_and_built_again() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    store.projection().claim(Partition(0), Stream::Events).await.unwrap();
    store.close();
    drop(store);
    let version = dir.path().join("projection").join("version");
    assert!(version.exists(), "{:?}", fs::read_dir(dir.path().join("projection")).unwrap());
    fs::write(version, b"nonsense").unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    assert!(store.report().projection_damaged.is_some());
    let not_built = ProjectionError::NotBuilt(Partition(0));
    assert_eq!(store.projection().view(Partition(0), &[]).await, Err(not_built));
    assert!(dir.path().join("projection.damaged").exists());
    drop(store);
    let store = Store::open(dir.path(), &options()).unwrap();
    assert_eq!(store.report(), &Default::default());
}
