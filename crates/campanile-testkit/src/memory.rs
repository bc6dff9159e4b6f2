//! The ports in memory: what each contract means, with nothing around it.
//!
//! Every adapter is a handle that can be cloned; the clones share one content, which outlives the
//! tasks that use it. So a test crashes a role by dropping its tasks, and what was durable is
//! still there for the next one.

mod carried;
mod clock;
mod group;
mod log;
mod namespaces;
mod projection;
mod pusher;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use carried::MemoryCarried;
pub use clock::{ManualClock, SeededEntropy, TokioClock};
pub use log::{LogOptions, MemoryLog};
pub use namespaces::MemoryNamespaces;
pub use projection::{MemoryProjection, ProjectionSnapshot};
pub use pusher::{Reply, ScriptedPusher, Sent};

/// Locks; what a panicking test left behind is still worth reading in its other assertions.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
