//! A set of pieces of state that events are folded into.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher};

use campanile_core::port::{Piece, PieceKey};
use campanile_core::{Changes, Event, Limits, Recorded, State, Timestamp, apply, touches};

use crate::planted::{Bug, Planted};

/// A hash map that iterates the same way in every run; its keys are hashes nobody can choose.
pub(crate) type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

/// Pieces by key; `None` is known to be absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    known: Map<PieceKey, Option<Piece>>,
    planted: Planted,
}

impl Pieces {
    pub(crate) fn new(planted: Planted) -> Self {
        Self { known: Map::default(), planted }
    }

    pub(crate) fn is_known(&self, key: &PieceKey) -> bool {
        self.known.contains_key(key)
    }

    pub(crate) fn get(&self, key: &PieceKey) -> Option<&Piece> {
        self.known.get(key).and_then(Option::as_ref)
    }

    pub(crate) fn put(&mut self, key: PieceKey, piece: Option<Piece>) {
        self.known.insert(key, piece);
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&PieceKey) -> bool) {
        self.known.retain(|key, _| keep(key));
    }

    /// Folds `record` into the pieces it touches, as far as they are known: an unknown piece stays
    /// unknown, and an item whose post cannot be judged because its request is unknown becomes
    /// unknown. Tells what changed, and the keys of the changed pieces.
    ///
    /// A piece that storage may have dropped by the time of `record` is absent, dropped or not, so
    /// that the fold is the same whatever storage did.
    pub(crate) fn fold(&mut self, record: &Recorded) -> (Changes, Vec<PieceKey>) {
        let stripped;
        let record = if self.planted.has(Bug::LatePostOverDismissal) {
            stripped = without_request(record);
            &stripped
        } else {
            record
        };
        let keys = touches(record.fact.user, &record.fact.event);
        let (known, unknown): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| self.is_known(key));
        if unknown.iter().any(|key| matches!(key, PieceKey::Request(..))) {
            known.iter().filter(|key| matches!(key, PieceKey::Item(..))).for_each(|key| {
                self.known.remove(key);
            });
            return (Changes::default(), Vec::new());
        }
        let is_kept = |piece: &Piece| keep_until(piece).is_none_or(|until| record.time <= until);
        let taken = known.iter().filter_map(|key| Some((*key, self.known.get_mut(key)?.take()?)));
        let (taken, forgotten): (Vec<_>, Vec<_>) = taken.partition(|(_, piece)| is_kept(piece));
        let mut state = State::from_pieces(taken.into_iter().map(|(_, piece)| piece));
        let changes = apply(&mut state, record);
        let mut changed = BTreeSet::new();
        for key in known {
            let (piece, is_changed) = match key {
                PieceKey::Reach(_) => (Some(Piece::Reach(state.reach.clone())), changes.reach),
                PieceKey::Item(..) => (state.item.clone().map(Piece::Item), changes.item),
                PieceKey::Request(..) => (state.request.map(Piece::Request), changes.request),
            };
            self.known.insert(key, piece);
            if is_changed {
                changed.insert(key);
            }
        }
        // If nothing took its place it is still what storage has to have, to drop it.
        for (key, piece) in forgotten.into_iter().filter(|(key, _)| !changed.contains(key)) {
            self.known.insert(key, Some(piece));
        }
        (changes, changed.into_iter().collect())
    }
}

fn without_request(record: &Recorded) -> Recorded {
    let mut record = record.clone();
    if let Event::NotificationPosted(posted) = &mut record.fact.event {
        posted.request = None;
    }
    record
}

/// Until when a piece must be stored; `None`: forever.
pub(crate) fn keep_until(piece: &Piece) -> Option<Timestamp> {
    match piece {
        Piece::Reach(_) => None,
        Piece::Item(item) => Some(item.keep_until()),
        Piece::Request(request) => Some(request.until.after(Limits::REMEMBERED_AFTER)),
    }
}
