//! How much may come in: so many a second over time, and a burst of them at once.
//!
//! The generic cell rate algorithm (ITU-T I.371, "virtual scheduling"): what was let in is summed
//! up as one instant, until which the rate is used up. Two numbers would say no more.

use std::time::Duration;

use crate::Tick;

/// So many a second, and at once as many as come in [`Quota::BURST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What one of them takes of the time.
    each: Duration,
}

/// How much of a quota is used: the instant until which it is. One that is past is none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used(Tick);

impl Quota {
    /// How far ahead of its rate a sender may be.
    pub const BURST: Duration = Duration::from_secs(60);

    /// A quota of `per_second`; `None` without a limit, which is what 0 means.
    #[must_use]
    pub fn per_second(per_second: u32) -> Option<Self> {
        let each = Duration::from_secs(1).checked_div(per_second)?;
        Some(Self { each })
    }

    /// Lets one more in at `now`.
    ///
    /// # Errors
    /// After how long to try again, if the quota is used up until then.
    pub fn admit(self, used: &mut Used, now: Tick) -> Result<(), Duration> {
        let until = if used.0 > now { used.0 } else { now }.after(self.each);
        let ahead = until.since(now);
        if ahead > Self::BURST.max(self.each) {
            return Err(ahead.saturating_sub(Self::BURST));
        }
        *used = Used(until);
        Ok(())
    }
}

impl Used {
    /// Whether nothing of it is used at `now`: then it need not be remembered.
    #[must_use]
    pub fn is_nothing(self, now: Tick) -> bool {
        self.0 <= now
    }
}
