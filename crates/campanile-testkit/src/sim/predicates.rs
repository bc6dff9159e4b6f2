//! The promises of the project as predicates over one run: what was acknowledged, what is in the
//! log, what providers were sent, what devices show, what the projection says.
//!
//! G5 is [`super::mirror`]; it and the parts of G1, G4, G6 and G8 that can be seen at once are
//! checked while the run goes on. The rest is checked here, once everything has come to rest.

mod attempts;
mod dead_letters;
mod outcomes;
mod publishing;
mod screens;
mod silence;
mod sweeps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use campanile_core::Item;
use campanile_core::port::{EventLog, ItemOrder, ItemQuery, Projection};

use super::clients::Clients;
use super::director::Skipped;
use super::past::Past;
use super::roles::Ground;

/// Checks everything that holds at rest.
pub(crate) async fn check(ground: &Ground, clients: &Clients, skipped: &[Skipped]) {
    let past = Past::of(&ground.logs).await;
    let attempts = ground.provider.attempts();
    publishing::acknowledged(ground, clients, &past);
    publishing::counted_once(ground, &past).await;
    attempts::in_order(ground, &past, &attempts);
    attempts::called_for(ground, &past, &attempts);
    attempts::repeated_for_a_reason(ground, &past, &attempts);
    attempts::not_past_the_end(ground, &attempts);
    attempts::not_after_what_is_known(ground, &past, &attempts);
    attempts::not_more_than_asked_for(ground, &past, &attempts);
    silence::within_the_budget(ground, &past, &attempts);
    outcomes::settled(ground, &past, skipped);
    outcomes::told_once(ground, &past);
    outcomes::failures_are_asked_for_once(ground, &past);
    dead_letters::are_found(ground, clients, &past).await;
    outcomes::found_in_timelines(ground, clients, &past).await;
    screens::agree(ground, clients, &past, skipped);
    screens::living_devices_stay(ground, clients, &past);
    screens::addresses_are_held_once(ground, clients, &past);
    sweeps::carried_out(ground, &past);
    sweeps::nothing_else_touched(ground, &past);
    replicas(ground, clients).await;
}

/// G7: whoever follows a user's items, by asking or by watching, has what the projection has.
///
/// An item whose end the wall clock has passed once does not count: who asked then was not told of
/// it, and a clock that was set back does not tell later.
pub(crate) async fn replicas(ground: &Ground, clients: &Clients) {
    for user in 0..ground.setup.users {
        if let Err(error) = clients.sync(user).await {
            ground.stage.broken("G7", format!("user {user} cannot sync at rest: {error}"));
        }
    }
    let now = ground.stage.latest();
    for (how, user, replica) in clients.replicas() {
        let whose = clients.user_ref(user);
        let partition = ground.logs.events.identity().partition_of(whose);
        let query = ItemQuery { order: ItemOrder::OldestFirst, after: None, limit: usize::MAX };
        let Ok(found) = ground.projection.items(partition, whose, query).await else { continue };
        let listed = found.items.iter().filter(|item| item.is_listed(now));
        // Who fetched an item is no change of it, and nobody is told.
        let told =
            |item: &Arc<Item>| (item.id, Item { fetched_by: BTreeSet::new(), ..Item::clone(item) });
        let expected: BTreeMap<_, _> = listed.map(told).collect();
        let items = replica.items.values().filter(|item| item.is_listed(now));
        let items: BTreeMap<_, _> = items.map(told).collect();
        if items != expected {
            let (has, not) = (items.keys(), expected.keys());
            let first = items.values().find(|item| !expected.contains_key(&item.id));
            let now = first.and_then(|first| found.items.iter().find(|item| item.id == first.id));
            let what = format!("user {user} has by {how} {has:?}, not {not:?}; {first:?}, {now:?}");
            ground.stage.broken("G7", what);
        }
    }
}
