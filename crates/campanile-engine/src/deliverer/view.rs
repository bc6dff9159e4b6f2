//! What a worker knows of the users of one partition: state at least as new as its position.
//!
//! Pieces are folded forward with every event the worker reads. A piece it does not know is read
//! from the projection with its checkpoint; the events from that checkpoint on that the worker has
//! already passed are folded on top. When the projection is further behind than the events still
//! held, the worker waits; when it is ahead, nothing is lost, because later facts can only make a
//! delivery unnecessary.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{Piece, PieceKey, Views};
use campanile_core::{
    AgendaEntry, AppId, Due, Event, Item, NotificationId, Offset, Platform, Reach, Recorded,
    RequestKey, State, Suppression, Sweeps, Timestamp, UserRef, touches,
};

use super::sealed::{Read, requested};
use crate::pieces::{Pieces, Set};
use crate::planted::{Bug, Planted};
use crate::telemetry::Telemetry;

/// Events held to be folded onto what the projection answers: so many of all partitions.
const HELD: usize = 8192;
/// Of one partition not less, and not more.
const HELD_OF_ONE: (usize, usize) = (64, 512);
/// Of the pieces that may be known, the part that may come before some are forgotten: items and
/// requests are seldom asked for again.
const GROWTH: usize = 4;

/// What is younger is taken as it is; of what is older the projection may know more.
const NEWS: Duration = Duration::from_secs(5);

/// The state a worker keeps for one partition.
#[derive(Debug)]
pub(crate) struct View {
    platform: Platform,
    pieces: Pieces,
    /// How many pieces were left when some were last forgotten.
    kept: usize,
    held: VecDeque<Read>,
    /// How many events may be held.
    may_hold: usize,
    /// The offset from which on all events are held.
    held_from: Offset,
    /// The offset after the last event folded.
    read_to: Offset,
    /// Sweeps that were read, until they are carried out and after.
    sweeps: Sweeps,
    nobody: Reach,
    telemetry: Arc<Telemetry>,
    planted: Planted,
}

impl View {
    /// A view that knows nothing, of a worker that starts at `position` in one of `partitions`.
    pub(crate) fn new(
        platform: Platform,
        position: Offset,
        partitions: u16,
        telemetry: Arc<Telemetry>,
        planted: Planted,
    ) -> Self {
        let (least, most) = HELD_OF_ONE;
        Self {
            platform,
            pieces: Pieces::new(planted),
            kept: 0,
            held: VecDeque::new(),
            may_hold: (HELD / usize::from(partitions.max(1))).clamp(least, most),
            held_from: position,
            read_to: position,
            sweeps: Sweeps::default(),
            nobody: Reach::default(),
            telemetry,
            planted,
        }
    }

