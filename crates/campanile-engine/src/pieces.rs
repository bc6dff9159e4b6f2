//! A set of pieces of state that events are folded into.

use std::collections::{HashMap, HashSet};

use campanile_core::port::{Piece, PieceKey, PieceWrite};
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
    /// Whether storage may have something under the key.
    is_stored: bool,
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
        let is_stored = piece.is_some();
        self.known.insert(key, Known { piece, as_of, is_stored });
    }

    /// Takes note that nothing was under the key of an item whose id was drawn for the post: nobody
    /// could name it before, and the log has a post once.
    pub(crate) fn put_if_drawn(&mut self, event: &Recorded, as_of: Offset) {
        let Event::NotificationPosted(posted) = &event.fact.event else { return };
        let key = PieceKey::Item(event.fact.user, posted.id);
        if posted.has_drawn_id() && !self.is_known(&key) {
            self.put(key, None, as_of);
        }
    }

    /// What stores a piece in a step that ends at `now`; from then on it is taken for stored.
    pub(crate) fn write(&mut self, key: PieceKey, now: Timestamp) -> Option<PieceWrite> {
        let known = self.known.get_mut(&key)?;
        let piece = known.piece.clone()?;
        let is_new = !std::mem::replace(&mut known.is_stored, true);
        let (keep_until, comes_again) = (keep_until(&piece), comes_again(&piece, now));
        Some(PieceWrite { key, piece, keep_until, is_new, comes_again })
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
    /// unknown. Tells what changed, and the keys of pieces to be stored: of those that changed, and of
    /// those that may be dropped, because storage may not look for them before.
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
        let is_kept = |piece: &Piece| !is_over(piece, record.time);
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
            if is_changed || known.piece.is_some() {
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

/// Whether a piece need not be there any more at `now`.
fn is_over(piece: &Piece, now: Timestamp) -> bool {
    keep_until(piece).is_some_and(|until| until < now)
}

/// Whether a piece is written again before storage need look for it: an item that has not ended is,
/// with its end, which is on the agenda. Unless that comes too late.
fn comes_again(piece: &Piece, now: Timestamp) -> bool {
    let is_open = matches!(piece, Piece::Item(it) if it.revision > 0 && it.ended.is_none());
    is_open && !is_over(piece, now)
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
    #![allow(clippy::unwrap_used, reason = "test code")]

    use campanile_core::{
        AgendaEntry, AppId, Content, Due, Fact, Generation, NotificationId, Partition,
        PlatformMask, Position, Posted, Priority, Recorded, Timestamp, UserRef,
    };

    use super::*;

    const USER: UserRef = UserRef::from_bytes([1; 16]);
    const ID: NotificationId = NotificationId::from_bytes([1; 16]);
    const ITEM: PieceKey = PieceKey::Item(USER, ID);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn recorded(event: Event, offset: u64, time: Timestamp) -> Recorded {
        let fact = Fact { app: AppId::new("app").unwrap(), user: USER, cause: None, event };
        let (generation, partition) = (Generation(1), Partition(0));
        Recorded {
            position: Position { generation, partition, offset: Offset(offset) },
            time,
            fact,
        }
    }

    fn post(expires_at: Timestamp) -> Event {
        Event::NotificationPosted(Posted {
            id: ID,
            request: None,
            app_notification_id: None,
            group: None,
            campaign: None,
            content: Content::default().into(),
            platforms: PlatformMask::ALL,
            priority: Priority::High,
            expires_at,
            deliver_by: expires_at,
            fallback: None,
        })
    }

    fn end(expires_at: Timestamp) -> Event {
        let due = Due::Expire { id: ID, revision: 1 };
        Event::CameDue(AgendaEntry { at: expires_at, due })
    }

    #[test]
    fn what_is_forgotten_is_not_brought_back_by_an_event_that_it_had_in_it() {
        let mut pieces = Pieces::default();
        pieces.put(PieceKey::Reach(USER), None, Offset(5));
        pieces.put(ITEM, None, Offset(5));
        let recall = Event::NotificationRecalled { id: ID, revision: None };
        let mut fold = |offset| pieces.fold(&recorded(recall.clone(), offset, at(offset))).1;
        assert_eq!(fold(4), vec![]);
        assert_eq!(fold(5), vec![ITEM]);
        assert!(pieces.get(&ITEM).is_some());
    }

    #[test]
    fn an_item_with_a_drawn_id_is_new_once_and_comes_again_while_it_is_open() {
        let (posted, ended) = (at(1000), at(2000));
        let mut pieces = Pieces::default();
        let post = recorded(post(ended), 0, posted);
        pieces.put_if_drawn(&post, Offset(0));
        pieces.fold(&post);
        let mut write = |now| {
            let write = pieces.write(ITEM, now).unwrap();
            (write.is_new, write.comes_again)
        };
        assert_eq!(write(posted), (true, true));
        assert_eq!(write(posted), (false, true));
        assert_eq!(write(ended.after(2 * Limits::REMEMBERED_AFTER)), (false, false));
        pieces.fold(&recorded(end(ended), 1, ended));
        let write = pieces.write(ITEM, ended).unwrap();
        assert_eq!((write.is_new, write.comes_again), (false, false));
    }

    #[test]
    fn an_item_that_somebody_else_named_has_to_be_read() {
        let mut named = recorded(post(at(2000)), 0, at(1000));
        if let Event::NotificationPosted(posted) = &mut named.fact.event {
            posted.app_notification_id = Some("name".into());
        }
        let mut pieces = Pieces::default();
        pieces.put_if_drawn(&named, Offset(0));
        assert!(!pieces.is_known(&ITEM));
        pieces.put(ITEM, None, Offset(0));
        pieces.fold(&named);
        assert!(pieces.write(ITEM, at(1000)).unwrap().is_new);
    }

    #[test]
    fn an_item_that_ends_after_it_was_forgotten_is_stored_again_so_that_it_goes() {
        let expires_at = at(2000);
        let mut pieces = Pieces::default();
        pieces.put(ITEM, None, Offset(0));
        assert_eq!(pieces.fold(&recorded(post(expires_at), 0, at(1000))).1, vec![ITEM]);
        let posted = pieces.get(&ITEM).cloned();
        let late = expires_at.after(2 * Limits::REMEMBERED_AFTER);
        let (changes, stored) = pieces.fold(&recorded(end(expires_at), 1, late));
        assert_eq!((changes.item, stored), (false, vec![ITEM]));
        assert_eq!(pieces.get(&ITEM), posted.as_ref());
    }
}
