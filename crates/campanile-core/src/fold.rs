//! How state follows from events: the only fold there is.
//!
//! [`apply`] is total (any event on any state) and idempotent by position (an event read twice
//! changes state once), so readers may crash and repeat. Projector, workers, time travel and
//! tests call it; nothing else derives state.

use std::sync::Arc;

use crate::port::{Piece, PieceKey};
use crate::{
    AgendaChange, AgendaEntry, Due, Event, Fingerprint, Holder, Item, Limits, NotificationId,
    PostVerdict, Posted, Reach, Recorded, RequestRecord, State, UserRef, sweep,
};

/// What an event changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The user's reach changed.
    pub reach: bool,
    /// The item changed.
    pub item: bool,
    /// The request is remembered from now on.
    pub request: bool,
    /// The holder of an address, or what is known of it, changed.
    pub holder: bool,
    /// What became of the post or the redelivery, if it was one.
    pub verdict: Option<PostVerdict>,
    /// How the agenda changes.
    pub agenda: Vec<AgendaChange>,
}

/// The pieces of state that `event` about `user` may read or change. [`apply`] needs these, and
/// no others; [`crate::plan`] also needs the user's reach.
pub fn touches(user: UserRef, event: &Event) -> impl Iterator<Item = PieceKey> + Clone {
    let request = match event {
        Event::NotificationPosted(posted) => posted.request.map(|stamp| stamp.key),
        Event::RedeliveryRequested(redelivery) => Some(redelivery.request()),
        _ => None,
    };
    let reach = is_about_reach(event).then_some(PieceKey::Reach(user));
    let item = event.item().map(|id| PieceKey::Item(user, id));
    let request = request.map(|key| PieceKey::Request(user, key));
    let is_claim = matches!(event, Event::AddressClaimed(_));
    let holder = is_claim.then_some(PieceKey::Holder(user));
    [reach, item, request, holder].into_iter().flatten()
}

/// Under whom a record that changed `changes` is found again: its user and item, the campaign of a
/// post, the app of a retired endpoint.
pub fn found_under(
    record: &Recorded,
    changes: &Changes,
) -> impl Iterator<Item = (UserRef, Option<NotificationId>)> {
    let event = &record.fact.event;
    let campaign = match event {
        Event::NotificationPosted(Posted { campaign: Some(name), .. }) => {
            let partition = record.position.partition;
            Some((UserRef::of_campaign(&record.fact.app, name, partition), None))
        }
        _ => None,
    };
    let retires = matches!(
        event,
        Event::EndpointRetired { .. } | Event::CameDue(AgendaEntry { due: Due::Lapse { .. }, .. })
    );
    let retired = (retires && changes.reach)
        .then(|| (UserRef::of_retired(&record.fact.app, record.position.partition), None));
    std::iter::once((record.fact.user, event.item())).chain(campaign).chain(retired)
}

/// Folds a recorded event into the pieces it touches.
pub fn apply(state: &mut State, record: &Recorded) -> Changes {
    let (at, time) = (record.position.offset, record.time);
    let event = &record.fact.event;
    let mut changes = Changes::default();
    if let Some(verdict) = judge_request(state, record, &mut changes) {
        changes.verdict = Some(verdict);
        if verdict != PostVerdict::Accepted {
            return changes;
        }
    }
    if let Event::DeliveriesParked(parked) = event {
        changes.agenda.extend(parked.entries().map(AgendaChange::Add));
    }
    changes.agenda.extend(sweep::begun(event, at).map(AgendaChange::Add));
    if let Event::SweepAdvanced(step) = event {
        let (done, next) = step.entries();
        changes.agenda.push(AgendaChange::Remove(done));
        changes.agenda.extend(next.map(AgendaChange::Add));
    }
    if let Event::CameDue(entry) = event
        && matches!(entry.due, Due::Retry(_) | Due::Displace(_) | Due::Fallback { .. })
    {
        changes.agenda.push(AgendaChange::Remove(*entry));
    }
    if let Event::CameDue(entry @ AgendaEntry { due: Due::Expire { .. }, .. }) = event
        && state.item.as_deref().and_then(Item::expiry) != Some(*entry)
    {
        // The end of an item that was forgotten before it came, and that may have begun anew:
        // nothing else takes the entry off.
        changes.agenda.push(AgendaChange::Remove(*entry));
    }
    if is_about_reach(event) {
        let reach: &mut Reach = Arc::make_mut(&mut state.reach);
        if let Some(agenda) = reach.apply(at, time, event) {
            changes.reach = true;
            changes.agenda.extend(agenda);
        }
    } else if let Some(agenda) = Holder::apply(&mut state.holder, at, time, event) {
        changes.holder = true;
        changes.agenda.extend(agenda);
    } else if let Some(agenda) = Item::apply(&mut state.item, at, time, event) {
        changes.item = true;
        changes.agenda.extend(agenda);
    }
    changes
}

const fn is_about_reach(event: &Event) -> bool {
    matches!(
        event,
        Event::EndpointRegistered { .. }
            | Event::EndpointRenewed { .. }
            | Event::EndpointRetired { .. }
            | Event::CameDue(AgendaEntry { due: Due::Lapse { .. }, .. })
    )
}

/// Whether a post or a redelivery is the first of its request; of other events there is no saying.
fn judge_request(
    state: &mut State,
    record: &Recorded,
    changes: &mut Changes,
) -> Option<PostVerdict> {
    let (at, time) = (record.position.offset, record.time);
    let longest = time.after(Limits::LONGEST_LIFE);
    let (fingerprint, item, until) = match &record.fact.event {
        Event::NotificationPosted(Posted { request: None, .. }) => {
            return Some(PostVerdict::Accepted);
        }
        Event::NotificationPosted(Posted { request: Some(stamp), id, expires_at, .. }) => {
            let until = time.after(Limits::REMEMBERED_AFTER).max(*expires_at);
            (stamp.fingerprint, *id, until.min(longest))
        }
        // Its item is over by then, or posted anew.
        Event::RedeliveryRequested(it) => (Fingerprint::of(&[]), it.item, longest),
        _ => return None,
    };
    let known = state.request.as_ref().and_then(|known| known.verdict(at, time, fingerprint));
    Some(known.unwrap_or_else(|| {
        state.request = Some(RequestRecord { at, fingerprint, item, until });
        changes.request = true;
        PostVerdict::Accepted
    }))
}

impl State {
    /// Puts together what was read for [`touches`] of one event.
    #[must_use]
    pub fn from_pieces(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let mut state = Self::default();
        pieces.into_iter().for_each(|piece| state.put(piece));
        state
    }

    /// Takes a piece in.
    pub fn put(&mut self, piece: Piece) {
        match piece {
            Piece::Reach(reach) => self.reach = reach,
            Piece::Item(item) => self.item = Some(item),
            Piece::Request(request) => self.request = Some(request),
            Piece::Holder(holder) => self.holder = Some(holder),
        }
    }
}
