//! How a route fares: what tells a dead phone from a wrong credential, and a push that failed from
//! a platform that is away.

use std::time::Duration;

use crate::{Outcome, RetryPolicy, Timestamp};

/// How a route has fared lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteHealth {
    window_start: Timestamp,
    accepted: u32,
    gone: u32,
    failed: u32,
    /// How often in a row the platform answered that it is in trouble.
    refused_in_a_row: u32,
    /// The window before was a flood, and nothing was accepted since.
    suspect: bool,
    /// How often in a row it was held without a push being accepted in between.
    holds: u32,
}

impl RouteHealth {
    /// The length of the window that is looked at.
    const WINDOW: Duration = Duration::from_secs(60);
    /// Fewer refused addresses or failures than this say nothing.
    const FLOOD: u32 = 20;
    /// So many refusals in a row, and none accepted, say that the platform is away, whatever went
    /// well in the minute before. Silence does not count here: a connection that breaks leaves as
    /// many without an answer as were under way on it.
    const IN_A_ROW: u32 = 100;

    /// Counts `outcome`.
    pub fn record(&mut self, outcome: &Outcome, now: Timestamp) {
        if now.since(self.window_start) >= Self::WINDOW || now < self.window_start {
            let (suspect, holds, refused_in_a_row) =
                (self.floods(), self.holds, self.refused_in_a_row);
            let window_start = now;
            *self = Self { window_start, suspect, holds, refused_in_a_row, ..Self::default() };
        }
        match outcome {
            Outcome::Unavailable { .. } => {
                self.refused_in_a_row = self.refused_in_a_row.saturating_add(1);
            }
            Outcome::Indefinite { .. } | Outcome::Unprocessed { .. } => {}
            _ => self.refused_in_a_row = 0,
        }
        match outcome {
            Outcome::Accepted { .. } => {
                self.accepted = self.accepted.saturating_add(1);
                (self.suspect, self.holds) = (false, 0);
            }
            Outcome::AddressGone { .. } => self.gone = self.gone.saturating_add(1),
            Outcome::Unavailable { .. } | Outcome::Indefinite { .. } => {
                self.failed = self.failed.saturating_add(1);
            }
            _ => {}
        }
    }

    /// The route is held: the next pause is twice as long, until something is accepted.
    pub const fn held(&mut self) {
        self.holds = self.holds.saturating_add(1);
    }

    /// The route works again: what was counted in its trouble says nothing any more.
    pub fn mended(&mut self) {
        *self = Self::default();
    }

    /// Whether refused addresses are so many, and accepted pushes so few, that the credential or
    /// the environment must be wrong rather than the addresses.
    #[must_use]
    pub fn floods(&self) -> bool {
        self.suspect || (self.gone >= Self::FLOOD && self.gone > self.accepted)
    }

    /// Whether failures are so many, and accepted pushes so few, that the platform must be away.
    #[must_use]
    pub const fn is_down(&self) -> bool {
        (self.failed >= Self::FLOOD && self.failed > self.accepted)
            || self.refused_in_a_row >= Self::IN_A_ROW
    }

    /// How long the route is to be left alone, if it is held now. Between half and all of a time
    /// that doubles from [`RetryPolicy::hold`] up to [`RetryPolicy::longest_hold`], by `jitter` in
    /// `0.0..=1.0`; and never less than the platform `asked` for, up to
    /// [`RetryPolicy::longest_retry_after`].
    #[must_use]
    pub fn pause(&self, jitter: f64, asked: Option<Duration>, policy: &RetryPolicy) -> Duration {
        let doubled = policy.hold.saturating_mul(1 << self.holds.min(16));
        let nominal = doubled.min(policy.longest_hold);
        let pause = nominal.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        pause.max(asked.unwrap_or_default().min(policy.longest_retry_after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn gone() -> Outcome {
        Outcome::AddressGone { status: 410, reason: "Unregistered".into(), since: None }
    }

    fn accepted() -> Outcome {
        Outcome::Accepted { provider_id: String::new() }
    }

    #[test]
    fn dead_addresses_among_living_ones_are_no_flood() {
        let mut health = RouteHealth::default();
        (0..30).for_each(|_| health.record(&accepted(), NOW));
        (0..20).for_each(|_| health.record(&gone(), NOW));
        assert!(!health.floods());
    }

    #[test]
    fn a_flood_is_over_only_when_something_is_accepted() {
        let mut health = RouteHealth::default();
        (0..20).for_each(|_| health.record(&gone(), NOW));
        let later = NOW.after(Duration::from_secs(60));
        health.record(&gone(), later);
        assert!(health.floods());
        health.record(&accepted(), later);
        assert!(!health.floods());
    }

    #[test]
    fn a_few_dead_addresses_of_an_old_window_are_forgotten() {
        let mut health = RouteHealth::default();
        (0..19).for_each(|_| health.record(&gone(), NOW));
        health.record(&gone(), NOW.after(Duration::from_secs(60)));
        assert!(!health.floods());
    }

    #[test]
    fn a_busy_route_is_down_when_it_is_refused_often_enough_in_a_row() {
        let refused =
            || Outcome::Unavailable { status: 503, reason: "away".into(), retry_after: None };
        let silence = || Outcome::Indefinite { reason: "reset".into() };
        let mut health = RouteHealth::default();
        (0..40_000).for_each(|_| health.record(&accepted(), NOW));
        (0..1000).for_each(|_| health.record(&silence(), NOW));
        assert!(!health.is_down(), "a connection broke");
        (0..99).for_each(|_| health.record(&refused(), NOW));
        health.record(&accepted(), NOW);
        (0..99).for_each(|_| health.record(&refused(), NOW));
        assert!(!health.is_down());
        health.record(&refused(), NOW.after(Duration::from_secs(61)));
        assert!(health.is_down(), "also when a minute begins meanwhile");
        health.record(&accepted(), NOW.after(Duration::from_secs(61)));
        assert!(!health.is_down());
    }

    #[test]
    fn pauses_double_up_to_the_longest_until_something_is_accepted() {
        let (mut health, policy) = (RouteHealth::default(), RetryPolicy::default());
        let mut pause = || {
            let secs = health.pause(1.0, None, &policy).as_secs();
            health.held();
            secs
        };
        let pauses: Vec<_> = (0..10).map(|_| pause()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        health.record(&gone(), NOW.after(Duration::from_secs(600)));
        assert_eq!(health.pause(0.0, None, &policy), Duration::from_secs(450), "jitter");
        health.record(&accepted(), NOW);
        assert_eq!(health.pause(1.0, None, &policy), policy.hold);
    }

    #[test]
    fn what_was_counted_in_trouble_is_forgotten_after_it() {
        let mut health = RouteHealth::default();
        let silence = Outcome::Indefinite { reason: "time-out".into() };
        (0..20).for_each(|_| health.record(&silence, NOW));
        assert!(health.is_down());
        health.mended();
        health.record(&silence, NOW);
        assert!(!health.is_down());
    }
}
