//! Feeds of changes in memory.

use std::collections::BTreeSet;

use async_trait::async_trait;
use campanile_core::port::{ChangeFeed, FeedEvent, ProjectionError};
use campanile_core::{Offset, UserRef};
use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};

/// How many changes wait for the slowest reader.
pub(super) const HOLDS: usize = 64;

/// Everybody who listens to one partition. Dropping it breaks their feeds.
pub(super) struct Feeds(Sender<FeedEvent>);

impl Default for Feeds {
    fn default() -> Self {
        Self(broadcast::channel(HOLDS).0)
    }
}

impl Feeds {
    pub(super) fn subscribe(&self) -> Box<dyn ChangeFeed> {
        Box::new(MemoryFeed(self.0.subscribe()))
    }

    pub(super) fn tell(&self, checkpoint: Offset, users: BTreeSet<UserRef>) {
        let users = users.into_iter().collect();
        // Fails if nobody listens, which is fine.
        drop(self.0.send(FeedEvent::Changed { checkpoint, users }));
    }
}

struct MemoryFeed(Receiver<FeedEvent>);

#[async_trait]
impl ChangeFeed for MemoryFeed {
    async fn next(&mut self) -> Result<FeedEvent, ProjectionError> {
        match self.0.recv().await {
            Ok(event) => Ok(event),
            Err(RecvError::Lagged(_)) => Ok(FeedEvent::Lagged),
            Err(RecvError::Closed) => {
                Err(ProjectionError::Unavailable { reason: "the feed broke".into() })
            }
        }
    }
}
