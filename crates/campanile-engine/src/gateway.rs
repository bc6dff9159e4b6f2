//! The gateway: what devices and their apps ask for.
//!
//! Writes are events; reads come from the projection, or from the log where the question is about
//! the past.

mod caught_up;
mod claims;
mod dead_letters;
mod endpoints;
mod explain;
mod fetched;
mod history;
mod inbox;
mod retired;
mod watch;

pub(crate) use claims::retirement;
pub use dead_letters::{
    DeadLetter, DeadLetterFilter, DeadLetterPage, Redrivable, Redriven, Skipped,
};
pub use endpoints::{Register, Registered, Retire};
pub use explain::Explained;
pub use history::{StateAt, Timeline, TimelineEntry};
pub use inbox::{Filter, Page, StateUpdate, SyncPage};
pub use retired::{RetiredEndpoint, RetiredPage};
pub use watch::Watch;

use std::sync::Arc;

use crate::edge::Edge;

/// Serves devices.
#[derive(Debug)]
pub struct Gateway {
    edge: Edge,
    hub: Arc<watch::Hub>,
}

impl Gateway {
    /// A gateway on `edge`.
    #[must_use]
    pub fn new(edge: Edge) -> Self {
        let hub = Arc::new(watch::Hub::new(edge.projection.clone()));
        Self { edge, hub }
    }
}
