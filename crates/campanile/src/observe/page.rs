//! The text format of Prometheus, version 0.0.4
//! (prometheus.io/docs/instrumenting/exposition_formats).

use std::fmt::{Display, Write};

use campanile_engine::telemetry::{Distribution, Value};

/// What kind of number a family holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Labels and their values.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page that is being written.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// Begins the numbers called `name`; a counter's ends in `_total`.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let help: Vec<&str> = help.split_whitespace().collect();
        let help = help.join(" ").replace('\\', "\\\\");
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {}", kind.name()));
    }

    /// One number.
    pub(super) fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.line(format_args!("{name}{} {value}", braced(labels, None)));
    }

    /// What an instrument shows.
    pub(super) fn value(&mut self, name: &str, labels: Labels<'_>, value: &Value) {
        match value {
            Value::Counter(value) | Value::Gauge(value) => self.sample(name, labels, value),
            Value::Histogram(shown) => self.histogram(name, labels, shown),
        }
    }

    fn histogram(&mut self, name: &str, labels: Labels<'_>, shown: &Distribution) {
        for (bound, count) in &shown.buckets {
            let bound = bound.map_or("+Inf".to_owned(), |it| it.as_secs_f64().to_string());
            let labels = braced(labels, Some(&bound));
            self.line(format_args!("{name}_bucket{labels} {count}"));
        }
        self.line(format_args!("{name}_sum{} {}", braced(labels, None), shown.sum.as_secs_f64()));
        self.line(format_args!("{name}_count{} {}", braced(labels, None), shown.count()));
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn line(&mut self, line: impl Display) {
        // Writing to a text does not fail.
        let _written = writeln!(self.0, "{line}");
    }
}

/// Labels in braces, with the bound of a bucket if it is one; nothing if there are none.
fn braced(labels: Labels<'_>, bound: Option<&str>) -> String {
    let labels = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
    let labels: Vec<_> =
        labels.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
    if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_the_format_of_prometheus() {
        let mut page = Page::default();
        page.family("things_total", Kind::Counter, " What\n  is \\ counted.");
        page.value("things_total", &[], &Value::Counter(7));
        page.sample("things_total", &[("a", "x\"y\\z\n"), ("b", "")], 8);
        let buckets = vec![(Some(Duration::from_micros(2_500)), 1), (None, 3)];
        let shown = Distribution { buckets, sum: Duration::from_millis(1_500) };
        page.family("took_seconds", Kind::Histogram, "Time.");
        page.value("took_seconds", &[("a", "x")], &Value::Histogram(shown));
        let expected = [
            "# HELP things_total What is \\\\ counted.",
            "# TYPE things_total counter",
            "things_total 7",
            "things_total{a=\"x\\\"y\\\\z\\n\",b=\"\"} 8",
            "# HELP took_seconds Time.",
            "# TYPE took_seconds histogram",
            "took_seconds_bucket{a=\"x\",le=\"0.0025\"} 1",
            "took_seconds_bucket{a=\"x\",le=\"+Inf\"} 3",
            "took_seconds_sum{a=\"x\"} 1.5",
            "took_seconds_count{a=\"x\"} 3",
            "",
        ];
        assert_eq!(page.into_text(), expected.join("\n"));
    }
}
