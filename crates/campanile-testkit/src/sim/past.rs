//! The log of a run, opened, with what the core's rules say of it: the model that everything is
//! held against.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use campanile_core::port::{EventLog, PieceKey, ReadLimit, Record, Stream};
use campanile_core::{
    AgendaEntry, Delivery, DeliveryId, Due, Event, Item, NotificationId, Offset, Partition,
    Position, PostVerdict, Priority, Reach, Receipt, Recorded, Urgency, UserRef, plan,
};
use campanile_proto::codec;

use super::log::Logs;
use crate::world::World;

/// All there is.
const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };

/// A state, and the offset of the event that made it.
type State<T> = (Offset, Arc<T>);

/// A delivery that an event called for.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) user: UserRef,
    pub(crate) delivery: Delivery,
    /// The offset in the log of the event that called for it.
    pub(crate) partition: Partition,
}

/// The whole log of a run.
pub(crate) struct Past {
    pub(crate) events: BTreeMap<(Partition, Offset), Recorded>,
    pub(crate) verdicts: BTreeMap<(Partition, Offset), PostVerdict>,
    pub(crate) planned: BTreeMap<DeliveryId, Planned>,
    pub(crate) receipts: Vec<(Partition, Offset, Receipt)>,
    /// Where parked deliveries came due, by delivery.
    pub(crate) came_due: BTreeMap<DeliveryId, Vec<Offset>>,
    /// The deliveries that were parked at least once.
    pub(crate) parked: BTreeSet<DeliveryId>,
    /// Every state an item was in, by the offset of the event that made it.
    items: BTreeMap<(UserRef, NotificationId), Vec<State<Item>>>,
    reaches: BTreeMap<UserRef, Vec<State<Reach>>>,
    pub(crate) world: World,
}

/// Reads a partition from `from` on.
pub(crate) async fn read(
    logs: &Logs,
    stream: Stream,
    partition: Partition,
    from: Offset,
) -> Vec<Record> {
    let batch = logs.stream(stream).read(partition, from, ALL).await;
    batch.map(|batch| batch.records).unwrap_or_default()
}

/// Opens the events of a partition from `from` on.
pub(crate) async fn open(logs: &Logs, partition: Partition, from: Offset) -> Vec<Recorded> {
    let generation = logs.events.identity().generation;
    let opened = |record: Record| {
        let position = Position { generation, partition, offset: record.offset };
        let fact = codec::decode_fact(&record.body).ok()?;
        Some(Recorded { position, time: record.time, fact })
    };
    read(logs, Stream::Events, partition, from).await.into_iter().filter_map(opened).collect()
}

impl Past {
    /// Reads and folds everything.
    pub(crate) async fn of(logs: &Logs) -> Self {
        let mut past = Self {
            events: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            planned: BTreeMap::new(),
            receipts: Vec::new(),
            came_due: BTreeMap::new(),
            parked: BTreeSet::new(),
            items: BTreeMap::new(),
            reaches: BTreeMap::new(),
            world: World::default(),
        };
        for partition in logs.events.identity().partitions() {
            for recorded in open(logs, partition, Offset(0)).await {
                past.fold(recorded);
            }
            for record in read(logs, Stream::Receipts, partition, Offset(0)).await {
                if let Ok(receipt) = codec::decode_receipt(&record.body) {
                    past.receipts.push((partition, record.offset, receipt));
                }
            }
        }
        past
    }

    fn fold(&mut self, recorded: Recorded) {
        let (at, user) = (recorded.position.offset, recorded.fact.user);
        let (partition, event) = (recorded.position.partition, &recorded.fact.event);
        self.world.forget(recorded.time);
        let changes = self.world.apply(&recorded);
        let reach = self.world.reach(user);
        let id = event.item();
        let item = id.and_then(|id| self.world.item(user, id));
        if let Some(verdict) = changes.verdict {
            self.verdicts.insert((partition, at), verdict);
        }
        match event {
            Event::CameDue(AgendaEntry { due: Due::Retry(parked), .. }) => {
                self.came_due.entry(parked.delivery).or_default().push(at);
            }
            // It comes after all that was told since the post, and the worker reads it where it
            // came due.
            Event::CameDue(AgendaEntry { due: Due::Fallback { .. }, .. }) => {
                for delivery in plan(&self.world.state(user, event), &recorded) {
                    self.came_due.entry(delivery.id).or_default().push(at);
                    self.parked.insert(delivery.id);
                    self.planned.insert(delivery.id, Planned { user, delivery, partition });
                }
            }
            Event::DeliveriesParked(parked) => {
                self.parked.extend(parked.deliveries.iter().map(|it| it.delivery));
            }
            _ => {
                let planned = plan(&self.world.state(user, event), &recorded);
                for delivery in planned {
                    let planned = Planned { user, delivery, partition };
                    self.planned.insert(planned.delivery.id, planned);
                }
            }
        }
        if changes.reach {
            self.reaches.entry(user).or_default().push((at, reach));
        }
        if let (Some(item), Some(id), true) = (item, id, changes.item) {
            self.items.entry((user, id)).or_default().push((at, item));
        }
        self.events.insert((partition, at), recorded);
    }

    /// The states an item went through, with the offset of the event that made each.
    pub(crate) fn states(&self, user: UserRef, id: NotificationId) -> &[State<Item>] {
        self.items.get(&(user, id)).map_or(&[], Vec::as_slice)
    }

    /// What a user's reach went through.
    pub(crate) fn reaches(&self, user: UserRef) -> &[State<Reach>] {
        self.reaches.get(&user).map_or(&[], Vec::as_slice)
    }

    /// Whether the deliveries of an event may be overtaken.
    pub(crate) fn urgency(&self, partition: Partition, at: Offset) -> Urgency {
        let event = self.events.get(&(partition, at));
        event.map_or(Urgency::Urgent, |recorded| Urgency::of(&recorded.fact.event))
    }

    /// Before which others a delivery takes room: by the priority of the post it shows, which may not
    /// be its cause; what tells how an item stands is as urgent as can be.
    pub(crate) fn priority(&self, planned: &Planned) -> Priority {
        let post = self.events.get(&(planned.partition, planned.delivery.tells_of));
        match post.map(|recorded| &recorded.fact.event) {
            Some(Event::NotificationPosted(posted)) => posted.priority,
            _ => Priority::High,
        }
    }

    /// The items there are.
    pub(crate) fn items(&self) -> impl Iterator<Item = (UserRef, NotificationId)> {
        self.items.keys().copied()
    }

    /// What a piece is called, for a message.
    pub(crate) fn name(key: &PieceKey) -> String {
        match key {
            PieceKey::Reach(user) => format!("reach of {user}"),
            PieceKey::Item(user, id) => format!("item {id} of {user}"),
            PieceKey::Request(user, key) => format!("request {key} of {user}"),
            PieceKey::Holder(address) => format!("holder of {address}"),
        }
    }
}
