//! Why a store did not open.

use std::io;
use std::path::PathBuf;

/// Why a store did not open. None of these goes away by trying again, but for [`OpenError::InUse`]
/// and [`OpenError::Io`], where the cause lies outside.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{dir} is in use by another process")]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// It holds something that would be overwritten.
    #[error("{dir} is not empty")]
    Used {
        /// The directory.
        dir: PathBuf,
    },
    /// A group's progress cannot be said in a log with other partitions.
    #[error(
        "group {group} has finished records in too many pieces to say so in a log with other \
         partitions; let the server run until it has caught up"
    )]
    Scattered {
        /// The group.
        group: String,
    },
    /// A group owes something on a route that does not send, and that cannot be said in another log.
    #[error(
        "group {group} holds route {route}; let the server run until the route works and has \
         caught up"
    )]
    Held {
        /// The group.
        group: String,
        /// The route.
        route: String,
    },
    /// The partition count is fixed when the log is created.
    #[error("the log in {dir} has {stored} partitions, not {asked}")]
    Partitions {
        /// The directory.
        dir: PathBuf,
        /// What it was created with.
        stored: u16,
        /// What it was opened with.
        asked: u16,
    },
    /// An option is out of its range.
    #[error("option {field}: {reason}")]
    Option {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is damaged, missing or foreign. Nothing was changed; restore a backup.
    #[error("damaged at {place}: {reason}")]
    Damaged {
        /// The file and the position.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The file system failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The projection's storage failed.
    #[error("cannot open the projection: {reason}")]
    Projection {
        /// What it said.
        reason: String,
    },
}

impl OpenError {
    /// Wraps an I/O error with what was tried, for `map_err`.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
