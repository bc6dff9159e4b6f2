//! Adds up what a partition of a projection amounts to, so that two folds can be compared.
//!
//! What is hashed is the canonical stored form, not what lies on the disk: another release may have
//! written it, with fewer fields.

use campanile_core::port::{DueEntry, Piece, PieceKey, Sum};
use campanile_core::{Timestamp, UserRef};

use crate::codec;

/// Adds up pieces and agenda entries, each kind in the order of its keys.
#[derive(Clone, Debug, Default)]
pub struct Digester {
    reach: Adder,
    items: Adder,
    agenda: Adder,
}

#[derive(Clone, Debug, Default)]
struct Adder {
    count: u64,
    hash: blake3::Hasher,
}

impl Digester {
    /// Takes a piece in as it is at `now`, the partition's time. Items that have ended,
    /// remembered requests and holders of addresses are dropped sooner or later, so they do not
    /// count.
    pub fn piece(&mut self, key: &PieceKey, piece: &Piece, now: Timestamp) {
        let adder = match piece {
            Piece::Reach(_) => &mut self.reach,
            Piece::Item(item) if item.is_listed(now) => &mut self.items,
            Piece::Item(_) | Piece::Request(_) | Piece::Holder(_) => return,
        };
        adder.add(key.user(), &codec::encode_piece(piece));
    }

    /// Takes an agenda entry in.
    pub fn agenda(&mut self, due: &DueEntry) {
        self.agenda.add(due.user, &codec::encode_agenda_entry(&due.entry));
    }

    /// The sums of reach, items and agenda.
    #[must_use]
    pub fn finish(self) -> [Sum; 3] {
        [self.reach, self.items, self.agenda]
            .map(|it| Sum { count: it.count, hash: *it.hash.finalize().as_bytes() })
    }
}

impl Adder {
    fn add(&mut self, user: UserRef, encoded: &[u8]) {
        self.count += 1;
        self.hash.update(user.as_bytes());
        // The length first, so that no two sequences look alike.
        self.hash.update(&(encoded.len() as u64).to_be_bytes());
        self.hash.update(encoded);
    }
}
