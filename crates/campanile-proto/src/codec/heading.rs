//! What a post says of itself on the outside, for readers that mostly need no more.
//!
//! Of the stored messages only the fields named here are read; the others are skipped where they
//! stand, and nothing is allocated.

use campanile_core::{NotificationId, PlatformMask, RequestKey};
use prost::Message;

use super::check_major;
use super::field::{Id128, mask};
use crate::v1::{self, EventType};

/// Which item a post is about, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heading {
    /// The item.
    pub item: NotificationId,
    /// The platforms it is meant for.
    pub platforms: PlatformMask,
    /// The request behind it, if that named itself.
    pub request: Option<RequestKey>,
}

/// What of [`v1::Envelope`] is read.
#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(enumeration = "EventType", tag = "3")]
    kind: i32,
    #[prost(message, optional, tag = "6")]
    notification_id: Option<v1::Id>,
    #[prost(uint32, optional, tag = "8")]
    platforms: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "10")]
    key_id: Option<Vec<u8>>,
    #[prost(message, optional, tag = "15")]
    body: Option<Body>,
}

/// What of [`v1::NotificationPostedBody`] is read.
#[derive(Clone, PartialEq, Message)]
struct Body {
    #[prost(message, optional, tag = "1")]
    request: Option<v1::RequestStamp>,
}

/// The heading of what [`super::encode_fact`] wrote. `None` if that is no post, or cannot be read as
/// one: who opens it learns which. A post that has a heading may still be damaged further inside.
#[must_use]
pub fn heading_of_post(bytes: &[u8]) -> Option<Heading> {
    check_major(bytes).ok()?;
    let envelope = Envelope::decode(bytes).ok()?;
    let is_post = envelope.kind == i32::from(EventType::NotificationPosted);
    let body = envelope.body.filter(|_| is_post && envelope.key_id.is_none())?;
    let request = body.request.map(|stamp| Id128::need("request.key", stamp.key)).transpose();
    Some(Heading {
        item: Id128::read(envelope.notification_id?),
        platforms: mask("platforms", envelope.platforms?).ok()?,
        request: request.ok()?,
    })
}
