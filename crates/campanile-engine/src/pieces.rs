//! A set of pieces of state that events are folded into.

use std::collections::{HashMap, HashSet};

use campanile_core::port::{Piece, PieceKey};
use campanile_core::{Changes, Event, Limits, Offset, Recorded, State, Timestamp, apply, touches};
use rustc_hash::FxBuildHasher;

use crate::planted::{Bug, Planted};

/// A hash map that iterates the same way in every run; its keys are hashes nobody can choose.
pub(crate) type Map<K, V> = HashMap<K, V, FxBuildHasher>;

/// A hash set like [`Map`].
pub(crate) type Set<K> = HashSet<K, FxBuildHasher>;

/// Pieces by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    known: Map<PieceKey, Known>,
    planted: Planted,
}

/// What is known of one piece.
#[derive(Clone, Debug)]
struct Known {
    /// Absent: it was never there, or is forgotten.
    piece: Option<Piece>,
    /// All events before this were in it when it was read; also if they left nothing behind.
    as_of: Offset,
}

impl Pieces {
    pub(crate) fn new(planted: Planted) -> Self {
        Self { known: Map::default(), planted }
    }

    pub(crate) fn is_known(&self, key: &PieceKey) -> bool {
        self.known.contains_key(key)
    }

    pub(crate) fn get(&self, key: &PieceKey) -> Option<&Piece> {
        self.known.get(key).and_then(|known| known.piece.as_ref())
    }

    /// Takes what was read, with all events before `as_of` in it.
    pub(crate) fn put(&mut self, key: PieceKey, piece: Option<Piece>, as_of: Offset) {
        self.known.insert(key, Known { piece, as_of });
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &PieceKey> {
        self.known.keys()
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&PieceKey) -> bool) {
        self.known.retain(|key, _| keep(key));
    }

    /// Folds `record` into the pieces it touches, as far as they are known: an unknown piece stays
    /// unknown, and an item whose post cannot be judged because its request is unknown becomes
    /// unknown. Tells what changed, and the keys of the changed pieces.
    ///
    /// A piece that storage may have dropped by the time of `record` is absent, dropped or not, so
    /// that the fold is the same whatever storage did. And a piece with the event in it stays as it
    /// is: if it is absent then it is forgotten, and the event does not bring it back.
    pub(crate) fn fold(&mut self, record: &Recorded) -> (Changes, Vec<PieceKey>) {
        let stripped;
        let record = if self.planted.has(Bug::LatePostOverDismissal) {
            stripped = without_request(record);
            &stripped
        } else {
            record
        };
        let keys = touches(record.fact.user, &record.fact.event);
        if keys.clone().any(|key| matches!(key, PieceKey::Request(..)) && !self.is_known(&key)) {
            let is_post = matches!(record.fact.event, Event::NotificationPosted(_));
            keys.filter(|key| is_post && matches!(key, PieceKey::Item(..))).for_each(|key| {
                self.known.remove(&key);
            });
            return (Changes::default(), Vec::new());
        }
        let is_newer = |known: &Known| record.position.offset < known.as_of;
        let is_kept = |piece: &Piece| keep_until(piece).is_none_or(|until| record.time <= until);
        let mut state = State::default();
        for key in keys.clone() {
            let Some(known) = self.known.get_mut(&key) else { continue };
            let piece = match is_newer(known) {
                true => known.piece.clone(),
                // Taken, so that it is changed in place.
                false => known.piece.take_if(|piece| is_kept(piece)),
            };
            piece.into_iter().for_each(|piece| state.put(piece));
        }
        let changes = apply(&mut state, record);
        let mut changed = Vec::new();
        for key in keys {
            let Some(known) = self.known.get_mut(&key).filter(|known| !is_newer(known)) else {
                continue;
            };
            let (piece, is_changed) = match key {
                PieceKey::Reach(_) => (Some(Piece::Reach(state.reach.clone())), changes.reach),
                PieceKey::Item(..) => (state.item.clone().map(Piece::Item), changes.item),
                PieceKey::Request(..) => (state.request.map(Piece::Request), changes.request),
                PieceKey::Holder(_) => (state.holder.map(Piece::Holder), changes.holder),
            };
            if is_changed {
                changed.push(key);
            }
            // One that may be dropped, and that nothing takes the place of, is still what storage
            // has to have, to drop it.
            if is_changed || known.piece.is_none() {
                known.piece = piece;
            }
        }
        (changes, changed)
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
        Piece::Holder(holder) => Some(holder.keep_until()),
    }
}

#[cfg(test)]
mod tests {
    use campanile_core::{
        AppId, Fact, Generation, NotificationId, Partition, Position, Recorded, Timestamp, UserRef,
    };

    use super::*;

    fn recall(id: NotificationId, offset: u64) -> Option<Recorded> {
        let event = Event::NotificationRecalled { id, revision: None };
        let user = UserRef::from_bytes([1; 16]);
        let fact = Fact { app: AppId::new("app").ok()?, user, cause: None, event };
        let (generation, partition) = (Generation(1), Partition(0));
        let position = Position { generation, partition, offset: Offset(offset) };
        Some(Recorded { position, time: Timestamp::from_millis(offset), fact })
    }

    #[test]
    fn what_is_forgotten_is_not_brought_back_by_an_event_that_it_had_in_it() {
        let (user, id) = (UserRef::from_bytes([1; 16]), NotificationId::from_bytes([1; 16]));
        let item = PieceKey::Item(user, id);
        let mut pieces = Pieces::default();
        pieces.put(PieceKey::Reach(user), None, Offset(5));
        pieces.put(item, None, Offset(5));
        let mut fold = |offset| recall(id, offset).map(|it| pieces.fold(&it).1);
        assert_eq!(fold(4), Some(vec![]));
        assert_eq!(fold(5), Some(vec![item]));
        assert!(pieces.get(&item).is_some());
    }
}
