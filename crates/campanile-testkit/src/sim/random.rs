//! Random decisions of one seed.

use std::time::Duration;

use crate::memory::SeededEntropy;

/// A source of decisions. Each part of the simulation has its own, so that one more decision here
/// moves nothing there.
#[derive(Debug)]
pub(crate) struct Random(SeededEntropy);

impl Random {
    /// The decisions of `seed` for the part called `salt`.
    pub(crate) fn new(seed: u64, salt: u64) -> Self {
        let mixed = SeededEntropy::new(seed ^ salt.rotate_left(32));
        mixed.draw_u64();
        Self(SeededEntropy::new(mixed.draw_u64()))
    }

    /// A number below `n`; 0 if there is none.
    pub(crate) fn below(&self, n: u64) -> u64 {
        self.0.draw_u64().checked_rem(n).unwrap_or_default()
    }

    /// An index into something with `len` elements.
    pub(crate) fn index(&self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or_default()
    }

    /// A number from `low` to `high`, both possible.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Whether something with this chance, in thousandths, happens.
    pub(crate) fn chance(&self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of `choices`.
    pub(crate) fn pick<'a, T>(&self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.index(choices.len()))
    }

    /// A time from `low` to `high` milliseconds.
    pub(crate) fn millis(&self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }
}
