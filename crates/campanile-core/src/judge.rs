//! What to do about the outcome of an attempt.

use std::time::Duration;

use crate::{RetireReason, RouteHealth, Timestamp};

/// What came of one attempt, in no platform's words.
///
/// A `status` is the one that the platform answered with. 0, which no platform answers with, means
/// that the push was never sent: it does not fit, or its route has no connection or credential;
/// the reason is then ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The platform took it.
    Accepted {
        /// The platform's own id for it.
        provider_id: String,
    },
    /// Certainly not processed (refused stream, connection closing): try again at once.
    Unprocessed {
        /// What the transport said.
        reason: String,
    },
    /// Possibly processed, no answer came: try again, the second replaces the first.
    Indefinite {
        /// What the transport said.
        reason: String,
    },
    /// The platform has trouble.
    Unavailable {
        /// Its status code.
        status: u16,
        /// Its reason.
        reason: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// Too much for this endpoint.
    Throttled {
        /// Its status code.
        status: u16,
        /// Its reason.
        reason: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The address leads nowhere.
    AddressGone {
        /// Its status code.
        status: u16,
        /// Its reason.
        reason: String,
        /// When the platform found out: a registration recorded after it is not meant.
        since: Option<Timestamp>,
    },
    /// This push can never be taken: our mistake, or forbidden.
    Rejected {
        /// Its status code.
        status: u16,
        /// Its reason.
        reason: String,
    },
    /// The credential ran out of time; the next attempt uses a fresh one.
    CredentialStale {
        /// Its reason.
        reason: String,
    },
    /// The whole route is refused until somebody mends it.
    RouteRefused {
        /// What is wrong with it.
        hold: HoldReason,
        /// Its status code.
        status: u16,
        /// Its reason.
        reason: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
}

impl Outcome {
    /// What was said, in the platform's or the transport's words; for timelines and logs.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Accepted { .. } => "",
            Self::Unprocessed { reason }
            | Self::Indefinite { reason }
            | Self::Unavailable { reason, .. }
            | Self::Throttled { reason, .. }
            | Self::AddressGone { reason, .. }
            | Self::Rejected { reason, .. }
            | Self::CredentialStale { reason }
            | Self::RouteRefused { reason, .. } => reason,
        }
    }
}

/// Why a route does not send at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum HoldReason {
    /// The platform refuses the credential, or none is configured.
    #[error("credential refused, or none configured")]
    Credential,
    /// The platform asks the whole route to pause.
    #[error("throttled")]
    Throttled,
    /// So many addresses are refused that the credential or environment must be wrong.
    #[error("flood of refused addresses")]
    BadAddresses,
    /// The platform cannot be reached.
    #[error("unreachable")]
    Unreachable,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is delivered.
    Done,
    /// Try again at this time, from memory.
    RetryAt(Timestamp),
    /// Put it on the agenda until this time.
    Park(Timestamp),
    /// Stop trying.
    GiveUp,
    /// Stop trying, and retire the endpoint.
    RetireEndpoint(RetireReason),
    /// Send nothing on the route before this time; the delivery waits with all others.
    HoldRoute(HoldReason, Timestamp),
}

/// How patient delivery is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The wait after the first failure; it doubles with each further one.
    pub first_wait: Duration,
    /// The longest wait between attempts.
    pub longest_wait: Duration,
    /// A wait up to this is spent in memory; a longer one on the agenda.
    pub in_memory: Duration,
    /// Attempts in memory before the delivery is parked.
    pub attempts_in_memory: u32,
    /// Attempts that end without an answer, before the delivery is given up: each may have rung.
    /// What certainly did not ring is tried until it is no longer due.
    pub attempts: u32,
    /// What a platform may ask for at most; more is cut.
    pub longest_retry_after: Duration,
    /// How long a route is held before one delivery tries it again; it doubles while nothing is
    /// accepted.
    pub hold: Duration,
    /// The longest that a route is held before it is tried again.
    pub longest_hold: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(900),
            in_memory: Duration::from_secs(10),
            attempts_in_memory: 5,
            attempts: 40,
            longest_retry_after: Duration::from_secs(3600),
            hold: Duration::from_secs(5),
            longest_hold: Duration::from_secs(900),
        }
    }
}

