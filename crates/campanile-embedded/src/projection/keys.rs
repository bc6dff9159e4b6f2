//! The keys of the projection's one table.
//!
//! ```text
//! partition u16 · kind u8 · …                                      → value
//!   Fold     stream u8                                             → epoch u64 · next u64 · time u64
//!   Reach    user 16                                               → a piece
//!   Item     user 16 · id 16                                       → a piece
//!   Request  user 16 · key 16                                      → a piece
//!   Holder   address 16                                            → a piece
//!   Change   user 16 · offset of the latest change u64 · id 16     → nothing
//!   Keep     until u64 · kind u8 · the rest of a piece's key       → nothing; not of open items
//!   Due      at u64 · user 16 · what                               → app length u8 · app · entry
//!   History  user 16 · stream u8 · offset u64                      → id 16 · other records; or nothing
//! 0xffff · 0                                                       → which log it is a fold of
//!
//! other records: how far each is from the first, u16, in order
//! a piece: keep until u64 (the largest: forever) · offset of the latest change u64 · encoded piece
//! ```
//!
//! Numbers are big-endian, so that keys sort as numbers do.

use bytes::{Buf, BufMut, Bytes};
use campanile_core::port::{PieceKey, Stream};
use campanile_core::{
    AgendaEntry, DeliveryKind, Due, NotificationId, Offset, Partition, Timestamp, UserRef,
};

/// What comes before everything else. No partition has this number.
pub(super) const IDENTITY: [u8; 3] = [0xff, 0xff, 0];

/// Bytes of a piece's value before the encoded piece.
pub(super) const PIECE_HEAD: usize = 16;

/// The kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Fold = 0,
    Reach = 1,
    Item = 2,
    Request = 3,
    Change = 4,
    Keep = 5,
    Due = 6,
    History = 7,
    Holder = 50,
}

/// What every key of a kind begins with.
pub(super) fn prefix(partition: Partition, kind: Kind) -> Vec<u8> {
    let mut key = Vec::with_capacity(48);
    key.put_u16(partition.0);
    key.put_u8(kind as u8);
    key
}

/// What every key of a kind and a user begins with.
pub(super) fn user_prefix(partition: Partition, kind: Kind, user: UserRef) -> Vec<u8> {
    let mut key = prefix(partition, kind);
    key.put_slice(user.as_bytes());
    key
}

/// The first key after all that begin with `prefix`.
pub(super) fn after(mut prefix: Vec<u8>) -> Vec<u8> {
    while let Some(last) = prefix.pop() {
        if let Some(next) = last.checked_add(1) {
            prefix.push(next);
            break;
        }
    }
    prefix
}

pub(super) fn fold(partition: Partition, stream: Stream) -> Vec<u8> {
    let mut key = prefix(partition, Kind::Fold);
    key.put_u8(stream_number(stream));
    key
}

pub(super) fn piece(partition: Partition, piece: &PieceKey) -> Vec<u8> {
    match piece {
        PieceKey::Reach(user) => user_prefix(partition, Kind::Reach, *user),
        PieceKey::Item(user, id) => item(partition, *user, *id),
        PieceKey::Holder(address) => user_prefix(partition, Kind::Holder, *address),
        PieceKey::Request(user, request) => {
            let mut key = user_prefix(partition, Kind::Request, *user);
            key.put_slice(request.as_bytes());
            key
        }
    }
}

pub(super) fn item(partition: Partition, user: UserRef, id: NotificationId) -> Vec<u8> {
    let mut key = user_prefix(partition, Kind::Item, user);
    key.put_slice(id.as_bytes());
    key
}

pub(super) fn change(partition: Partition, user: UserRef, at: Offset) -> Vec<u8> {
    let mut key = user_prefix(partition, Kind::Change, user);
    key.put_u64(at.0);
    key
}

/// The item that a key made by [`change`] and its id speaks of, and where it changed.
pub(super) fn read_change(mut key: &[u8]) -> Option<NotificationId> {
    key = key.get(3 + 16 + 8..)?;
    let mut id = [0; 16];
    key.try_copy_to_slice(&mut id).ok()?;
    Some(NotificationId::from_bytes(id))
}

