//! What a figure should be. A target that is missed is told, and fails nothing: machines differ.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a figure should be at least or at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// A text that is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}: a target is \">= NUMBER\" or \"<= NUMBER\"")]
pub(crate) struct NoTarget(String);

impl Target {
    /// Whether a value is as it should be.
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

impl FromStr for Target {
    type Err = NoTarget;

    fn from_str(text: &str) -> Result<Self, NoTarget> {
        let number = |rest: &str| rest.trim().parse().ok().filter(|it: &f64| it.is_finite());
        let least = text.strip_prefix(">=").and_then(number).map(Self::AtLeast);
        let target = least.or_else(|| text.strip_prefix("<=").and_then(number).map(Self::AtMost));
        target.ok_or_else(|| NoTarget(text.to_owned()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_or_missed() {
        for (text, met, missed) in [(">= 0.5", 0.5, 0.49), ("<= 50", 50.0, 50.1)] {
            let target: Result<Target, _> = text.parse();
            let target = target.unwrap_or_else(|error| panic!("{error}"));
            assert!(target.is_met(met) && !target.is_met(missed), "{target}");
            assert_eq!(target.to_string(), text);
        }
        for text in ["50", "> 50", ">= much", "<= inf"] {
            assert_eq!(text.parse::<Target>(), Err(NoTarget(text.to_owned())));
        }
    }
}
