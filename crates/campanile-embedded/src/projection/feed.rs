//! Tells of changes.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use campanile_core::port::{ChangeFeed, FeedEvent, ProjectionError};
use campanile_core::{Offset, UserRef};
use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};

/// How many changes wait for the slowest reader of a partition.
pub(super) const HOLDS: usize = 256;

/// What one step changed.
#[derive(Clone)]
struct Change {
    checkpoint: Offset,
    users: Arc<[UserRef]>,
}

/// Everybody who listens to one partition. `None` says that changes were not told.
#[derive(Default)]
pub(super) struct Feeds(Mutex<Option<Sender<Option<Change>>>>);

impl Feeds {
    pub(super) fn subscribe(&self) -> Box<dyn ChangeFeed> {
        let mut sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.get_or_insert_with(|| broadcast::channel(HOLDS).0);
        Box::new(Feed(sender.subscribe()))
    }

    pub(super) fn tell(&self, checkpoint: Offset, users: Vec<UserRef>) {
        let mut sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let listened = sender.as_ref().is_some_and(|sender| {
            sender.send(Some(Change { checkpoint, users: users.into() })).is_ok()
        });
        if !listened {
            // Its buffer is only worth having while somebody listens.
            *sender = None;
        }
    }

    /// Anything may have changed.
    pub(super) fn skip(&self) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody may listen.
        sender.as_ref().into_iter().for_each(|sender| drop(sender.send(None)));
    }
}

struct Feed(Receiver<Option<Change>>);

#[async_trait]
impl ChangeFeed for Feed {
    async fn next(&mut self) -> Result<FeedEvent, ProjectionError> {
        match self.0.recv().await {
            Ok(Some(Change { checkpoint, users })) => {
                Ok(FeedEvent::Changed { checkpoint, users: users.to_vec() })
            }
            Ok(None) | Err(RecvError::Lagged(_)) => Ok(FeedEvent::Lagged),
            Err(RecvError::Closed) => {
                let reason = "the projection is closed".into();
                Err(ProjectionError::Unavailable { reason })
            }
        }
    }
}
