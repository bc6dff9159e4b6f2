//! Every number is on the page, once, and in the documentation.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::collections::BTreeMap;
use std::sync::Arc;

use campanile_core::{AppId, Environment, HoldReason, Platform, Route, Timestamp};
use campanile_engine::telemetry::{HoldReading, RouteReading};

use super::*;

fn shown() -> Shown {
    let group = GroupLook {
        name: "deliver:apns",
        lag: 3,
        oldest: Some(Timestamp::from_millis(1_000)),
        now: Timestamp::from_millis(3_500),
        moved: Tick::default(),
    };
    let telemetry = Telemetry::default();
    telemetry.ingest_accepted.add(5);
    telemetry.undecodable.add(1);
    let worker = Telemetry::default();
    worker.deliverer_attempts.add(7);
    worker.deliverer_accepted_after_seconds.record(Duration::from_millis(20), 7);
    let route = Route {
        app: AppId::new("shop").unwrap(),
        platform: Platform::Apns,
        environment: Environment::Production,
        credential: Arc::from("org.example.shop"),
    };
    let pool = PoolCounters { connections_open: 2, lost: 4, ..PoolCounters::default() };
    let worker = WorkerReadings {
        platform: Platform::Apns,
        telemetry: worker.readings(),
        pools: vec![(route.clone(), pool)],
        routes: vec![RouteReading {
            route,
            hold: Some(HoldReading {
                why: HoldReason::Credential,
                reason: "InvalidProviderToken".to_owned(),
                since: Timestamp::from_millis(1_000),
                next_try: Timestamp::from_millis(9_000),
            }),
            backlog_events: 12,
            backlog_partitions: 2,
        }],
    };
    Shown {
        is_ready: true,
        groups: vec![group],
        telemetry: telemetry.readings(),
        workers: vec![worker],
        spans: (7, 1),
        now: Tick::from_start(Duration::from_secs(9)),
        time: Timestamp::from_millis(3_500),
    }
}

/// The families of a page: the name, the kind and the help text.
fn families(page: &str) -> Vec<(String, String, String)> {
    let helps = page.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let kinds = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let both = helps.zip(kinds).map(|((name, help), (typed, kind))| {
        assert_eq!(name, typed);
        (name.to_owned(), kind.to_owned(), help.to_owned())
    });
    both.collect()
}

#[test]
fn numbers_stand_under_their_labels() {
    let page = write(&shown());
    let route = "platform=\"apns\",app=\"shop\",environment=\"production\",\
                 credential=\"org.example.shop\"";
    for line in [
        "campanile_ready 1",
        "campanile_trace_spans_total{result=\"lost\"} 1",
        "campanile_group_lag_events{group=\"deliver:apns\"} 3",
        "campanile_group_lag_seconds{group=\"deliver:apns\"} 2.5",
        "campanile_group_stuck_seconds{group=\"deliver:apns\"} 9",
        "campanile_ingest_accepted_total 5",
        "campanile_undecodable_total{role=\"projector\"} 1",
        "campanile_undecodable_total{role=\"deliver:apns\"} 0",
        "campanile_deliverer_attempts_total{platform=\"apns\"} 7",
        "campanile_deliverer_accepted_after_seconds_bucket{platform=\"apns\",le=\"0.01\"} 0",
        "campanile_deliverer_accepted_after_seconds_bucket{platform=\"apns\",le=\"0.025\"} 7",
        "campanile_deliverer_accepted_after_seconds_sum{platform=\"apns\"} 0.14",
        "campanile_deliverer_accepted_after_seconds_count{platform=\"apns\"} 7",
        &format!("campanile_push_connections_open{{{route}}} 2"),
        &format!("campanile_push_lost_total{{{route}}} 4"),
    ] {
        assert!(page.lines().any(|it| it == line), "{line} is not in {page}");
    }
}

#[test]
fn every_number_of_the_engine_is_shown_and_no_line_stands_twice() {
    let page = write(&shown());
    for reading in Telemetry::default().readings() {
        let (name, _) = named(reading.name, &reading.value);
        let is_sample = |line: &str| {
            let rest = line.strip_prefix(name.as_str());
            rest.is_some_and(|it| it.starts_with([' ', '{']) || it.starts_with("_bucket"))
        };
        assert!(page.lines().any(is_sample), "{name} has no number");
    }
    let mut seen = std::collections::BTreeSet::new();
    for line in page.lines() {
        let series = if line.starts_with('#') { line } else { line.rsplit_once(' ').unwrap().0 };
        assert!(seen.insert(series), "{line} stands twice");
    }
}

/// A process that delivers nothing yet shows the same families as any other.
#[test]
fn the_families_are_always_the_same() {
    assert_eq!(families(&write(&Shown::default())), families(&write(&shown())));
}

#[test]
fn names_are_as_prometheus_wants_them() {
    for (name, kind, help) in families(&write(&Shown::default())) {
        let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        assert!(is_name && name.starts_with("campanile_"), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        assert!(kind != "histogram" || name.ends_with("_seconds"), "{name}");
        assert!(help.ends_with('.'), "{name}: {help}");
    }
}

#[test]
fn the_documentation_lists_exactly_what_is_shown() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let documented = std::fs::read_to_string(path).unwrap();
    let cells = |line: &str| -> Option<(String, (String, String))> {
        let line = line.strip_prefix("| `")?.strip_suffix(" |")?;
        let (name, rest) = line.split_once("` | ")?;
        let mut rest = rest.splitn(3, " | ");
        let (kind, _labels, help) = (rest.next()?, rest.next()?, rest.next()?);
        let is_metric = name.starts_with("campanile_");
        is_metric.then(|| (name.to_owned(), (kind.to_owned(), help.to_owned())))
    };
    let documented: Vec<_> = documented.lines().filter_map(cells).collect();
    let count = documented.len();
    let documented: BTreeMap<_, _> = documented.into_iter().collect();
    assert_eq!(documented.len(), count, "a metric is documented twice");
    let shown = families(&write(&shown()));
    let shown: BTreeMap<_, _> =
        shown.into_iter().map(|(name, kind, help)| (name, (kind, help))).collect();
    for (name, row) in &shown {
        assert_eq!(documented.get(name), Some(row), "docs/metrics.md: {name}");
    }
    let gone: Vec<_> = documented.keys().filter(|name| !shown.contains_key(*name)).collect();
    assert!(gone.is_empty(), "docs/metrics.md: {gone:?} are no metrics");
}
