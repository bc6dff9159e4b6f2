//! Any event on any state: nothing panics, and nothing outgrows its limit.

use std::sync::Arc;

use campanile_core::port::{Piece, PieceKey};
use campanile_core::{
    AgendaEntry, Due, Event, Limits, Offset, Posted, Recorded, StateChange, Timestamp, UserAction,
    plan, still_due, touches,
};
use campanile_testkit::strategy::{events, logs, recorded, some_user};
use campanile_testkit::world::World;
use proptest::collection::vec;
use proptest::prelude::*;

/// The ends of a range, where arithmetic breaks.
fn extremes() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX - 1), Just(u64::MAX), any::<u64>()]
}

/// The event with everything that is a number at an extreme.
fn at_extremes(event: Event, number: u64) -> Event {
    let time = Timestamp::from_millis(number);
    let revision = u32::try_from(number).unwrap_or(u32::MAX);
    match event {
        Event::NotificationPosted(posted) => {
            Event::NotificationPosted(Posted { expires_at: time, deliver_by: time, ..posted })
        }
        Event::StateChanged(change) => {
            Event::StateChanged(StateChange { revision: Some(revision), ..change })
        }
        Event::EndpointRegistered { endpoint, registration, address, style, .. } => {
            Event::EndpointRegistered { endpoint, registration, address, style, lease_until: time }
        }
        Event::EndpointRenewed { endpoint, registration, .. } => {
            Event::EndpointRenewed { endpoint, registration, lease_until: time }
        }
        Event::CameDue(AgendaEntry { due: Due::Expire { id, .. }, .. }) => {
            Event::CameDue(AgendaEntry { at: time, due: Due::Expire { id, revision } })
        }
        other => other,
    }
}

/// Records in no order at all, at extreme offsets and times.
fn nonsense() -> impl Strategy<Value = Vec<Recorded>> {
    let user = some_user(0);
    let record = (events(user), extremes(), extremes(), extremes());
    let record = record.prop_map(move |(event, offset, time, number)| {
        recorded(offset, Timestamp::from_millis(time), user, at_extremes(event, number))
    });
    vec(record, 0..30)
}

proptest! {
    #[test]
    fn nothing_that_is_recorded_panics(records in nonsense(), now in extremes()) {
        let mut world = World::default();
        for record in &records {
            world.apply(record);
            for earlier in &records {
                let user = earlier.fact.user;
                let event = &earlier.fact.event;
                let reach = world.reach(user);
                let item = event.item().and_then(|id| world.item(user, id));
                for delivery in plan(&world.state(user, event), earlier) {
                    let now = Timestamp::from_millis(now);
                    let _ = still_due(&reach, item.as_deref(), &delivery, now);
                }
            }
        }
    }

    #[test]
    fn nothing_outgrows_its_limit(log in logs(80)) {
        let world = World::of(&log);
        for (_, piece) in world.pieces() {
            match piece {
                Piece::Reach(reach) => {
                    prop_assert!(reach.endpoints.len() <= Limits::ENDPOINTS_PER_USER);
                    prop_assert!(reach.tombstones.len() <= Limits::TOMBSTONES_PER_USER);
                    let both = reach.endpoints.keys().any(|id| reach.tombstones.contains_key(id));
                    prop_assert!(!both, "live and retired at once");
                }
                Piece::Item(item) => {
                    prop_assert!(item.revisions.len() <= Limits::REVISIONS_REMEMBERED);
                    prop_assert!(item.revisions.is_sorted());
                    prop_assert!(item.deliver_by <= item.expires_at);
                    prop_assert_eq!(item.revisions.last().copied(), item.posted_at);
                }
                Piece::Request(_) | Piece::Holder(_) => {}
            }
        }
    }

    #[test]
    fn an_event_touches_nothing_else(log in logs(40)) {
        let mut world = World::default();
        for record in &log {
            let before = world.clone();
            world.apply(record);
            let touched: Vec<_> = touches(record.fact.user, &record.fact.event).collect();
            for (key, piece) in world.pieces() {
                let same = before.pieces().any(|(k, p)| (k, p) == (key, piece));
                prop_assert!(same || touched.contains(key), "{key:?}");
            }
        }
    }

    #[test]
    fn what_changed_is_told(log in logs(40)) {
        let mut world = World::default();
        for record in &log {
            let before = world.clone();
            let changes = world.apply(record);
            let told = [changes.reach, changes.item, changes.request];
            let kinds: [fn(&PieceKey) -> bool; 3] = [
                |key| matches!(key, PieceKey::Reach(_)),
                |key| matches!(key, PieceKey::Item(..)),
                |key| matches!(key, PieceKey::Request(..)),
            ];
            for (told, is_of_kind) in told.into_iter().zip(kinds) {
                let of = |world: &World| {
                    let pieces = world.pieces().filter(|(key, _)| is_of_kind(key));
                    pieces.map(|(key, piece)| (*key, piece.clone())).collect::<Vec<_>>()
                };
                prop_assert_eq!(told, of(&before) != of(&world));
            }
        }
    }

    #[test]
    fn what_is_dismissed_stays_dismissed(log in logs(80)) {
        let mut world = World::default();
        let mut dismissed = std::collections::BTreeMap::new();
        for record in &log {
            world.apply(record);
            let Some(id) = record.fact.event.item() else { continue };
            let Some(item) = world.item(record.fact.user, id) else { continue };
            let is_dismissed = item.dismissed_through >= item.revision.max(1);
            prop_assert_eq!(is_dismissed, item.action == UserAction::Dismissed);
            let through = dismissed.insert(id, item.dismissed_through).unwrap_or(0);
            prop_assert!(item.dismissed_through >= through, "a dismissal was taken back");
        }
    }

    #[test]
    fn revisions_count_up_by_one(log in logs(80)) {
        let mut world = World::default();
        for record in &log {
            let id = record.fact.event.item();
            let item = |world: &World| id.and_then(|id| world.item(record.fact.user, id));
            let before = item(&world).map_or(0, |item| item.revision);
            let changes = world.apply(record);
            let after = item(&world).map_or(0, |item| item.revision);
            let is_post = matches!(record.fact.event, Event::NotificationPosted(_));
            let accepted = changes.verdict == Some(campanile_core::PostVerdict::Accepted);
            let accepted = accepted && is_post;
            prop_assert_eq!(after, before + u32::from(accepted));
            if accepted {
                let offset = record.position.offset;
                prop_assert_eq!(item(&world).unwrap().revision_posted_at(offset), Some(after));
            }
        }
    }
}

#[test]
fn state_is_shared_until_it_changes() {
    let user = some_user(0);
    let log = campanile_testkit::scenario::given([campanile_testkit::scenario::posted("a")]);
    let mut world = World::of(log.log());
    let id = log.log()[0].fact.event.item().unwrap();
    let user_of_log = log.log()[0].fact.user;
    let before = world.item(user_of_log, id).unwrap();
    world.apply(&recorded(9, log.now(), user, Event::NotificationRecalled { id, revision: None }));
    assert!(Arc::ptr_eq(&before, &world.item(user_of_log, id).unwrap()));
    world.apply(&recorded(
        9,
        log.now(),
        user_of_log,
        Event::NotificationRecalled { id, revision: None },
    ));
    let after = world.item(user_of_log, id).unwrap();
    assert_eq!((before.ended.is_some(), after.as_of), (false, Offset(10)));
}
