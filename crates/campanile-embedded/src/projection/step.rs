//! One step of a fold, as changes of the table.

use std::collections::BTreeMap;

use bytes::BufMut;
use campanile_core::port::{
    AgendaWrite, Piece, PieceKey, PieceWrite, ProjectionError, Stream, Write,
};
use campanile_core::{AgendaChange, NotificationId, Offset, Partition, Timestamp, UserRef};
use campanile_proto::codec;

use super::database::{Table, failed};
use super::fold::{Fold, Folds};
use super::keys::{self, Kind};

/// How many pieces one step drops at most: about what a step of the projector adds.
const DROPS: usize = 512;
/// The `keep until` of what is kept forever.
const FOREVER: u64 = u64::MAX;

/// Changes that are written together. One per key, the last counts.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Turns `write` into changes, and the partition's folds into what they are after it.
pub(super) fn changes(
    table: &Table,
    folds: &mut Folds,
    write: &Write,
) -> Result<Changes, ProjectionError> {
    let partition = write.partition;
    let mut changes = Changes::new();
    for piece in &write.pieces {
        put_piece(table, folds, &mut changes, partition, piece)?;
    }
    for entry in &write.agenda {
        put_agenda(folds, &mut changes, partition, entry);
    }
    for (user, item, record) in &write.history {
        let about = item.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
        changes.insert(keys::history(partition, *user, *record), Some(about));
    }
    let fold = folds.of(write.stream);
    let after = fold.unwrap_or_default().after(write);
    *fold = Some(after);
    changes.insert(keys::fold(partition, write.stream), Some(Fold::encode(after)));
    if write.stream == Stream::Events {
        drop_old(table, folds, &mut changes, partition, after.time)?;
    }
    Ok(changes)
}

fn put_piece(
    table: &Table,
    folds: &mut Folds,
    changes: &mut Changes,
    partition: Partition,
    write: &PieceWrite,
) -> Result<(), ProjectionError> {
    let key = keys::piece(partition, &write.key);
    let keep_until = write.keep_until.map_or(FOREVER, Timestamp::as_millis);
    let changed_at = match &write.piece {
        Piece::Item(item) => item.changed_at(),
        Piece::Reach(_) | Piece::Request(_) | Piece::Holder(_) => Offset(0),
    };
    let before = match table.keyspace.get(&key).map_err(failed)? {
        Some(value) => keys::read_piece_value(&value).map(|(keep, at, _)| (keep, at)),
        None => None,
    };
    if let PieceKey::Item(user, id) = write.key {
        let listed = |at| change_key(partition, user, at, id);
        match before {
            Some((_, at)) if at == changed_at => {}
            Some((_, at)) => {
                changes.insert(listed(at), None);
                changes.insert(listed(changed_at), Some(Vec::new()));
            }
            None => {
                changes.insert(listed(changed_at), Some(Vec::new()));
            }
        }
    }
    let kept = before.map_or(FOREVER, |(keep, _)| keep);
    if kept != keep_until {
        if kept != FOREVER {
            changes.insert(keys::keep(partition, kept, &key), None);
        }
        if keep_until != FOREVER {
            changes.insert(keys::keep(partition, keep_until, &key), Some(Vec::new()));
            folds.keep_floor = folds.keep_floor.min(keep_until);
        }
    }
    let encoded = codec::encode_piece(&write.piece);
    changes.insert(key, Some(keys::piece_value(keep_until, changed_at, &encoded)));
    Ok(())
}

fn put_agenda(folds: &mut Folds, changes: &mut Changes, partition: Partition, write: &AgendaWrite) {
    let AgendaWrite { app, user, change } = write;
    match change {
        AgendaChange::Add(entry) => {
            let (app, entry_bytes) = (app.as_str().as_bytes(), codec::encode_agenda_entry(entry));
            let mut value = Vec::with_capacity(1 + app.len() + entry_bytes.len());
            // An app's name has 64 bytes at most.
            value.put_u8(u8::try_from(app.len()).unwrap_or(u8::MAX));
            value.put_slice(app);
            value.put_slice(&entry_bytes);
            changes.insert(keys::due(partition, *user, entry), Some(value));
            folds.due_floor = folds.due_floor.min(entry.at.as_millis());
        }
        AgendaChange::Remove(entry) => {
            changes.insert(keys::due(partition, *user, entry), None);
        }
    }
}

/// Drops pieces that need not be kept at `now`, a bounded number of them.
fn drop_old(
    table: &Table,
    folds: &mut Folds,
    changes: &mut Changes,
    partition: Partition,
    now: u64,
) -> Result<(), ProjectionError> {
    if folds.keep_floor >= now {
        return Ok(());
    }
    let from = keys::keep(partition, folds.keep_floor, &[]);
    let to = keys::keep(partition, now, &[]);
    let mut floor = now;
    for (dropped, entry) in table.keyspace.range(from..to).enumerate() {
        let entry = entry.key().map_err(failed)?;
        let damaged = || ProjectionError::Damaged { reason: "a key cannot be read".into() };
        let (until, piece) = keys::read_keep(&entry).ok_or_else(damaged)?;
        if dropped == DROPS {
            floor = floor.min(until);
            break;
        }
        // This very step gave the piece another time, or wrote it again: the next step looks.
        if changes.contains_key(&*entry) {
            continue;
        }
        if changes.contains_key(&piece) {
            floor = floor.min(until);
            continue;
        }
        if piece.get(2) == Some(&(Kind::Item as u8)) {
            drop_from_list(table, changes, partition, &piece)?;
        }
        changes.insert(entry.to_vec(), None);
        changes.insert(piece, None);
    }
    // Entries of this step may be older than what was just looked through.
    let added = changes.range(keys::keep(partition, 0, &[])..keys::keep(partition, floor, &[]));
    let earliest =
        added.filter(|(_, value)| value.is_some()).find_map(|(key, _)| keys::read_keep(key));
    folds.keep_floor = earliest.map_or(floor, |(until, _)| until);
    Ok(())
}

fn drop_from_list(
    table: &Table,
    changes: &mut Changes,
    partition: Partition,
    item: &[u8],
) -> Result<(), ProjectionError> {
    let value = table.keyspace.get(item).map_err(failed)?;
    let changed_at = value.and_then(|value| keys::read_piece_value(&value)).map(|(_, at, _)| at);
    let user = item.get(3..19).and_then(|bytes| bytes.try_into().ok()).map(UserRef::from_bytes);
    let id =
        item.get(19..35).and_then(|bytes| bytes.try_into().ok()).map(NotificationId::from_bytes);
    if let (Some(at), Some(user), Some(id)) = (changed_at, user, id) {
        changes.insert(change_key(partition, user, at, id), None);
    }
    Ok(())
}

fn change_key(partition: Partition, user: UserRef, at: Offset, id: NotificationId) -> Vec<u8> {
    let mut key = keys::change(partition, user, at);
    key.put_slice(id.as_bytes());
    key
}
