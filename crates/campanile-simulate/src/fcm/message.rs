//! What FCM itself checks in a message whose JSON is in order.
//!
//! Source: FCM HTTP v1, `Message` and `AndroidConfig`; Firebase, "FCM error codes". Where Google
//! only says that something *may* be refused, the simulator refuses it.

use serde_json::{Map, Value};

use super::received::{Kind, Priority};
use super::rejection::{Code, Rejection};
use super::schema::{self, Violations};

/// The largest payload, in bytes of its keys and values.
pub const MAX_PAYLOAD: usize = 4096;
/// The same for a message to a topic.
pub const MAX_TOPIC_PAYLOAD: usize = 2048;
/// The longest `ttl`, in seconds: 28 days; it is also the default.
pub const MAX_TTL_S: u64 = 28 * 86_400;
/// The longest token taken. Google names no length; this bound only keeps the simulator's memory
/// its own.
const MAX_TOKEN: usize = 4096;

/// A message that breaks no rule by itself.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) target: Target,
    pub(crate) validate_only: bool,
    pub(crate) kind: Kind,
    pub(crate) priority: Priority,
    pub(crate) ttl_s: u64,
    pub(crate) collapse_key: Option<String>,
    pub(crate) tag: Option<String>,
    /// The object `message`, names in camel case.
    pub(crate) fields: Map<String, Value>,
}

/// To whom it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Fid(String),
    Token(String),
    /// A topic or condition: nobody in particular.
    Topic,
}

/// Reads and checks the body of a send request.
///
/// # Errors
///
/// `INVALID_ARGUMENT` with the fields that are wrong; a malformed token or installation id gets an
/// `FcmError` without them.
pub(crate) fn message(body: &[u8]) -> Result<Message, Rejection> {
    let mut request = schema::request(body).map_err(|violations| {
        let status = http::StatusCode::BAD_REQUEST;
        Rejection::api(status, "INVALID_ARGUMENT", "Invalid JSON payload received.")
            .violations(&violations)
    })?;
    let validate_only = request.get("validateOnly").and_then(Value::as_bool) == Some(true);
    let Some(Value::Object(fields)) = request.remove("message") else {
        return Err(invalid(&[wrong("message", "Message is not set.")]));
    };
    let target = target(&fields)?;
    let mut violations = Violations::new();
    check_forms(&fields, &mut violations);
    check_data(&fields, &mut violations);
    check_labels(&fields, &mut violations);
    let form = form(&fields);
    let text = |name: &str| form.and_then(|form| form.get(name)).and_then(Value::as_str);
    let ttl_s = text("ttl").map_or(Some(MAX_TTL_S), schema::seconds);
    let ttl_s = ttl_s.filter(|ttl| *ttl <= MAX_TTL_S).unwrap_or_else(|| {
        violations.push(wrong("message.android.ttl", "must be 0s to 2419200s"));
        MAX_TTL_S
    });
    let limit = if target == Target::Topic { MAX_TOPIC_PAYLOAD } else { MAX_PAYLOAD };
    if payload_size(&fields) > limit {
        violations.push(wrong("message", "Message is too big."));
    }
    if !violations.is_empty() {
        return Err(invalid(&violations));
    }
    check_target(&target)?;
    let kind = Kind::of(&fields);
    Ok(Message {
        validate_only,
        kind,
        priority: priority(text("priority"), kind, &fields),
        ttl_s,
        collapse_key: text("collapseKey").map(str::to_owned),
        tag: notification(&fields, "tag").map(str::to_owned),
        target,
        fields,
    })
}

fn wrong(field: &str, why: &str) -> (String, String) {
    (field.to_owned(), why.to_owned())
}

fn invalid(violations: &[(String, String)]) -> Rejection {
    let message = violations.first().map_or("", |(_, why)| why.as_str());
    Rejection::fcm(Code::InvalidArgument, message).violations(violations)
}

/// Exactly one target.
fn target(fields: &Map<String, Value>) -> Result<Target, Rejection> {
    let set: Vec<(&str, &str)> = ["fid", "token", "topic", "condition"]
        .into_iter()
        .filter_map(|name| Some((name, fields.get(name)?.as_str()?)))
        .collect();
    match set[..] {
        [("fid", fid)] => Ok(Target::Fid(fid.to_owned())),
        [("token", token)] => Ok(Target::Token(token.to_owned())),
        [_] => Ok(Target::Topic),
        [] => Err(invalid(&[wrong("message", "Recipient of the message is not set.")])),
        _ => Err(invalid(&[wrong("message", "more than one of fid, token, topic, condition")])),
    }
}

