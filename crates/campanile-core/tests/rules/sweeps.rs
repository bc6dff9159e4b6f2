//! Sweeps: what an event that names many items means for each of them.

use campanile_core::{
    AgendaChange, AgendaEntry, Changes, Due, Event, Item, Offset, Partition, Recorded, Suppression,
    Sweep, SweepStep, Sweeps, UserAction, UserRef, found_under, swept,
};
use campanile_testkit::scenario::{Step, deleted, given, posted, recalled, registered};
use campanile_testkit::strategy::{CAMPAIGN, ITEMS, USERS, logs, recorded, some_user};
use campanile_testkit::vocabulary::{START, app, item, phone, user};
use campanile_testkit::world::World;
use proptest::prelude::*;

fn recall() -> Event {
    Event::CampaignRecalled { campaign: CAMPAIGN.into() }
}

const fn dismissal(up_to: u64) -> Event {
    Event::AllDismissed { up_to: Offset(up_to), origin: None }
}

/// What follows for each of the user's items from a sweep recorded last.
fn carry_out(world: &mut World, sweep: &Recorded, whose: UserRef) -> Vec<Event> {
    let items = ITEMS.iter().filter_map(|name| world.item(whose, item(whose, name)));
    let at = sweep.position.offset;
    let events: Vec<_> = items.filter_map(|item| swept(&sweep.fact.event, at, &item)).collect();
    for (nth, event) in (1..).zip(&events) {
        world.apply(&recorded(at.0 + nth, sweep.time, whose, event.clone()));
    }
    events
}

/// The world after the steps and the sweep.
fn swept_world(steps: Vec<Step>, sweep: Event) -> (World, Vec<Event>) {
    let scenario = given(steps);
    let mut world = World::of(scenario.log());
    let sweep = recorded(100, scenario.now(), user(1), sweep);
    world.apply(&sweep);
    let events = carry_out(&mut world, &sweep, user(1));
    (world, events)
}

fn found(world: &World, name: &str) -> std::sync::Arc<Item> {
    world.item(user(1), item(user(1), name)).unwrap()
}

#[test]
fn a_campaign_is_recalled_and_nothing_else() {
    let steps =
        vec![posted("a").of_campaign(CAMPAIGN), posted("b").of_campaign("autumn"), posted("c")];
    let (world, events) = swept_world(steps, recall());
    let expected = Event::NotificationRecalled { id: item(user(1), "a"), revision: Some(1) };
    assert_eq!(events, [expected]);
    let ended = ["a", "b", "c"].map(|name| found(&world, name).ended.is_some());
    assert_eq!(ended, [true, false, false]);
}

#[test]
fn the_latest_revision_says_which_campaign_an_item_belongs_to() {
    let first = || posted("a").of_campaign(CAMPAIGN);
    let (_, events) = swept_world(vec![first(), posted("a")], recall());
    assert_eq!(events, [], "it left the campaign");
    let (world, _) = swept_world(vec![posted("a"), first()], recall());
    assert!(found(&world, "a").ended.is_some());
}

#[test]
fn a_revision_posted_after_a_sweep_stays() {
    let whose = user(1);
    let at_revision = |revision| recalled("a").seeing(revision);
    let steps = [posted("a"), posted("a")];
    given(steps.clone()).when(at_revision(1)).then_changes_nothing();
    let world = World::of(given([posted("a"), posted("a"), at_revision(2)]).log());
    assert!(world.item(whose, item(whose, "a")).unwrap().ended.is_some());
    given([deleted("a")]).when(at_revision(1)).then_changes_nothing();
}

#[test]
fn everything_until_the_cursor_is_dismissed_and_nothing_after_it() {
    // The posts stand at 1, 2 and 3.
    let steps = vec![posted("a"), posted("b"), posted("c")];
    let (world, events) = swept_world(steps, dismissal(3));
    let actions = ["a", "b", "c"].map(|name| found(&world, name).action);
    assert_eq!(actions, [UserAction::Dismissed, UserAction::Dismissed, UserAction::None]);
    assert_eq!(events.len(), 2);
}

