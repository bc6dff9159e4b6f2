//! What the roles count. Reaching a bound is always counted.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one process, shared by its roles.
        #[derive(Debug, Default)]
        pub struct Telemetry {
            $($(#[$doc])* pub $name: Counter,)*
        }

        impl Telemetry {
            /// Every counter with its name.
            #[must_use]
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get()),)*]
            }
        }
    };
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: usize) {
        self.0.fetch_add(u64::try_from(n).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

counters! {
    /// Publishes made durable.
    ingest_accepted,
    /// Publishes recognised as repeated at the edge.
    ingest_repeated,
    /// Publishes refused because their key was used for another request.
    ingest_conflicted,
    /// Publishes the log refused or could not confirm.
    ingest_failed,
    /// Events folded by the projector.
    projector_events,
    /// Receipts folded by the projector.
    projector_receipts,
    /// Times the projector had to wait for the projection.
    projector_waits,
    /// Records that could not be read as events and were passed over.
    undecodable,
    /// Deliveries planned.
    deliverer_planned,
    /// Attempts made.
    deliverer_attempts,
    /// Deliveries the platform took.
    deliverer_accepted,
    /// Deliveries not sent because they no longer mattered.
    deliverer_suppressed,
    /// Deliveries the platform will never take.
    deliverer_rejected,
    /// Deliveries put on the agenda.
    deliverer_parked,
    /// Deliveries left to the agenda, which had them already.
    deliverer_left_to_agenda,
    /// Parked deliveries that came due while they were under way, and joined in.
    deliverer_joined,
    /// Parked deliveries that came due and had ended before.
    deliverer_ended_before,
    /// Endpoints retired because a platform said that the address is gone.
    deliverer_retired,
    /// Attempts that had to be repeated.
    deliverer_retries,
    /// Times a route was found held or unreachable.
    deliverer_route_down,
    /// Times intake was paused because enough was in flight.
    deliverer_paused,
    /// Times a worker had to wait for the projection to catch up.
    deliverer_view_waits,
    /// Flushes of receipts, parked deliveries and retirements that had to be repeated.
    deliverer_flush_retries,
    /// Agenda entries that came due.
    scheduler_due,
    /// Watch streams that fell behind and were closed.
    watch_closed,
}
