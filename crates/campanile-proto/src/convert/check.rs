//! Values as they come in from outside: the core's types, or the field at fault and why.
//!
//! No reason repeats what was sent: reasons end up in logs, and what was sent may be personal.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use campanile_core::{
    Address, ApnsToken, AppId, Content, EndpointId, Fallback, FcmTarget, FcmToken, Limits,
    NotificationId, Platform, PlatformMask, Priority, PushStyle, Timestamp, UserId, Visual,
};

use super::words;
use crate::v1;

/// The name of a field in a request: a path from its message.
pub type Field = &'static str;

/// A field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Violation {
    /// The path of the field.
    pub field: Field,
    /// What is wrong with it.
    pub reason: String,
}

impl Violation {
    /// A violation of `field`.
    pub fn new(field: Field, reason: impl Display) -> Self {
        Self { field, reason: reason.to_string() }
    }
}

/// The tenant.
///
/// # Errors
/// [`Violation`] unless it is 1 to 64 bytes of `a-z 0-9 . _ -`.
pub fn app(text: &str) -> Result<AppId, Violation> {
    AppId::new(text).map_err(|error| Violation::new("app", error))
}

/// A user by the app's own name.
///
/// # Errors
/// [`Violation`] unless it keeps the rules of [`UserId::new`].
pub fn user_id(field: Field, text: &str) -> Result<UserId, Violation> {
    UserId::new(text).map_err(|error| Violation::new(field, error))
}

/// A notification by its id.
///
/// # Errors
/// [`Violation`] unless it is 32 lower-case hexadecimal digits.
pub fn notification_id(field: Field, text: &str) -> Result<NotificationId, Violation> {
    NotificationId::parse(text).map_err(|error| Violation::new(field, error))
}

/// The id of an endpoint.
///
/// # Errors
/// [`Violation`] unless it is 32 lower-case hexadecimal digits.
pub fn endpoint_id(field: Field, text: &str) -> Result<EndpointId, Violation> {
    EndpointId::parse(text).map_err(|error| Violation::new(field, error))
}

/// A name that the app made up: an idempotency key, an item's name, a group, an installation.
///
/// # Errors
/// [`Violation`] unless it is 1 to [`Limits::KEY_BYTES`] bytes without control characters.
pub fn name(field: Field, text: &str) -> Result<(), Violation> {
    let limit = Limits::KEY_BYTES;
    if text.is_empty() || text.len() > limit {
        let got = text.len();
        return Err(Violation::new(field, format_args!("must be 1 to {limit} bytes, got {got}")));
    }
    plain(field, text, |_| false)
}

/// What devices get.
///
/// # Errors
/// [`Violation`] unless there is visual or raw content, and what there is keeps its limits.
pub fn content(wire: Option<v1::Content>) -> Result<Arc<Content>, Violation> {
    let wire = wire.unwrap_or_default();
    if wire.visual.is_none() && wire.raw.is_none() {
        return Err(Violation::new("content", "must have visual or raw content"));
    }
    let (raw, limit) = (wire.raw, Limits::RAW_BYTES);
    if let Some(got) = raw.as_ref().map(bytes::Bytes::len).filter(|got| !(1..=limit).contains(got))
    {
        let reason = format_args!("must be 1 to {limit} bytes, got {got}");
        return Err(Violation::new("content.raw", reason));
    }
    Ok(Arc::new(Content { visual: wire.visual.map(|it| visual(it, &CONTENT)).transpose()?, raw }))
}

/// What is shown of a notification for `platforms` where a signal did not bring the app to fetch.
///
/// # Errors
/// [`Violation`] unless APNs is one of `platforms`, the time is [`Limits::SHORTEST_FALLBACK`] to
/// [`Limits::LONGEST_FALLBACK`], and there is visual content that keeps its limits.
pub fn fallback(wire: v1::Fallback, platforms: PlatformMask) -> Result<Fallback, Violation> {
    const AFTER: Field = "fallback.after_seconds";
    if !platforms.contains(Platform::Apns) {
        return Err(Violation::new("fallback", "is for APNs, which the platforms exclude"));
    }
    let after = Duration::from_secs(wire.after_seconds.into());
    if !(Limits::SHORTEST_FALLBACK..=Limits::LONGEST_FALLBACK).contains(&after) {
        return Err(Violation::new(AFTER, "must be 60 to 600"));
    }
    let missing = || Violation::new("fallback.visual", "is missing");
    let visual = Some(visual(wire.visual.ok_or_else(missing)?, &FALLBACK)?);
    Ok(Fallback { after, content: Arc::new(Content { visual, raw: None }) })
}

/// The names of the fields of a visual content.
struct Fields {
    title: Field,
    body: Field,
    sound: Field,
}

