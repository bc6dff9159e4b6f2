//! G7: what names many items reaches each of them, and nothing else.

use campanile_core::{Event, Item, Offset, Recorded, UserAction, swept};

use crate::sim::past::Past;
use crate::sim::roles::Ground;

/// Whatever a sweep means has been carried out at rest.
pub(super) fn carried_out(ground: &Ground, past: &Past) {
    for recorded in past.events.values() {
        for (user, id) in past.items() {
            let Some(item) = past.world.item(user, id) else { continue };
            let partition = ground.logs.partition_of(user);
            let is_meant = match &recorded.fact.event {
                Event::AllDismissed { .. } => recorded.fact.user == user,
                Event::CampaignRecalled { .. } => recorded.position.partition == partition,
                _ => false,
            };
            let left = swept(&recorded.fact.event, recorded.position.offset, &item);
            // What has ended by the clock is not listed, and need not be told.
            let is_over = item.expires_at <= ground.stage.latest();
            if is_meant && left.is_some() && !is_over {
                let (sweep, at) = (recorded.fact.event.name(), recorded.position);
                ground.stage.broken("G7", format!("{sweep} at {at} left {id} of {user} alone"));
            }
        }
    }
}

/// Nothing is dismissed for a sweep that was posted at its cursor or later.
pub(super) fn nothing_else_touched(ground: &Ground, past: &Past) {
    let is_dismissal = |it: &&Recorded| matches!(it.fact.event, Event::AllDismissed { .. });
    for sweep in past.events.values().filter(is_dismissal) {
        let Event::AllDismissed { up_to, .. } = sweep.fact.event else { continue };
        let end = up_to.min(sweep.position.offset);
        let same =
            |it: &&Recorded| it.fact.user == sweep.fact.user && it.fact.cause == sweep.fact.cause;
        for follows in past.events.values().filter(same) {
            let Event::StateChanged(change) = &follows.fact.event else { continue };
            let at = follows.position.offset;
            let states = past.states(follows.fact.user, change.id);
            let here = states.iter().find(|(changed, _)| *changed == at);
            if let Some((_, item)) = here.filter(|(_, item)| is_later(item, end)) {
                let what = format!(
                    "{} was posted at {:?} and dismissed by {}",
                    item.id, item.posted_at, sweep.position
                );
                ground.stage.broken("G7", what);
            }
        }
    }
}

/// Whether the item was dismissed in a revision that was posted at `end` or later.
fn is_later(item: &Item, end: Offset) -> bool {
    item.action == UserAction::Dismissed && item.posted_at.is_some_and(|posted| posted >= end)
}