/// Decides what follows from `outcome` of attempt number `attempt` (the first is 1).
///
/// `jitter` is in `0.0..=1.0`: waits are between half and all of their nominal length, so that
/// failures that came together do not come back together. A wait that a platform asked for is
/// never shortened.
#[must_use]
pub fn judge(
    outcome: &Outcome,
    attempt: u32,
    now: Timestamp,
    jitter: f64,
    health: &RouteHealth,
    policy: &RetryPolicy,
) -> Verdict {
    match outcome {
        Outcome::Accepted { .. } => Verdict::Done,
        Outcome::Rejected { .. } => Verdict::GiveUp,
        Outcome::AddressGone { .. } if health.floods() => {
            let pause = health.pause(jitter, None, policy);
            Verdict::HoldRoute(HoldReason::BadAddresses, now.after(pause))
        }
        Outcome::AddressGone { .. } => Verdict::RetireEndpoint(RetireReason::AddressGone),
        Outcome::RouteRefused { hold, retry_after, .. } => {
            Verdict::HoldRoute(*hold, now.after(health.pause(jitter, *retry_after, policy)))
        }
        Outcome::Indefinite { .. } if attempt >= policy.attempts => Verdict::GiveUp,
        Outcome::Unprocessed { .. } | Outcome::CredentialStale { .. } if attempt == 1 => {
            Verdict::RetryAt(now)
        }
        Outcome::Unavailable { retry_after, .. } if health.is_down() => {
            let pause = health.pause(jitter, *retry_after, policy);
            Verdict::HoldRoute(HoldReason::Unreachable, now.after(pause))
        }
        Outcome::Indefinite { .. } if health.is_down() => {
            let pause = health.pause(jitter, None, policy);
            Verdict::HoldRoute(HoldReason::Unreachable, now.after(pause))
        }
        Outcome::Throttled { retry_after, .. } | Outcome::Unavailable { retry_after, .. } => {
            wait(now, attempt, jitter, *retry_after, policy)
        }
        Outcome::Unprocessed { .. }
        | Outcome::CredentialStale { .. }
        | Outcome::Indefinite { .. } => wait(now, attempt, jitter, None, policy),
    }
}

