//! The projection keeps the contract of its port.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod model;
mod removal;

use std::sync::Arc;

use async_trait::async_trait;
use campanile_core::port::{Projection, ProjectionError, Stream};
use campanile_core::{LogIdentity, Partition};
use campanile_testkit::conformance::{OpenProjection, ProjectionFactory};
use tempfile::TempDir;

use super::{EmbeddedProjection, feed};
use crate::floors::Floors;

struct Projections;

struct Opened {
    projection: EmbeddedProjection,
    dir: TempDir,
}

impl OpenProjection for Opened {
    fn projection(&self) -> &dyn Projection {
        &self.projection
    }
}

fn open(dir: TempDir, log: LogIdentity) -> Opened {
    let floors = Arc::new(Floors::new(&log));
    let place = dir.path().join("projection");
    let (projection, damaged) =
        EmbeddedProjection::open(&place, log, floors, 16 << 20, None).unwrap();
    assert_eq!(damaged, None);
    Opened { projection, dir }
}

#[async_trait]
impl ProjectionFactory for Projections {
    type Open = Opened;

    async fn create(&self, log: LogIdentity) -> Opened {
        open(TempDir::new().unwrap(), log)
    }

    async fn reopen(&self, opened: Opened, log: LogIdentity) -> Result<Opened, ProjectionError> {
        let Opened { projection, dir } = opened;
        drop(projection);
        let opened = open(dir, log);
        match opened.projection.claim(Partition(63), Stream::Receipts).await {
            Err(ProjectionError::OtherLog) => Err(ProjectionError::OtherLog),
            _ => Ok(opened),
        }
    }

    fn feed_holds(&self) -> usize {
        feed::HOLDS
    }
}

campanile_testkit::projection_conformance!(Projections);
