//! State: what a fold of the log amounts to, in small pieces.
//!
//! A piece remembers up to which offset it was folded (`as_of`), so an event read twice changes it
//! once.

mod holder;
mod item;
mod reach;
mod request;

use std::sync::Arc;

pub use holder::{AddressClaim, Displaced, Holder};
pub use item::{Change, Ended, Item, ItemFallback};
pub use reach::Reach;
pub use request::{PostVerdict, RequestRecord};

/// The pieces that one event touches: a user's reach, at most one item, at most one request, or an
/// address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The user's endpoints.
    pub reach: Arc<Reach>,
    /// The item the event is about, if it is known.
    pub item: Option<Arc<Item>>,
    /// The request the event came from, if it is known.
    pub request: Option<RequestRecord>,
    /// Who holds the address the event is about, if that is known.
    pub holder: Option<Holder>,
}
