//! Scenarios: what load there is, as a file says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rate::Rate;
use crate::target::Target;

/// What load there is. The files are in `loadtest/scenarios`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it is for, in a line.
    pub(crate) about: String,
    /// Users who are told something, by turns.
    pub(crate) users: usize,
    /// Devices of each; 0: nobody is pushed to.
    pub(crate) endpoints: usize,
    /// How many in a hundred of them are Android's; the others are Apple's.
    #[serde(default)]
    pub(crate) fcm_percent: usize,
    /// Notifications a second.
    pub(crate) rate: Rate,
    /// What the platforms take to answer, in milliseconds.
    #[serde(default)]
    pub(crate) latency_ms: u64,
    /// Whether each round is done without this latency before, for comparison.
    #[serde(default)]
    pub(crate) without_latency_too: bool,
    /// How long there is load before anything is measured.
    pub(crate) warm_up_seconds: u64,
    /// How long is measured.
    pub(crate) seconds: u64,
    /// How often all of it is done; the report has the medians.
    pub(crate) repeats: usize,
    /// Streams that publish at the same time.
    #[serde(default = "four")]
    pub(crate) streams: usize,
    /// Notifications in one message at most.
    #[serde(default = "hundred")]
    pub(crate) batch: usize,
    /// With `rate = "max"`: notifications that are not everywhere yet, before the next is sent.
    #[serde(default = "ahead")]
    pub(crate) ahead: usize,
    /// How many notifications in a hundred are the first user's, apart from its turn.
    #[serde(default)]
    pub(crate) hot_percent: usize,
    /// From the middle of what is measured on, another app publishes this many times as much to as
    /// many users of its own; 0: there is none.
    #[serde(default)]
    pub(crate) noisy_times: usize,
    /// Whether each notification is dismissed on one of its user's devices, as soon as all show it.
    #[serde(default)]
    pub(crate) dismiss: bool,
    /// When nothing reaches a platform.
    pub(crate) outage: Option<Outage>,
    /// Who follows users live.
    pub(crate) watch: Option<Watch>,
    /// When the state is built again beside the one that serves, in seconds after the warm-up.
    pub(crate) rebuild_after_seconds: Option<u64>,
    /// What figures should be, by name.
    #[serde(default)]
    pub(crate) targets: BTreeMap<String, Target>,
}

/// When nothing reaches a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outage {
    /// From when on, in seconds after the warm-up.
    pub(crate) after_seconds: u64,
    /// For how long.
    pub(crate) seconds: u64,
}

/// Who follows users live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Watch {
    /// Streams, one of each user by turns.
    pub(crate) streams: usize,
    /// Streams of one connection.
    pub(crate) per_connection: usize,
    /// How often all connections are cut at once and made again; 0: never.
    #[serde(default)]
    pub(crate) cut_every_seconds: u64,
}

