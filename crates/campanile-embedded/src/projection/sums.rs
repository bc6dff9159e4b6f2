//! Adds a partition up, at one instant of the table.
//!
//! Reading pieces costs most of that. Two tables that hold the same bytes amount to the same, so
//! the second one is read only if its bytes differ from those of the first.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use blake3::Hasher;
use campanile_core::port::{Digest, Piece, PieceKey, ProjectionError, Stream};
use campanile_core::{Offset, Partition, Timestamp, UserRef};
use campanile_proto::digest::Digester;
use fjall::{Readable, Snapshot};

use super::database::{Table, failed};
use super::fold::Fold;
use super::keys::{self, Kind};
use super::read;

/// What the bytes of a partition are: of everything that counts, and of where it is folded to.
type Print = [u8; 32];

/// What partitions amounted to, by their bytes.
#[derive(Default)]
pub(super) struct Known(BTreeMap<Partition, (Print, Digest)>);

/// What the partition amounts to. `known` is what it amounted to in the other namespace or earlier.
pub(super) fn digest(
    table: &Table,
    partition: Partition,
    known: &Mutex<Known>,
) -> Result<Digest, ProjectionError> {
    let snapshot = table.snapshot(partition).map_err(failed)?;
    let known = || known.lock().unwrap_or_else(PoisonError::into_inner);
    let before = known().0.get(&partition).copied();
    if let Some((print, digest)) = before
        && Sum::new(table, &snapshot, partition)?.print()? == print
    {
        return Ok(digest);
    }
    let mut sum = Sum::new(table, &snapshot, partition)?;
    sum.digester = Some(Digester::default());
    let (print, digest) = sum.finish()?;
    known().0.insert(partition, (print, digest));
    Ok(digest)
}

struct Sum<'a> {
    table: &'a Table,
    snapshot: &'a Snapshot,
    partition: Partition,
    checkpoint: Offset,
    now: Timestamp,
    print: Hasher,
    /// Absent: only the bytes are looked at.
    digester: Option<Digester>,
}

impl<'a> Sum<'a> {
    fn new(
        table: &'a Table,
        snapshot: &'a Snapshot,
        partition: Partition,
    ) -> Result<Self, ProjectionError> {
        let checkpoint = read::checkpoint_at(table, snapshot, partition)?;
        let fold = Fold::read(table, snapshot, partition, Stream::Events).map_err(failed)?;
        let now = Timestamp::from_millis(fold.map_or(0, |fold| fold.time));
        let mut print = Hasher::new();
        print.update(&checkpoint.0.to_be_bytes()).update(&now.as_millis().to_be_bytes());
        Ok(Self { table, snapshot, partition, checkpoint, now, print, digester: None })
    }

    fn print(mut self) -> Result<Print, ProjectionError> {
        self.add()?;
        Ok(*self.print.finalize().as_bytes())
    }

    fn finish(mut self) -> Result<(Print, Digest), ProjectionError> {
        self.add()?;
        let [reach, items, agenda] = self.digester.take().unwrap_or_default().finish();
        let digest = Digest { checkpoint: self.checkpoint, reach, items, agenda };
        Ok((*self.print.finalize().as_bytes(), digest))
    }

    fn add(&mut self) -> Result<(), ProjectionError> {
        for kind in [Kind::Reach, Kind::Item] {
            self.pieces(kind)?;
        }
        let due = keys::prefix(self.partition, Kind::Due);
        for entry in self.snapshot.prefix(&self.table.keyspace, due) {
            let (key, value) = entry.into_inner().map_err(failed)?;
            self.look_at(&key, &value);
            let Some(digester) = &mut self.digester else { continue };
            let (_, user) = keys::read_due(&key).ok_or_else(damaged)?;
            digester.agenda(&read::due_entry(user, &value)?);
        }
        Ok(())
    }

    /// Pieces that storage may have dropped do not count, unless they do for those who read them:
    /// so what is left out adds nothing to a digest.
    fn pieces(&mut self, kind: Kind) -> Result<(), ProjectionError> {
        let all = keys::prefix(self.partition, kind);
        for entry in self.snapshot.prefix(&self.table.keyspace, all) {
            let (key, value) = entry.into_inner().map_err(failed)?;
            let (keep_until, _) = keys::read_piece_head(&value).ok_or_else(damaged)?;
            let may_be_dropped = keep_until < self.now.as_millis();
            if self.digester.is_none() && !may_be_dropped {
                self.look_at(&key, &value);
                continue;
            }
            let piece = read::piece(&value)?;
            let is_listed = !matches!(&piece, Piece::Item(item) if !item.is_listed(self.now));
            if is_listed || !may_be_dropped {
                self.look_at(&key, &value);
            }
            if let Some(digester) = &mut self.digester {
                let user = key.get(3..19).and_then(|bytes| bytes.try_into().ok());
                let user = user.map(UserRef::from_bytes).ok_or_else(damaged)?;
                let key = match &piece {
                    Piece::Item(item) => PieceKey::Item(user, item.id),
                    Piece::Reach(_) | Piece::Request(_) | Piece::Holder(_) => PieceKey::Reach(user),
                };
                digester.piece(&key, &piece, self.now);
            }
        }
        Ok(())
    }

    /// The lengths first, so that no two sequences look alike.
    fn look_at(&mut self, key: &[u8], value: &[u8]) {
        let lengths = [key.len() as u64, value.len() as u64].map(u64::to_be_bytes);
        self.print.update(lengths.as_flattened()).update(key).update(value);
    }
}

fn damaged() -> ProjectionError {
    ProjectionError::Damaged { reason: "a key or value cannot be read".into() }
}
