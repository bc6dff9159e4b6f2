//! Torn tails are cut, damage is found, and neither passes in silence.

use campanile_core::port::Stream;
use proptest::prelude::any;
use proptest::test_runner::Config;
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::log::format::{FRAME_HEADER, FrameHeader, SegmentHeader};

/// A closed log of several segments, and its records by lane.
fn written() -> (VolatileDisk, Vec<Vec<Record>>) {
    written_with(OPTIONS)
}

fn written_with(options: LogOptions) -> (VolatileDisk, Vec<Vec<Record>>) {
    run(async {
        let disk = new_disk();
        let (log, _) = open_with(&disk, options).unwrap();
        for number in 0..40 {
            let batch =
                (0..3).map(|partition| record(partition, &body(number * 3 + partition as usize)));
            let streams = [Stream::Events, Stream::Receipts];
            let log = stream(&log, streams[number % 2]);
            assert!(log.append(batch.collect()).await.iter().all(Result::is_ok));
        }
        let records = contents(&log).await.unwrap();
        log.close();
        (disk, records)
    })
}

/// Everything in the log, lane by lane.
async fn contents(log: &Arc<Log>) -> Result<Vec<Vec<Record>>, ReadError> {
    let mut lanes = Vec::new();
    for of in [Stream::Events, Stream::Receipts] {
        for partition in 0..3 {
            lanes.push(read_all(&stream(log, of), partition).await?);
        }
    }
    Ok(lanes)
}

/// The number of the active segment.
fn last(disk: &VolatileDisk) -> u64 {
    (0..).find(|sequence| !disk.exists(&segment(sequence + 1))).unwrap()
}

/// Where the frames of a segment start, and how many records they have.
fn frames(bytes: &[u8]) -> Vec<(usize, FrameHeader)> {
    let mut at = SegmentHeader::length(IDENTITY.partitions);
    let mut found = Vec::new();
    while at < bytes.len() {
        let frame = FrameHeader::peek(&bytes[at..]).unwrap();
        found.push((at, frame));
        at += FRAME_HEADER + frame.length as usize;
    }
    found
}

/// What is left is what was there, from the start of each lane.
fn is_prefix(found: &[Vec<Record>], records: &[Vec<Record>]) -> bool {
    found.iter().zip(records).all(|(found, all)| all.starts_with(found))
}

#[test]
fn a_log_torn_at_any_byte_opens_with_the_commits_before() {
    let (disk, records) = written_with(LogOptions { segment_bytes: 1 << 20, ..OPTIONS });
    let path = segment(last(&disk));
    let whole = disk.bytes(&path);
    let frames = frames(&whole);
    let start = whole.len() - 5000;
    assert!(frames[3].0 < start, "the test needs commits to tear");
    for cut in start..whole.len() {
        disk.tamper(&path, |bytes| bytes.clone_from(&whole));
        disk.tamper(&path, |bytes| bytes.truncate(cut));
        let (log, report) = open(&disk).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        let ends =
            frames.iter().map(|(at, frame)| (at + FRAME_HEADER + frame.length as usize, frame));
        let complete = ends.take_while(|(end, _)| *end <= cut);
        let complete = complete.filter(|(_, it)| it.ordinal + 1 == it.total).map(|it| it.0).last();
        let torn = report.torn.map(|torn| (torn.at as usize, torn.bytes as usize));
        let expected = complete.filter(|end| *end < cut).map(|end| (end, cut - end));
        assert_eq!(torn, expected, "cut at {cut}");
        let found = run(contents(&log)).unwrap();
        assert!(is_prefix(&found, &records), "cut at {cut}");
        let lost = frames.iter().skip_while(|(at, _)| Some(*at) < complete).map(|(_, it)| it.count);
        let count = |lanes: &[Vec<Record>]| lanes.iter().map(Vec::len).sum::<usize>();
        assert_eq!(count(&records) - count(&found), lost.sum::<u32>() as usize, "cut at {cut}");
    }
}

#[test]
fn zeros_after_the_last_commit_are_a_torn_tail() {
    let (disk, records) = written();
    disk.tamper(&segment(last(&disk)), |bytes| bytes.extend([0; 5000]));
    let (log, report) = open(&disk).unwrap();
    assert_eq!(report.torn.unwrap().bytes, 5000);
    assert_eq!(run(contents(&log)).unwrap(), records);
}

#[test]
fn a_flaw_before_the_last_commit_is_damage_and_not_a_tail() {
    let (disk, _) = written();
    let path = segment(last(&disk));
    let whole = disk.bytes(&path);
    let frames = frames(&whole);
    // The last commit is the mark that closing wrote; the one before was acknowledged.
    for at in frames[0].0..frames.last().unwrap().0 {
        disk.tamper(&path, |bytes| {
            bytes.clone_from(&whole);
            bytes[at] ^= 0x10;
        });
        match open(&disk) {
            Err(OpenError::Damaged { place, .. }) => {
                assert!(place.contains(&path.display().to_string()), "{place}");
            }
            Err(other) => panic!("flipped {at}: {other}"),
            Ok(_) => panic!("flipped {at}, and nobody noticed"),
        }
        assert_eq!(disk.bytes(&path).len(), whole.len(), "damage was cut at {at}");
    }
}

