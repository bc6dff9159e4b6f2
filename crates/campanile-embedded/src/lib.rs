//! The event log and the projection of one process, in one directory, with nothing to install.
//!
//! [`Store::open`] takes the directory for this process. [`Store::log`] is a stream of the log; a
//! record is acknowledged once it is on the disk, not before.
//!
//! When the disk fails:
//!
//! - *No space*: appends are refused and may be tried again; the log goes on when there is space.
//! - *A failed write or sync*: its records may or may not be there, everything after is refused,
//!   and [`Store::stopped`] tells. A sync is never tried again, because the kernel may have dropped
//!   what it could not write. Opening the store again finds out what is there.
//! - *A torn tail* after a power cut: cut when the store opens, and reported. No acknowledged
//!   record was in it.
//! - *Damage anywhere else*: an error that names the file and the position. Nothing is skipped.

mod carried;
mod directory;
mod disk;
mod embedded_log;
mod error;
mod floors;
mod group;
mod log;
mod projection;
pub mod stopped;
mod store;
mod threads;

pub use embedded_log::EmbeddedLog;
pub use error::OpenError;
pub use log::TornTail;
pub use projection::EmbeddedProjection;
pub use store::{OpenReport, Options, Store};
