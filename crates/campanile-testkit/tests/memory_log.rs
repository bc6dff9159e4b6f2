//! The log in memory keeps the contracts, with and without gaps between offsets.

#![allow(missing_docs, reason = "test code")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use campanile_core::port::{EventLog, LogAdmin};
use campanile_core::{Generation, LogIdentity};
use campanile_testkit::conformance::{LogFactory, LogSetup, OpenLog};
use campanile_testkit::memory::{LogOptions, MemoryLog};

/// Makes logs in memory.
struct Memory {
    offset_step: u64,
}

struct Open(MemoryLog);

impl OpenLog for Open {
    fn log(&self) -> &dyn EventLog {
        &self.0
    }

    fn admin(&self) -> &dyn LogAdmin {
        &self.0
    }
}

#[async_trait]
impl LogFactory for Memory {
    type Open = Open;

    async fn create(&self, setup: &LogSetup) -> Open {
        let identity =
            LogIdentity { id: [1; 16], generation: Generation(3), partitions: setup.partitions };
        let drain = Duration::from_millis(20);
        let options = LogOptions { offset_step: self.offset_step, drain };
        Open(MemoryLog::with_options(identity, Arc::new(setup.clock.clone()), options))
    }

    async fn reopen(&self, open: Open, setup: &LogSetup) -> Result<Open, String> {
        let partitions = open.0.identity().partitions;
        if partitions == setup.partitions {
            Ok(open)
        } else {
            Err(format!("the log has {partitions} partitions, not {}", setup.partitions))
        }
    }
}

mod dense {
    campanile_testkit::log_conformance!(super::Memory { offset_step: 1 });
    campanile_testkit::group_conformance!(super::Memory { offset_step: 1 });
}

mod sparse {
    campanile_testkit::log_conformance!(super::Memory { offset_step: 3 });
    campanile_testkit::group_conformance!(super::Memory { offset_step: 3 });
}
