//! Values between the API and people.

use std::time::Duration;

use campanile_core::Timestamp;

/// An instant as people read it; empty if there is none.
pub(crate) fn instant(at: Option<&prost_types::Timestamp>) -> String {
    let millis = |at: &prost_types::Timestamp| {
        let seconds = u64::try_from(at.seconds).unwrap_or_default();
        let millis = u64::try_from(at.nanos / 1_000_000).unwrap_or_default();
        seconds.saturating_mul(1000).saturating_add(millis)
    };
    at.map(|at| Timestamp::from_millis(millis(at)).to_string()).unwrap_or_default()
}

/// When a route that is held is tried, of which `next` is the [`instant`]: there is none while a
/// delivery tries it.
pub(crate) fn tried(next: &str) -> String {
    if next.is_empty() { "being tried now".to_owned() } else { format!("tried at {next}") }
}

/// Reads a length of time of the command line.
///
/// # Errors
/// What it must be, in words.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    crate::config::span(text).ok_or_else(|| "must be a duration, such as \"15 s\"".to_owned())
}

/// Whole seconds, as the API wants durations.
pub(super) fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

/// The word of a protobuf enum's value: `USER_ACTION_DISMISSED` is `dismissed`.
pub(super) fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_words_read_well() {
        let at = prost_types::Timestamp { seconds: 951_782_400, nanos: 5_000_000 };
        assert_eq!(instant(Some(&at)), "2000-02-29T00:00:00.005Z");
        assert_eq!(instant(None), "");
        assert_eq!(tried(&instant(Some(&at))), "tried at 2000-02-29T00:00:00.005Z");
        assert_eq!(tried(&instant(None)), "being tried now");
        assert_eq!(word("SUPPRESSION_ENDPOINT_GONE", "SUPPRESSION_"), "endpoint gone");
        assert_eq!(span("90 s"), Ok(Duration::from_secs(90)));
        assert!(span("soon").is_err());
    }
}
