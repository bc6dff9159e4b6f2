//! Handing a delivery to a platform.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    Address, Content, DeliveryId, HoldReason, NotificationId, Outcome, Posted, Priority, Route,
    Timestamp, UserAction,
};

/// State of one item, as devices are told of it silently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncState {
    /// The item.
    pub id: NotificationId,
    /// Whether it is read.
    pub read: bool,
    /// What the user did.
    pub action: UserAction,
    /// Whether it is to vanish from the screen.
    pub clear: bool,
}

/// What a push carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushBody {
    /// A revision of an item: visual content is drawn, raw content is handed to the app.
    Show {
        /// What to show.
        content: Arc<Content>,
        /// The producer's label for grouping.
        group: Option<Arc<str>>,
    },
    /// The state of an item, silently.
    Sync(SyncState),
    /// Silently, that something changed: nothing of what it is may be in the push but the item's
    /// id, so that neither the platform nor who watches it learns what a user is told.
    Signal,
}

/// One push, ready to be put into a platform's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// The delivery; the same for every attempt.
    pub delivery: DeliveryId,
    /// Where to.
    pub address: Arc<Address>,
    /// The item; on the screen a push replaces an earlier one of the same item.
    pub item: NotificationId,
    /// The log offset of the event it tells of, so that an app can order what platforms reorder.
    pub sequence: u64,
    /// How urgent it is.
    pub priority: Priority,
    /// Until when the platform may hold it for a device that is away.
    pub expires_at: Timestamp,
    /// What it carries.
    pub body: PushBody,
    /// How other items stand, which the app is told of along with it; empty where the platform
    /// delivers silent pushes without end ([`crate::SilentBudget::binds`]). A push that has no room
    /// for all says that there is more to fetch.
    pub along: Vec<Told>,
}

/// The state of an item, told along with something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The log offset of the event it tells of.
    pub sequence: u64,
    /// How the item stands.
    pub state: SyncState,
}

/// Why a platform could never carry a content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{platform} carries at most {limit} bytes, this content needs {needs}")]
pub struct Unfit {
    /// The platform that refuses.
    pub platform: crate::Platform,
    /// What it carries, in bytes.
    pub limit: usize,
    /// What the content would need there, in bytes.
    pub needs: usize,
}

/// Whether a platform can carry a post: asked at publish, so that a producer hears of it at once.
/// Pure, and apart from [`Pusher`], because who publishes must not hold the means to send.
pub type Fit = fn(&Posted) -> Result<(), Unfit>;

/// Why a route has no room for a push now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteDown {
    /// No credential is configured for the route, or the platform refused the one there is.
    /// Nothing sent on it can succeed until somebody mends it.
    #[error("route is held: {0}")]
    Held(HoldReason),
    /// No connection could be made.
    #[error("no connection: {reason}")]
    Unreachable {
        /// What the transport said.
        reason: String,
    },
}

/// The sender of one platform.
///
/// # Contract
/// - `slot` waits, within the adapter's bound, until a live connection has room for one more
///   request, and reserves that room. It starts nothing at the platform.
/// - Dropping a slot gives the room back.
/// - Sending the same push twice asks the platform to replace the first by the second on the
///   device: the same collapse id, always.
#[async_trait]
pub trait Pusher: Send + Sync {
    /// Room on a live connection: the last check of a delivery happens with it in hand.
    ///
    /// # Errors
    /// [`RouteDown`] if there will be no room soon.
    async fn slot(&self, route: &Route) -> Result<Box<dyn Slot>, RouteDown>;
}

/// Room for one push.
///
/// # Contract
/// - `send` makes one attempt and ends within the adapter's time-out.
/// - It answers [`Outcome::Unprocessed`] only if the platform certainly did nothing, and
///   [`Outcome::Indefinite`] whenever it may have acted without an answer arriving.
/// - The room is taken until `send` has ended, and `send` gets on only while it is polled. So who
///   waits for a further slot must poll its sends in flight meanwhile, or give each a task of its
///   own: otherwise it may wait for room that only its own sends can give back.
#[async_trait]
pub trait Slot: Send {
    /// Sends, and tells what came of it.
    async fn send(self: Box<Self>, push: Push) -> Outcome;
}
