//! What a record says of itself on the outside, for readers that mostly need no more.
//!
//! Of the stored messages only the fields named here are read; the others are skipped where they
//! stand, and nothing is allocated.

use campanile_core::{NotificationId, PlatformMask, RequestKey, UserRef};
use prost::Message;

use super::field::{Id128, mask};
use super::{DecodeError, check_major};
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

/// What of [`v1::Receipt`] is read.
#[derive(Clone, PartialEq, Message)]
struct Subject {
    #[prost(message, optional, tag = "4")]
    user: Option<v1::Id>,
    #[prost(message, optional, tag = "6")]
    item: Option<v1::Id>,
}

/// Whose deliveries, of which item, a receipt is about: what [`super::decode_receipt`] says of
/// them, if that can read it. A receipt with a subject may still be damaged further inside, or tell
/// of what only a later release knows.
///
/// # Errors
/// [`DecodeError`] if the receipt does not say so.
pub fn subject_of_receipt(bytes: &[u8]) -> Result<(UserRef, NotificationId), DecodeError> {
    check_major(bytes)?;
    let subject = Subject::decode(bytes)?;
    Ok((Id128::need("user", subject.user)?, Id128::need("item", subject.item)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use bytes::Bytes;

    use super::*;
    use crate::codec::decode_receipt;

    #[test]
    fn stored_receipts_have_the_subject_that_the_whole_says() {
        let stored: [&'static [u8]; 2] = [
            include_bytes!("../../golden/receipt.bin"),
            include_bytes!("../../golden/receipt_fallback.bin"),
        ];
        for bytes in stored {
            let whole = decode_receipt(&Bytes::from_static(bytes)).unwrap();
            assert_eq!(subject_of_receipt(bytes), Ok((whole.user, whole.item)));
        }
    }

    #[test]
    fn a_receipt_for_a_platform_of_a_later_release_has_a_subject() {
        let (user, item) = (Some(v1::Id { high: 0, low: 1 }), Some(v1::Id { high: 0, low: 2 }));
        let app = "app".to_owned();
        let receipt = v1::Receipt {
            schema_major: 1,
            app,
            user,
            item,
            platform: 99,
            ..v1::Receipt::default()
        };
        let bytes = Bytes::from(receipt.encode_to_vec());
        assert!(decode_receipt(&bytes).is_err());
        let (user, item) = subject_of_receipt(&bytes).unwrap();
        assert_eq!((user.as_bytes()[15], item.as_bytes()[15]), (1, 2));
    }

    #[test]
    fn a_receipt_about_nothing_has_no_subject() {
        let receipt = v1::Receipt { schema_major: 1, ..v1::Receipt::default() };
        let missing = DecodeError::Missing { field: "user" };
        assert_eq!(subject_of_receipt(&receipt.encode_to_vec()), Err(missing));
    }
}
