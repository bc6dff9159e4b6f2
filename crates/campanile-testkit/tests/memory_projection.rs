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

/// What tests may do to it.
mod beyond_the_contract {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use campanile_core::port::{Applied, Claim, Projection, ProjectionError, Stream, Write};
    use campanile_core::{Generation, LogIdentity, Offset, Partition, Timestamp};
    use campanile_testkit::memory::MemoryProjection;

    const P0: Partition = Partition(0);

    fn projection() -> MemoryProjection {
        MemoryProjection::new(LogIdentity { id: [1; 16], generation: Generation(0), partitions: 1 })
    }

    fn step(Claim { epoch, next }: Claim) -> Write {
        Write {
            partition: P0,
            stream: Stream::Events,
            epoch,
            from: next,
            to: next.next(),
            time: Timestamp::ZERO,
            pieces: Vec::new(),
            agenda: Vec::new(),
            history: Vec::new(),
        }
    }

    #[tokio::test]
    async fn what_was_wiped_is_not_built() {
        let memory = projection();
        let projection: &dyn Projection = &memory;
        let claim = projection.claim(P0, Stream::Events).await.unwrap();
        let mut feed = projection.feed(P0).await.unwrap();
        memory.wipe();
        let not_built = ProjectionError::NotBuilt(P0);
        assert_eq!(projection.view(P0, &[]).await, Err(not_built.clone()));
        assert_eq!(projection.apply(step(claim)).await, Err(not_built));
        assert!(feed.next().await.is_err());
    }

    #[tokio::test]
    async fn what_was_restored_goes_back_as_a_whole() {
        let memory = projection();
        let projection: &dyn Projection = &memory;
        let claim = projection.claim(P0, Stream::Events).await.unwrap();
        assert_eq!(projection.apply(step(claim)).await, Ok(Applied::Applied));
        let snapshot = memory.snapshot();
        let later = Claim { next: Offset(1), ..claim };
        assert_eq!(projection.apply(step(later)).await, Ok(Applied::Applied));
        memory.restore(snapshot);
        let latest = Claim { next: Offset(2), ..claim };
        assert_eq!(projection.apply(step(latest)).await, Ok(Applied::Gap(Offset(1))));
        assert_eq!(projection.apply(step(later)).await, Ok(Applied::Applied));
    }

    #[tokio::test]
    async fn a_partition_beyond_the_log_cannot_be_claimed() {
        let beyond = Partition(1);
        let claimed = projection().claim(beyond, Stream::Events).await;
        assert_eq!(claimed, Err(ProjectionError::NotBuilt(beyond)));
    }
}
