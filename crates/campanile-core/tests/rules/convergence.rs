//! State follows from the log alone: however often, and in whatever portions it is read.

use campanile_core::{Event, Recorded, StateChange, UserAction};
use campanile_testkit::scenario::posted;
use campanile_testkit::strategy::{changes, logs, recorded, some_user};
use campanile_testkit::vocabulary::{START, item};
use campanile_testkit::world::World;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// The pieces, without the agenda.
fn pieces(world: &World) -> Vec<(campanile_core::port::PieceKey, campanile_core::port::Piece)> {
    world.pieces().map(|(key, piece)| (*key, piece.clone())).collect()
}

fn fold(mut world: World, records: &[Recorded]) -> World {
    for record in records {
        world.apply(record);
    }
    world
}

proptest! {
    #[test]
    fn a_fold_may_stop_and_go_on(log in logs(60), at in any::<Index>()) {
        let (before, after) = log.split_at(at.index(log.len() + 1));
        prop_assert_eq!(fold(World::of(before), after), World::of(&log));
    }

    #[test]
    fn an_event_read_again_changes_no_state(log in logs(60), again in any::<Index>()) {
        let world = World::of(&log);
        if log.is_empty() {
            return Ok(());
        }
        let mut repeated = world.clone();
        repeated.apply(&log[again.index(log.len())]);
        prop_assert_eq!(pieces(&repeated), pieces(&world));
    }

    #[test]
    fn an_event_read_again_at_once_gets_the_same_verdict(log in logs(60)) {
        let mut world = World::default();
        for record in &log {
            let verdict = world.apply(record).verdict;
            prop_assert_eq!(world.apply(record).verdict, verdict);
        }
    }

    #[test]
    fn a_reader_that_repeats_a_suffix_ends_where_it_was(
        log in logs(60),
        from in any::<Index>(),
    ) {
        let world = World::of(&log);
        let suffix = &log[from.index(log.len() + 1)..];
        prop_assert_eq!(fold(world.clone(), suffix), world);
    }

    #[test]
    fn a_reader_that_crashes_again_and_again_converges(
        log in logs(40),
        jumps in vec(any::<Index>(), 0..8),
    ) {
        let mut world = World::default();
        let mut at = 0;
        for jump in jumps {
            let to = jump.index(log.len() + 1);
            world = fold(world, &log[at.min(to)..to]);
            at = to.min(at.max(to));
        }
        prop_assert_eq!(fold(world, &log[at..]), World::of(&log));
    }

    #[test]
    fn users_do_not_mix(log in logs(60)) {
        let whole = World::of(&log);
        for user in [some_user(0), some_user(1)] {
            let own: Vec<_> = log.iter().filter(|it| it.fact.user == user).cloned().collect();
            let alone = World::of(&own);
            let of_user = |world: &World| {
                let mut pieces = pieces(world);
                pieces.retain(|(key, _)| key.user() == user);
                pieces
            };
            prop_assert_eq!(of_user(&alone), of_user(&whole));
            prop_assert!(alone.agenda(user).eq(whole.agenda(user)));
        }
    }

    #[test]
    fn whoever_dismissed_it_and_whenever_it_is_dismissed(
        (ops, shuffled) in vec(changes(some_user(0)), 1..12)
            .prop_flat_map(|ops| (Just(ops.clone()), Just(ops).prop_shuffle())),
    ) {
        let one = after_post(&ops);
        let other = after_post(&shuffled);
        let is_dismissal = |event: &&Event| {
            let Event::StateChanged(StateChange { action, .. }) = event else { return false };
            *action == Some(UserAction::Dismissed)
        };
        let expected = ops.iter().any(|event| is_dismissal(&event));
        prop_assert_eq!(one == UserAction::Dismissed, expected);
        prop_assert_eq!(other == UserAction::Dismissed, expected);
    }
}

/// What became of the item after these operations on it by its user.
fn after_post(ops: &[Event]) -> UserAction {
    let (user, id) = (some_user(0), item(some_user(0), "a"));
    let mut world = World::default();
    world.apply(&recorded(0, START, user, posted("a").of(user).event(START)));
    for (offset, event) in (1..).zip(ops) {
        let Event::StateChanged(change) = event else { continue };
        let event = Event::StateChanged(StateChange { id, revision: None, ..change.clone() });
        world.apply(&recorded(offset, START, user, event));
    }
    world.item(user, id).map_or(UserAction::None, |item| item.action)
}
