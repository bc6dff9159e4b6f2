//! Everything that is counted, on one page. `docs/metrics.md` lists it; a test compares.

use std::time::Duration;

use campanile_core::{Route, Tick, Timestamp};
use campanile_engine::telemetry::{Reading, Telemetry, Value};
use campanile_push::PoolCounters;

use super::look::GroupLook;
use super::page::{Kind, Page};
use super::workers::WorkerReadings;
use crate::role::Role;

/// What is shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) is_ready: bool,
    pub(super) groups: Vec<GroupLook>,
    /// Of all roles but the delivery workers.
    pub(super) telemetry: Vec<Reading>,
    pub(super) workers: Vec<WorkerReadings>,
    /// Spans that a collector took, and those that were lost.
    pub(super) spans: (u64, u64),
    pub(super) now: Tick,
    /// The same by the wall clock.
    pub(super) time: Timestamp,
}

/// What a pool counts: the name, its kind, what it means, and its number.
type PoolRow = (&'static str, Kind, &'static str, u64);

/// Writes the page.
pub(super) fn write(shown: &Shown) -> String {
    let mut page = Page::default();
    process(&mut page, shown);
    groups(&mut page, shown);
    telemetry(&mut page, shown);
    routes(&mut page, shown);
    pools(&mut page, shown);
    traces(&mut page, shown);
    page.into_text()
}

fn traces(page: &mut Page, shown: &Shown) {
    let (sent, lost) = shown.spans;
    let name = "campanile_trace_spans_total";
    page.family(name, Kind::Counter, "Spans that the collector took, and those that were lost.");
    page.sample(name, &[("result", "sent")], sent);
    page.sample(name, &[("result", "lost")], lost);
}

fn process(page: &mut Page, shown: &Shown) {
    let name = "campanile_build_info";
    page.family(name, Kind::Gauge, "Always 1; the version is a label.");
    page.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    let name = "campanile_ready";
    page.family(name, Kind::Gauge, "Whether /readyz says that the process is ready: 1 or 0.");
    page.sample(name, &[], u8::from(shown.is_ready));
}

fn groups(page: &mut Page, shown: &Shown) {
    let name = "campanile_group_lag_events";
    page.family(name, Kind::Gauge, "Records of the log that the group has not finished.");
    for group in &shown.groups {
        page.sample(name, &[("group", group.name)], group.lag);
    }
    let name = "campanile_group_lag_seconds";
    let help = "Age of the oldest record that the group has not finished; 0 if there is none.";
    page.family(name, Kind::Gauge, help);
    for group in &shown.groups {
        let age = group.oldest.map(|oldest| group.now.since(oldest)).unwrap_or_default();
        page.sample(name, &[("group", group.name)], age.as_secs_f64());
    }
    let name = "campanile_group_stuck_seconds";
    let help = "Time since the group finished anything, while something waits; 0 if nothing does.";
    page.family(name, Kind::Gauge, help);
    for group in &shown.groups {
        let stuck = if group.lag > 0 { shown.now.since(group.moved) } else { Duration::ZERO };
        page.sample(name, &[("group", group.name)], stuck.as_secs_f64());
    }
}

/// The instruments of the engine. What delivery workers count has the platform as a label.
fn telemetry(page: &mut Page, shown: &Shown) {
    for (at, Reading { name: field, help, value }) in
        Telemetry::default().readings().into_iter().enumerate()
    {
        let (name, kind) = named(field, &value);
        page.family(&name, kind, help);
        let is_of_workers = field.starts_with("deliverer_");
        let is_of_readers = field == "undecodable";
        if let Some(reading) = shown.telemetry.get(at).filter(|_| !is_of_workers) {
            let labels = [("role", Role::Projector.name())];
            page.value(&name, if is_of_readers { &labels } else { &[] }, &reading.value);
        }
        for worker in shown.workers.iter().filter(|_| is_of_workers || is_of_readers) {
            let Some(reading) = worker.telemetry.get(at) else { continue };
            let (platform, role) = (worker.platform.name(), format!("deliver:{}", worker.platform));
            let labels = if is_of_readers { ("role", &*role) } else { ("platform", platform) };
            page.value(&name, &[labels], &reading.value);
        }
    }
}

