//! How fast notifications come.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How fast notifications come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    /// As fast as they are taken, with a bound on what is under way.
    Max,
    /// Half as fast as a round with `Max` just before allows.
    Half,
    /// So many a second, whatever becomes of them.
    PerSecond(u32),
}

/// As a file has it.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Written {
    Number(u32),
    Word(String),
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Written::deserialize(from) {
            Ok(Written::Number(number)) => Ok(Self::PerSecond(number)),
            Ok(Written::Word(word)) if word == "max" => Ok(Self::Max),
            Ok(Written::Word(word)) if word == "half" => Ok(Self::Half),
            _ => Err(serde::de::Error::custom(
                "must be a number of notifications a second, \"max\" or \"half\"",
            )),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let written = match self {
            Self::Max => Written::Word("max".to_owned()),
            Self::Half => Written::Word("half".to_owned()),
            Self::PerSecond(number) => Written::Number(*number),
        };
        written.serialize(to)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    #[test]
    fn a_rate_is_written_as_it_is_read() {
        for text in ["\"max\"", "\"half\"", "250"] {
            let rate: Rate = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&rate).unwrap(), text);
        }
        for text in ["\"fast\"", "-1", "1.5"] {
            let error = serde_json::from_str::<Rate>(text).unwrap_err().to_string();
            assert!(error.contains("must be a number of notifications a second"), "{error}");
        }
    }
}
