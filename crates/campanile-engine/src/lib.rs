//! The roles of Campanile, over ports only.
//!
//! - [`ingest`] takes what producers publish and appends it to the log.
//! - [`gateway`] serves devices: registration, inbox, state changes, history.
//! - [`projector`] folds the log into the projection.
//! - [`deliverer`] hands deliveries to one platform.
//! - [`keeper`] drops from the log what is old and not needed, and carries its state forward.
//! - [`replayer`] builds the projection again, beside the one that serves.
//! - [`scheduler`] turns agenda entries that came due into events.
//!
//! A role knows nothing of Kafka, Redis, files or HTTP. Whatever the rules decide is decided in
//! `campanile-core`; a role reads, asks the core, and writes.

pub mod context;
pub mod deliverer;
pub mod edge;
pub mod error;
pub mod gateway;
pub mod ingest;
pub mod keeper;

mod pieces;
pub mod planted;
pub mod projector;
pub mod renumber;
pub mod replayer;
pub mod scheduler;
pub mod seal;
pub mod tasks;
pub mod telemetry;
mod work;

pub use context::RequestContext;
pub use error::Error;
