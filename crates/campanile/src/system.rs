//! The machine's clock and random generator, behind the ports.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use campanile_core::port::{Clock, Entropy};
use campanile_core::{Tick, Timestamp};

/// The clock of the machine.
#[derive(Debug)]
pub(crate) struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose ticks begin now.
    pub(crate) fn start() -> Arc<dyn Clock> {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let started = Instant::now();
        Arc::new(Self { started })
    }
}

impl Clock for SystemClock {
    /// A machine that believes to be before 1970 gets the epoch.
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn tick(&self) -> Tick {
        Tick::from_start(self.started.elapsed())
    }
}

/// How many draws are made at once: a call of the generator costs more than most of what draws.
const DRAWN: usize = 64;

/// The operating system's cryptographic generator.
pub(crate) struct SystemEntropy {
    random: SystemRandom,
    /// Bytes that nobody has seen yet. Each goes to one draw, and is forgotten with it.
    fresh: Mutex<Vec<[u8; 16]>>,
}

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub(crate) struct NoEntropy;

impl SystemEntropy {
    /// The generator, after it has shown that it works.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub(crate) fn open() -> Result<Arc<Self>, NoEntropy> {
        #[expect(clippy::disallowed_methods, reason = "this is the source of randomness")]
        let random = SystemRandom::new();
        let entropy = Self { random, fresh: Mutex::default() };
        entropy.fill(&mut [0; 16])?;
        Ok(Arc::new(entropy))
    }

    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub(crate) fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        self.random.fill(bytes).map_err(|_| NoEntropy)
    }
}

impl Entropy for SystemEntropy {
    fn draw(&self) -> [u8; 16] {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(drawn) = fresh.pop() {
            return drawn;
        }
        let mut bytes = [0; 16 * DRAWN];
        // An id that may not be unique could join two things that have nothing to do with each
        // other. No request is worth that.
        if self.fill(&mut bytes).is_err() {
            tracing::error!("the operating system gives no random bytes any more");
            std::process::abort();
        }
        let (drawn, _) = bytes.as_chunks();
        fresh.extend_from_slice(drawn);
        fresh.pop().unwrap_or_default()
    }
}

impl std::fmt::Debug for SystemEntropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SystemEntropy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ_and_time_passes() {
        let entropy = SystemEntropy::open().unwrap();
        let mut drawn: Vec<_> = (0..10 * DRAWN).map(|_| entropy.draw()).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 10 * DRAWN);
        assert!(!drawn.contains(&[0; 16]));
        let clock = SystemClock::start();
        let (earlier, later) = (clock.tick(), clock.tick());
        assert!(later >= earlier);
        assert!(clock.now() > Timestamp::from_millis(1_704_067_200_000), "after 2024");
    }
}