    /// The pieces that must be read before `events` can be folded and planned; asked again after
    /// each read, until there are none. Whoever has no endpoint of the platform costs no more than
    /// finding that out.
    pub(crate) fn missing<'a>(
        &mut self,
        events: impl Iterator<Item = &'a Arc<Recorded>> + Clone,
        now: Timestamp,
    ) -> Vec<PieceKey> {
        let wanting: Vec<_> = events.clone().filter(|event| self.needs_state(event)).collect();
        let reaches = wanting.iter().map(|event| PieceKey::Reach(event.fact.user));
        let reaches: BTreeSet<_> = reaches.filter(|key| !self.pieces.is_known(key)).collect();
        if !reaches.is_empty() {
            return reaches.into_iter().collect();
        }
        let registers =
            |event: &&Arc<Recorded>| matches!(event.fact.event, Event::EndpointRegistered { .. });
        let registering = events.clone().filter(registers).map(|event| event.fact.user);
        let registering: BTreeSet<UserRef> = registering.collect();
        let may_hear = |event: &Recorded| {
            matches!(event.fact.event, Event::CameDue(_) | Event::RedeliveryRequested(_))
                || registering.contains(&event.fact.user)
                || self.has_endpoint(event.fact.user)
        };
        let hearing: Vec<_> = wanting.into_iter().filter(|event| may_hear(event)).collect();
        for event in &hearing {
            self.know_if_new(event, now);
        }
        let touched = hearing.iter().flat_map(|it| touches(it.fact.user, &it.fact.event));
        let mut keys: BTreeSet<_> = touched.filter(|key| !self.pieces.is_known(key)).collect();
        self.add_requests(&mut keys, events.filter_map(|event| requested(event)));
        // What is read is folded on from what is held.
        if !keys.is_empty() {
            self.add_requests(&mut keys, self.held.iter().filter_map(Read::requested));
        }
        keys.into_iter().collect()
    }

    /// An item is only as good as the verdict on each of its posts: adds the unknown requests of
    /// posts whose item is known, or is among the `keys` to be read.
    fn add_requests(
        &self,
        keys: &mut BTreeSet<PieceKey>,
        posts: impl Iterator<Item = (UserRef, NotificationId, RequestKey)>,
    ) {
        for (user, item, request) in posts {
            let (item, request) = (PieceKey::Item(user, item), PieceKey::Request(user, request));
            if !self.pieces.is_known(&request)
                && (self.pieces.is_known(&item) || keys.contains(&item))
            {
                keys.insert(request);
            }
        }
    }

    /// An item whose id was drawn for the post was not there before it, which needs no read. But what
    /// is read again was changed by events that will not be folded again; and if the worker is behind,
    /// a read tells what became of the item since.
    fn know_if_new(&mut self, event: &Recorded, now: Timestamp) {
        let Event::NotificationPosted(posted) = &event.fact.event else { return };
        let is_passed = event.position.offset < self.read_to;
        if !posted.has_drawn_id() || is_passed || now.since(event.time) > NEWS {
            return;
        }
        let item = PieceKey::Item(event.fact.user, posted.id);
        if !self.pieces.is_known(&item) {
            self.pieces.put(item, None, event.position.offset);
        }
    }

    /// Whether the user has an endpoint of the platform.
    pub(super) fn has_endpoint(&self, user: UserRef) -> bool {
        let mut endpoints = self.reach(user).endpoints.values();
        endpoints.any(|endpoint| endpoint.address.platform() == self.platform)
    }

    pub(super) const fn platform(&self) -> Platform {
        self.platform
    }

    pub(super) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    pub(super) fn is_known(&self, key: &PieceKey) -> bool {
        self.pieces.is_known(key)
    }

    /// The offset after the last event folded.
    pub(crate) const fn read_to(&self) -> Offset {
        self.read_to
    }

    /// The oldest checkpoint at which an answer of the projection can be brought up to date.
    pub(crate) const fn needs(&self) -> Offset {
        self.held_from
    }

    /// Takes what the projection answered for `keys`, and folds the held events on top.
    pub(crate) fn load(&mut self, keys: &[PieceKey], views: Views) {
        let users: BTreeSet<UserRef> = keys.iter().map(PieceKey::user).collect();
        let (read, as_of) = (keys.iter().zip(views.pieces), views.checkpoint);
        read.for_each(|(key, piece)| self.pieces.put(*key, piece, as_of));
        while self.held.front().is_some_and(|read| read.position().offset < views.checkpoint) {
            self.held.pop_front();
        }
        self.held_from = self.held_from.max(views.checkpoint.min(self.read_to));
        for read in self.held.iter().filter(|read| users.contains(&read.user())) {
            match read {
                Read::Open(event) => drop(self.pieces.fold(event)),
                Read::Sealed(sealed) => {
                    sealed
                        .open(&self.telemetry)
                        .iter()
                        .for_each(|event| drop(self.pieces.fold(event)));
                }
            }
        }
    }

    /// Takes note of a sweep that another worker read.
    pub(crate) fn learn(&mut self, sweep: &Recorded) {
        self.sweeps.read(sweep);
    }

    /// Folds an event the worker reads.
    pub(crate) fn fold(&mut self, event: &Arc<Recorded>) {
        self.pieces.fold(event);
        self.sweeps.read(event);
        self.hold(Read::Open(event.clone()));
    }

    /// Takes note of what the worker read and folded, or had no need to fold: what of it concerns a
    /// piece is folded onto that when the projection answers it.
    pub(crate) fn hold(&mut self, read: Read) {
        self.read_to = read.position().offset.next();
        self.held.push_back(read);
        if self.held.len() > self.may_hold {
            self.held.pop_front();
            let first = self.held.front().map(|read| read.position().offset);
            self.held_from = first.unwrap_or(self.held_from);
        }
    }

    /// What the deliveries of an event depend on.
    pub(crate) fn state(&self, event: &Recorded) -> State {
        let keys = touches(event.fact.user, &event.fact.event);
        let keys = keys.chain([PieceKey::Reach(event.fact.user)]);
        let mut state = State::from_pieces(keys.filter_map(|key| self.pieces.get(&key).cloned()));
        let is_asked_for = matches!(event.fact.event, Event::RedeliveryRequested(_));
        if is_asked_for && self.planted.has(Bug::RedeliveryEachTime) {
            state.request = None;
        }
        state
    }

    /// The user's endpoints.
    pub(crate) fn reach(&self, user: UserRef) -> &Reach {
        match self.pieces.get(&PieceKey::Reach(user)) {
            Some(Piece::Reach(reach)) => reach,
            _ => &self.nobody,
        }
    }

    /// Why an item of the user is not to be shown any more, if a sweep says so.
    pub(crate) fn swept(&self, app: &AppId, user: UserRef, item: &Item) -> Option<Suppression> {
        self.sweeps.suppression(app, user, item)
    }

    /// An item of the user.
    pub(crate) fn item(&self, user: UserRef, id: NotificationId) -> Option<&Item> {
        match self.pieces.get(&PieceKey::Item(user, id)) {
            Some(Piece::Item(item)) => Some(item),
            _ => None,
        }
    }

    /// Whether some pieces should be forgotten, if `most` may be known. Not each time where more than
    /// that is needed: to find out takes long.
    pub(crate) fn is_full(&self, most: usize) -> bool {
        self.pieces.len().saturating_sub(self.kept) > most / GROWTH
    }

    /// Forgets pieces that no `needed` item needs: items and requests first, which are seldom asked
    /// for again, and users' endpoints too if more than `most` pieces are left.
    pub(crate) fn forget(&mut self, most: usize, needed: &Set<NotificationId>) {
        self.pieces.retain(|key| match key {
            PieceKey::Item(_, item) => needed.contains(item),
            key => matches!(key, PieceKey::Reach(_)),
        });
        if self.pieces.len() > most {
            let items = self.pieces.keys().filter(|key| matches!(key, PieceKey::Item(..)));
            let users: Set<UserRef> = items.map(PieceKey::user).collect();
            self.pieces.retain(|key| users.contains(&key.user()));
        }
        self.kept = self.pieces.len();
    }

    /// Whether an event may call for deliveries by this worker. Others are folded into what is
    /// known, and cost no read.
    fn needs_state(&self, event: &Recorded) -> bool {
        match &event.fact.event {
            Event::NotificationPosted(posted) => posted.platforms.contains(self.platform),
            Event::NotificationRecalled { .. }
            | Event::StateChanged(_)
            | Event::NotificationDeleted { .. } => true,
            Event::CameDue(AgendaEntry { due: Due::Retry(parked), .. }) => {
                parked.platform == self.platform
            }
            Event::RedeliveryRequested(asked) => asked.platform == self.platform,
            Event::CameDue(AgendaEntry { due: Due::Fallback { .. }, .. }) => {
                self.platform == Platform::Apns
            }
            Event::CameDue(_)
            | Event::DeliveriesParked(_)
            | Event::ItemFetched { .. }
            | Event::AddressClaimed(_)
            | Event::CampaignRecalled { .. }
            | Event::AllDismissed { .. }
            | Event::SweepAdvanced(_)
            | Event::EndpointRegistered { .. }
            | Event::EndpointRenewed { .. }
            | Event::EndpointRetired { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use campanile_core::{
        Content, Fact, Generation, Partition, PlatformMask, Position, Posted, Priority,
    };

    use super::*;

    const USER: UserRef = UserRef::from_bytes([1; 16]);
    const ITEM: NotificationId = NotificationId::from_bytes([2; 16]);

    fn post(offset: u64, name: Option<&str>) -> Option<Recorded> {
        let posted = Posted {
            id: ITEM,
            request: None,
            app_notification_id: name.map(Into::into),
            group: None,
            campaign: None,
            content: Arc::new(Content { visual: None, raw: None }),
            platforms: PlatformMask::ALL,
            priority: Priority::High,
            expires_at: Timestamp::from_millis(100_000),
            deliver_by: Timestamp::from_millis(100_000),
            fallback: None,
        };
        let event = Event::NotificationPosted(posted);
        let fact = Fact { app: AppId::new("app").ok()?, user: USER, cause: None, event };
        let (generation, partition) = (Generation(1), Partition(0));
        let position = Position { generation, partition, offset: Offset(offset) };
        Some(Recorded { position, time: Timestamp::from_millis(1000), fact })
    }

    /// Whether a worker that stands at 10 takes the item for new, `late` after it was posted.
    fn is_new(offset: u64, name: Option<&str>, late: Duration) -> Option<bool> {
        let mut view = View::new(Platform::Apns, Offset(10), 1, Arc::default(), Planted::default());
        view.know_if_new(&post(offset, name)?, Timestamp::from_millis(1000).after(late));
        Some(view.pieces.is_known(&PieceKey::Item(USER, ITEM)))
    }

    #[test]
    fn only_an_item_that_nobody_named_is_new_and_only_where_it_is_read_first_and_soon() {
        let soon = Duration::from_secs(1);
        assert_eq!(is_new(10, None, soon), Some(true));
        assert_eq!(is_new(9, None, soon), Some(false), "read again");
        assert_eq!(is_new(10, Some("a"), soon), Some(false), "known by its name");
        assert_eq!(is_new(10, None, 2 * NEWS), Some(false), "late");
    }
}
