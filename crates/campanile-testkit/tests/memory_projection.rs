//! The projection in memory keeps the contract.

#![allow(missing_docs, reason = "test code")]

use async_trait::async_trait;
use campanile_core::LogIdentity;
use campanile_core::port::{Projection, ProjectionError};
use campanile_testkit::conformance::{OpenProjection, ProjectionFactory};
use campanile_testkit::memory::MemoryProjection;

/// Makes projections in memory.
struct Memory;

struct Open(MemoryProjection);

impl OpenProjection for Open {
    fn projection(&self) -> &dyn Projection {
        &self.0
    }
}

#[async_trait]
impl ProjectionFactory for Memory {
    type Open = Open;

    async fn create(&self, log: LogIdentity) -> Open {
        Open(MemoryProjection::new(log))
    }

    async fn reopen(&self, open: Open, log: LogIdentity) -> Result<Open, ProjectionError> {
        open.0.reopen(log).map(Open)
    }

    fn feed_holds(&self) -> usize {
        MemoryProjection::FEED_HOLDS
    }
}

mod contract {
    campanile_testkit::projection_conformance!(super::Memory);
}