fn wait(
    now: Timestamp,
    attempt: u32,
    jitter: f64,
    asked: Option<Duration>,
    policy: &RetryPolicy,
) -> Verdict {
    let doubled = policy.first_wait.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    let nominal = doubled.min(policy.longest_wait);
    let backoff = nominal.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
    let asked = asked.unwrap_or_default().min(policy.longest_retry_after);
    let wait = backoff.max(asked);
    if wait <= policy.in_memory && attempt < policy.attempts_in_memory {
        Verdict::RetryAt(now.after(wait))
    } else {
        Verdict::Park(now.after(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn verdict(outcome: &Outcome, attempt: u32) -> Verdict {
        judge(outcome, attempt, NOW, 1.0, &RouteHealth::default(), &RetryPolicy::default())
    }

    #[test]
    fn a_held_route_waits_as_long_as_it_was_asked_to() {
        let held = |retry_after| {
            let (hold, status, reason) = (HoldReason::Throttled, 429, "QUOTA_EXCEEDED".to_owned());
            let outcome = Outcome::RouteRefused { hold, status, reason, retry_after };
            let policy = RetryPolicy::default();
            match judge(&outcome, 1, NOW, 1.0, &RouteHealth::default(), &policy) {
                Verdict::HoldRoute(HoldReason::Throttled, until) => until.since(NOW).as_secs(),
                verdict => panic!("{verdict:?}"),
            }
        };
        let secs = |secs| Some(Duration::from_secs(secs));
        assert_eq!([held(None), held(secs(2)), held(secs(300))], [5, 5, 300]);
        assert_eq!(held(secs(1_000_000)), 3600, "cut");
    }

    fn unavailable(retry_after: Option<Duration>) -> Outcome {
        Outcome::Unavailable { status: 503, reason: "ServiceUnavailable".into(), retry_after }
    }

    fn gone() -> Outcome {
        Outcome::AddressGone { status: 410, reason: "Unregistered".into(), since: None }
    }

    #[test]
    fn trouble_is_retried_with_doubling_waits_and_then_parked() {
        let waits: Vec<_> = (1..=5).map(|attempt| verdict(&unavailable(None), attempt)).collect();
        let at = |secs| NOW.after(Duration::from_secs(secs));
        let retries = [1, 2, 4, 8].map(|secs| Verdict::RetryAt(at(secs)));
        assert_eq!(waits, [&retries[..], &[Verdict::Park(at(16))]].concat());
    }

    #[test]
    fn what_the_platform_asks_for_is_kept_up_to_an_hour() {
        let ask = |secs| verdict(&unavailable(Some(Duration::from_secs(secs))), 1);
        assert_eq!(ask(7), Verdict::RetryAt(NOW.after(Duration::from_secs(7))));
        assert_eq!(ask(1800), Verdict::Park(NOW.after(Duration::from_secs(1800))));
        assert_eq!(ask(86_400), Verdict::Park(NOW.after(Duration::from_secs(3600))));
    }

    #[test]
    fn what_was_not_processed_is_retried_at_once_but_only_once_at_once() {
        let outcome = Outcome::Unprocessed { reason: "refused stream".into() };
        assert_eq!(verdict(&outcome, 1), Verdict::RetryAt(NOW));
        assert_eq!(verdict(&outcome, 2), Verdict::RetryAt(NOW.after(Duration::from_secs(2))));
    }

    #[test]
    fn only_attempts_that_may_have_rung_are_counted_out() {
        let silence = Outcome::Indefinite { reason: "time-out".into() };
        assert_eq!(verdict(&silence, 40), Verdict::GiveUp);
        let in_a_while = NOW.after(Duration::from_secs(900));
        assert_eq!(verdict(&unavailable(None), 40), Verdict::Park(in_a_while));
    }

    #[test]
    fn a_dead_address_retires_its_endpoint() {
        assert_eq!(verdict(&gone(), 1), Verdict::RetireEndpoint(RetireReason::AddressGone));
    }

    #[test]
    fn a_platform_that_only_fails_is_held_and_one_that_sometimes_fails_is_not() {
        let (failed, policy) = (unavailable(None), RetryPolicy::default());
        let mut health = RouteHealth::default();
        (0..20).for_each(|_| health.record(&failed, NOW));
        let down = judge(&failed, 1, NOW, 1.0, &health, &policy);
        assert_eq!(down, Verdict::HoldRoute(HoldReason::Unreachable, NOW.after(policy.hold)));
        let asked = unavailable(Some(Duration::from_secs(30)));
        let down = judge(&asked, 1, NOW, 0.0, &health, &policy);
        let until = NOW.after(Duration::from_secs(30));
        assert_eq!(down, Verdict::HoldRoute(HoldReason::Unreachable, until));
        let accepted = Outcome::Accepted { provider_id: String::new() };
        (0..20).for_each(|_| health.record(&accepted, NOW));
        let flaky = judge(&failed, 1, NOW, 1.0, &health, &policy);
        assert_eq!(flaky, Verdict::RetryAt(NOW.after(policy.first_wait)));
    }

    #[test]
    fn a_flood_of_dead_addresses_holds_the_route_and_retires_nobody() {
        let mut health = RouteHealth::default();
        (0..20).for_each(|_| health.record(&gone(), NOW));
        let verdict = judge(&gone(), 1, NOW, 0.0, &health, &RetryPolicy::default());
        assert!(matches!(verdict, Verdict::HoldRoute(HoldReason::BadAddresses, _)));
    }
}
