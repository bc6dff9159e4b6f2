//! The time that a sender under test reads.

use std::time::Duration;

use campanile_core::port::Clock;
use campanile_core::{Tick, Timestamp};
use campanile_simulate::Clock as _;
use campanile_simulate::{ManualClock, SystemClock};

/// The time of the machine, or one that is set by hand.
#[derive(Clone, Debug)]
pub(crate) enum Time {
    Real,
    Manual(ManualClock),
}

impl Clock for Time {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(match self {
            Self::Real => SystemClock.now_ms(),
            Self::Manual(clock) => clock.now_ms(),
        })
    }

    fn tick(&self) -> Tick {
        Tick::from_start(Duration::from_millis(self.now().as_millis()))
    }
}
