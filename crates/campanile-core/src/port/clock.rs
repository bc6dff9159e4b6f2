//! Time and randomness.

use crate::{Tick, Timestamp};

/// Reads the time.
///
/// # Contract
/// - `now` may jump in either direction: nothing durable may depend on two readings.
/// - `tick` never goes back.
pub trait Clock: Send + Sync {
    /// The wall-clock time.
    fn now(&self) -> Timestamp;

    /// The monotonic time.
    fn tick(&self) -> Tick;
}

/// Draws random bytes.
///
/// # Contract
/// - Outside of tests the bytes come from the operating system's cryptographic generator.
/// - Two draws are independent.
pub trait Entropy: Send + Sync {
    /// 128 random bits.
    fn draw(&self) -> [u8; 16];
}
