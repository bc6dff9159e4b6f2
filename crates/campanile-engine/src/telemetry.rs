//! What the roles count. Reaching a bound is always counted.
//!
//! The name of a field and its first words are what operators read: `docs/metrics.md` has them all.

mod instruments;
mod routes;

pub use instruments::{Counter, Distribution, Gauge, Histogram, Value};
pub use routes::{HoldReading, RouteBoard, RouteReading};

macro_rules! telemetry {
    ($($(#[doc = $help:literal])+ $name:ident: $kind:ident,)*) => {
        /// What the roles that share it count.
        #[derive(Debug, Default)]
        pub struct Telemetry {
            $($(#[doc = $help])+ pub $name: $kind,)*
            /// How the routes of a delivery worker fare.
            pub routes: RouteBoard,
        }

        impl Telemetry {
            /// What every instrument shows.
            #[must_use]
            pub fn readings(&self) -> Vec<Reading> {
                vec![$(Reading {
                    name: stringify!($name),
                    help: concat!($($help),+),
                    value: self.$name.value(),
                },)*]
            }
        }
    };
}

/// What an instrument shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The field.
    pub name: &'static str,
    /// What it means, as its documentation says; white space around it means nothing.
    pub help: &'static str,
    /// What it shows.
    pub value: Value,
}

impl Telemetry {
    /// Every counter with its name.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
        let counters = self.readings().into_iter().filter_map(|reading| match reading.value {
            Value::Counter(count) => Some((reading.name, count)),
            Value::Gauge(_) | Value::Histogram(_) => None,
        });
        counters.collect()
    }
}

telemetry! {
    /// Publishes made durable.
    ingest_accepted: Counter,
    /// Publishes recognised as repeated at the edge.
    ingest_repeated: Counter,
    /// Publishes refused because their key was used for another request.
    ingest_conflicted: Counter,
    /// Publishes refused for now or not confirmed, those over a quota among them.
    ingest_failed: Counter,
    /// Publishes over the quota of their app or user.
    ingest_over_quota: Counter,
    /// Time from a publish that arrived to the log's word that it is durable.
    ingest_durable_seconds: Histogram,
    /// Dead letters that were asked for once more.
    gateway_redriven: Counter,
    /// Registrations that were answered before the projection knew all claims of their address: who
    /// had it before is retired by the scheduler, a moment later.
    gateway_claims_unseen: Counter,
    /// Questions about the past that were answered before the projection knew all that was durable.
    gateway_history_unseen: Counter,
    /// Events folded by the projector.
    projector_events: Counter,
    /// Receipts folded by the projector.
    projector_receipts: Counter,
    /// Times the projector had to wait for the projection.
    projector_waits: Counter,
    /// Partitions whose state was carried forward.
    keeper_carried: Counter,
    /// Times a group's position kept old records of a partition in the log.
    keeper_held: Counter,
    /// Records folded by replays.
    replay_records: Counter,
    /// Partitions that a replay found to differ from what the log amounts to.
    replay_drifted: Counter,
    /// Times a partition's receipts were dropped from the log before they were folded: histories
    /// lack them.
    projector_receipts_missed: Counter,
    /// Records that could not be read, and were passed over: counted by each who tried.
    undecodable: Counter,
    /// Deliveries planned.
    deliverer_planned: Counter,
    /// Attempts made.
    deliverer_attempts: Counter,
    /// Deliveries the platform took.
    deliverer_accepted: Counter,
    /// Time from a post in the log to the platform's word that it took it; without deliveries that
    /// were put off on the agenda.
    deliverer_accepted_after_seconds: Histogram,
    /// Deliveries not sent because they no longer mattered.
    deliverer_suppressed: Counter,
    /// Deliveries the platform will never take.
    deliverer_rejected: Counter,
    /// Deliveries put on the agenda.
    deliverer_parked: Counter,
    /// Deliveries left to the agenda, which had them already.
    deliverer_left_to_agenda: Counter,
    /// Parked deliveries that came due while they were under way, and joined in.
    deliverer_joined: Counter,
    /// Parked deliveries that came due and had ended before.
    deliverer_ended_before: Counter,
    /// Endpoints retired because a platform said that the address is gone.
    deliverer_retired: Counter,
    /// Attempts that had to be repeated.
    deliverer_retries: Counter,
    /// Attempts that were not repeated soon, because too many of their route were; their deliveries
    /// went on the agenda.
    deliverer_over_budget: Counter,
    /// Changes of state that were put off, because their device was sent enough silent pushes.
    deliverer_told_later: Counter,
    /// Changes of state that the silent push of another one told of.
    deliverer_told_along: Counter,
    /// Changes of state that wait, and of which a visible push told, too.
    deliverer_told_early: Counter,
    /// Devices of which it was forgotten too early what they were sent silently: there were too many.
    deliverer_devices_forgotten: Counter,
    /// Times a route was held, or held for longer: nothing is sent on it for a while.
    deliverer_holds: Counter,
    /// Times a held route was found to work again.
    deliverer_mended: Counter,
    /// Deliveries left in the log because their route is held; one that meets more than one hold
    /// counts each time.
    deliverer_held: Counter,
    /// Deliveries of posts below high priority that were left in the log while much was under way.
    deliverer_deferred: Counter,
    /// Deliveries read from the log again because their route works, to try whether it does, or because
    /// there is room.
    deliverer_reread: Counter,
    /// Times a route was held for longer than the log is kept, and lost what it owed before.
    deliverer_holds_cut: Counter,
    /// Times a route was found held or unreachable.
    deliverer_route_down: Counter,
    /// Times intake was paused because enough was in flight.
    deliverer_paused: Counter,
    /// Pieces of state that a worker asked the projection for: users, items and requests that it did
    /// not know.
    deliverer_pieces_read: Counter,
    /// Times a worker had to wait for the projection to catch up.
    deliverer_view_waits: Counter,
    /// Times a worker that took a partition over asked again for what it has to know before it sends what
    /// others left there.
    deliverer_takeover_waits: Counter,
    /// Flushes of receipts, parked deliveries and retirements that had to be repeated.
    deliverer_flush_retries: Counter,
    /// Deliveries in memory, in flight or waiting.
    deliverer_jobs: Gauge,
    /// Deliveries that ended or were put off, and wait to be written down.
    deliverer_outbox: Gauge,
    /// Agenda entries that came due.
    scheduler_due: Counter,
    /// Notifications that were recalled with their campaign, or dismissed with all others.
    scheduler_swept: Counter,
    /// Partitions in which a campaign was recalled while the log had dropped posts that may live.
    scheduler_sweeps_cut: Counter,
    /// Endpoints whose address another one registered, and that were retired for it.
    scheduler_displaced: Counter,
    /// Watch streams that fell behind and were closed.
    watch_closed: Counter,
    /// Watch streams that were refused, because their user had too many.
    watch_refused: Counter,
}
