//! Assignments are fair and never double; progress is never invented.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{GroupName, Hold, Progress, Stream};
use campanile_core::{
    AppId, Environment, Generation, HoldReason, LogIdentity, Offset, Partition, Platform, Route,
    Tick, Timestamp, Urgency,
};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::Config;
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::assignment::{Membership, Owner};
use super::journal::{GroupKey, Journal};
use crate::disk::volatile::VolatileDisk;
use crate::error::OpenError;

const IDENTITY: LogIdentity =
    LogIdentity { id: *b"the log of tests", generation: Generation(0), partitions: 3 };

fn tick(millis: u64) -> Tick {
    Tick::from_start(Duration::from_millis(millis))
}

fn owners(membership: &Membership, partitions: u16) -> Vec<Option<Owner>> {
    (0..partitions).map(|partition| membership.owner(Partition(partition))).collect()
}

proptest! {
    #[test]
    fn partitions_move_only_after_a_drain_and_end_up_fair(
        partitions in 1..40_u16,
        events in vec((any::<bool>(), any::<u8>(), 0..150_u64), 1..30),
    ) {
        let mut membership = Membership::new(partitions);
        let (mut members, mut now) = (BTreeSet::new(), 0);
        for (joins, which, wait) in events {
            now += wait;
            let before = owners(&membership, partitions);
            let mut gone = None;
            if joins || members.is_empty() {
                members.insert(membership.join());
            } else {
                gone = members.iter().nth(usize::from(which) % members.len()).copied();
                members.retain(|member| Some(*member) != gone);
                gone.into_iter().for_each(|member| membership.leave(member));
            }
            membership.settle(tick(now), tick(now + 100));
            for (before, after) in before.iter().zip(owners(&membership, partitions)) {
                let Some(before) = before else { continue };
                let kept = after.is_some_and(|after| (after.member, after.term) == (before.member, before.term));
                let is_over = before.drain_by.is_some_and(|end| end <= tick(now));
                prop_assert!(kept || is_over || Some(before.member) == gone, "taken from {before:?}");
                prop_assert!(kept || after.is_none_or(|after| after.term > before.term));
            }
            let homeless = owners(&membership, partitions).into_iter().filter(Option::is_none).count();
            prop_assert!(homeless == 0 || members.is_empty());
        }
        for _ in 0..3 {
            now += 100;
            membership.settle(tick(now), tick(now + 100));
        }
        let mut loads: BTreeMap<u64, usize> = members.iter().map(|member| (*member, 0)).collect();
        for owner in owners(&membership, partitions).into_iter().flatten() {
            prop_assert_eq!(owner.drain_by, None, "it never settles");
            *loads.get_mut(&owner.member).unwrap() += 1;
        }
        let (least, most) = (loads.values().min(), loads.values().max());
        prop_assert!(members.is_empty() || most.unwrap() - least.unwrap() <= 1, "{loads:?}");
    }
}

fn key() -> GroupKey {
    (Stream::Events, GroupName("readers".into()))
}

fn path() -> PathBuf {
    PathBuf::from("groups")
}

fn open(disk: &VolatileDisk) -> Result<(Journal, u64), OpenError> {
    Journal::open(Path::new(""), Arc::new(disk.clone()), &IDENTITY)
}

fn hold(number: u64, next: Offset) -> Hold {
    let route = Route {
        app: AppId::new(&format!("app-{number}")).unwrap(),
        platform: Platform::Fcm,
        environment: Environment::Sandbox,
        credential: "project".into(),
    };
    let (urgency, why) = match number {
        1 => (Urgency::Bulk, None),
        _ => (Urgency::Urgent, Some(HoldReason::Unreachable)),
    };
    let (since, next) = (Timestamp::from_millis(number), Offset(next.0 - number));
    let finished = std::iter::once(next.0 + 2..next.0 + 7).collect();
    Hold { route, urgency, why, since, next, finished }
}

/// A file with the progress of every commit, and the states it went through.
fn written() -> (VolatileDisk, Vec<Vec<Progress>>) {
    let disk = VolatileDisk::default();
    let (mut journal, _) = open(&disk).unwrap();
    let first = IDENTITY.partitions().map(|partition| Progress::from(partition, Offset(0)));
    journal.store(&key(), first.collect()).unwrap();
    let mut states = vec![journal.progress(&key()).unwrap().to_vec()];
    for number in 1..12 {
        let next = Offset(number * 10);
        let finished = (0..number % 4).map(|n| next.0 + 5 * n + 1..next.0 + 5 * n + 3).collect();
        let partition = Partition(u16::try_from(number % 3).unwrap());
        let holds = (0..number % 3).map(|held| hold(held, next)).collect();
        let progress = Progress { finished, holds, ..Progress::from(partition, next) };
        journal.store(&key(), vec![progress]).unwrap();
        states.push(journal.progress(&key()).unwrap().to_vec());
    }
    (disk, states)
}

