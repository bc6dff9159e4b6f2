//! How often a route's pushes may be tried again from memory: what keeps a platform that answers
//! half of what it gets from getting twice as much.

use std::time::Duration;

use crate::{Outcome, RetryPolicy, Timestamp, Verdict};

/// Retries that a route has left: every push that is accepted earns a fifth of one, and a few there
/// are always, so that a route with little to do may try again, too.
///
/// What finds none left goes on the agenda, where waits are longer; it is never lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// In fifths of a retry.
    left: u32,
    /// When it was last made sure that there are a few.
    topped_up: Timestamp,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { left: Self::LEAST * Self::EARNS, topped_up: Timestamp::default() }
    }
}

impl RetryBudget {
    /// Accepted pushes that earn one retry.
    pub const EARNS: u32 = 5;
    /// How many retries there are at most: as many as were under way when a connection broke.
    pub const MOST: u32 = 1000;
    /// How many there are at least at the beginning of every [`Self::EVERY`]: enough to find out that
    /// a platform is away, which is no reason to put anything on the agenda.
    pub const LEAST: u32 = 20;
    /// How often it is made sure that there are [`Self::LEAST`].
    pub const EVERY: Duration = Duration::from_secs(20);

    /// Counts an attempt with its outcome.
    pub fn record(&mut self, outcome: &Outcome) {
        if matches!(outcome, Outcome::Accepted { .. }) {
            self.left = self.left.saturating_add(1).min(Self::MOST * Self::EARNS);
        }
    }

    /// What becomes of `verdict` on `outcome`: an attempt that would be repeated from memory and
    /// finds nothing left waits on the agenda, longer than anything waits in memory. What the
    /// platform certainly did not process is repeated in any case: it is no load to it.
    pub fn allow(
        &mut self,
        verdict: Verdict,
        outcome: &Outcome,
        now: Timestamp,
        jitter: f64,
        policy: &RetryPolicy,
    ) -> Verdict {
        let Verdict::RetryAt(at) = verdict else { return verdict };
        if matches!(outcome, Outcome::Unprocessed { .. } | Outcome::CredentialStale { .. }) {
            return verdict;
        }
        if now.since(self.topped_up) >= Self::EVERY || now < self.topped_up {
            self.topped_up = now;
            self.left = self.left.max(Self::LEAST * Self::EARNS);
        }
        if let Some(left) = self.left.checked_sub(Self::EARNS) {
            self.left = left;
            return verdict;
        }
        let wait = policy.in_memory.mul_f64(1.0 + jitter.clamp(0.0, 1.0));
        Verdict::Park(at.max(now.after(wait)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn failed() -> Outcome {
        Outcome::Unavailable { status: 503, reason: "down".into(), retry_after: None }
    }

    /// How many of `most` attempts that failed at `now` may be repeated.
    fn allowed(budget: &mut RetryBudget, now: Timestamp, most: u32) -> u32 {
        let policy = RetryPolicy::default();
        let (retry, failed) = (Verdict::RetryAt(now.after(policy.first_wait)), failed());
        let mut allows = || budget.allow(retry, &failed, now, 0.5, &policy) == retry;
        (0..most).map(|_| u32::from(allows())).sum()
    }

    #[test]
    fn successes_earn_retries_and_a_few_there_are_always() {
        let mut budget = RetryBudget::default();
        assert_eq!(allowed(&mut budget, NOW, 100), RetryBudget::LEAST);
        let accepted = Outcome::Accepted { provider_id: String::new() };
        (0..100).for_each(|_| budget.record(&accepted));
        assert_eq!(allowed(&mut budget, NOW, 100), 100 / RetryBudget::EARNS);
        (0..100).for_each(|_| budget.record(&failed()));
        assert_eq!(allowed(&mut budget, NOW, 100), 0, "failures earn nothing");
        let later = NOW.after(RetryBudget::EVERY);
        assert_eq!(allowed(&mut budget, later, 100), RetryBudget::LEAST);
        assert_eq!(allowed(&mut budget, NOW, 100), RetryBudget::LEAST, "a clock set back");
        (0..1_000_000).for_each(|_| budget.record(&accepted));
        assert_eq!(allowed(&mut budget, NOW, 10_000), RetryBudget::MOST);
    }

    #[test]
    fn what_finds_nothing_left_waits_longer_than_in_memory() {
        let (mut budget, policy) = (RetryBudget::default(), RetryPolicy::default());
        allowed(&mut budget, NOW, 100);
        let mut allow =
            |verdict: Verdict, outcome: &_| budget.allow(verdict, outcome, NOW, 0.0, &policy);
        let soon = Verdict::RetryAt(NOW.after(policy.first_wait));
        let parked = Verdict::Park(NOW.after(policy.in_memory));
        assert_eq!(allow(soon, &failed()), parked);
        let unprocessed = Outcome::Unprocessed { reason: "refused stream".into() };
        assert_eq!(allow(soon, &unprocessed), soon, "it was not processed");
        let verdict = Verdict::Park(NOW);
        assert_eq!(allow(verdict, &failed()), verdict);
        assert_eq!(allow(Verdict::GiveUp, &failed()), Verdict::GiveUp);
    }
}
