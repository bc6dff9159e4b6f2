//! Reads all of a partition's state, at one instant of the table.

use campanile_core::port::{
    AgendaWrite, CarriedState, DueEntry, Piece, PieceKey, PieceWrite, ProjectionError, Stream,
};
use campanile_core::{AgendaChange, Partition, RequestKey, Timestamp, UserRef};
use campanile_proto::codec;
use fjall::{Readable, Snapshot};

use super::database::{Table, failed};
use super::fold::Fold;
use super::keys::{self, Kind};
use super::read;

/// The `keep until` of what is kept forever.
const FOREVER: u64 = u64::MAX;

/// Every piece that is kept at the partition's time, and every agenda entry.
pub(super) fn state(table: &Table, partition: Partition) -> Result<CarriedState, ProjectionError> {
    let snapshot = table.snapshot(partition).map_err(failed)?;
    let as_of = read::checkpoint_at(table, &snapshot, partition)?;
    let fold = Fold::read(table, &snapshot, partition, Stream::Events).map_err(failed)?;
    let time = Timestamp::from_millis(fold.map_or(0, |fold| fold.time));
    let mut state = CarriedState { as_of, time, pieces: Vec::new(), agenda: Vec::new() };
    for kind in [Kind::Reach, Kind::Item, Kind::Request, Kind::Holder] {
        pieces(table, &snapshot, partition, kind, &mut state)?;
    }
    for entry in snapshot.prefix(&table.keyspace, keys::prefix(partition, Kind::Due)) {
        let (key, value) = entry.into_inner().map_err(failed)?;
        let (_, user) = keys::read_due(&key).ok_or_else(damaged)?;
        let DueEntry { app, user, entry } = read::due_entry(user, &value)?;
        state.agenda.push(AgendaWrite { app, user, change: AgendaChange::Add(entry) });
    }
    Ok(state)
}

fn pieces(
    table: &Table,
    snapshot: &Snapshot,
    partition: Partition,
    kind: Kind,
    state: &mut CarriedState,
) -> Result<(), ProjectionError> {
    for entry in snapshot.prefix(&table.keyspace, keys::prefix(partition, kind)) {
        let (key, value) = entry.into_inner().map_err(failed)?;
        let (keep_until, _, encoded) = keys::read_piece_value(&value).ok_or_else(damaged)?;
        if keep_until < state.time.as_millis() {
            // What storage may have dropped by now.
            continue;
        }
        let piece = codec::decode_piece(&encoded);
        let piece =
            piece.map_err(|error| ProjectionError::Damaged { reason: error.to_string() })?;
        let user = UserRef::from_bytes(id(&key, 3).ok_or_else(damaged)?);
        let key = match &piece {
            Piece::Reach(_) => PieceKey::Reach(user),
            Piece::Item(item) => PieceKey::Item(user, item.id),
            Piece::Holder(_) => PieceKey::Holder(user),
            Piece::Request(_) => {
                let request = id(&key, 3 + 16).ok_or_else(damaged)?;
                PieceKey::Request(user, RequestKey::from_bytes(request))
            }
        };
        let keep_until = (keep_until != FOREVER).then(|| Timestamp::from_millis(keep_until));
        state.pieces.push(PieceWrite { key, piece, keep_until, is_new: false, comes_again: false });
    }
    Ok(())
}

fn id(key: &[u8], at: usize) -> Option<[u8; 16]> {
    key.get(at..at + 16)?.try_into().ok()
}

fn damaged() -> ProjectionError {
    ProjectionError::Damaged { reason: "a key or value cannot be read".into() }
}
