//! The projection keeps the contract of its port.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod bulk;
mod history;
mod instant;
mod model;
mod removal;
mod sums;

use std::sync::Arc;

use async_trait::async_trait;
use campanile_core::port::{Projection, ProjectionError, Stream};
use campanile_core::{LogIdentity, Partition};
use campanile_testkit::conformance::{OpenProjection, ProjectionFactory};
use tempfile::TempDir;

use super::{EmbeddedProjection, TableOptions, feed};
use crate::floors::Floors;

/// One that serves, or one that is built at once.
struct Projections {
    gathers: Option<u64>,
}

struct Opened {
    projection: EmbeddedProjection,
    dir: TempDir,
}

impl OpenProjection for Opened {
    fn projection(&self) -> &dyn Projection {
        &self.projection
    }
}

fn options(log: &LogIdentity, gathers: Option<u64>) -> TableOptions {
    TableOptions { cache_bytes: 16 << 20, floors: Arc::new(Floors::new(log)), gathers }
}

fn open(dir: TempDir, log: LogIdentity, gathers: Option<u64>) -> Opened {
    let options = options(&log, gathers);
    let place = dir.path().join("projection");
    let (projection, damaged) = EmbeddedProjection::open(&place, log, options, None).unwrap();
    assert_eq!(damaged, None);
    Opened { projection, dir }
}

#[async_trait]
impl ProjectionFactory for Projections {
    type Open = Opened;

    async fn create(&self, log: LogIdentity) -> Opened {
        open(TempDir::new().unwrap(), log, self.gathers)
    }

    async fn reopen(&self, opened: Opened, log: LogIdentity) -> Result<Opened, ProjectionError> {
        let Opened { projection, dir } = opened;
        drop(projection);
        let opened = open(dir, log, self.gathers);
        match opened.projection.claim(Partition(63), Stream::Receipts).await {
            Err(ProjectionError::OtherLog) => Err(ProjectionError::OtherLog),
            _ => Ok(opened),
        }
    }

    fn feed_holds(&self) -> usize {
        feed::HOLDS
    }
}

campanile_testkit::projection_conformance!(Projections { gathers: None });

mod built {
    //! So does one that is built at once.

    use super::Projections;

    campanile_testkit::projection_conformance!(Projections { gathers: Some(1 << 20) });
}