#[test]
fn a_sweep_is_on_the_agenda_until_it_is_carried_out() {
    let entry = |from| {
        let sweep = Sweep { event: Offset(2), from: Offset(from) };
        AgendaEntry { at: AgendaEntry::AT_ONCE, due: Due::Sweep(sweep) }
    };
    let step = |from, next: Option<u64>| {
        let sweep = Sweep { event: Offset(2), from: Offset(from) };
        Event::SweepAdvanced(SweepStep { at: AgendaEntry::AT_ONCE, sweep, next: next.map(Offset) })
    };
    let mut world = World::default();
    let mut changes = |offset, event| world.apply(&recorded(offset, START, user(1), event)).agenda;
    assert_eq!(changes(2, dismissal(2)), [AgendaChange::Add(entry(0))]);
    let moved = [AgendaChange::Remove(entry(0)), AgendaChange::Add(entry(9))];
    assert_eq!(changes(3, step(0, Some(9))), moved);
    assert_eq!(changes(4, step(9, None)), [AgendaChange::Remove(entry(9))]);
    assert_eq!(world.agenda(user(1)).count(), 0);
}

#[test]
fn a_post_is_found_under_its_campaign_in_its_partition() {
    let with = |step: Step| recorded(1, START, user(1), step.event(START));
    let users = |record: &Recorded| {
        found_under(record, &Changes::default()).map(|(user, _)| user).collect::<Vec<_>>()
    };
    let campaign = UserRef::of_campaign(&app(), CAMPAIGN, Partition(0));
    assert_eq!(users(&with(posted("a").of_campaign(CAMPAIGN))), [user(1), campaign]);
    assert_eq!(users(&with(posted("a"))), [user(1)]);
    let partitions = [0, 7, 63].map(|it| UserRef::of_campaign(&app(), CAMPAIGN, Partition(it)));
    assert_eq!(partitions.map(UserRef::prefix), [0, 7, 63]);
}

#[test]
fn what_a_sweep_makes_needless_is_not_sent_before_it_is_carried_out() {
    let world = World::of(given([registered(phone(1)), posted("a").of_campaign(CAMPAIGN)]).log());
    let item = found(&world, "a");
    let mut sweeps = Sweeps::default();
    let why = |sweeps: &Sweeps| sweeps.suppression(&app(), user(1), &item);
    assert_eq!(why(&sweeps), None);
    sweeps.read(&recorded(9, START, user(2), dismissal(9)));
    assert_eq!(why(&sweeps), None, "another user's");
    sweeps.read(&recorded(9, START, user(1), dismissal(2)));
    assert_eq!(why(&sweeps), None, "posted at 2, which is after the cursor");
    sweeps.read(&recorded(10, START, user(1), dismissal(3)));
    assert_eq!(why(&sweeps), Some(Suppression::Handled));
    sweeps.read(&recorded(11, START, user(1), recall()));
    assert_eq!(why(&sweeps), Some(Suppression::Recalled));
    for other in 0..=u16::try_from(Sweeps::MOST).unwrap() {
        sweeps.read(&recorded(12, START, user(other + 2), dismissal(12)));
    }
    assert_eq!(why(&sweeps), None, "the oldest are forgotten");
}

proptest! {
    /// A worker that goes by a sweep and a scheduler that carries it out agree on what is meant.
    #[test]
    fn who_reads_a_sweep_and_who_carries_it_out_agree(
        log in logs(30),
        up_to in 0..70_u64,
        is_recall in any::<bool>(),
        index in 0..USERS,
    ) {
        let mut world = World::of(&log);
        let whose = some_user(index);
        let last = log.last().map_or((0, START), |last| (last.position.offset.0, last.time));
        let event = if is_recall { recall() } else { dismissal(up_to) };
        let sweep = recorded(last.0 + 1, last.1, whose, event);
        let mut sweeps = Sweeps::default();
        sweeps.read(&sweep);
        let items = || ITEMS.map(|name| item(whose, name));
        let before = items().map(|id| world.item(whose, id));
        carry_out(&mut world, &sweep, whose);
        for (id, before) in items().into_iter().zip(before) {
            let Some(before) = before else { continue };
            let after = world.item(whose, id).unwrap();
            match sweeps.suppression(&app(), whose, &before) {
                Some(Suppression::Recalled) => prop_assert!(after.ended.is_some()),
                Some(_) => prop_assert!(
                    after.ended.is_some() || after.action == UserAction::Dismissed
                ),
                None => prop_assert_eq!(after, before, "not meant"),
            }
        }
    }
}
