//! How stores are opened in tests.

use std::sync::Arc;

use campanile_core::port::Clock;
use campanile_embedded::Options;
use campanile_testkit::memory::SeededEntropy;

/// Options of a store that always gets the same id.
pub(crate) fn options(partitions: u16, clock: Arc<dyn Clock>) -> Options {
    Options::new(partitions, clock, Arc::new(SeededEntropy::new(1)))
}
