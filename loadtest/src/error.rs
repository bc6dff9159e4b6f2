//! Why a load test did not come to its end.

use std::time::Duration;

use campanile_api::ClientError;

use crate::scenario::ScenarioError;

/// Why a load test did not come to its end, or came to a bad one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// Somebody wanted an end.
    #[error("stopped")]
    Stopped,
    /// The scenario is none.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A simulated platform did not do what it should.
    #[error("simulated platform: {0}")]
    Platform(String),
    /// A file or process could not be used.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The engine did not start.
    #[error("the engine did not answer within {0:?}")]
    NotUp(Duration),
    /// The engine refused, or the connection broke.
    #[error("the engine: {0}")]
    Call(#[from] ClientError),
    /// A notification was refused.
    #[error("notification {number} was refused: {reason}")]
    Refused {
        /// Which.
        number: usize,
        /// What the engine said.
        reason: String,
    },
    /// A stream of publishes broke.
    #[error("a stream of publishes broke: {0}")]
    Stream(String),
    /// The baseline could not be had.
    #[error("baseline: {0}")]
    Baseline(String),
    /// The scenario needs an engine that is started anew for each round.
    #[error("{0}: not with a server that somebody else starts")]
    NotAlone(&'static str),
    /// The state was not built again.
    #[error("rebuild: {0}")]
    Rebuild(String),
    /// A plot cannot be drawn.
    #[error("plot: {0}")]
    Plot(String),
    /// A report or a message between processes cannot be read or written.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Latencies cannot be counted.
    #[error("histogram: {0}")]
    Histogram(#[from] hdrhistogram::CreationError),
    /// Something that was published did not arrive, or what arrived was not published.
    #[error(
        "{lost} deliveries were lost, {strange} arrived that nobody sent, {unseen} missed on streams"
    )]
    Wrong {
        /// Deliveries that did not arrive.
        lost: u64,
        /// Deliveries that have no reason.
        strange: u64,
        /// Notifications that a watch stream did not show.
        unseen: u64,
    },
}

impl LoadError {
    /// A plot's error.
    pub(crate) fn plot(error: impl std::fmt::Display) -> Self {
        Self::Plot(error.to_string())
    }

    /// A simulated platform's error.
    pub(crate) fn platform(error: impl std::fmt::Display) -> Self {
        Self::Platform(error.to_string())
    }
}
