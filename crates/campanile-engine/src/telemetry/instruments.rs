//! Numbers that are counted without a lock and without allocating.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: usize) {
        self.0.fetch_add(wide(n), Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn value(&self) -> Value {
        Value::Counter(self.get())
    }
}

/// How much there is of something now.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// There is `n` now.
    pub fn set(&self, n: usize) {
        self.0.store(wide(n), Ordering::Relaxed);
    }

    /// How much there was last.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn value(&self) -> Value {
        Value::Gauge(self.get())
    }
}

/// The upper bounds of a histogram's buckets, in microseconds: from a write to a fast disk to a
/// platform that was away for minutes. What takes longer is in the last bucket, which has none.
const BOUNDS: [u64; 16] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
];

/// How long something took, as counts per range of time.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One per bound, and one for what is above all.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    /// Microseconds.
    sum: AtomicU64,
}

impl Histogram {
    /// `n` things took `each`.
    pub fn record(&self, each: Duration, n: usize) {
        let micros = u64::try_from(each.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(wide(n), Ordering::Relaxed);
            self.sum.fetch_add(micros.saturating_mul(wide(n)), Ordering::Relaxed);
        }
    }

    pub(super) fn value(&self) -> Value {
        let mut count = 0;
        let buckets = self.buckets.iter().map(|bucket| {
            count += bucket.load(Ordering::Relaxed);
            count
        });
        let bounds = BOUNDS.iter().map(|bound| Some(Duration::from_micros(*bound)));
        let buckets = bounds.chain([None]).zip(buckets).collect();
        let sum = Duration::from_micros(self.sum.load(Ordering::Relaxed));
        Value::Histogram(Distribution { buckets, sum })
    }
}

/// What an instrument shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of a [`Counter`].
    Counter(u64),
    /// Of a [`Gauge`].
    Gauge(u64),
    /// Of a [`Histogram`].
    Histogram(Distribution),
}

/// What a [`Histogram`] shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// How many took at most so long, shortest first; the last is all there were.
    pub buckets: Vec<(Option<Duration>, u64)>,
    /// How long all of them took together.
    pub sum: Duration,
}

impl Distribution {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.last().map_or(0, |(_, count)| *count)
    }
}

fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "test code")]

    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_every_bucket_holds_those_before() {
        let histogram = Histogram::default();
        histogram.record(Duration::from_millis(1), 2);
        histogram.record(Duration::from_micros(1_001), 1);
        histogram.record(Duration::from_secs(3600), 1);
        let Value::Histogram(shown) = histogram.value() else { panic!("no histogram") };
        let at = |bound: Option<Duration>| {
            shown.buckets.iter().find(|(it, _)| *it == bound).map(|(_, count)| *count)
        };
        assert_eq!(at(Some(Duration::from_millis(1))), Some(2));
        assert_eq!(at(Some(Duration::from_micros(2_500))), Some(3));
        assert_eq!(at(Some(Duration::from_secs(300))), Some(3));
        assert_eq!((at(None), shown.count()), (Some(4), 4));
        assert_eq!(shown.sum, Duration::from_micros(3_600_003_001));
    }

    #[test]
    fn the_bounds_ascend() {
        assert!(BOUNDS.is_sorted_by(|a, b| a < b));
    }
}
