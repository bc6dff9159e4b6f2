//! What a push tells the app, in the same JSON on every platform; and what keeps a push from being
//! put into a platform's words.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use campanile_core::port::{SyncState, Unfit};
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
    items: [SyncedItem; 1],
}

#[derive(Serialize)]
struct SyncedItem {
    id: String,
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
    Shown { id: item.to_string(), seq: sequence, raw, group }
}

/// Tells of the state of an item.
pub(crate) fn synced(sequence: u64, state: &SyncState) -> Synced {
    let action = match state.action {
        UserAction::None => "none",
        UserAction::Activated => "activated",
        UserAction::Dismissed => "dismissed",
        UserAction::Snoozed => "snoozed",
    };
    let item =
        SyncedItem { id: state.id.to_string(), read: state.read, action, clear: state.clear };
    Synced { seq: sequence, items: [item] }
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
