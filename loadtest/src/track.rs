//! One kind of event: how many there were, and how late.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};

/// The longest time that is told apart, in microseconds; longer ones count as this.
const LONGEST: u64 = 600_000_000;

/// From when to when is measured, since the beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

/// One kind of event: how many there were, in all and while it was measured, and how late.
pub(crate) struct Track {
    window: Window,
    all: AtomicU64,
    measured: AtomicU64,
    late: Mutex<Lateness>,
}

/// From the intended time, in microseconds.
struct Lateness {
    /// Of what was to happen while it was measured.
    measured: Histogram<u64>,
    /// Of what happened since somebody looked.
    recent: Histogram<u64>,
}

impl Track {
    /// Nothing yet.
    ///
    /// # Errors
    /// [`CreationError`].
    pub(crate) fn new(window: Window) -> Result<Self, CreationError> {
        // Three digits tell a millisecond from a thousandth more.
        let histogram = || Histogram::new_with_bounds(1, LONGEST, 3);
        let late = Mutex::new(Lateness { measured: histogram()?, recent: histogram()? });
        Ok(Self { window, all: AtomicU64::new(0), measured: AtomicU64::new(0), late })
    }

    /// What was to happen at `intended` happened at `now`.
    pub(crate) fn count(&self, intended: Duration, now: Duration) {
        self.all.fetch_add(1, Ordering::Relaxed);
        if self.window.holds(now) {
            self.measured.fetch_add(1, Ordering::Relaxed);
        }
        let by = u64::try_from(now.saturating_sub(intended).as_micros()).unwrap_or(u64::MAX).max(1);
        let mut late = self.lateness();
        late.recent.saturating_record(by);
        if self.window.holds(intended) {
            late.measured.saturating_record(by);
        }
    }

    /// How many there were.
    pub(crate) fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    /// How many there were while it was measured.
    pub(crate) fn measured(&self) -> u64 {
        self.measured.load(Ordering::Relaxed)
    }

    /// How late they were, in microseconds.
    pub(crate) fn late(&self) -> Histogram<u64> {
        self.lateness().measured.clone()
    }

    /// The median and the 99th percentile of what happened since the last look, in milliseconds.
    pub(crate) fn recent(&self) -> (f64, f64) {
        let mut late = self.lateness();
        let of = |quantile| late.recent.value_at_quantile(quantile) as f64 / 1000.0;
        let recent = (of(0.5), of(0.99));
        late.recent.reset();
        recent
    }

    fn lateness(&self) -> MutexGuard<'_, Lateness> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// Whether `at` is in it; its end is not.
    pub(crate) fn holds(&self, at: Duration) -> bool {
        self.from <= at && at < self.to
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    #[test]
    fn lateness_counts_from_when_it_was_to_be_and_only_while_it_is_measured() {
        let ms = Duration::from_millis;
        let track = Track::new(Window { from: ms(100), to: ms(200) }).unwrap();
        track.count(ms(50), ms(150));
        track.count(ms(150), ms(180));
        track.count(ms(190), ms(250));
        assert_eq!((track.all(), track.measured()), (3, 2));
        let late = track.late();
        assert_eq!((late.len(), late.max() / 1000), (2, 60), "the first was to be before it");
        assert!((track.recent().1 - 100.0).abs() < 1.0);
        assert_eq!(track.recent(), (0.0, 0.0), "it was looked at");
    }
}
