//! The shape of a send request: every field of the discovery document of FCM HTTP v1 (revision
//! 20261023) with its type, and the checks that Google's JSON reader makes before FCM sees
//! anything (ProtoJSON, protobuf.dev/programming-guides/json).

use serde_json::{Map, Value};

/// The types that fields have.
enum Type {
    Text,
    Bool,
    Int32,
    Number,
    /// A decimal number of seconds and an `s`.
    Duration,
    /// RFC 3339. Its text is not looked at.
    Time,
    Word(&'static [&'static str]),
    /// Text by text.
    Texts,
    /// Any object.
    Any,
    TextList,
    DurationList,
    Object(Fields),
}

/// Fields by their camel-case name, in groups because some messages share most of theirs.
type Fields = &'static [Group];
type Group = &'static [(&'static str, Type)];

use Type::{
    Any, Bool, Duration, DurationList, Int32, Number, Object, Text, TextList, Texts, Time, Word,
};

const REQUEST: Fields = &[&[("message", Object(MESSAGE)), ("validateOnly", Bool)]];

const MESSAGE: Fields = &[&[
    ("android", Object(ANDROID)),
    ("androidV2", Object(ANDROID_V2)),
    ("apns", Object(APNS)),
    ("condition", Text),
    ("data", Texts),
    ("fcmOptions", Object(OPTIONS)),
    ("fid", Text),
    ("name", Text),
    ("notification", Object(&[&[("body", Text), ("image", Text), ("title", Text)]])),
    ("token", Text),
    ("topic", Text),
    ("webpush", Object(WEBPUSH)),
]];

const OPTIONS: Fields = &[&[("analyticsLabel", Text)]];

const ANDROID: Fields = &[
    ANDROID_BOTH,
    &[("notification", Object(ANDROID_NOTIFICATION)), ("priority", Word(&["NORMAL", "HIGH"]))],
];

const ANDROID_V2: Fields = &[
    ANDROID_BOTH,
    &[("backgroundSync", Object(&[])), ("remoteNotification", Object(REMOTE_NOTIFICATION))],
];

const ANDROID_BOTH: Group = &[
    ("bandwidthConstrainedOk", Bool),
    ("collapseKey", Text),
    ("data", Texts),
    ("directBootOk", Bool),
    ("fcmOptions", Object(OPTIONS)),
    ("restrictedPackageName", Text),
    ("restrictedSatelliteOk", Bool),
    ("ttl", Duration),
];

const REMOTE_NOTIFICATION: Fields = &[&[
    ("mutableContent", Bool),
    ("notification", Object(&[NOTIFICATION_BOTH, &[("id", Int32)]])),
    ("useAsV1DataMessage", Bool),
]];

const ANDROID_NOTIFICATION: Fields = &[
    NOTIFICATION_BOTH,
    &[
        ("bypassProxyNotification", Bool),
        ("proxy", Word(&["PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"])),
    ],
];

const NOTIFICATION_BOTH: Group = &[
    ("body", Text),
    ("bodyLocArgs", TextList),
    ("bodyLocKey", Text),
    ("channelId", Text),
    ("clickAction", Text),
    ("color", Text),
    ("defaultLightSettings", Bool),
    ("defaultSound", Bool),
    ("defaultVibrateTimings", Bool),
    ("eventTime", Time),
    ("icon", Text),
    ("image", Text),
    ("lightSettings", Object(LIGHT)),
    ("localOnly", Bool),
    ("notificationCount", Int32),
    (
        "notificationPriority",
        Word(&[
            "PRIORITY_UNSPECIFIED",
            "PRIORITY_MIN",
            "PRIORITY_LOW",
            "PRIORITY_DEFAULT",
            "PRIORITY_HIGH",
            "PRIORITY_MAX",
        ]),
    ),
    ("sound", Text),
    ("sticky", Bool),
    ("tag", Text),
    ("ticker", Text),
    ("title", Text),
    ("titleLocArgs", TextList),
    ("titleLocKey", Text),
    ("vibrateTimings", DurationList),
    ("visibility", Word(&["VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"])),
];

const LIGHT: Fields =
    &[&[("color", Object(COLOR)), ("lightOffDuration", Duration), ("lightOnDuration", Duration)]];

const COLOR: Fields = &[&[("alpha", Number), ("blue", Number), ("green", Number), ("red", Number)]];

const APNS: Fields = &[&[
    ("fcmOptions", Object(&[&[("analyticsLabel", Text), ("image", Text)]])),
    ("headers", Texts),
    ("liveActivityToken", Text),
    ("payload", Any),
]];

