//! Reads of the projection. Each sees one instant of the table.

use std::sync::Arc;

use bytes::Bytes;
use campanile_core::port::{
    DueEntry, ItemOrder, ItemQuery, Items, Piece, PieceKey, ProjectionError, Stream, Views,
};
use campanile_core::{AppId, Item, Offset, Partition, Timestamp, UserRef};
use campanile_proto::codec;
use fjall::{Readable, Snapshot, UserValue};

use super::database::{Table, failed};
use super::fold::{Fold, Folds};
use super::keys::{self, Kind};

/// The next event to fold.
///
/// # Errors
/// [`ProjectionError::NotBuilt`] if the partition's events were never claimed.
pub(super) fn checkpoint(table: &Table, partition: Partition) -> Result<Offset, ProjectionError> {
    let value = table.newest(partition, &keys::fold(partition, Stream::Events)).map_err(failed)?;
    next(value.as_deref().and_then(Fold::decode), partition)
}

fn next(fold: Option<Fold>, partition: Partition) -> Result<Offset, ProjectionError> {
    fold.map(|fold| Offset(fold.next)).ok_or(ProjectionError::NotBuilt(partition))
}

/// The next event to fold, at the instant of `snapshot`.
///
/// # Errors
/// [`ProjectionError::NotBuilt`] if the partition's events were never claimed.
pub(super) fn checkpoint_at(
    table: &Table,
    snapshot: &Snapshot,
    partition: Partition,
) -> Result<Offset, ProjectionError> {
    next(Fold::read(table, snapshot, partition, Stream::Events).map_err(failed)?, partition)
}

pub(super) fn view(
    table: &Table,
    partition: Partition,
    wanted: &[PieceKey],
) -> Result<Views, ProjectionError> {
    let fold = keys::fold(partition, Stream::Events);
    let keys = wanted.iter().map(|key| keys::piece(partition, key));
    let values = table.values(partition, &mut [fold].into_iter().chain(keys)).map_err(failed)?;
    let (fold, pieces) = values.split_first().ok_or(ProjectionError::NotBuilt(partition))?;
    let checkpoint = next(fold.as_deref().and_then(Fold::decode), partition)?;
    let piece = |value: &Option<UserValue>| value.as_ref().map(|value| piece(value)).transpose();
    let pieces = pieces.iter().map(piece).collect::<Result<_, _>>()?;
    Ok(Views { checkpoint, pieces })
}

pub(super) fn items(
    table: &Table,
    partition: Partition,
    user: UserRef,
    query: ItemQuery,
) -> Result<Items, ProjectionError> {
    let snapshot = table.snapshot(partition).map_err(failed)?;
    let checkpoint = checkpoint_at(table, &snapshot, partition)?;
    let all = keys::user_prefix(partition, Kind::Change, user);
    let (mut from, mut to) = (all.clone(), keys::after(all));
    match (query.order, query.after) {
        (_, None) => {}
        (ItemOrder::OldestFirst, Some(after)) => from = keys::change(partition, user, after.next()),
        (ItemOrder::NewestFirst, Some(after)) => to = keys::change(partition, user, after),
    }
    if from >= to {
        return Ok(Items { checkpoint, items: Vec::new(), more: false });
    }
    let mut listed = snapshot.range(&table.keyspace, from..to);
    let mut next = || match query.order {
        ItemOrder::OldestFirst => listed.next(),
        ItemOrder::NewestFirst => listed.next_back(),
    };
    let mut items = Vec::new();
    while let Some(entry) = next() {
        if items.len() >= query.limit {
            return Ok(Items { checkpoint, items, more: true });
        }
        let entry = entry.key().map_err(failed)?;
        let id = keys::read_change(&entry).ok_or_else(|| damaged("a key cannot be read"))?;
        items.push(item(table, &snapshot, &keys::item(partition, user, id))?);
    }
    Ok(Items { checkpoint, items, more: false })
}

/// What is due; moves the floor of `folds`, which the caller has locked.
pub(super) fn due(
    table: &Table,
    folds: &mut Folds,
    partition: Partition,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<DueEntry>, ProjectionError> {
    let snapshot = table.snapshot(partition).map_err(failed)?;
    checkpoint_at(table, &snapshot, partition)?;
    let from = keys::due_from(partition, Timestamp::from_millis(folds.due_floor));
    let mut found = Vec::new();
    let mut floor = None;
    let all = keys::after(keys::prefix(partition, Kind::Due));
    for entry in snapshot.range(&table.keyspace, from..all) {
        let (key, value) = entry.into_inner().map_err(failed)?;
        let (at, user) = keys::read_due(&key).ok_or_else(|| damaged("a key cannot be read"))?;
        floor.get_or_insert(at.as_millis());
        if at > until || found.len() >= limit {
            break;
        }
        found.push(due_entry(user, &value)?);
    }
    folds.due_floor = floor.unwrap_or(u64::MAX);
    Ok(found)
}

pub(super) fn due_entry(user: UserRef, value: &[u8]) -> Result<DueEntry, ProjectionError> {
    let cut = || damaged("an agenda entry cannot be read");
    let (length, rest) = value.split_first().ok_or_else(cut)?;
    let (app, entry) = rest.split_at_checked(usize::from(*length)).ok_or_else(cut)?;
    let app = std::str::from_utf8(app).ok().and_then(|app| AppId::new(app).ok()).ok_or_else(cut)?;
    let entry = codec::decode_agenda_entry(&Bytes::copy_from_slice(entry));
    Ok(DueEntry { app, user, entry: entry.map_err(|error| damaged(&error.to_string()))? })
}

fn item(table: &Table, snapshot: &Snapshot, key: &[u8]) -> Result<Arc<Item>, ProjectionError> {
    let value = snapshot.get(&table.keyspace, key).map_err(failed)?;
    match value.map(|value| piece(&value)).transpose()? {
        Some(Piece::Item(item)) => Ok(item),
        _ => Err(damaged("an item is listed that is not there")),
    }
}

/// Opens the value of a piece.
pub(super) fn piece(value: &[u8]) -> Result<Piece, ProjectionError> {
    let (_, _, encoded) =
        keys::read_piece_value(value).ok_or_else(|| damaged("a piece is cut off"))?;
    codec::decode_piece(&encoded).map_err(|error| damaged(&error.to_string()))
}

pub(super) fn damaged(reason: &str) -> ProjectionError {
    ProjectionError::Damaged { reason: reason.to_owned() }
}
