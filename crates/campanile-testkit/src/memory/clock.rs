//! Time and randomness in the hands of a test.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use campanile_core::port::{Clock, Entropy};
use campanile_core::{Tick, Timestamp};
use tokio::time::Instant;

use super::lock;

/// A clock that moves only when told. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock {
    reading: Arc<Mutex<(Timestamp, Tick)>>,
}

impl ManualClock {
    /// A clock whose wall time is `now`, and whose tick is at its start.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { reading: Arc::new(Mutex::new((now, Tick::default()))) }
    }

    /// Lets `by` pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut reading = lock(&self.reading);
        *reading = (reading.0.after(by), reading.1.after(by));
    }

    /// Sets the wall clock, forwards or backwards. The monotonic clock stays where it is.
    pub fn set(&self, now: Timestamp) {
        lock(&self.reading).0 = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        lock(&self.reading).0
    }

    fn tick(&self) -> Tick {
        lock(&self.reading).1
    }
}

/// A clock that follows tokio's time, so that a paused runtime moves it. Clones are the same
/// clock.
#[derive(Clone, Debug)]
pub struct TokioClock {
    base: Timestamp,
    start: Instant,
    skew_millis: Arc<AtomicI64>,
}

impl TokioClock {
    /// A clock that reads `now` at this moment.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { base: now, start: runtime_now(), skew_millis: Arc::default() }
    }

    /// Sets how far the wall clock is ahead of true time (behind, if negative), in milliseconds.
    /// The monotonic clock is not affected.
    pub fn set_skew(&self, millis: i64) {
        self.skew_millis.store(millis, Ordering::Relaxed);
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let true_time = self.base.after(runtime_now() - self.start).as_millis();
        let skew = self.skew_millis.load(Ordering::Relaxed);
        Timestamp::from_millis(true_time.saturating_add_signed(skew))
    }

    fn tick(&self) -> Tick {
        Tick::from_start(runtime_now() - self.start)
    }
}

/// The time that tokio's timers run on.
#[expect(clippy::disallowed_methods, reason = "the one place where the testkit reads the time")]
pub(super) fn runtime_now() -> Instant {
    Instant::now()
}

/// Random bytes that are the same for the same seed. SplitMix64 (Steele, Lea and Flood, 2014):
/// a counter and a mixing function, so that draws from several tasks need no lock.
#[derive(Debug)]
pub struct SeededEntropy {
    counter: AtomicU64,
}

impl SeededEntropy {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    /// The generator of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { counter: AtomicU64::new(seed) }
    }

    /// The next 64 bits.
    pub fn draw_u64(&self) -> u64 {
        let drawn = self.counter.fetch_add(Self::STEP, Ordering::Relaxed);
        let mut bits = drawn.wrapping_add(Self::STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn draw(&self) -> [u8; 16] {
        let (high, low) = (u128::from(self.draw_u64()), u128::from(self.draw_u64()));
        (high << 64 | low).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_manual_clock_moves_when_told_and_its_tick_never_goes_back() {
        let clock = ManualClock::new(NOON);
        clock.clone().advance(SECOND);
        assert_eq!((clock.now(), clock.tick()), (NOON.after(SECOND), Tick::from_start(SECOND)));
        clock.set(Timestamp::ZERO);
        assert_eq!((clock.now(), clock.tick()), (Timestamp::ZERO, Tick::from_start(SECOND)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_tokio_clock_follows_virtual_time_and_skews_only_its_wall() {
        let clock = TokioClock::new(NOON);
        tokio::time::advance(SECOND).await;
        assert_eq!((clock.now(), clock.tick()), (NOON.after(SECOND), Tick::from_start(SECOND)));
        clock.set_skew(-1500);
        assert_eq!(clock.now(), Timestamp::from_millis(NOON.as_millis() - 500));
        assert_eq!(clock.tick(), Tick::from_start(SECOND));
    }

    #[test]
    fn equal_seeds_draw_equal_bytes_and_different_ones_do_not() {
        let draws = |seed| {
            let entropy = SeededEntropy::new(seed);
            [entropy.draw(), entropy.draw()]
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
        assert_ne!(draws(1)[0], draws(1)[1]);
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // The reference implementation's first values for the seed 1234567.
        let entropy = SeededEntropy::new(1_234_567);
        let drawn = [entropy.draw_u64(), entropy.draw_u64(), entropy.draw_u64()];
        assert_eq!(
            drawn,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }
}