#[test]
fn progress_torn_at_any_byte_is_earlier_progress() {
    let (disk, states) = written();
    let whole = disk.bytes(&path());
    let mut seen = BTreeSet::new();
    for cut in 24..=whole.len() {
        disk.tamper(&path(), |bytes| *bytes = whole[..cut].to_vec());
        let (journal, _) = open(&disk).unwrap();
        match journal.progress(&key()) {
            Some(found) => {
                let state = states.iter().position(|state| state == found);
                assert!(state.is_some(), "invented {found:?} at {cut}");
                seen.insert(state);
            }
            None => assert!(seen.is_empty(), "forgot the group at {cut}"),
        }
    }
    assert_eq!(seen.len(), states.len());
}

#[test]
fn the_file_is_written_anew_when_it_is_long() {
    let disk = VolatileDisk::default();
    let (mut journal, _) = open(&disk).unwrap();
    let first = IDENTITY.partitions().map(|partition| Progress::from(partition, Offset(0)));
    journal.store(&key(), first.collect()).unwrap();
    let ranges = |next: u64| (0..256).map(|n| next + 2 * n + 1..next + 2 * n + 2).collect();
    let mut rewritten = 0;
    for next in 1..1200 {
        let progress =
            Progress { finished: ranges(next), ..Progress::from(Partition(1), Offset(next)) };
        journal.store(&key(), vec![progress]).unwrap();
        if journal.is_long() {
            journal.rewrite().unwrap();
            rewritten += 1;
            assert!(!journal.is_long());
        }
    }
    assert_eq!(rewritten, 1);
    let found = open(&disk.after_power_cut(|| 0)).unwrap().0;
    let next = found.progress(&key()).unwrap()[1].next;
    assert!(next > Offset(900), "the file written anew was not synced");
    assert_eq!(open(&disk).unwrap().0.progress(&key()).unwrap()[1].next, Offset(1199));
}

#[test]
fn progress_from_before_there_were_holds_is_read() {
    let disk = VolatileDisk::default();
    let (mut journal, _) = open(&disk).unwrap();
    let first: Vec<_> =
        IDENTITY.partitions().map(|partition| Progress::from(partition, Offset(7))).collect();
    journal.store(&key(), first.clone()).unwrap();
    disk.tamper(&path(), |bytes| {
        bytes[..8].copy_from_slice(b"CAMPGRP1");
        // Each partition ends with the count of its holds, which is 0.
        let entry = bytes.split_off(24);
        let mut content = entry[8..].to_vec();
        let length = content.len();
        for end in [length, length - 14, length - 28] {
            content.drain(end - 2..end);
        }
        bytes.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
        bytes.extend(crc32c::crc32c(&content).to_le_bytes());
        bytes.extend(content);
    });
    let (journal, lost) = open(&disk).unwrap();
    assert_eq!((journal.progress(&key()), lost), (Some(&first[..]), 0));
    assert_eq!(disk.bytes(&path())[..8], *b"CAMPGRP2");
}

#[test]
fn a_full_disk_is_no_reason_not_to_start() {
    let (disk, states) = written();
    let whole = disk.bytes(&path()).len();
    disk.tamper(&path(), |bytes| bytes.extend(b"torn"));
    disk.limit(Some(disk.used()));
    let (mut journal, lost) = open(&disk).unwrap();
    assert_eq!((journal.progress(&key()), lost), (states.last().map(Vec::as_slice), 4));
    let progress = Progress::from(Partition(0), Offset(999));
    assert!(journal.store(&key(), vec![progress.clone()]).is_err());
    assert_eq!(disk.used(), whole + 4, "something is left of the attempt");
    disk.limit(None);
    journal.store(&key(), vec![progress.clone()]).unwrap();
    assert_eq!(open(&disk).unwrap().0.progress(&key()).unwrap()[0], progress);
}

proptest! {
    #![proptest_config(Config { cases: 1000, ..Config::default() })]

    #[test]
    fn damaged_progress_is_earlier_progress_or_an_error(at in any::<usize>(), bit in 0..8_u8) {
        let (disk, states) = written();
        disk.tamper(&path(), |bytes| {
            let length = bytes.len();
            bytes[at % length] ^= 1_u8 << bit;
        });
        match open(&disk) {
            Ok((journal, lost)) => {
                prop_assert!(lost > 0, "the flip was not noticed");
                let found = journal.progress(&key());
                prop_assert!(found.is_none_or(|found| states.iter().any(|state| state == found)));
            }
            Err(OpenError::Damaged { .. }) => {}
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
