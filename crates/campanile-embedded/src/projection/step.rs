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
use super::history;
use super::keys::{self, Kind};

/// How many pieces one step drops at most: about what a step of the projector adds.
const DROPS: usize = 512;
/// How long what need not be kept may stay, in milliseconds: looking for it is a scan through every
/// file of the table, which most steps would do in vain.
const DROP_EVERY: u64 = 1000;
/// The `keep until` of what is kept forever.
const FOREVER: u64 = u64::MAX;

/// Changes that are written together. One per key, the last counts.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Where a step goes.
pub(super) trait Step {
    /// What stands before an encoded piece: until when it is kept, and where it changed last.
    fn head(&self, piece: &[u8]) -> fjall::Result<Option<(u64, Offset)>>;

    /// Changes the value of a key; `None` removes it.
    fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>);
}

/// A step of a table that is read.
struct Served<'a> {
    table: &'a Table,
    changes: Changes,
}

impl Step for Served<'_> {
    fn head(&self, piece: &[u8]) -> fjall::Result<Option<(u64, Offset)>> {
        let value = self.table.keyspace.get(piece)?;
        Ok(value.and_then(|value| keys::read_piece_head(&value)))
    }

    fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.changes.insert(key, value);
    }
}

/// The changes of a step, and the partition's folds turned into what they are after it. Of a table
/// that is built at once they are gathered already, and none are left to be written.
pub(super) fn changes(
    table: &Table,
    folds: &mut Folds,
    write: &Write,
) -> Result<Changes, ProjectionError> {
    if let Some(gathered) = table.gather(write.partition, |part| fill(part, folds, write)) {
        return gathered.map(|()| Changes::new());
    }
    let mut step = Served { table, changes: Changes::new() };
    fill(&mut step, folds, write)?;
    let mut changes = step.changes;
    if write.stream == Stream::Events {
        let now = folds.of(write.stream).unwrap_or_default().time;
        drop_old(table, folds, &mut changes, write.partition, now)?;
    }
    Ok(changes)
}

/// Writes how far a fold is.
pub(super) fn claim(
    table: &Table,
    partition: Partition,
    stream: Stream,
    fold: Fold,
) -> Result<(), ProjectionError> {
    let (key, value) = (keys::fold(partition, stream), Some(fold.encode()));
    let gathered = table.gather(partition, |part| {
        part.put(key.clone(), value.clone());
        Ok(())
    });
    gathered.unwrap_or_else(|| table.write(&[partition], [(key, value)]).map_err(failed))
}

fn fill(step: &mut dyn Step, folds: &mut Folds, write: &Write) -> Result<(), ProjectionError> {
    let partition = write.partition;
    for piece in &write.pieces {
        put_piece(step, folds, partition, piece)?;
    }
    for entry in &write.agenda {
        put_agenda(step, folds, partition, entry);
    }
    history::put(step, partition, &write.history);
    let fold = folds.of(write.stream);
    let after = fold.unwrap_or_default().after(write);
    *fold = Some(after);
    step.put(keys::fold(partition, write.stream), Some(Fold::encode(after)));
    Ok(())
}

fn put_piece(
    step: &mut dyn Step,
    folds: &mut Folds,
    partition: Partition,
    write: &PieceWrite,
) -> Result<(), ProjectionError> {
    let key = keys::piece(partition, &write.key);
    let keep_until = write.keep_until.map_or(FOREVER, Timestamp::as_millis);
    let changed_at = match &write.piece {
        Piece::Item(item) => item.changed_at(),
        Piece::Reach(_) | Piece::Request(_) | Piece::Holder(_) => Offset(0),
    };
    let before = if write.is_new { None } else { step.head(&key).map_err(failed)? };
    if let PieceKey::Item(user, id) = write.key {
        let listed = |at| change_key(partition, user, at, id);
        match before {
            Some((_, at)) if at == changed_at => {}
            Some((_, at)) => {
                step.put(listed(at), None);
                step.put(listed(changed_at), Some(Vec::new()));
            }
            None => step.put(listed(changed_at), Some(Vec::new())),
        }
    }
    let kept = before.map_or(FOREVER, |(keep, _)| keep);
    if kept != keep_until && kept != FOREVER {
        step.put(keys::keep(partition, kept, &key), None);
    }
    if keep_until != FOREVER && !write.comes_again {
        step.put(keys::keep(partition, keep_until, &key), Some(Vec::new()));
        folds.keep_floor = folds.keep_floor.min(keep_until);
    }
    let encoded = codec::encode_piece(&write.piece);
    step.put(key, Some(keys::piece_value(keep_until, changed_at, &encoded)));
    Ok(())
}

fn put_agenda(step: &mut dyn Step, folds: &mut Folds, partition: Partition, write: &AgendaWrite) {
    let AgendaWrite { app, user, change } = write;
    match change {
        AgendaChange::Add(entry) => {
            let (app, entry_bytes) = (app.as_str().as_bytes(), codec::encode_agenda_entry(entry));
            let mut value = Vec::with_capacity(1 + app.len() + entry_bytes.len());
            // An app's name has 64 bytes at most.
            value.put_u8(u8::try_from(app.len()).unwrap_or(u8::MAX));
            value.put_slice(app);
            value.put_slice(&entry_bytes);
            step.put(keys::due(partition, *user, entry), Some(value));
            folds.due_floor = folds.due_floor.min(entry.at.as_millis());
        }
        AgendaChange::Remove(entry) => {
            step.put(keys::due(partition, *user, entry), None);
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
    if folds.keep_floor.saturating_add(DROP_EVERY) > now {
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
    let changed_at = value.and_then(|value| keys::read_piece_head(&value)).map(|(_, at)| at);
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
