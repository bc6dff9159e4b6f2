//! Silent pushes: Apple delivers few of them, so a device is told of changes seldom, and of many at
//! once.

use std::time::Duration;

use crate::{Platform, Tick};

/// How many silent pushes a device is sent.
///
/// Apple asks for not more than two or three background pushes an hour, and drops others without a
/// word ("Pushing background updates to your App"). No other platform says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilentBudget {
    /// So many at most, at least 1,
    pub pushes: u32,
    /// within any time as long as this.
    pub window: Duration,
}

impl Default for SilentBudget {
    fn default() -> Self {
        Self { pushes: 3, window: Duration::from_secs(3600) }
    }
}

impl SilentBudget {
    /// Of an hour, half a minute: whoever reads one thing on another device reads the next one soon.
    const FIRST_WAIT: u32 = 120;
    /// Each further wait is so many times as long.
    const GROWTH: u32 = 20;

    /// Whether devices of `platform` are sent no more than that.
    #[must_use]
    pub fn binds(platform: Platform) -> bool {
        platform == Platform::Apns
    }

    /// How long a device that was `sent` silent pushes at these times, in order, is to wait at `now`
    /// for its next one.
    ///
    /// The first goes at once, and the next ones wait the longer the more were sent, so that a user
    /// who clears ten items within a minute has them cleared elsewhere half a minute later, and not
    /// three at once and seven after an hour.
    #[must_use]
    pub fn wait(&self, sent: impl DoubleEndedIterator<Item = Tick>, now: Tick) -> Duration {
        let is_recent = |at: &Tick| now < at.after(self.window);
        let (mut count, mut last, mut over) = (0_u32, None, Tick::default());
        for at in sent.rev().take_while(is_recent) {
            last.get_or_insert(at);
            count = count.saturating_add(1);
            if count == self.pushes.max(1) {
                over = at.after(self.window);
                break;
            }
        }
        let spread = last.map_or(now, |last| last.after(self.gap(count)));
        spread.max(over).since(now)
    }

    /// The least time between the last of `count` pushes and the next one.
    fn gap(&self, count: u32) -> Duration {
        let before = count.min(self.pushes.saturating_sub(1)).saturating_sub(1);
        let growth = Self::GROWTH.saturating_pow(before);
        let gap = (self.window / Self::FIRST_WAIT).saturating_mul(growth);
        gap.min(self.window / self.pushes.max(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOURLY: SilentBudget = SilentBudget { pushes: 3, window: Duration::from_secs(3600) };

    fn at(seconds: u64) -> Tick {
        Tick::default().after(Duration::from_secs(seconds))
    }

    fn wait(sent: &[u64], now: u64) -> u64 {
        HOURLY.wait(sent.iter().map(|second| at(*second)), at(now)).as_secs()
    }

    #[test]
    fn the_more_was_sent_the_longer_the_next_waits() {
        assert_eq!(wait(&[], 100), 0);
        assert_eq!([wait(&[100], 100), wait(&[100], 129), wait(&[100], 130)], [30, 1, 0]);
        assert_eq!([wait(&[100, 130], 130), wait(&[100, 130], 730)], [600, 0]);
        assert_eq!([wait(&[100, 130, 730], 730), wait(&[100, 130, 730], 3700)], [2970, 0]);
        assert_eq!(wait(&[100, 130, 730, 3700], 3700), 600, "as if two had been sent");
    }

    #[test]
    fn a_budget_that_is_large_spreads_evenly() {
        let many = SilentBudget { pushes: 1000, window: Duration::from_secs(1) };
        assert_eq!(many.wait([at(5)].into_iter(), at(5)), Duration::from_millis(1));
    }

    proptest! {
        /// Whoever waits as it is told keeps to the budget.
        #[test]
        fn never_more_within_the_window(
            pushes in 1_u32..6,
            delays in prop::collection::vec(0_u64..2000, 1..40),
        ) {
            let budget = SilentBudget { pushes, ..HOURLY };
            let (mut now, mut sent) = (at(0), Vec::new());
            for delay in delays {
                now = now.after(Duration::from_secs(delay));
                now = now.after(budget.wait(sent.iter().copied(), now));
                sent.push(now);
            }
            for some in sent.windows(pushes as usize + 1) {
                prop_assert!(some[pushes as usize].since(some[0]) >= budget.window);
            }
        }
    }
}