/// What is wrong with a scenario.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is none.
    #[error("{path}: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value makes no sense.
    #[error("{path}: {field}: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The setting.
        field: &'static str,
        /// What it must be.
        reason: &'static str,
    },
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// [`ScenarioError`].
    pub(crate) fn read(path: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path);
        let text =
            text.map_err(|source| ScenarioError::Unreadable { path: path.to_owned(), source })?;
        let scenario: Self = toml::from_str(&text).map_err(|source| ScenarioError::Malformed {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        match scenario.problem() {
            None => Ok(scenario),
            Some((field, reason)) => {
                Err(ScenarioError::Invalid { path: path.to_owned(), field, reason })
            }
        }
    }

    fn problem(&self) -> Option<(&'static str, &'static str)> {
        let within = |value: usize, most: usize| (1..=most).contains(&value);
        let is_soon = |seconds: u64| seconds <= 24 * 3600;
        [
            (within(self.users, 1_000_000), "users", "must be 1 to 1000000"),
            (self.endpoints <= 20, "endpoints", "must be at most 20, as many as a user may have"),
            (self.fcm_percent <= 100, "fcm_percent", "must be at most 100"),
            (self.rate != Rate::PerSecond(0), "rate", "must be at least 1, \"max\" or \"half\""),
            (self.latency_ms <= 60_000, "latency_ms", "must be at most 60000"),
            (is_soon(self.warm_up_seconds), "warm_up_seconds", "must be at most a day"),
            (is_soon(self.seconds) && self.seconds > 0, "seconds", "must be 1 to 86400"),
            (within(self.repeats, 100), "repeats", "must be 1 to 100"),
            (within(self.streams, 64), "streams", "must be 1 to 64"),
            (within(self.batch, 500), "batch", "must be 1 to 500, the most in a message"),
            (within(self.ahead, 1_000_000), "ahead", "must be 1 to 1000000"),
            (self.hot_percent <= 100, "hot_percent", "must be at most 100"),
            (self.noisy_times <= 100, "noisy_times", "must be at most 100"),
            (
                self.noisy_times == 0
                    || (self.has_rate() && self.hot_percent == 0 && self.fcm_percent == 0),
                "noisy_times",
                "needs a rate, no hot user and Apple devices only",
            ),
            (
                self.endpoints > 0 || self.rate != Rate::Half,
                "rate",
                "\"half\" is of pushes, so there must be devices",
            ),
            (
                !self.without_latency_too || (self.rate == Rate::Max && self.endpoints > 0),
                "without_latency_too",
                "compares pushes with rate \"max\"",
            ),
            (
                !self.dismiss || (self.endpoints > 0 && self.noisy_times == 0),
                "dismiss",
                "needs devices and one app",
            ),
            (
                self.outage.is_none_or(|it| it.after_seconds + it.seconds < self.seconds),
                "outage",
                "must end before what is measured",
            ),
            (
                self.watch.is_none_or(|it| within(it.streams, 10_000)),
                "watch.streams",
                "must be 1 to 10000",
            ),
            (
                self.watch.is_none_or(|it| within(it.per_connection, 256)),
                "watch.per_connection",
                "must be 1 to 256, the most that the server takes",
            ),
            (
                self.rebuild_after_seconds.is_none_or(|it| it < self.seconds),
                "rebuild_after_seconds",
                "must be before the end of what is measured",
            ),
        ]
        .into_iter()
        .find_map(|(is_sound, field, reason)| (!is_sound).then_some((field, reason)))
    }

    /// The setting that asks for an engine that is started here, if one does.
    pub(crate) fn needs_rounds(&self) -> Option<&'static str> {
        let half = (self.rate == Rate::Half).then_some("rate = \"half\"");
        let rebuild = self.rebuild_after_seconds.map(|_| "rebuild_after_seconds");
        half.or(rebuild).or(self.without_latency_too.then_some("without_latency_too"))
    }

    /// Whether so many a second are asked for.
    pub(crate) const fn has_rate(&self) -> bool {
        matches!(self.rate, Rate::PerSecond(_))
    }

    /// How long is measured.
    pub(crate) const fn span(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The load before it.
    pub(crate) const fn warm_up(&self) -> Duration {
        Duration::from_secs(self.warm_up_seconds)
    }

    /// Whether an endpoint is Android's.
    pub(crate) const fn is_fcm(&self, user: usize, endpoint: usize) -> bool {
        // Spread over users and endpoints alike.
        (user * 7 + endpoint * 13) % 100 < self.fcm_percent
    }
}

const fn four() -> usize {
    4
}

const fn hundred() -> usize {
    100
}

const fn ahead() -> usize {
    8000
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

    use super::*;

    fn parse(text: &str) -> Result<Scenario, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.toml");
        std::fs::write(&path, text).unwrap();
        let place = format!("{}: ", path.display());
        Scenario::read(&path).map_err(|error| error.to_string().replace(&place, ""))
    }

    const GOOD: &str = "about = \"x\"\nusers = 2\nendpoints = 3\nrate = 10\n\
                        warm_up_seconds = 0\nseconds = 1\nrepeats = 1\n";

    #[test]
    fn the_scenarios_that_come_along_are_sound_and_described() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let directory = here.join("scenarios");
        let described = std::fs::read_to_string(here.join("../docs/load-test.md")).unwrap();
        let files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|it| it.unwrap()).collect();
        assert!(files.len() >= 4);
        for file in files {
            let path = file.path();
            Scenario::read(&path).unwrap_or_else(|error| panic!("{error}"));
            let name = format!("| `{}` |", path.file_stem().unwrap().to_string_lossy());
            assert!(described.contains(&name), "{name} is not in docs/load-test.md");
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_field() {
        let good = parse(GOOD).unwrap();
        assert_eq!((good.rate, good.batch, good.fcm_percent), (Rate::PerSecond(10), 100, 0));
        let with = |from, to| parse(&GOOD.replace(from, to));
        assert_eq!(with("rate = 10", "rate = \"max\"").unwrap().rate, Rate::Max);
        for (from, to, told) in [
            ("users = 2", "users = 0", "users: must be 1 to 1000000"),
            ("rate = 10", "rate = 0", "rate: must be at least 1"),
            ("endpoints = 3", "endpoints = 21", "endpoints: must be at most 20"),
            ("rate = 10", "rate = \"fast\"", "must be a number of notifications a second"),
            ("users = 2", "user = 2", "unknown field `user`"),
            ("seconds = 1\n", "", "missing field `seconds`"),
            ("rate = 10", "rate = \"max\"\nnoisy_times = 10", "noisy_times: needs a rate"),
            (
                "repeats = 1",
                "repeats = 1\n[outage]\nafter_seconds = 0\nseconds = 9",
                "outage: must end",
            ),
            ("repeats = 1", "repeats = 1\n[targets]\nx = \"50\"", "a target is"),
            ("repeats = 1", "repeats = 1\n[watch]\nstreams = 9", "missing field `per_connection`"),
        ] {
            let told_now = with(from, to).unwrap_err();
            assert!(told_now.contains(told), "{told_now} for {to}");
        }
    }
}
