//! The checks that need nothing but the request: pure functions from headers and body to either
//! what was asked or the documented refusal.
//!
//! Source of the rules: Apple, "Sending notification requests to APNs" and "Handling notification
//! responses from APNs". Where Apple only says that a push *may* be refused, the simulator refuses
//! it, because a sender must not rely on the other case.

use http::header::HeaderMap;
use http::{HeaderValue, Method};

use super::id::ApnsId;
use super::push_type::PushType;
use super::reason::Reason;

/// The longest `apns-collapse-id`, in bytes.
pub const MAX_COLLAPSE_ID: usize = 64;
/// The longest device token accepted, in hexadecimal digits. Apple names no length; this bound
/// only keeps the simulator's memory its own.
pub const MAX_TOKEN_DIGITS: usize = 512;

const PATH: &str = "/3/device/";

/// A request head that breaks no rule by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// The device token of the path, hexadecimal as sent.
    pub device: &'a str,
    /// The provider token: the `authorization` header without its `bearer`.
    pub provider_token: &'a str,
    /// The bundle id: the topic without the suffix that its push type asks for.
    pub bundle_id: &'a str,
    /// The declared push type.
    pub push_type: PushType,
    /// 10, 5 or 1; 10 when the header is absent.
    pub priority: u8,
    /// `apns-expiration`, seconds since the Unix epoch; 0 = do not store.
    pub expiration: Option<u64>,
    /// `apns-collapse-id`.
    pub collapse_id: Option<&'a str>,
    /// `apns-id`, if the sender chose one.
    pub apns_id: Option<ApnsId>,
}

/// Checks method, path and headers.
///
/// # Errors
///
/// The documented reason of the first rule that the head breaks.
pub fn head<'a>(
    method: &Method,
    path: &'a str,
    headers: &'a HeaderMap,
) -> Result<Head<'a>, Reason> {
    if *method != Method::POST {
        return Err(Reason::MethodNotAllowed);
    }
    let device = device_token(path)?;
    // A map with more values than names holds a name twice.
    if headers.len() != headers.keys_len() {
        return Err(Reason::DuplicateHeaders);
    }
    let fields = Fields::of(headers);
    let apns_id = fields.apns_id.map(apns_id).transpose()?;
    let provider_token = provider_token(fields.authorization)?;
    // Apple demands the type only for some systems; without it a push may be dropped.
    let push_type = fields
        .push_type
        .and_then(|value| PushType::parse(value.as_bytes()))
        .ok_or(Reason::InvalidPushType)?;
    let bundle_id = bundle_id(fields.topic, push_type)?;
    let priority = priority(fields.priority, push_type)?;
    let expiration = fields.expiration.map(expiration).transpose()?;
    let collapse_id = fields.collapse_id.map(collapse_id).transpose()?;
    // Apple: "the payload … must not be compressed". No reason is documented for it; compressed
    // bytes hold no readable payload.
    if fields.compressed {
        return Err(Reason::PayloadEmpty);
    }
    Ok(Head {
        device,
        provider_token,
        bundle_id,
        push_type,
        priority,
        expiration,
        collapse_id,
        apns_id,
    })
}

/// The device token of a path `/3/device/<hex>`.
///
/// # Errors
///
/// `BadPath`, `MissingDeviceToken` or `BadDeviceToken`.
pub fn device_token(path: &str) -> Result<&str, Reason> {
    let token = path.strip_prefix(PATH).ok_or(Reason::BadPath)?;
    if token.is_empty() {
        return Err(Reason::MissingDeviceToken);
    }
    if token.contains('/') {
        return Err(Reason::BadPath);
    }
    if is_device_token(token) { Ok(token) } else { Err(Reason::BadDeviceToken) }
}

/// Whether a text can be a device token: whole bytes in hexadecimal, of a bounded length.
pub fn is_device_token(text: &str) -> bool {
    (2..=MAX_TOKEN_DIGITS).contains(&text.len())
        && text.len().is_multiple_of(2)
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The headers that APNs reads, found in one pass.
#[derive(Default)]
struct Fields<'a> {
    authorization: Option<&'a HeaderValue>,
    topic: Option<&'a HeaderValue>,
    push_type: Option<&'a HeaderValue>,
    priority: Option<&'a HeaderValue>,
    expiration: Option<&'a HeaderValue>,
    collapse_id: Option<&'a HeaderValue>,
    apns_id: Option<&'a HeaderValue>,
    compressed: bool,
}

impl<'a> Fields<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "authorization" => fields.authorization = Some(value),
                "apns-topic" => fields.topic = Some(value),
                "apns-push-type" => fields.push_type = Some(value),
                "apns-priority" => fields.priority = Some(value),
                "apns-expiration" => fields.expiration = Some(value),
                "apns-collapse-id" => fields.collapse_id = Some(value),
                "apns-id" => fields.apns_id = Some(value),
                "content-encoding" => fields.compressed = true,
                _ => {}
            }
        }
        fields
    }
}

fn apns_id(value: &HeaderValue) -> Result<ApnsId, Reason> {
    ApnsId::parse(value.as_bytes()).ok_or(Reason::BadMessageId)
}

/// The scheme is case-insensitive (RFC 9110 §11.1).
fn provider_token(value: Option<&HeaderValue>) -> Result<&str, Reason> {
    let value = value.ok_or(Reason::MissingProviderToken)?;
    let text = value.to_str().map_err(|_| Reason::InvalidProviderToken)?;
    let (scheme, token) = text.split_once(' ').ok_or(Reason::MissingProviderToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Reason::MissingProviderToken);
    }
    Ok(token)
}

fn bundle_id(value: Option<&HeaderValue>, push_type: PushType) -> Result<&str, Reason> {
    let value = value.ok_or(Reason::MissingTopic)?;
    let topic = value.to_str().map_err(|_| Reason::BadTopic)?;
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match topic.strip_suffix(push_type.topic_suffix()) {
        Some(bundle) if !bundle.is_empty() && topic.bytes().all(letters) => Ok(bundle),
        _ => Err(Reason::BadTopic),
    }
}

/// A background push with priority 10, and so one without the header, is an error.
fn priority(value: Option<&HeaderValue>, push_type: PushType) -> Result<u8, Reason> {
    let priority = match value.map(HeaderValue::as_bytes) {
        None | Some(b"10") => 10,
        Some(b"5") => 5,
        Some(b"1") => 1,
        Some(_) => return Err(Reason::BadPriority),
    };
    if push_type == PushType::Background && priority != 5 {
        return Err(Reason::BadPriority);
    }
    Ok(priority)
}

fn expiration(value: &HeaderValue) -> Result<u64, Reason> {
    let text = value.to_str().map_err(|_| Reason::BadExpirationDate)?;
    // `parse` alone would also take a leading plus sign.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Reason::BadExpirationDate);
    }
    text.parse().map_err(|_| Reason::BadExpirationDate)
}

fn collapse_id(value: &HeaderValue) -> Result<&str, Reason> {
    if value.len() > MAX_COLLAPSE_ID {
        return Err(Reason::BadCollapseId);
    }
    std::str::from_utf8(value.as_bytes()).map_err(|_| Reason::BadCollapseId)
}
