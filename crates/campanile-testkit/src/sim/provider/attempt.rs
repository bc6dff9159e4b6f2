//! Attempts as the provider saw them.

use campanile_core::port::{Progress, PushBody};
use campanile_core::{DeliveryId, NotificationId, Offset, Partition, Route, Tick, Timestamp};

/// One attempt as the provider saw it.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) delivery: DeliveryId,
    pub(crate) item: NotificationId,
    pub(crate) partition: Partition,
    pub(crate) said: Said,
    pub(crate) cause: Offset,
    pub(crate) route: Route,
    pub(crate) expires_at: Timestamp,
    pub(crate) at: Timestamp,
    /// The latest the wall clock had been before it.
    pub(crate) latest: Timestamp,
    pub(crate) started: Tick,
    /// When the worker got the answer, if it did.
    pub(crate) answered: Option<Tick>,
    pub(crate) is_accepted: bool,
    /// How far the group had come when the attempt started.
    pub(crate) progress: Option<Progress>,
    /// The latest event for which this worker had sent something of the partition before.
    pub(crate) seen: Option<Offset>,
}

/// What an attempt said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// A content to show.
    Show,
    /// How an item stands.
    Sync,
    /// That something changed, and nothing else.
    Signal,
}

impl Said {
    pub(super) const fn of(body: &PushBody) -> Self {
        match body {
            PushBody::Show { .. } => Self::Show,
            PushBody::Sync(_) => Self::Sync,
            PushBody::Signal => Self::Signal,
        }
    }

    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Show => "shows",
            Self::Sync => "syncs",
            Self::Signal => "signals",
        }
    }
}
