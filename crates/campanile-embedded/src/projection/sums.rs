//! Adds a partition up, at one instant of the table.

use campanile_core::port::{Digest, Piece, PieceKey, ProjectionError, Stream};
use campanile_core::{Offset, Partition, Timestamp, UserRef};
use campanile_proto::codec;
use campanile_proto::digest::Digester;
use fjall::{Readable, Snapshot};

use super::database::{Table, failed};
use super::fold::Fold;
use super::keys::{self, Kind};
use super::read;

/// What the partition amounts to.
pub(super) fn digest(table: &Table, partition: Partition) -> Result<Digest, ProjectionError> {
    let snapshot = table.snapshot().map_err(failed)?;
    let checkpoint = read::checkpoint_at(table, &snapshot, partition)?;
    let fold = Fold::read(table, &snapshot, partition, Stream::Events).map_err(failed)?;
    let now = Timestamp::from_millis(fold.map_or(0, |fold| fold.time));
    let mut digester = Digester::default();
    for kind in [Kind::Reach, Kind::Item] {
        pieces(table, &snapshot, partition, kind, now, &mut digester)?;
    }
    for entry in snapshot.prefix(&table.keyspace, keys::prefix(partition, Kind::Due)) {
        let (key, value) = entry.into_inner().map_err(failed)?;
        let (_, user) = keys::read_due(&key).ok_or_else(damaged)?;
        digester.agenda(&read::due_entry(user, &value)?);
    }
    let [reach, items, agenda] = digester.finish();
    Ok(Digest { checkpoint: Offset(checkpoint.0), reach, items, agenda })
}

fn pieces(
    table: &Table,
    snapshot: &Snapshot,
    partition: Partition,
    kind: Kind,
    now: Timestamp,
    digester: &mut Digester,
) -> Result<(), ProjectionError> {
    for entry in snapshot.prefix(&table.keyspace, keys::prefix(partition, kind)) {
        let (key, value) = entry.into_inner().map_err(failed)?;
        let user = key.get(3..19).and_then(|bytes| bytes.try_into().ok());
        let user = user.map(UserRef::from_bytes).ok_or_else(damaged)?;
        let (_, _, encoded) = keys::read_piece_value(&value).ok_or_else(damaged)?;
        let piece = codec::decode_piece(&encoded);
        let piece =
            piece.map_err(|error| ProjectionError::Damaged { reason: error.to_string() })?;
        let key = match &piece {
            Piece::Item(item) => PieceKey::Item(user, item.id),
            Piece::Reach(_) | Piece::Request(_) | Piece::Holder(_) => PieceKey::Reach(user),
        };
        digester.piece(&key, &piece, now);
    }
    Ok(())
}

fn damaged() -> ProjectionError {
    ProjectionError::Damaged { reason: "a key or value cannot be read".into() }
}
