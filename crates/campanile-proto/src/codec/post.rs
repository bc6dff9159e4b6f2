//! A post's stored form, written from what the core has.
//!
//! Prost's messages own their texts, and most of the time of an encoding would go into copies that
//! are thrown away. What is written is the same to the byte; `a_post_is_written_as_prost_would`
//! holds both together.

use bytes::{BufMut, Bytes, BytesMut};
use campanile_core::{Content, Fact, Posted, RequestStamp, Visual};
use prost::encoding::{
    self, WireType, encode_key, encode_varint, encoded_len_varint, int32, key_len, message, uint32,
    uint64,
};

use super::event::BODY;
use super::field::Id128;
use super::{SCHEMA_MAJOR, SCHEMA_MINOR};
use crate::convert;
use crate::v1::{self, EventType};

/// The stored form of `fact`, which is that something was posted.
pub(super) fn encode(fact: &Fact, posted: &Posted) -> Bytes {
    let length = body_length(posted);
    let mut buffer = BytesMut::with_capacity(head_length(fact, posted) + nested(BODY, length));
    put_head(fact, posted, &mut buffer);
    begin(BODY, length, &mut buffer);
    put_body(posted, &mut buffer);
    buffer.freeze()
}

fn head_length(fact: &Fact, posted: &Posted) -> usize {
    let (user, item) = (fact.user.wire(), posted.id.wire());
    number(1, SCHEMA_MAJOR)
        + number(2, SCHEMA_MINOR)
        + int32::encoded_len(3, &EventType::NotificationPosted.into())
        + text(4, fact.app.as_str())
        + message::encoded_len(5, &user)
        + message::encoded_len(6, &item)
        + uint64::encoded_len(7, &posted.expires_at.as_millis())
        + uint32::encoded_len(8, &posted.platforms.bits().into())
        + optional(9, fact.cause.as_deref())
}

fn put_head(fact: &Fact, posted: &Posted, buffer: &mut BytesMut) {
    put_number(1, SCHEMA_MAJOR, buffer);
    put_number(2, SCHEMA_MINOR, buffer);
    int32::encode(3, &EventType::NotificationPosted.into(), buffer);
    put_text(4, fact.app.as_str(), buffer);
    message::encode(5, &fact.user.wire(), buffer);
    message::encode(6, &posted.id.wire(), buffer);
    uint64::encode(7, &posted.expires_at.as_millis(), buffer);
    uint32::encode(8, &posted.platforms.bits().into(), buffer);
    put_optional(9, fact.cause.as_deref(), buffer);
}

fn body_length(posted: &Posted) -> usize {
    let (until, priority) = (posted.deliver_by.as_millis(), priority(posted));
    let fallback = posted.fallback.as_ref().map(convert::fallback_to_wire);
    posted.request.map_or(0, |stamp| message::encoded_len(1, &request(stamp)))
        + optional(2, posted.app_notification_id.as_deref())
        + optional(3, posted.group.as_deref())
        + content_length(&posted.content).map_or(0, |length| nested(4, length))
        + if priority == 0 { 0 } else { int32::encoded_len(5, &priority) }
        + if until == 0 { 0 } else { uint64::encoded_len(6, &until) }
        + optional(50, posted.campaign.as_deref())
        + fallback.map_or(0, |fallback| message::encoded_len(60, &fallback))
}

fn put_body(posted: &Posted, buffer: &mut BytesMut) {
    let (until, priority) = (posted.deliver_by.as_millis(), priority(posted));
    if let Some(stamp) = posted.request {
        message::encode(1, &request(stamp), buffer);
    }
    put_optional(2, posted.app_notification_id.as_deref(), buffer);
    put_optional(3, posted.group.as_deref(), buffer);
    if let Some(length) = content_length(&posted.content) {
        begin(4, length, buffer);
        put_content(&posted.content, buffer);
    }
    if priority != 0 {
        int32::encode(5, &priority, buffer);
    }
    if until != 0 {
        uint64::encode(6, &until, buffer);
    }
    put_optional(50, posted.campaign.as_deref(), buffer);
    if let Some(fallback) = &posted.fallback {
        message::encode(60, &convert::fallback_to_wire(fallback), buffer);
    }
}

fn priority(posted: &Posted) -> i32 {
    convert::priority_to_wire(posted.priority).into()
}

fn request(stamp: RequestStamp) -> v1::RequestStamp {
    let (key, fingerprint) = (Some(stamp.key.wire()), Some(stamp.fingerprint.wire()));
    v1::RequestStamp { key, fingerprint }
}

/// The length of a content; `None` of one that holds nothing, which is not written.
fn content_length(content: &Content) -> Option<usize> {
    let visual = content.visual.as_ref().map(|visual| nested(1, visual_length(visual)));
    let raw = content.raw.as_ref().map(|raw| encoding::bytes::encoded_len(2, raw));
    (visual.is_some() || raw.is_some()).then(|| visual.unwrap_or(0) + raw.unwrap_or(0))
}

fn put_content(content: &Content, buffer: &mut BytesMut) {
    if let Some(visual) = &content.visual {
        begin(1, visual_length(visual), buffer);
        put_visual(visual, buffer);
    }
    if let Some(raw) = &content.raw {
        encoding::bytes::encode(2, raw, buffer);
    }
}

fn visual_length(visual: &Visual) -> usize {
    let Visual { title, body, sound, badge } = visual;
    text(1, title)
        + optional(2, body.as_deref())
        + optional(3, sound.as_deref())
        + badge.map_or(0, |badge| uint32::encoded_len(4, &badge))
}

fn put_visual(visual: &Visual, buffer: &mut BytesMut) {
    let Visual { title, body, sound, badge } = visual;
    put_text(1, title, buffer);
    put_optional(2, body.as_deref(), buffer);
    put_optional(3, sound.as_deref(), buffer);
    if let Some(badge) = badge {
        uint32::encode(4, badge, buffer);
    }
}

/// What a field of so many bytes takes.
fn nested(tag: u32, length: usize) -> usize {
    key_len(tag) + encoded_len_varint(length as u64) + length
}

fn begin(tag: u32, length: usize, buffer: &mut BytesMut) {
    encode_key(tag, WireType::LengthDelimited, buffer);
    encode_varint(length as u64, buffer);
}

/// A number that is not written if it is 0.
fn number(tag: u32, value: u32) -> usize {
    if value == 0 { 0 } else { uint32::encoded_len(tag, &value) }
}

fn put_number(tag: u32, value: u32, buffer: &mut BytesMut) {
    if value != 0 {
        uint32::encode(tag, &value, buffer);
    }
}

/// A text that is not written if it is empty.
fn text(tag: u32, value: &str) -> usize {
    optional(tag, Some(value).filter(|text| !text.is_empty()))
}

fn put_text(tag: u32, value: &str, buffer: &mut BytesMut) {
    put_optional(tag, Some(value).filter(|text| !text.is_empty()), buffer);
}

/// A text that may be absent.
fn optional(tag: u32, value: Option<&str>) -> usize {
    value.map_or(0, |text| nested(tag, text.len()))
}

fn put_optional(tag: u32, value: Option<&str>, buffer: &mut BytesMut) {
    if let Some(text) = value {
        begin(tag, text.len(), buffer);
        buffer.put_slice(text.as_bytes());
    }
}
