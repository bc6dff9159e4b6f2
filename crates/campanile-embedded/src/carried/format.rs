//! The bytes of what is carried. See [`crate::carried`] for the picture.

use std::io::{self, Read};
use std::path::Path;

use bytes::{Buf, BufMut, Bytes};
use campanile_core::port::{
    AgendaWrite, CarriedState, Piece, PieceKey, PieceWrite, ProjectionError,
};
use campanile_core::{
    AgendaChange, AppId, LogIdentity, Offset, Partition, RequestKey, Timestamp, UserRef,
};
use campanile_proto::codec;

const MAGIC: &[u8; 8] = b"CAMPCRD1";
const HEAD: usize = 8 + 16 + 2 + 8 + 8;
/// The `keep until` of what is kept forever.
const FOREVER: u64 = u64::MAX;

const END: u8 = 0;
const REACH: u8 = 1;
const ITEM: u8 = 2;
const REQUEST: u8 = 3;
const DUE: u8 = 4;
const HOLDER: u8 = 50;

/// The file of `state`.
pub(super) fn encode(log: &LogIdentity, partition: Partition, state: &CarriedState) -> Vec<u8> {
    let mut bytes = Vec::from(*MAGIC);
    bytes.put_slice(&log.id);
    bytes.put_u16_le(partition.0);
    bytes.put_u64_le(state.as_of.0);
    bytes.put_u64_le(state.time.as_millis());
    for PieceWrite { key, piece, keep_until, .. } in &state.pieces {
        let mut entry = Vec::new();
        let keep_until = keep_until.map_or(FOREVER, Timestamp::as_millis);
        let kind = match key {
            PieceKey::Reach(_) => REACH,
            PieceKey::Item(..) => ITEM,
            PieceKey::Request(..) => REQUEST,
            PieceKey::Holder(_) => HOLDER,
        };
        if kind != REACH {
            entry.put_u64_le(keep_until);
        }
        entry.put_slice(key.user().as_bytes());
        if let PieceKey::Request(_, request) = key {
            entry.put_slice(request.as_bytes());
        }
        entry.put_slice(&codec::encode_piece(piece));
        put(&mut bytes, kind, &entry);
    }
    let mut agenda = 0;
    for AgendaWrite { app, user, change } in &state.agenda {
        let AgendaChange::Add(due) = change else { continue };
        let mut entry = Vec::from(*user.as_bytes());
        // An app's name has 64 bytes at most.
        entry.put_u8(u8::try_from(app.as_str().len()).unwrap_or(u8::MAX));
        entry.put_slice(app.as_str().as_bytes());
        entry.put_slice(&codec::encode_agenda_entry(due));
        put(&mut bytes, DUE, &entry);
        agenda += 1;
    }
    put(&mut bytes, END, &(state.pieces.len() as u64 + agenda).to_le_bytes());
    let checksum = crc32c::crc32c(&bytes);
    bytes.put_u32_le(checksum);
    bytes
}

fn put(bytes: &mut Vec<u8>, kind: u8, entry: &[u8]) {
    bytes.put_u8(kind);
    bytes.put_u32_le(u32::try_from(entry.len()).unwrap_or(u32::MAX));
    bytes.put_slice(entry);
}

/// Reads up to where the file at `path` carries; `None` if there is none. Trusts its checksum to
/// whoever reads the rest.
pub(super) fn read_as_of(
    path: &Path,
    log: &LogIdentity,
    partition: Partition,
) -> Result<Option<Offset>, ProjectionError> {
    let mut bytes = Vec::new();
    match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => {
            let read = opened.and_then(|file| file.take(HEAD as u64).read_to_end(&mut bytes));
            read.map_err(|error| unavailable(path, &error))?;
        }
    }
    let head = head(&bytes.into(), log, partition).map_err(|reason| damaged(path, reason))?;
    Ok(Some(head.0))
}

/// Reads the file at `path`; `None` if there is none.
pub(super) fn read(
    path: &Path,
    log: &LogIdentity,
    partition: Partition,
) -> Result<Option<CarriedState>, ProjectionError> {
    let Some(bytes) = bytes_of(path)? else { return Ok(None) };
    decode(bytes, log, partition).map(Some).map_err(|reason| damaged(path, reason))
}

