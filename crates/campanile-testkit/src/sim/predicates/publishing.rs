//! G1 and G2: what was acknowledged is in the log, and counts once.

use std::collections::{BTreeMap, BTreeSet};

use campanile_core::port::{EventLog, Piece, PieceKey, Projection};
use campanile_core::{Event, NotificationId, PostVerdict, RequestKey, Timestamp, UserRef};

use crate::sim::clients::Clients;
use crate::sim::journal::{Answer, Call};
use crate::sim::past::Past;
use crate::sim::roles::Ground;

/// G1: what was acknowledged is in the log, where the answer says; what certainly failed is not.
pub(super) fn acknowledged(ground: &Ground, clients: &Clients, past: &Past) {
    let tagged: BTreeSet<(&str, Option<NotificationId>)> = past
        .events
        .values()
        .filter_map(|it| Some((it.fact.cause.as_deref()?, it.fact.event.item())))
        .collect();
    let tags: BTreeSet<&str> = tagged.iter().map(|(tag, _)| *tag).collect();
    for call in clients.calls() {
        let Call { tag, item, is_publish, answer } = &call;
        let is_there = match item {
            Some(item) => tagged.contains(&(tag.as_str(), Some(*item))),
            None => tags.contains(tag.as_str()),
        };
        let stage = &ground.stage;
        match answer {
            Answer::Done(position) => {
                if !is_there {
                    stage.broken("G1", format!("{tag} was acknowledged and is not in the log"));
                }
                let Some(position) = position else { continue };
                let found = past.events.get(&(position.partition, position.offset));
                let cause = found.and_then(|it| it.fact.cause.as_deref());
                if cause != Some(tag.as_str()) {
                    stage.broken("G1", format!("{tag} is not at {position}, but {cause:?} is"));
                }
            }
            Answer::Repeated(position) => {
                let found = past.events.get(&(position.partition, position.offset));
                let is_post = found.is_some_and(|it| {
                    matches!(it.fact.event, Event::NotificationPosted(_))
                        && item.is_none_or(|item| it.fact.event.item() == Some(item))
                });
                if !is_post || !is_publish {
                    stage.broken("G1", format!("{tag} repeats nothing at {position}"));
                }
            }
            Answer::Failed if is_there => {
                stage.broken("G1", format!("{tag} certainly failed and is in the log"));
            }
            Answer::Failed | Answer::Open => {}
        }
    }
}

/// G2: a request makes one revision, however often it is in the log; told from the log alone,
/// without the core's verdicts, and held against them and against the projection.
///
/// An item that the projection may have forgotten is not looked up.
pub(super) async fn counted_once(ground: &Ground, past: &Past) {
    let mut first: BTreeMap<(UserRef, RequestKey), Timestamp> = BTreeMap::new();
    let mut revisions: BTreeMap<(UserRef, NotificationId), u32> = BTreeMap::new();
    for (place, recorded) in &past.events {
        let Event::NotificationPosted(posted) = &recorded.fact.event else { continue };
        let (user, time) = (recorded.fact.user, recorded.time);
        let is_new = match posted.request {
            None => true,
            Some(stamp) => {
                let until = first.get(&(user, stamp.key)).copied();
                let is_new = until.is_none_or(|until| until <= time);
                if is_new {
                    let day = campanile_core::Limits::REMEMBERED_AFTER;
                    let month = campanile_core::Limits::LONGEST_LIFE;
                    let until = time.after(day).max(posted.expires_at).min(time.after(month));
                    first.insert((user, stamp.key), until);
                }
                is_new
            }
        };
        if is_new {
            *revisions.entry((user, posted.id)).or_default() += 1;
        } else {
            ground.stage.reach("repeated publish recognised by the fold");
        }
        let accepted = past.verdicts.get(place) == Some(&PostVerdict::Accepted);
        if accepted != is_new {
            let what = format!("the post at {} is taken for new: {accepted}", recorded.position);
            ground.stage.broken("G2", what);
        }
    }
    let now = past.events.values().map(|it| it.time).max().unwrap_or_default();
    for ((user, id), expected) in revisions {
        let partition = ground.logs.events.identity().partition_of(user);
        let keys = [PieceKey::Item(user, id)];
        let Ok(views) = ground.projection.view(partition, &keys).await else { continue };
        let Some(Some(Piece::Item(item))) = views.pieces.first() else { continue };
        let was_forgotten = past.states(user, id).iter().any(|(_, it)| it.keep_until() < now);
        if item.revision != expected && !was_forgotten {
            let what = format!("{id} has {} revisions, not {expected}", item.revision);
            ground.stage.broken("G2", what);
        }
    }
}
