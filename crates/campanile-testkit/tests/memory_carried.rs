//! What is carried in memory keeps the contract.

#![allow(missing_docs, reason = "test code")]

use async_trait::async_trait;
use campanile_core::port::{Carried, Projection};
use campanile_core::{Generation, LogIdentity};
use campanile_testkit::conformance::{CarriedFactory, OpenCarried};
use campanile_testkit::memory::{MemoryCarried, MemoryProjection};

/// Carries in memory.
struct Memory;

struct Open {
    carried: MemoryCarried,
    projection: MemoryProjection,
}

impl OpenCarried for Open {
    fn carried(&self) -> &dyn Carried {
        &self.carried
    }

    fn projection(&self) -> &dyn Projection {
        &self.projection
    }
}

#[async_trait]
impl CarriedFactory for Memory {
    type Open = Open;

    async fn create(&self) -> Open {
        let log = LogIdentity { id: [9; 16], generation: Generation(1), partitions: 2 };
        let projection = MemoryProjection::new(log);
        Open { carried: MemoryCarried::new(projection.clone()), projection }
    }

    async fn reopen(&self, open: Open) -> Open {
        open
    }

    async fn lose_projection(&self, open: Open) -> Open {
        open.projection.wipe();
        open
    }
}

campanile_testkit::carried_conformance!(Memory);
