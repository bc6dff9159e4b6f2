//! What a producer asks to be told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::{Fingerprint, NotificationId, PlatformMask, RequestKey, Timestamp};

/// The fixed limits of the product. The edge refuses what exceeds them; the fold never trusts
/// that it did.
#[derive(Debug)]
pub struct Limits;

impl Limits {
    /// Endpoints one user may have. A further registration changes nothing.
    pub const ENDPOINTS_PER_USER: usize = 20;
    /// Retired endpoints remembered per user, the newest.
    pub const TOMBSTONES_PER_USER: usize = 64;
    /// Revisions of one item that are told apart; older ones count as superseded.
    pub const REVISIONS_REMEMBERED: usize = 16;
    /// The longest life of an item.
    pub const LONGEST_LIFE: Duration = Duration::from_secs(30 * 86_400);
    /// The life of an item whose request names none.
    pub const DEFAULT_LIFE: Duration = Duration::from_secs(7 * 86_400);
    /// How long after the post a push is still sent, unless the request says otherwise.
    pub const DEFAULT_DELIVER_WITHIN: Duration = Duration::from_secs(86_400);
    /// How long request keys are remembered, and ended items after their end.
    pub const REMEMBERED_AFTER: Duration = Duration::from_secs(86_400);
    /// The longest lease of an endpoint, and the one given when none is asked for.
    pub const LONGEST_LEASE: Duration = Duration::from_secs(30 * 86_400);
    /// Title, in characters.
    pub const TITLE_CHARS: usize = 256;
    /// Body text, in bytes.
    pub const BODY_BYTES: usize = 4096;
    /// Raw content, in bytes.
    pub const RAW_BYTES: usize = 4096;
    /// Idempotency key, item name, group name and campaign, in bytes.
    pub const KEY_BYTES: usize = 255;
    /// The shortest time that an installation is given to fetch before it is shown the fallback.
    pub const SHORTEST_FALLBACK: Duration = Duration::from_secs(60);
    /// The longest.
    pub const LONGEST_FALLBACK: Duration = Duration::from_secs(600);
    /// Items in one publish message, or ids in one state update.
    pub const BATCH_ITEMS: usize = 500;
}

/// How urgently a notification is handed to the platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// May wait for a good moment and never wakes the device.
    Low,
    /// May be held back to save power.
    Normal,
    /// At once.
    #[default]
    High,
}

/// Text the operating system draws.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visual {
    /// 1 to [`Limits::TITLE_CHARS`] characters.
    pub title: String,
    /// Up to [`Limits::BODY_BYTES`] bytes.
    pub body: Option<String>,
    /// The name of a sound the app brings.
    pub sound: Option<String>,
    /// The number on the app's icon.
    pub badge: Option<u32>,
}

/// What devices get. At least one of the two is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Drawn by the operating system.
    pub visual: Option<Visual>,
    /// Handed to the app byte by byte, up to [`Limits::RAW_BYTES`].
    pub raw: Option<Bytes>,
}

/// What the system shows on an Apple device whose app was signalled and did not fetch the item in
/// time: iOS may delay or drop what wakes an app silently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// How long after the post, in whole seconds; the edge takes [`Limits::SHORTEST_FALLBACK`] to
    /// [`Limits::LONGEST_FALLBACK`].
    pub after: Duration,
    /// What is shown: visual content only.
    pub content: Arc<Content>,
}

/// The identity of the request behind a post, when it has an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestStamp {
    /// Which request.
    pub key: RequestKey,
    /// What it said.
    pub fingerprint: Fingerprint,
}

/// One post of a notification: its first revision or a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The item.
    pub id: NotificationId,
    /// The request, if it named itself.
    pub request: Option<RequestStamp>,
    /// The producer's own name for the item.
    pub app_notification_id: Option<Arc<str>>,
    /// The producer's label for grouping.
    pub group: Option<Arc<str>>,
    /// What it can be recalled by, together with all others that carry the same.
    pub campaign: Option<Arc<str>>,
    /// What devices get.
    pub content: Arc<Content>,
    /// The platforms it is meant for.
    pub platforms: PlatformMask,
    /// How urgent it is.
    pub priority: Priority,
    /// When it vanishes everywhere; at most [`Limits::LONGEST_LIFE`] after the post.
    pub expires_at: Timestamp,
    /// The last moment at which a push is still sent; at most `expires_at`.
    pub deliver_by: Timestamp,
    /// What is shown instead where a signal did not bring the app to fetch.
    pub fallback: Option<Fallback>,
}

impl Posted {
    /// Whether its id was drawn for it, because neither a request nor the producer names it: then
    /// there was no item with that id before.
    #[must_use]
    pub const fn has_drawn_id(&self) -> bool {
        self.request.is_none() && self.app_notification_id.is_none()
    }
}
