//! What is carried is read back as it was, or not at all.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;

use campanile_core::port::{
    AgendaWrite, CarriedState, Piece, PieceKey, PieceWrite, ProjectionError,
};
use campanile_core::{
    AgendaChange, AgendaEntry, Due, Fingerprint, Generation, LogIdentity, Offset, Partition, Reach,
    RegistrationId, RequestRecord, RetireReason, Timestamp, Tombstone,
};
use campanile_testkit::vocabulary::{app, item, phone, request, user};
use tempfile::TempDir;

use super::format;

const LOG: LogIdentity =
    LogIdentity { id: *b"the log of tests", generation: Generation(3), partitions: 4 };
const PARTITION: Partition = Partition(2);
/// The file of [`state`], as this release writes it. A release that cannot read it has to say so by
/// another magic.
const GOLDEN: &str = include_str!("golden.hex");

fn state() -> CarriedState {
    let (user, id) = (user(2), item(user(2), "order"));
    let endpoint = phone(1).endpoint(user);
    let registration = RegistrationId::from_bytes([4; 16]);
    let (at, time, reason) = (Offset(3), Timestamp::from_millis(1000), RetireReason::AddressGone);
    let tombstone = Tombstone { registration, at, time, reason };
    let reach =
        Reach { as_of: Offset(4), tombstones: [(endpoint, tombstone)].into(), ..Reach::default() };
    let record = RequestRecord {
        at: Offset(5),
        fingerprint: Fingerprint::from_bytes([6; 16]),
        item: id,
        until: Timestamp::from_millis(5000),
    };
    let key = PieceKey::Request(user, request(user, "key"));
    let kept = |key, piece, keep_until| PieceWrite {
        key,
        piece,
        keep_until,
        is_new: false,
        comes_again: false,
    };
    let due = Due::Expire { id, revision: 1 };
    let change = AgendaChange::Add(AgendaEntry { at: Timestamp::from_millis(7000), due });
    CarriedState {
        as_of: Offset(9),
        time: Timestamp::from_millis(2000),
        pieces: vec![
            kept(PieceKey::Reach(user), Piece::Reach(Arc::new(reach)), None),
            kept(key, Piece::Request(record), Some(Timestamp::from_millis(6000))),
        ],
        agenda: vec![AgendaWrite { app: app(), user, change }],
    }
}

fn read(bytes: &[u8]) -> Result<Option<CarriedState>, ProjectionError> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("00002");
    std::fs::write(&path, bytes).unwrap();
    format::read(&path, &LOG, PARTITION)
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn the_stored_form_is_what_it_was() {
    let bytes = format::encode(&LOG, PARTITION, &state());
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bytes, unhex(GOLDEN), "{hex}");
    assert_eq!(read(&unhex(GOLDEN)), Ok(Some(state())));
}

#[test]
fn whatever_is_wrong_with_it_is_damage() {
    let bytes = format::encode(&LOG, PARTITION, &state());
    let is_damaged = |bytes: &[u8]| matches!(read(bytes), Err(ProjectionError::Damaged { .. }));
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        assert!(is_damaged(&flipped), "byte {at} flipped");
        assert!(is_damaged(&bytes[..at]), "cut at {at}");
    }
    let other = format::encode(&LOG, Partition(1), &state());
    assert!(is_damaged(&other), "another partition's");
    let other = format::encode(&LogIdentity { id: [1; 16], ..LOG }, PARTITION, &state());
    assert!(is_damaged(&other), "another log's");
}

#[test]
fn where_nothing_is_carried_nothing_is_found() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("00002");
    assert_eq!(format::read(&path, &LOG, PARTITION), Ok(None));
    assert_eq!(format::read_as_of(&path, &LOG, PARTITION), Ok(None));
    std::fs::write(&path, format::encode(&LOG, PARTITION, &state())).unwrap();
    assert_eq!(format::read_as_of(&path, &LOG, PARTITION), Ok(Some(Offset(9))));
}