const CONTENT: Fields = Fields {
    title: "content.visual.title",
    body: "content.visual.body",
    sound: "content.visual.sound",
};

const FALLBACK: Fields = Fields {
    title: "fallback.visual.title",
    body: "fallback.visual.body",
    sound: "fallback.visual.sound",
};

fn visual(wire: v1::Visual, fields: &Fields) -> Result<Visual, Violation> {
    let v1::Visual { title, body, sound, badge } = wire;
    // Characters are at most four bytes, so a longer text need not be counted.
    let chars =
        if title.len() > 4 * Limits::TITLE_CHARS { usize::MAX } else { title.chars().count() };
    if !(1..=Limits::TITLE_CHARS).contains(&chars) {
        let limit = Limits::TITLE_CHARS;
        return Err(Violation::new(fields.title, format_args!("must be 1 to {limit} characters")));
    }
    plain(fields.title, &title, |_| false)?;
    if let Some(body) = &body {
        let (limit, got) = (Limits::BODY_BYTES, body.len());
        if got > limit {
            let reason = format_args!("must be at most {limit} bytes, got {got}");
            return Err(Violation::new(fields.body, reason));
        }
        plain(fields.body, body, |c| matches!(c, '\n' | '\t'))?;
    }
    if let Some(sound) = &sound {
        name(fields.sound, sound)?;
    }
    Ok(Visual { title, body, sound, badge })
}

/// Refuses what no screen should be sent: control characters (C0, DEL, C1) except `allowed` ones,
/// and the two overrides that make a text read backwards (U+202D, U+202E). Embeddings and isolates
/// stay: right-to-left languages need them.
fn plain(field: Field, text: &str, allowed: fn(char) -> bool) -> Result<(), Violation> {
    // Most texts: looked at sixteen bytes and more at once.
    if text.bytes().fold(true, |is_so, byte| is_so & (b' '..=b'~').contains(&byte)) {
        return Ok(());
    }
    let bad = |c: char| (c.is_control() && !allowed(c)) || matches!(c, '\u{202d}' | '\u{202e}');
    match text.char_indices().find(|(_, c)| bad(*c)) {
        None => Ok(()),
        Some((at, c)) if c.is_control() => {
            Err(Violation::new(field, format_args!("has a control character at byte {at}")))
        }
        Some((at, _)) => {
            Err(Violation::new(field, format_args!("has a bidirectional override at byte {at}")))
        }
    }
}

/// The platforms a notification is meant for; none named means all.
///
/// # Errors
/// [`Violation`] for a number that is no platform.
pub fn platforms(wire: &[i32]) -> Result<PlatformMask, Violation> {
    if wire.is_empty() {
        return Ok(PlatformMask::ALL);
    }
    wire.iter().try_fold(PlatformMask::NONE, |mask, number| {
        let known = v1::Platform::try_from(*number).ok().and_then(words::platform_from_wire);
        let platform =
            known.ok_or_else(|| Violation::new("platforms", "has an unknown platform"))?;
        Ok(mask.with(PlatformMask::of(&[platform])))
    })
}

/// How urgent a notification is; not said means high.
///
/// # Errors
/// [`Violation`] for a number that is no priority.
pub fn priority(wire: i32) -> Result<Priority, Violation> {
    v1::Priority::try_from(wire)
        .map(|known| words::priority_from_wire(known).unwrap_or_default())
        .map_err(|_| Violation::new("priority", "is not a known priority"))
}

/// What is pushed to an endpoint; not said means payload.
///
/// # Errors
/// [`Violation`] for a number that is no style.
pub fn push_style(wire: i32) -> Result<PushStyle, Violation> {
    v1::PushStyle::try_from(wire)
        .map(|known| words::style_from_wire(known).unwrap_or_default())
        .map_err(|_| Violation::new("push_style", "is not a known style"))
}

/// A span of a notification's life from the wire's seconds.
///
/// # Errors
/// [`Violation`] unless it is one second to [`Limits::LONGEST_LIFE`].
pub fn span(field: Field, seconds: i64) -> Result<Duration, Violation> {
    within(field, seconds, Limits::LONGEST_LIFE)
}

/// The lease of a registration.
///
/// # Errors
/// [`Violation`] unless it is one second to [`Limits::LONGEST_LEASE`].
pub fn lease(seconds: i64) -> Result<Duration, Violation> {
    within("lease_seconds", seconds, Limits::LONGEST_LEASE)
}

fn within(field: Field, seconds: i64, longest: Duration) -> Result<Duration, Violation> {
    let span = u64::try_from(seconds).ok().map(Duration::from_secs);
    span.filter(|span| !span.is_zero() && *span <= longest).ok_or_else(|| {
        Violation::new(field, format_args!("must be 1 to {} seconds", longest.as_secs()))
    })
}