/// A token has letters, digits, `_`, `-` and colons; an installation id has no colon.
fn check_target(target: &Target) -> Result<(), Rejection> {
    let (text, colon) = match target {
        Target::Fid(fid) => (fid, false),
        Target::Token(token) => (token, true),
        Target::Topic => return Ok(()),
    };
    let right = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b) || (colon && b == b':');
    if (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(right) {
        return Ok(());
    }
    let why = "The registration token is not a valid FCM registration token";
    Err(Rejection::fcm(Code::InvalidArgument, why))
}

/// Not both ways to speak to Android, and not both kinds within the newer one.
fn check_forms(fields: &Map<String, Value>, violations: &mut Violations) {
    if fields.contains_key("android") && fields.contains_key("androidV2") {
        violations.push(wrong("message.android_v2", "android and android_v2 are both set"));
    }
    let has = |name| fields.get("androidV2").is_some_and(|form| form.get(name).is_some());
    if has("remoteNotification") && has("backgroundSync") {
        let why = "remote_notification and background_sync are both set";
        violations.push(wrong("message.android_v2", why));
    }
}

fn check_data(fields: &Map<String, Value>, violations: &mut Violations) {
    let reserved = |key: &str| {
        matches!(key, "from" | "message_type")
            || key.starts_with("google.")
            || key.starts_with("gcm.notification.")
    };
    for (at, data) in [
        ("message.data", fields.get("data")),
        ("message.android.data", { form(fields).and_then(|form| form.get("data")) }),
    ] {
        let keys = data.and_then(Value::as_object).into_iter().flat_map(Map::keys);
        for key in keys.filter(|key| reserved(key)) {
            violations.push(wrong(at, &format!("Invalid data payload key: {key}")));
        }
    }
}

fn check_labels(fields: &Map<String, Value>, violations: &mut Violations) {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b);
    for (at, form) in [("message", Some(fields)), ("message.android", form(fields))] {
        let label = form.and_then(|form| form.get("fcmOptions")?.get("analyticsLabel")?.as_str());
        if label.is_some_and(|it| !(1..=50).contains(&it.len()) || !it.bytes().all(allowed)) {
            violations.push(wrong(&format!("{at}.fcm_options.analytics_label"), "is malformed"));
        }
    }
    let hexadecimal = |color: &str| {
        let digits = color.strip_prefix('#');
        digits.is_some_and(|it| it.len() == 6 && it.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    if notification(fields, "color").is_some_and(|color| !hexadecimal(color)) {
        violations.push(wrong("message.android.notification.color", "is not #rrggbb"));
    }
}

/// What is said to Android in particular.
fn form(fields: &Map<String, Value>) -> Option<&Map<String, Value>> {
    fields.get("android").or_else(|| fields.get("androidV2"))?.as_object()
}

/// A text of the notification that Android gets.
pub(crate) fn notification<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let own = own_notification(fields).and_then(|own| own.get(name));
    own.or_else(|| fields.get("notification")?.get(name))?.as_str()
}

pub(crate) fn own_notification(fields: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let form = form(fields)?;
    let v1 = form.get("notification");
    v1.or_else(|| form.get("remoteNotification")?.get("notification"))?.as_object()
}

/// A value of the data that Android gets.
pub(crate) fn data<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    let own = form(fields).and_then(|form| form.get("data"));
    // The platform's data takes the place of the common one as a whole.
    own.or_else(|| fields.get("data"))?.get(key)?.as_str()
}

/// What data Android gets, key by key.
pub(crate) fn all_data(fields: &Map<String, Value>) -> impl Iterator<Item = (&str, &str)> {
    let own = form(fields).and_then(|form| form.get("data"));
    let data = own.or_else(|| fields.get("data")).and_then(Value::as_object);
    data.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

fn priority(said: Option<&str>, kind: Kind, fields: &Map<String, Value>) -> Priority {
    let v2 = fields.contains_key("androidV2");
    match said {
        Some(said) if said.eq_ignore_ascii_case("HIGH") => Priority::High,
        Some(_) => Priority::Normal,
        None if v2 && kind != Kind::Notification => Priority::Normal,
        None if kind == Kind::Notification => Priority::High,
        None => Priority::Normal,
    }
}

/// Bytes of the keys and values of data and notification. How Google counts is not documented.
fn payload_size(fields: &Map<String, Value>) -> usize {
    let of_data: usize = all_data(fields).map(|(key, value)| key.len() + value.len()).sum();
    let common = fields.get("notification").and_then(Value::as_object);
    let notifications = [common, own_notification(fields)].into_iter().flatten().flatten();
    let of_notifications: usize = notifications
        .map(|(key, value)| {
            key.len() + value.as_str().map_or_else(|| value.to_string().len(), str::len)
        })
        .sum();
    of_data + of_notifications
}