/// The name of an instrument, as Prometheus wants it.
fn named(field: &str, value: &Value) -> (String, Kind) {
    match value {
        Value::Counter(_) => (format!("campanile_{field}_total"), Kind::Counter),
        Value::Gauge(_) => (format!("campanile_{field}"), Kind::Gauge),
        Value::Histogram(_) => (format!("campanile_{field}"), Kind::Histogram),
    }
}

fn routes(page: &mut Page, shown: &Shown) {
    let all = || shown.workers.iter().flat_map(|worker| &worker.routes);
    let name = "campanile_route_held";
    page.family(name, Kind::Gauge, "Whether nothing is sent on the route for a while: 1 or 0.");
    for reading in all() {
        page.sample(name, &labels(&reading.route), u8::from(reading.hold.is_some()));
    }
    let name = "campanile_route_held_seconds";
    page.family(name, Kind::Gauge, "Time since the route was held; 0 if it is not.");
    for reading in all() {
        let since = reading.hold.as_ref().map(|hold| shown.time.since(hold.since));
        page.sample(name, &labels(&reading.route), since.unwrap_or_default().as_secs_f64());
    }
    let name = "campanile_route_backlog_events";
    let help = "Records of the log that are read again for the route, whatever they hold.";
    page.family(name, Kind::Gauge, help);
    for reading in all() {
        page.sample(name, &labels(&reading.route), reading.backlog_events);
    }
}

fn labels(route: &Route) -> [(&'static str, &str); 4] {
    [
        ("platform", route.platform.name()),
        ("app", route.app.as_str()),
        ("environment", route.environment.name()),
        ("credential", &*route.credential),
    ]
}

fn pools(page: &mut Page, shown: &Shown) {
    for (at, (name, kind, help, _)) in rows(PoolCounters::default()).into_iter().enumerate() {
        page.family(name, kind, help);
        for (route, counters) in shown.workers.iter().flat_map(|worker| &worker.pools) {
            let labels = labels(route);
            if let Some((.., number)) = rows(*counters).get(at) {
                page.sample(name, &labels, number);
            }
        }
    }
}

/// What a pool counts. Taken apart by name, so that a new counter cannot be forgotten.
fn rows(counters: PoolCounters) -> [PoolRow; 10] {
    use Kind::{Counter, Gauge};
    let PoolCounters {
        connections_open,
        streams_in_flight,
        connected,
        connect_failed,
        refused,
        going_away,
        timed_out,
        lost,
        ping_lost,
        no_room,
    } = counters;
    [
        (
            "campanile_push_connections_open",
            Gauge,
            "Connections to the platform that are open, also those that are being drained.",
            connections_open,
        ),
        (
            "campanile_push_streams_in_flight",
            Gauge,
            "Requests in flight, and slots about to send one.",
            streams_in_flight,
        ),
        ("campanile_push_connected_total", Counter, "Connections made.", connected),
        (
            "campanile_push_connect_failed_total",
            Counter,
            "Attempts to connect that failed, and connections that ended before they were useful.",
            connect_failed,
        ),
        (
            "campanile_push_refused_total",
            Counter,
            "Requests that the platform refused unprocessed.",
            refused,
        ),
        ("campanile_push_going_away_total", Counter, "GOAWAY frames received.", going_away),
        (
            "campanile_push_timed_out_total",
            Counter,
            "Requests without an answer in time.",
            timed_out,
        ),
        (
            "campanile_push_lost_total",
            Counter,
            "Requests whose connection or stream broke before the answer.",
            lost,
        ),
        (
            "campanile_push_ping_lost_total",
            Counter,
            "Connections closed because nobody answered a PING.",
            ping_lost,
        ),
        (
            "campanile_push_no_room_total",
            Counter,
            "Callers who waited for room on a connection in vain.",
            no_room,
        ),
    ]
}

#[cfg(test)]
mod tests;
