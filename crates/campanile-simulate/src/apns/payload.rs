//! The checks of the body: its size, its JSON, and whether it is what its push type says.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::push_type::PushType;
use super::reason::Reason;

/// What an `aps` dictionary asks the system to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aps {
    /// It has an `alert`.
    pub alert: bool,
    /// It has a `badge`.
    pub badge: bool,
    /// It has a `sound`.
    pub sound: bool,
    /// It has `"content-available": 1`.
    pub content_available: bool,
}

/// Checks the body of a push of the given type.
///
/// # Errors
///
/// - `PayloadEmpty` for no body, and, since Apple documents nothing for it, also for a body that
///   is not a JSON object with an `aps` dictionary;
/// - `PayloadTooLarge` above the limit of the type;
/// - `InvalidPushType` when type and content disagree: a background push must have
///   `content-available` and neither alert, badge nor sound; an alert push must have one of these.
pub fn payload(push_type: PushType, body: &[u8]) -> Result<Aps, Reason> {
    if body.is_empty() {
        return Err(Reason::PayloadEmpty);
    }
    if body.len() > push_type.payload_limit() {
        return Err(Reason::PayloadTooLarge);
    }
    // Skipped values are not checked for UTF-8 by the JSON reader, so the text is checked first.
    let text = std::str::from_utf8(body).map_err(|_| Reason::PayloadEmpty)?;
    let Root(aps) = serde_json::from_str(text).map_err(|_| Reason::PayloadEmpty)?;
    let interrupts = aps.alert || aps.badge || aps.sound;
    match push_type {
        PushType::Background if interrupts || !aps.content_available => {
            Err(Reason::InvalidPushType)
        }
        PushType::Alert if !interrupts => Err(Reason::InvalidPushType),
        _ => Ok(aps),
    }
}

/// The root object. Only what the checks need is kept: this runs for every push under load.
struct Root(Aps);

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Root;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with an aps dictionary")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Root, A::Error> {
                let mut aps = None;
                while let Some(key) = map.next_key::<Key>()? {
                    if key == Key::Aps {
                        aps = Some(map.next_value::<Aps>()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                aps.map(Root).ok_or_else(|| A::Error::missing_field("aps"))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

impl<'de> Deserialize<'de> for Aps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Aps;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an aps dictionary")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Aps, A::Error> {
                let mut aps = Aps::default();
                while let Some(key) = map.next_key::<Key>()? {
                    if key == Key::ContentAvailable {
                        aps.content_available = map.next_value::<One>()?.0;
                        continue;
                    }
                    map.next_value::<IgnoredAny>()?;
                    match key {
                        Key::Alert => aps.alert = true,
                        Key::Badge => aps.badge = true,
                        Key::Sound => aps.sound = true,
                        Key::Aps | Key::ContentAvailable | Key::Other => {}
                    }
                }
                Ok(aps)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// The keys that the checks look at, told apart without keeping their text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Aps,
    Alert,
    Badge,
    Sound,
    ContentAvailable,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(match name {
                    "aps" => Key::Aps,
                    "alert" => Key::Alert,
                    "badge" => Key::Badge,
                    "sound" => Key::Sound,
                    "content-available" => Key::ContentAvailable,
                    _ => Key::Other,
                })
            }
        }
        deserializer.deserialize_str(Name)
    }
}

/// Whether a JSON value is the number 1. A string or a boolean is not: devices ignore those.
struct One(bool);

impl<'de> Deserialize<'de> for One {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(Self(value.as_u64() == Some(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(body: &str) -> Result<Aps, Reason> {
        payload(PushType::Alert, body.as_bytes())
    }

    fn background(body: &str) -> Result<Aps, Reason> {
        payload(PushType::Background, body.as_bytes())
    }

    #[test]
    fn alert_push_must_interrupt() {
        for aps in [r#"{"alert":"hi"}"#, r#"{"badge":0}"#, r#"{"sound":"default"}"#] {
            assert!(alert(&format!(r#"{{"x":[1,{{}}],"aps":{aps}}}"#)).is_ok(), "{aps}");
        }
        assert_eq!(alert(r#"{"aps":{"content-available":1}}"#), Err(Reason::InvalidPushType));
    }

    #[test]
    fn background_push_must_be_silent() {
        let silent = background(r#"{"aps":{"content-available":1},"campanile":{}}"#);
        assert_eq!(silent, Ok(Aps { content_available: true, ..Aps::default() }));
        for aps in [
            r"{}",
            r#"{"content-available":0}"#,
            r#"{"content-available":"1"}"#,
            r#"{"content-available":true}"#,
            r#"{"content-available":1,"alert":"x"}"#,
            r#"{"content-available":1,"badge":1}"#,
            r#"{"content-available":1,"sound":"x"}"#,
        ] {
            let answer = background(&format!(r#"{{"aps":{aps}}}"#));
            assert_eq!(answer, Err(Reason::InvalidPushType), "{aps}");
        }
    }

    #[test]
    fn what_is_not_an_object_with_aps_is_no_payload() {
        for body in [
            "",
            "{}",
            "[]",
            r#"[{"alert":"x"}]"#,
            r#"{"aps":["x"]}"#,
            r#"{"aps":"x"}"#,
            r#"{"aps":{"alert":"x"}"#,
            r#"{"aps":{"alert":"x"}}}"#,
            r#"{"aps":{"alert":"x"},}"#,
            "aps",
        ] {
            assert_eq!(alert(body), Err(Reason::PayloadEmpty), "{body}");
        }
        let not_utf8 = b"{\"aps\":{\"alert\":\"\xff\"}}";
        assert_eq!(payload(PushType::Alert, not_utf8), Err(Reason::PayloadEmpty));
    }

    #[test]
    fn size_limit_depends_on_the_type() {
        let sized = |size: usize| {
            let frame = r#"{"aps":{"alert":""}}"#.len();
            format!(r#"{{"aps":{{"alert":"{}"}}}}"#, "x".repeat(size - frame))
        };
        assert!(alert(&sized(4096)).is_ok());
        assert_eq!(alert(&sized(4097)), Err(Reason::PayloadTooLarge));
        assert!(payload(PushType::Voip, sized(5120).as_bytes()).is_ok());
        let too_large = payload(PushType::Voip, sized(5121).as_bytes());
        assert_eq!(too_large, Err(Reason::PayloadTooLarge));
    }
}
