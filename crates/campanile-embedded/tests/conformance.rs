//! The embedded store keeps the contracts of the ports.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "test code"
)]

mod place;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use campanile_core::port::{Carried, Clock, EventLog, LogAdmin, Namespaces, Projection, Stream};
use campanile_core::{Tick, Timestamp};
use campanile_embedded::{EmbeddedLog, Options, Store};
use campanile_testkit::conformance::{
    CarriedFactory, LogFactory, LogSetup, NamespacesFactory, OpenCarried, OpenLog, OpenNamespaces,
};
use campanile_testkit::memory::ManualClock;
use campanile_testkit::vocabulary::START;
use place::options;
use tempfile::TempDir;

/// Logs of one stream. Segments are as small as they may be, so that a check sees several.
struct Logs {
    stream: Stream,
    tail_bytes: usize,
}

/// A wall clock that the check sets, and real monotonic time: drains end by themselves.
struct SetClock {
    wall: ManualClock,
    start: Instant,
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        self.wall.now()
    }

    fn tick(&self) -> Tick {
        Tick::from_start(self.start.elapsed())
    }
}

struct Opened {
    log: Arc<EmbeddedLog>,
    store: Store,
    dir: TempDir,
}

impl OpenLog for Opened {
    fn log(&self) -> &dyn EventLog {
        self.log.as_ref()
    }

    fn admin(&self) -> &dyn LogAdmin {
        self.log.as_ref()
    }
}

impl Logs {
    fn open(&self, dir: TempDir, setup: &LogSetup) -> Result<Opened, String> {
        let clock = Arc::new(SetClock { wall: setup.clock.clone(), start: Instant::now() });
        let options = Options {
            segment_bytes: 64 << 10,
            tail_bytes: self.tail_bytes,
            drain: Duration::from_millis(300),
            ..options(setup.partitions, clock)
        };
        let store = Store::open(dir.path(), &options).map_err(|error| error.to_string())?;
        let log = store.log(self.stream);
        Ok(Opened { log, store, dir })
    }
}

#[async_trait]
impl LogFactory for Logs {
    type Open = Opened;

    async fn create(&self, setup: &LogSetup) -> Opened {
        self.open(TempDir::new().unwrap(), setup).expect("an empty directory opens")
    }

    async fn reopen(&self, open: Opened, setup: &LogSetup) -> Result<Opened, String> {
        let Opened { log, store, dir } = open;
        store.close();
        drop((log, store));
        self.open(dir, setup)
    }
}

/// What is carried of a store, with the projection that serves it.
struct CarriedStates;

struct Carrying {
    carried: Arc<dyn Carried>,
    projection: Arc<dyn Projection>,
    store: Store,
    dir: TempDir,
}

impl OpenCarried for Carrying {
    fn carried(&self) -> &dyn Carried {
        self.carried.as_ref()
    }

    fn projection(&self) -> &dyn Projection {
        self.projection.as_ref()
    }
}

fn carrying(dir: TempDir) -> Carrying {
    let store = Store::open(dir.path(), &options(2, Arc::new(ManualClock::new(START)))).unwrap();
    Carrying { carried: store.carried(), projection: store.projection(), store, dir }
}

fn closed(open: Carrying) -> TempDir {
    let Carrying { carried, projection, store, dir } = open;
    store.close();
    drop((carried, projection, store));
    dir
}

#[async_trait]
impl CarriedFactory for CarriedStates {
    type Open = Carrying;

    async fn create(&self) -> Carrying {
        carrying(TempDir::new().unwrap())
    }

    async fn reopen(&self, open: Carrying) -> Carrying {
        carrying(closed(open))
    }

    async fn lose_projection(&self, open: Carrying) -> Carrying {
        let dir = closed(open);
        std::fs::remove_dir_all(dir.path().join("projection")).unwrap();
        carrying(dir)
    }
}

mod carried {
    campanile_testkit::carried_conformance!(super::CarriedStates);
}

/// The namespaces of a store's projection.
struct Shelves;

struct Shelf {
    namespaces: Arc<dyn Namespaces>,
    serving: Arc<dyn Projection>,
    store: Store,
    dir: TempDir,
}

impl OpenNamespaces for Shelf {
    fn namespaces(&self) -> &dyn Namespaces {
        self.namespaces.as_ref()
    }

    fn serving(&self) -> &dyn Projection {
        self.serving.as_ref()
    }
}

fn shelf(dir: TempDir) -> Shelf {
    let store = Store::open(dir.path(), &options(2, Arc::new(ManualClock::new(START)))).unwrap();
    Shelf { namespaces: store.namespaces(), serving: store.projection(), store, dir }
}

#[async_trait]
impl NamespacesFactory for Shelves {
    type Open = Shelf;

    async fn create(&self) -> Shelf {
        shelf(TempDir::new().unwrap())
    }

    async fn reopen(&self, open: Shelf) -> Shelf {
        let Shelf { namespaces, serving, store, dir } = open;
        store.close();
        drop((namespaces, serving, store));
        shelf(dir)
    }
}

mod namespaces {
    campanile_testkit::namespaces_conformance!(super::Shelves);
}

/// With the latest records in memory, as a server runs.
mod events {
    use super::{Logs, Stream};

    campanile_testkit::log_conformance!(Logs { stream: Stream::Events, tail_bytes: 64 << 20 });
    campanile_testkit::group_conformance!(Logs { stream: Stream::Events, tail_bytes: 64 << 20 });
}

/// With every read from the files.
mod receipts_from_files {
    use super::{Logs, Stream};

    campanile_testkit::log_conformance!(Logs { stream: Stream::Receipts, tail_bytes: 0 });
    campanile_testkit::group_conformance!(Logs { stream: Stream::Receipts, tail_bytes: 0 });
}
