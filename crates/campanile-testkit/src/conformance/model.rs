//! The projection as a list of writes: slow, and too plain to be wrong.

use std::collections::BTreeSet;

use campanile_core::port::{ItemOrder, Piece, PieceKey, RecordRef, Stream, Write};
use campanile_core::{AgendaChange, AgendaEntry, NotificationId, Offset, Timestamp, UserRef};

/// The writes applied, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) writes: Vec<Write>,
}

impl Model {
    pub(super) fn checkpoint(&self, stream: Stream) -> Offset {
        let last = self.writes.iter().rfind(|write| write.stream == stream);
        last.map_or(Offset(0), |write| write.to)
    }

    fn time(&self) -> Timestamp {
        let events = self.writes.iter().filter(|write| write.stream == Stream::Events);
        events.map(|write| write.time).max().unwrap_or_default()
    }

    /// Every key ever written.
    pub(super) fn keys(&self) -> BTreeSet<PieceKey> {
        self.writes.iter().flat_map(|write| &write.pieces).map(|piece| piece.key).collect()
    }

    /// The piece, and whether the storage may have dropped it.
    pub(super) fn piece(&self, key: PieceKey) -> (Option<Piece>, bool) {
        let mut pieces = self.writes.iter().flat_map(|write| &write.pieces);
        let Some(last) = pieces.rfind(|piece| piece.key == key) else { return (None, true) };
        let may_be_dropped = last.keep_until.is_some_and(|until| until < self.time());
        (Some(last.piece.clone()), may_be_dropped)
    }

    /// The user's items in order, and whether the storage may have dropped each.
    pub(super) fn items(&self, user: UserRef, order: ItemOrder) -> Vec<(NotificationId, bool)> {
        let keys = self.keys().into_iter().filter(|key| key.user() == user);
        let mut items: Vec<_> = keys
            .filter_map(|key| match self.piece(key) {
                (Some(Piece::Item(item)), may_be_dropped) => {
                    Some((item.changed_at(), item.id, may_be_dropped))
                }
                _ => None,
            })
            .collect();
        items.sort();
        if order == ItemOrder::NewestFirst {
            items.reverse();
        }
        items.into_iter().map(|(_, id, may_be_dropped)| (id, may_be_dropped)).collect()
    }

    pub(super) fn history(
        &self,
        stream: Stream,
        user: UserRef,
        of: Option<NotificationId>,
    ) -> Vec<RecordRef> {
        let entries = self.writes.iter().flat_map(|write| &write.history);
        let own = entries.filter(|(whose, item, record)| {
            *whose == user && (of.is_none() || *item == of) && record.stream == stream
        });
        own.map(|(_, _, record)| *record).collect()
    }

    pub(super) fn agenda(&self) -> BTreeSet<(AgendaEntry, UserRef)> {
        let mut agenda = BTreeSet::new();
        for write in self.writes.iter().flat_map(|write| &write.agenda) {
            match write.change {
                AgendaChange::Add(entry) => agenda.insert((entry, write.user)),
                AgendaChange::Remove(entry) => agenda.remove(&(entry, write.user)),
            };
        }
        agenda
    }
}
