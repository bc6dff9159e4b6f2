//! A whole log folded in memory, for tests of the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use campanile_core::port::{Piece, PieceKey, PieceWrite};
use campanile_core::{
    AgendaChange, AgendaEntry, Changes, Event, Holder, Item, NotificationId, Reach, Recorded,
    State, Timestamp, UserRef, apply, touches,
};

/// The state of every user, and nothing else: two worlds are equal if their states are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    pieces: BTreeMap<PieceKey, Piece>,
    agenda: BTreeSet<(AgendaEntry, UserRef)>,
}

impl World {
    /// The fold of `records`.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Recorded>) -> Self {
        let mut world = Self::default();
        for record in records {
            world.apply(record);
        }
        world
    }

    /// Folds one more record.
    pub fn apply(&mut self, record: &Recorded) -> Changes {
        let user = record.fact.user;
        let mut state = self.state(user, &record.fact.event);
        let changes = apply(&mut state, record);
        let item = state.item.map(Piece::Item);
        let reach = Some(Piece::Reach(state.reach)).filter(|_| changes.reach);
        let holder = state.holder.map(Piece::Holder).filter(|_| changes.holder);
        let others = state.request.map(Piece::Request).into_iter().chain(holder);
        for piece in reach.into_iter().chain(item).chain(others) {
            let key = match &piece {
                Piece::Reach(_) => Some(PieceKey::Reach(user)),
                Piece::Item(item) => Some(PieceKey::Item(user, item.id)),
                Piece::Request(_) => request_of(user, &record.fact.event),
                Piece::Holder(_) => Some(PieceKey::Holder(user)),
            };
            key.map(|key| self.pieces.insert(key, piece));
        }
        for change in &changes.agenda {
            match change {
                AgendaChange::Add(entry) => self.agenda.insert((*entry, user)),
                AgendaChange::Remove(entry) => self.agenda.remove(&(*entry, user)),
            };
        }
        changes
    }

    /// Forgets what a projection may have dropped by `now`: items that ended long ago, and holders
    /// of addresses that nobody claims.
    pub fn forget(&mut self, now: Timestamp) {
        self.pieces.retain(|_, piece| match piece {
            Piece::Item(item) => now <= item.keep_until(),
            Piece::Holder(holder) => now <= holder.keep_until(),
            Piece::Reach(_) | Piece::Request(_) => true,
        });
    }

    /// The pieces that an event about `user` touches, and the user's reach.
    #[must_use]
    pub fn state(&self, user: UserRef, event: &Event) -> State {
        let keys = touches(user, event);
        let keys = keys.chain([PieceKey::Reach(user)]);
        State::from_pieces(keys.filter_map(|key| self.pieces.get(&key).cloned()))
    }

    /// The pieces that `record`, folded last, changed, as a projector stores them.
    #[must_use]
    pub fn written(&self, record: &Recorded, changes: &Changes) -> Vec<PieceWrite> {
        let keys = touches(record.fact.user, &record.fact.event);
        let changed = keys.filter(|key| match key {
            PieceKey::Reach(_) => changes.reach,
            PieceKey::Item(..) => changes.item,
            PieceKey::Request(..) => changes.request,
            PieceKey::Holder(_) => changes.holder,
        });
        let write = |key| {
            let piece = self.pieces.get(&key)?.clone();
            let keep_until = match &piece {
                Piece::Reach(_) => None,
                Piece::Item(item) => Some(item.keep_until()),
                Piece::Request(request) => Some(request.until),
                Piece::Holder(holder) => Some(holder.keep_until()),
            };
            Some(PieceWrite { key, piece, keep_until, is_new: false, comes_again: false })
        };
        changed.filter_map(write).collect()
    }

    /// A user's endpoints.
    #[must_use]
    pub fn reach(&self, user: UserRef) -> Arc<Reach> {
        match self.pieces.get(&PieceKey::Reach(user)) {
            Some(Piece::Reach(reach)) => reach.clone(),
            _ => Arc::default(),
        }
    }

    /// A user's notification.
    #[must_use]
    pub fn item(&self, user: UserRef, id: NotificationId) -> Option<Arc<Item>> {
        match self.pieces.get(&PieceKey::Item(user, id)) {
            Some(Piece::Item(item)) => Some(item.clone()),
            _ => None,
        }
    }

    /// Who holds an address.
    #[must_use]
    pub fn holder(&self, address: UserRef) -> Option<Holder> {
        match self.pieces.get(&PieceKey::Holder(address)) {
            Some(Piece::Holder(holder)) => Some(*holder),
            _ => None,
        }
    }

    /// Every piece there is.
    pub fn pieces(&self) -> impl Iterator<Item = (&PieceKey, &Piece)> {
        self.pieces.iter()
    }

    /// A user's agenda, earliest first.
    pub fn agenda(&self, user: UserRef) -> impl Iterator<Item = AgendaEntry> {
        let own = self.agenda.iter().filter(move |(_, whose)| *whose == user);
        own.map(|(entry, _)| *entry)
    }
}

fn request_of(user: UserRef, event: &Event) -> Option<PieceKey> {
    match event {
        Event::NotificationPosted(posted) => {
            posted.request.map(|stamp| PieceKey::Request(user, stamp.key))
        }
        Event::RedeliveryRequested(asked) => Some(PieceKey::Request(user, asked.request())),
        _ => None,
    }
}