#[test]
fn every_flipped_byte_of_a_sealed_segments_headers_is_found() {
    let (disk, records) = written();
    let path = segment(1);
    let whole = disk.bytes(&path);
    let header = 0..SegmentHeader::length(IDENTITY.partitions);
    let frames = frames(&whole);
    let in_frames = frames.iter().flat_map(|(at, _)| *at..*at + FRAME_HEADER);
    for at in header.chain(in_frames) {
        disk.tamper(&path, |bytes| {
            bytes.clone_from(&whole);
            bytes[at] ^= 1 << (at % 8);
        });
        assert_found(&disk, &records, at);
    }
}

/// Opening or reading says that something is wrong, and reads never tell a wrong record.
fn assert_found(disk: &VolatileDisk, records: &[Vec<Record>], at: usize) {
    let log = match open(disk) {
        Ok((log, _)) => log,
        Err(OpenError::Damaged { .. }) => return,
        Err(other) => panic!("flipped {at}: {other}"),
    };
    let mut found_out = false;
    for lane in 0..6_u16 {
        let of = if lane < 3 { Stream::Events } else { Stream::Receipts };
        let log = stream(&log, of);
        let (partition, all) = (lane % 3, &records[usize::from(lane)]);
        for expected in all {
            let limit = ReadLimit { records: 1, bytes: 1 };
            match run(log.read(Partition(partition), expected.offset, limit)) {
                Ok(batch) => assert_eq!(batch.records, std::slice::from_ref(expected), "byte {at}"),
                Err(ReadError::Damaged { place, .. }) => {
                    assert!(place.contains("segment"), "{place}");
                    found_out = true;
                }
                Err(other) => panic!("flipped {at}: {other}"),
            }
        }
    }
    assert!(found_out, "byte {at} was flipped, and nobody noticed");
}

proptest! {
    #![proptest_config(Config { cases: 2000, ..Config::default() })]

    /// A mark has no records: its damage hides nothing, and only a new index finds it.
    #[test]
    fn every_flipped_bit_of_a_sealed_segment_is_found(at in any::<usize>(), bit in 0..8_u8) {
        let (disk, records) = shared();
        let disk = disk.copy();
        let path = segment(1);
        disk.tamper(&path, |bytes| {
            let length = bytes.len();
            bytes[at % length] ^= 1_u8 << bit;
        });
        assert_found(&disk, records, at);
        disk.remove_name(&index(1));
        let opened = open(&disk).map(|_| ());
        prop_assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{opened:?}");
    }

    #[test]
    fn a_damaged_index_is_made_again(at in any::<usize>(), bit in 0..8_u8) {
        let (disk, records) = shared();
        let disk = disk.copy();
        disk.tamper(&index(1), |bytes| {
            let length = bytes.len();
            bytes[at % length] ^= 1_u8 << bit;
        });
        let opened = run(async {
            let (log, report) = open(&disk).map_err(|error| error.to_string())?;
            let found = contents(&log).await.map_err(|error| error.to_string());
            Ok::<_, String>((report.indexes_rebuilt, found))
        });
        let (rebuilt, found) = opened.unwrap();
        // What only readers look at is made again when they do.
        prop_assert!(rebuilt <= 1);
        prop_assert_eq!(found.as_ref(), Ok(records));
        let (_, report) = open(&disk).unwrap();
        prop_assert_eq!(report.indexes_rebuilt, 0);
    }
}

/// One log for all cases.
fn shared() -> &'static (VolatileDisk, Vec<Vec<Record>>) {
    static WRITTEN: std::sync::OnceLock<(VolatileDisk, Vec<Vec<Record>>)> =
        std::sync::OnceLock::new();
    WRITTEN.get_or_init(written)
}

#[test]
fn missing_indexes_are_made_again() {
    let (disk, records) = written();
    let segments = last(&disk);
    (0..segments).for_each(|sequence| disk.remove_name(&index(sequence)));
    let (log, report) = open(&disk).unwrap();
    assert_eq!(report.indexes_rebuilt, segments as usize);
    assert_eq!(run(contents(&log)).unwrap(), records);
}

#[test]
fn missing_cut_swapped_and_foreign_segments_stop_the_start() {
    let (disk, _) = written();
    let refused = |what: &str, change: &dyn Fn(&VolatileDisk)| {
        let disk = disk.copy();
        change(&disk);
        let opened = open(&disk).map(|_| ());
        assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{what}: {opened:?}");
    };
    refused("missing in the middle", &|disk| disk.remove_name(&segment(1)));
    refused("missing at the start", &|disk| disk.remove_name(&segment(0)));
    refused("empty", &|disk| disk.tamper(&segment(1), Vec::clear));
    refused("zeroed", &|disk| disk.tamper(&segment(1), |bytes| bytes.fill(0)));
    refused("cut", &|disk| disk.tamper(&segment(1), |bytes| bytes.truncate(bytes.len() - 1)));
    refused("another's bytes", &|disk| {
        let other = disk.bytes(&segment(0));
        disk.tamper(&segment(1), |bytes| *bytes = other);
    });
    refused("of another log", &|disk| {
        let header = SegmentHeader {
            sequence: 1,
            first_commit: 0,
            created: 0,
            heads: vec![crate::log::format::Head::default(); 6],
        };
        let other = LogIdentity { id: *b"some other log!!", ..IDENTITY };
        disk.tamper(&segment(1), |bytes| *bytes = header.encode(&other));
    });
    refused("all gone", &|disk| (0..=last(disk)).for_each(|it| disk.remove_name(&segment(it))));
}
