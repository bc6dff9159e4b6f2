//! What a push tells the app, in the same JSON on every platform; and what keeps a push from being
//! put into a platform's words.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use campanile_core::port::{SyncState, Told, Unfit};
use campanile_core::{Content, NotificationId, UserAction};
use serde::Serialize;

/// What a shown item tells the app.
#[derive(Serialize)]
pub(crate) struct Shown<'a> {
    id: String,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
    /// Where the platform has no word of its own for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(flatten)]
    pub(crate) along: Along,
}

/// What a shown item tells the app of others.
#[derive(Default, Serialize)]
pub(crate) struct Along {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    items: Vec<SyncedItem>,
    #[serde(skip_serializing_if = "is_false")]
    more: bool,
}

/// What a signal tells the app: that it has something to fetch.
#[derive(Serialize)]
pub(crate) struct Signalled {
    id: String,
    seq: u64,
    fetch: bool,
}

/// What a state tells the app.
#[derive(Serialize)]
pub(crate) struct Synced {
    seq: u64,
    items: Vec<SyncedItem>,
    /// There is more than the push has room for: the app is to fetch it.
    #[serde(skip_serializing_if = "is_false")]
    more: bool,
}

#[derive(Serialize)]
struct SyncedItem {
    id: String,
    /// The place in the log of the event that it tells of, where that is not the push's.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    read: bool,
    action: &'static str,
    clear: bool,
}

/// Tells of a revision of an item, which has this place in the log.
pub(crate) fn shown<'a>(
    item: NotificationId,
    sequence: u64,
    content: &Content,
    group: Option<&'a str>,
) -> Shown<'a> {
    let raw = content.raw.as_ref().map(|raw| STANDARD.encode(raw));
    Shown { id: item.to_string(), seq: sequence, raw, group, along: Along::default() }
}

/// Of how many others a push tells at most: with these and the longest numbers a silent one is shorter
/// than 4096 bytes.
pub(crate) const MOST_ALONG: usize = 31;

/// Tells of others the first `room`.
pub(crate) fn along(others: &[Told], room: usize) -> Along {
    let items = others.iter().take(room).map(|told| synced_item(Some(told.sequence), &told.state));
    Along { items: items.collect(), more: room < others.len() }
}

/// Tells of the state of an item, and of others the first `room`.
pub(crate) fn synced(sequence: u64, state: &SyncState, others: &[Told], room: usize) -> Synced {
    let Along { items, more } = along(others, room);
    let items = std::iter::once(synced_item(None, state)).chain(items).collect();
    Synced { seq: sequence, items, more }
}

fn synced_item(seq: Option<u64>, state: &SyncState) -> SyncedItem {
    let action = match state.action {
        UserAction::None => "none",
        UserAction::Activated => "activated",
        UserAction::Dismissed => "dismissed",
        UserAction::Snoozed => "snoozed",
    };
    SyncedItem { id: state.id.to_string(), seq, read: state.read, action, clear: state.clear }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Tells that an item changed, and nothing else of it.
pub(crate) fn signalled(item: NotificationId, sequence: u64) -> Signalled {
    Signalled { id: item.to_string(), seq: sequence, fetch: true }
}

/// Why a push cannot be put into a platform's words. All are permanent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsayable {
    /// The edge asks the platform's `fit` at publish; this is what slipped through.
    #[error("{0}")]
    TooLarge(#[from] Unfit),
    /// A part of it is no HTTP, or no JSON.
    #[error("not expressible: {0}")]
    Malformed(String),
}
