//! What happened, as lines, and their hash: the same seed must give the same one.

use std::fmt::{self, Write as _};
use std::sync::Mutex;

use campanile_core::Tick;

use super::held;

/// FNV-1a, 64 bit (Fowler, Noll and Vo).
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// Collects the lines of one run.
#[derive(Debug)]
pub(crate) struct Trace(Mutex<Lines>);

#[derive(Debug)]
struct Lines {
    hash: Fnv,
    kept: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug)]
struct Fnv(u64);

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(PRIME);
        }
        Ok(())
    }
}

impl Trace {
    /// A trace that keeps its lines, or only their hash.
    pub(crate) fn new(keep: bool) -> Self {
        Self(Mutex::new(Lines { hash: Fnv(BASIS), kept: keep.then(Vec::new) }))
    }

    /// Adds a line.
    pub(crate) fn note(&self, at: Tick, line: fmt::Arguments<'_>) {
        let mut lines = held(&self.0);
        let millis = at.since(Tick::default()).as_millis();
        // Hashing cannot fail.
        let _infallible = writeln!(lines.hash, "{millis} {line}");
        if let Some(kept) = &mut lines.kept {
            let (seconds, millis) = (millis / 1000, millis % 1000);
            kept.push(format!("{seconds:>6}.{millis:03} {line}"));
        }
    }

    /// The hash so far.
    pub(crate) fn hash(&self) -> u64 {
        held(&self.0).hash.0
    }

    /// The lines, if they were kept.
    pub(crate) fn lines(&self) -> Vec<String> {
        held(&self.0).kept.clone().unwrap_or_default()
    }
}