fn bytes_of(path: &Path) -> Result<Option<Bytes>, ProjectionError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unavailable(path, &error)),
    }
}

fn unavailable(path: &Path, error: &io::Error) -> ProjectionError {
    ProjectionError::Unavailable { reason: format!("cannot read {}: {error}", path.display()) }
}

fn damaged(path: &Path, reason: &str) -> ProjectionError {
    ProjectionError::Damaged { reason: format!("{}: {reason}", path.display()) }
}

fn head(
    bytes: &Bytes,
    log: &LogIdentity,
    partition: Partition,
) -> Result<(Offset, Timestamp), &'static str> {
    let mut rest = bytes.get(..HEAD).ok_or("cut off")?;
    if rest.get(..8) != Some(MAGIC) {
        return Err("not what is carried, or in a format that this release does not know");
    }
    if rest.get(8..24) != Some(&log.id) {
        return Err("belongs to another log");
    }
    rest.advance(24);
    if rest.get_u16_le() != partition.0 {
        return Err("belongs to another partition");
    }
    Ok((Offset(rest.get_u64_le()), Timestamp::from_millis(rest.get_u64_le())))
}

fn decode(
    bytes: Bytes,
    log: &LogIdentity,
    partition: Partition,
) -> Result<CarriedState, &'static str> {
    let (as_of, time) = head(&bytes, log, partition)?;
    let end = bytes.len().checked_sub(4).ok_or("cut off")?;
    let (content, mut stored) = (bytes.slice(..end), bytes.slice(end..));
    if stored.get_u32_le() != crc32c::crc32c(&content) {
        return Err("its checksum is wrong");
    }
    let mut state = CarriedState { as_of, time, pieces: Vec::new(), agenda: Vec::new() };
    let mut rest = content.slice(HEAD.min(content.len())..);
    loop {
        let kind = rest.try_get_u8().map_err(|_| "cut off")?;
        let length = rest.try_get_u32_le().map_err(|_| "cut off")? as usize;
        if length > rest.len() {
            return Err("cut off");
        }
        let mut entry = rest.split_to(length);
        if kind == END {
            let count = entry.try_get_u64_le().map_err(|_| "cut off")?;
            let is_whole = count == (state.pieces.len() + state.agenda.len()) as u64;
            return if is_whole && rest.is_empty() {
                Ok(state)
            } else {
                Err("entries are missing")
            };
        }
        take(&mut state, kind, entry).ok_or("an entry cannot be understood")?;
    }
}

fn take(state: &mut CarriedState, kind: u8, mut entry: Bytes) -> Option<()> {
    let keep_until = match kind {
        ITEM | REQUEST | HOLDER => {
            Some(entry.try_get_u64_le().ok()?).filter(|until| *until != FOREVER)
        }
        _ => None,
    };
    let user = UserRef::from_bytes(id(&mut entry)?);
    let key = match kind {
        REQUEST => Some(RequestKey::from_bytes(id(&mut entry)?)),
        _ => None,
    };
    if kind == DUE {
        let length = usize::from(entry.try_get_u8().ok()?);
        let app = (length <= entry.len()).then(|| entry.split_to(length))?;
        let app = AppId::new(std::str::from_utf8(&app).ok()?).ok()?;
        let due = codec::decode_agenda_entry(&entry).ok()?;
        state.agenda.push(AgendaWrite { app, user, change: AgendaChange::Add(due) });
        return Some(());
    }
    let piece = codec::decode_piece(&entry).ok()?;
    let key = match (kind, &piece) {
        (REACH, Piece::Reach(_)) => PieceKey::Reach(user),
        (HOLDER, Piece::Holder(_)) => PieceKey::Holder(user),
        (ITEM, Piece::Item(item)) => PieceKey::Item(user, item.id),
        (REQUEST, Piece::Request(_)) => PieceKey::Request(user, key?),
        _ => return None,
    };
    let keep_until = keep_until.map(Timestamp::from_millis);
    state.pieces.push(PieceWrite { key, piece, keep_until, is_new: false, comes_again: false });
    Some(())
}

fn id(entry: &mut Bytes) -> Option<[u8; 16]> {
    let mut id = [0; 16];
    entry.try_copy_to_slice(&mut id).ok()?;
    Some(id)
}