/// An instant, rounded down to milliseconds.
///
/// # Errors
/// [`Violation`] for one before 1970, or with nanoseconds outside of a second.
pub fn instant(field: Field, wire: &prost_types::Timestamp) -> Result<Timestamp, Violation> {
    let seconds = u64::try_from(wire.seconds).ok();
    let nanos = u64::try_from(wire.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let millis = seconds
        .zip(nanos)
        .and_then(|(seconds, nanos)| seconds.checked_mul(1000)?.checked_add(nanos / 1_000_000));
    millis.map(Timestamp::from_millis).ok_or_else(|| Violation::new(field, "is no valid instant"))
}

/// Where a platform finds an app installation.
///
/// # Errors
/// [`Violation`] if it is missing or its parts break their platform's rules.
pub fn address(wire: Option<v1::Address>) -> Result<Address, Violation> {
    match wire.and_then(|wire| wire.platform) {
        Some(v1::address::Platform::Apns(apns)) => apns_address(apns),
        Some(v1::address::Platform::Fcm(fcm)) => fcm_address(fcm),
        None => Err(Violation::new("address", "must name a platform's address")),
    }
}

fn apns_address(apns: v1::ApnsAddress) -> Result<Address, Violation> {
    let token =
        ApnsToken::new(&apns.token).map_err(|error| Violation::new("address.apns.token", error))?;
    let environment = v1::Environment::try_from(apns.environment).ok();
    let environment = environment.and_then(words::environment_from_wire).ok_or_else(|| {
        Violation::new("address.apns.environment", "must be production or sandbox")
    })?;
    let dotted = (b".-".as_slice(), "letters, digits . -");
    word("address.apns.topic", &apns.topic, dotted)?;
    Ok(Address::Apns { token, topic: apns.topic.into(), environment })
}

fn fcm_address(fcm: v1::FcmAddress) -> Result<Address, Violation> {
    let known =
        |field, text: &str| FcmToken::new(text).map_err(|error| Violation::new(field, error));
    let target = match fcm.target {
        Some(v1::fcm_address::Target::Token(token)) => {
            FcmTarget::Token(known("address.fcm.token", &token)?)
        }
        Some(v1::fcm_address::Target::Fid(fid)) => {
            FcmTarget::Installation(known("address.fcm.fid", &fid)?)
        }
        None => return Err(Violation::new("address.fcm", "must have a token or a fid")),
    };
    let named = (b".:-".as_slice(), "letters, digits . : -");
    word("address.fcm.project", &fcm.project, named)?;
    Ok(Address::Fcm { target, project: fcm.project.into() })
}

/// A name of letters, digits and some marks. Of an APNs topic, which is a bundle id with the suffix
/// of a push type if it has one, these are `.` and `-` (CFBundleIdentifier, Apple's "Information
/// Property List"); a Google project id may also have a domain before a colon.
fn word(field: Field, text: &str, (marks, allowed): (&[u8], &str)) -> Result<(), Violation> {
    let limit = Limits::KEY_BYTES;
    if text.is_empty() || text.len() > limit {
        let got = text.len();
        return Err(Violation::new(field, format_args!("must be 1 to {limit} bytes, got {got}")));
    }
    match text.bytes().position(|b| !b.is_ascii_alphanumeric() && !marks.contains(&b)) {
        None => Ok(()),
        Some(at) => {
            let reason = format_args!("has a character at byte {at} other than {allowed}");
            Err(Violation::new(field, reason))
        }
    }
}

/// The size of a page; not said means `default`.
///
/// # Errors
/// [`Violation`] unless it is 1 to [`Limits::BATCH_ITEMS`].
pub fn page_size(field: Field, wire: Option<i32>, default: usize) -> Result<usize, Violation> {
    let Some(wire) = wire else { return Ok(default) };
    let limit = Limits::BATCH_ITEMS;
    let size = usize::try_from(wire).ok().filter(|size| (1..=limit).contains(size));
    size.ok_or_else(|| Violation::new(field, format_args!("must be 1 to {limit}")))
}

/// The size of a batch.
///
/// # Errors
/// [`Violation`] unless it is 1 to [`Limits::BATCH_ITEMS`].
pub fn batch(field: Field, size: usize) -> Result<(), Violation> {
    let limit = Limits::BATCH_ITEMS;
    if (1..=limit).contains(&size) {
        return Ok(());
    }
    Err(Violation::new(field, format_args!("must have 1 to {limit} entries, got {size}")))
}

#[cfg(test)]
mod tests;
