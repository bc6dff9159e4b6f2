//! The proportions of one run: drawn from the seed, small enough for thousands of runs.

use std::time::Duration;

use campanile_core::RetryPolicy;

use super::random::Random;

/// How big a run is and how fast it goes.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) partitions: u16,
    /// The distance between offsets: with more than 1 there are gaps, as Kafka's logs have.
    pub(crate) offset_step: u64,
    pub(crate) users: usize,
    pub(crate) operations: usize,
    /// The longest time between two operations, in milliseconds.
    pub(crate) tempo: u64,
    /// The chance of a fault instead of an operation, in thousandths.
    pub(crate) trouble: u64,
    pub(crate) two_deliverers: bool,
    /// Pushes at once on a route.
    pub(crate) room: usize,
    /// Deliveries in a worker's memory.
    pub(crate) in_memory: usize,
    pub(crate) policy: RetryPolicy,
}

impl Setup {
    pub(crate) fn of_seed(seed: u64) -> Self {
        let random = Random::new(seed, 0x5e7);
        let usize_between =
            |low, high| usize::try_from(random.between(low, high)).unwrap_or(usize::MAX);
        let attempts = if random.chance(300) { 4 } else { 40 };
        Self {
            partitions: u16::try_from(random.between(2, 4)).unwrap_or(2),
            offset_step: if random.chance(200) { 3 } else { 1 },
            users: usize_between(3, 6),
            operations: usize_between(30, 60),
            tempo: random.pick(&[5, 200, 3_000, 20_000]).copied().unwrap_or(200),
            trouble: random.between(50, 400),
            two_deliverers: random.chance(500),
            room: random.pick(&[1, 2, 64]).copied().unwrap_or(64),
            in_memory: if random.chance(500) { 4 } else { 1024 },
            policy: RetryPolicy { attempts, hold: Duration::from_secs(20), ..Default::default() },
        }
    }
}
