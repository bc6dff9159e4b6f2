//! Where stores live in tests: their clocks and ids.

use std::sync::Arc;
use std::time::Instant;

use campanile_core::port::{Clock, Entropy};
use campanile_core::{Tick, Timestamp};
use campanile_embedded::Options;
use campanile_testkit::memory::ManualClock;

/// A wall clock that the test sets, and real monotonic time: drains end by themselves.
pub(crate) struct SetClock {
    wall: ManualClock,
    start: Instant,
}

impl SetClock {
    #[expect(clippy::disallowed_methods, reason = "a test in real time")]
    pub(crate) fn new(wall: ManualClock) -> Self {
        Self { wall, start: Instant::now() }
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        self.wall.now()
    }

    fn tick(&self) -> Tick {
        Tick::from_start(self.start.elapsed())
    }
}

/// The same id for every log.
struct SameId;

impl Entropy for SameId {
    fn draw(&self) -> [u8; 16] {
        *b"an embedded log!"
    }
}

pub(crate) fn options(partitions: u16, clock: Arc<dyn Clock>) -> Options {
    Options::new(partitions, clock, Arc::new(SameId))
}
