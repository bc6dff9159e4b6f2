//! Namespaces in memory keep the contract.

#![allow(missing_docs, reason = "test code")]

use async_trait::async_trait;
use campanile_core::port::{Namespaces, Projection};
use campanile_core::{Generation, LogIdentity};
use campanile_testkit::conformance::{NamespacesFactory, OpenNamespaces};
use campanile_testkit::memory::{MemoryNamespaces, MemoryProjection};

/// Makes namespaces in memory.
struct Memory;

struct Open {
    namespaces: MemoryNamespaces,
    serving: MemoryProjection,
}

impl OpenNamespaces for Open {
    fn namespaces(&self) -> &dyn Namespaces {
        &self.namespaces
    }

    fn serving(&self) -> &dyn Projection {
        &self.serving
    }
}

#[async_trait]
impl NamespacesFactory for Memory {
    type Open = Open;

    async fn create(&self) -> Open {
        let log = LogIdentity { id: [9; 16], generation: Generation(1), partitions: 2 };
        let serving = MemoryProjection::new(log);
        Open { namespaces: MemoryNamespaces::new(log, serving.clone()), serving }
    }

    async fn reopen(&self, open: Open) -> Open {
        open
    }
}

campanile_testkit::namespaces_conformance!(Memory);