/// The entry that drops `piece` once `until` is over.
pub(super) fn keep(partition: Partition, until: u64, piece: &[u8]) -> Vec<u8> {
    let mut key = prefix(partition, Kind::Keep);
    key.put_u64(until);
    key.put_slice(piece.get(2..).unwrap_or_default());
    key
}

/// Until when a key made by [`keep`] keeps, and the key of its piece.
pub(super) fn read_keep(key: &[u8]) -> Option<(u64, Vec<u8>)> {
    let partition = key.get(..2)?;
    let mut rest = key.get(3..)?;
    let until = rest.try_get_u64().ok()?;
    Some((until, [partition, rest].concat()))
}

pub(super) fn due_from(partition: Partition, at: Timestamp) -> Vec<u8> {
    let mut key = prefix(partition, Kind::Due);
    key.put_u64(at.as_millis());
    key
}

/// Names an agenda entry. Not its stored form: that one changes when the format grows, and then an
/// entry could not be found again.
pub(super) fn due(partition: Partition, user: UserRef, entry: &AgendaEntry) -> Vec<u8> {
    let mut key = due_from(partition, entry.at);
    key.put_slice(user.as_bytes());
    match &entry.due {
        Due::Expire { id, revision } => {
            key.put_u8(0);
            key.put_slice(id.as_bytes());
            key.put_u32(*revision);
        }
        Due::Lapse { endpoint, registration } => {
            key.put_u8(1);
            key.put_slice(endpoint.as_bytes());
            key.put_slice(registration.as_bytes());
        }
        Due::Retry(parked) => {
            key.put_u8(2);
            key.put_slice(parked.delivery.as_bytes());
            key.put_slice(parked.item.as_bytes());
            key.put_u64(parked.cause.0);
            key.put_slice(parked.endpoint.as_bytes());
            key.put_slice(parked.platform.name().as_bytes());
            match parked.kind {
                DeliveryKind::Show { revision } => key.put_u32(revision),
                DeliveryKind::Sync => key.put_u8(0),
                DeliveryKind::Fallback { revision } => {
                    key.put_u8(60);
                    key.put_u32(revision);
                }
            }
            key.put_u32(parked.attempts);
        }
        Due::Sweep(sweep) => {
            key.put_u8(50);
            key.put_u64(sweep.event.0);
            key.put_u64(sweep.from.0);
        }
        Due::Fallback { id, revision } => {
            key.put_u8(60);
            key.put_slice(id.as_bytes());
            key.put_u32(*revision);
        }
        Due::Displace(who) => {
            key.put_u8(51);
            key.put_slice(who.user.as_bytes());
            key.put_slice(who.endpoint.as_bytes());
            key.put_slice(who.registration.as_bytes());
        }
    }
    key
}

/// Whose entry a key made by [`due`] names, and when it is due.
pub(super) fn read_due(key: &[u8]) -> Option<(Timestamp, UserRef)> {
    let mut rest = key.get(3..)?;
    let at = Timestamp::from_millis(rest.try_get_u64().ok()?);
    let mut user = [0; 16];
    rest.try_copy_to_slice(&mut user).ok()?;
    Some((at, UserRef::from_bytes(user)))
}

/// The value of a piece.
pub(super) fn piece_value(keep_until: u64, changed_at: Offset, encoded: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(PIECE_HEAD + encoded.len());
    value.put_u64(keep_until);
    value.put_u64(changed_at.0);
    value.put_slice(encoded);
    value
}

/// Until when a piece is kept, and where it changed last.
pub(super) fn read_piece_head(mut value: &[u8]) -> Option<(u64, Offset)> {
    let keep_until = value.try_get_u64().ok()?;
    Some((keep_until, Offset(value.try_get_u64().ok()?)))
}

/// Until when a piece is kept, where it changed last, and its encoded form.
pub(super) fn read_piece_value(value: &[u8]) -> Option<(u64, Offset, Bytes)> {
    let (keep_until, changed_at) = read_piece_head(value)?;
    Some((keep_until, changed_at, Bytes::copy_from_slice(value.get(PIECE_HEAD..)?)))
}

/// The number of a stream, in keys.
pub(super) fn stream_number(stream: Stream) -> u8 {
    match stream {
        Stream::Events => 0,
        Stream::Receipts => 1,
    }
}
