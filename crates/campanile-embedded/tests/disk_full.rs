//! A full disk: appends and folds are refused, nothing is lost, and both go on when there is space.
//! Needs root and tmpfs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

mod mounted;
mod place;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use campanile_core::port::{
    AppendError, Applied, EventLog, NewRecord, Projection, ProjectionError, ReadLimit, RecordRef,
    Stream, Write,
};
use campanile_core::{Offset, Partition};
use campanile_embedded::{EmbeddedLog, EmbeddedProjection, Store};
use campanile_testkit::memory::ManualClock;
use campanile_testkit::vocabulary::{START, user};
use mounted::{Mounted, skip};

const P0: Partition = Partition(0);

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let mounted = match Mounted::new(Path::new("tmpfs"), &["-t", "tmpfs", "-o", "size=16m"]) {
        Ok(mounted) => mounted,
        Err(reason) => return skip(&reason),
    };
    let dir = mounted.path();
    let options = place::options(4, Arc::new(ManualClock::new(START)));
    let store = Store::open(&dir, &options).unwrap();
    let (log, projection) = (store.log(Stream::Events), store.projection());
    let mut claim = projection.claim(P0, Stream::Events).await.unwrap();
    let filler = dir.join("filler");
    fs::write(&filler, vec![0; 4 << 20]).unwrap();

    let (mut kept, mut refused) = (Vec::new(), 0);
    for number in 0..200_u32 {
        match append(&log, number).await {
            Ok(()) => kept.push(number),
            Err(AppendError::Refused { retry: true, .. }) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(kept.len() > 50 && refused > 20, "{} kept, {refused} refused", kept.len());
    // The journal of the projection takes a little more; then it fails too.
    let mut folded = 0;
    let failed = loop {
        match fold(&projection, claim, folded).await {
            Ok(applied) => assert_eq!(applied, Applied::Applied),
            Err(error) => break error,
        }
        folded += 1;
        claim.next = Offset(folded);
    };
    assert!(matches!(failed, ProjectionError::Unavailable { .. }), "{failed:?}");

    fs::remove_file(filler).unwrap();
    for number in 200..220 {
        append(&log, number).await.unwrap();
        kept.push(number);
    }
    assert_eq!(store.stopped().borrow().clone(), None);
    let mut claim = projection.claim(P0, Stream::Events).await.unwrap();
    assert!(claim.next.0 == folded || claim.next.0 == folded + 1, "{claim:?} after {folded}");
    for _ in 0..10 {
        assert_eq!(fold(&projection, claim, claim.next.0).await, Ok(Applied::Applied));
        claim.next = claim.next.next();
    }
    drop((log, projection));
    store.close();
    drop(store);

    let store = Store::open(&dir, &options).unwrap();
    let all = ReadLimit { records: 1000, bytes: 1 << 30 };
    let found = store.log(Stream::Events).read(P0, Offset(0), all).await.unwrap().records;
    let found: Vec<u32> = found.iter().map(|it| number_of(&it.body)).collect();
    assert_eq!(found, kept);
    let again = store.projection().claim(P0, Stream::Events).await.unwrap();
    assert_eq!(again.next, claim.next);
}

async fn append(log: &EmbeddedLog, number: u32) -> Result<(), AppendError> {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(100_000, 0);
    let record = NewRecord { partition: P0, user: user(0), body: Bytes::from(body) };
    log.append(vec![record]).await.remove(0).map(|_| ())
}

fn number_of(body: &[u8]) -> u32 {
    u32::from_le_bytes(body.first_chunk().copied().unwrap())
}

async fn fold(
    projection: &EmbeddedProjection,
    claim: campanile_core::port::Claim,
    from: u64,
) -> Result<Applied, ProjectionError> {
    let record = |offset| RecordRef { stream: Stream::Events, offset: Offset(offset) };
    let history = (0..500).map(|n| (user(0), None, record(from * 500 + n))).collect();
    let write = Write {
        partition: P0,
        stream: Stream::Events,
        epoch: claim.epoch,
        from: Offset(from),
        to: Offset(from + 1),
        time: START,
        pieces: Vec::new(),
        agenda: Vec::new(),
        history,
    };
    let projection: &dyn Projection = projection;
    projection.apply(write).await
}