const WEBPUSH: Fields = &[&[
    ("data", Texts),
    ("fcmOptions", Object(&[&[("analyticsLabel", Text), ("link", Text)]])),
    ("headers", Texts),
    ("notification", Any),
]];

/// What is wrong, and where: field and description.
pub(crate) type Violations = Vec<(String, String)>;

/// Reads a send request. Field names are in camel case afterwards, whatever they were.
///
/// # Errors
///
/// Everything that has no place in a request.
pub(crate) fn request(body: &[u8]) -> Result<Map<String, Value>, Violations> {
    let broken = |why: String| vec![(String::new(), why)];
    let text = std::str::from_utf8(body).map_err(|_| broken("the body is not UTF-8".into()))?;
    let value: Value = serde_json::from_str(text)
        .map_err(|error| broken(format!("Invalid JSON payload received: {error}")))?;
    let Value::Object(object) = value else {
        return Err(broken("Invalid JSON payload received: not an object".into()));
    };
    let mut violations = Violations::new();
    let read = fields(object, REQUEST, "", &mut violations);
    if violations.is_empty() { Ok(read) } else { Err(violations) }
}

fn fields(
    object: Map<String, Value>,
    known: Fields,
    path: &str,
    violations: &mut Violations,
) -> Map<String, Value> {
    let mut read = Map::new();
    for (key, mut value) in object {
        let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let Some((name, kind)) =
            known.iter().copied().flatten().find(|(name, _)| is_name(name, &key))
        else {
            let why = format!("Invalid JSON payload received. Unknown name {key:?}");
            violations.push((at, why));
            continue;
        };
        // Null is as good as absent.
        if value.is_null() {
            continue;
        }
        kind.check(&mut value, &at, violations);
        if read.insert((*name).to_owned(), value).is_some() {
            violations.push((at, "the field is set twice".to_owned()));
        }
    }
    read
}

/// Whether a key is the camel-case name, or the same in snake case.
fn is_name(camel: &str, key: &str) -> bool {
    let mut rest = key;
    for letter in camel.chars() {
        let after = rest.strip_prefix(letter).or_else(|| {
            let snake = rest.strip_prefix('_').filter(|_| letter.is_ascii_uppercase())?;
            snake.strip_prefix(letter.to_ascii_lowercase())
        });
        match after {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}

impl Type {
    fn check(&self, value: &mut Value, at: &str, violations: &mut Violations) {
        let right = match self {
            Object(known) => {
                if let Value::Object(object) = value {
                    *value = Value::Object(fields(std::mem::take(object), known, at, violations));
                    true
                } else {
                    false
                }
            }
            Text | Time => value.is_string(),
            Bool => value.is_boolean(),
            Int32 => is_int32(value),
            Number => value.is_number(),
            Duration => is_duration(value),
            // Google's own clients send `high`.
            Word(words) => value
                .as_str()
                .is_some_and(|said| words.iter().any(|word| word.eq_ignore_ascii_case(said))),
            Texts => value.as_object().is_some_and(|map| map.values().all(Value::is_string)),
            Any => value.is_object(),
            TextList => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            DurationList => value.as_array().is_some_and(|list| list.iter().all(is_duration)),
        };
        if !right {
            violations.push((at.to_owned(), format!("Invalid value at '{at}'")));
        }
    }
}

/// A number, or the same as text.
fn is_int32(value: &Value) -> bool {
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    number.is_some_and(|number| i32::try_from(number).is_ok())
}

fn is_duration(value: &Value) -> bool {
    value.as_str().and_then(seconds).is_some()
}

/// The whole seconds of a duration; it may not be negative here.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let number = text.strip_suffix('s')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits(whole) && digits(fraction) && fraction.len() <= 9).then(|| whole.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_in_both_cases() {
        assert!(is_name("collapseKey", "collapseKey") && is_name("collapseKey", "collapse_key"));
        assert!(is_name("androidV2", "android_v2") && is_name("ttl", "ttl"));
        assert!(!is_name("collapseKey", "collapsekey") && !is_name("ttl", "TTL"));
        assert!(!is_name("tag", "tags") && !is_name("tag", "ta"));
    }

    #[test]
    fn durations_are_seconds() {
        assert_eq!(seconds("0s"), Some(0));
        assert_eq!(seconds("3.5s"), Some(3));
        for bad in ["", "s", "3", "-1s", "+1s", "1.s", "1.0000000000s", "1 s", "1m"] {
            assert_eq!(seconds(bad), None, "{bad:?}");
        }
    }
}
