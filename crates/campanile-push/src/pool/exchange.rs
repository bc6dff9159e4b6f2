//! One request and its answer.

use bytes::Bytes;
use http::StatusCode;

use super::Room;
use super::counters::up;
use super::link::Exchange;
use crate::http2::{Answer, Failure, Post};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The server certainly did nothing.
    Unprocessed(String),
    /// The server may have acted.
    Indefinite(String),
}

impl Room {
    /// Sends a request and waits for its answer, within the pool's time-out. The room is taken
    /// until it is dropped.
    ///
    /// # Errors
    /// [`Lost`] if there is no complete answer.
    pub(crate) async fn send(&self, post: &Post<'_>, body: Bytes) -> Result<Answer, Lost> {
        let exchange = self.begin(post, body)?;
        self.complete(exchange).await
    }

    /// The first half of [`Room::send`], which does not wait: whoever has thousands on their way
    /// need not keep the requests.
    ///
    /// # Errors
    /// [`Lost::Unprocessed`] if the connection takes no request any more.
    pub(crate) fn begin(&self, post: &Post<'_>, body: Bytes) -> Result<Exchange, Lost> {
        self.connection.link.begin(post, body).ok_or_else(|| {
            // A connection that takes no request takes no other either.
            self.close_connection();
            up(&self.pool.shared.counters.refused);
            Lost::Unprocessed("the connection takes no request any more".to_owned())
        })
    }

    /// The second half of [`Room::send`].
    ///
    /// # Errors
    /// [`Lost`] if there is no complete answer.
    pub(crate) async fn complete(&self, exchange: Exchange) -> Result<Answer, Lost> {
        let counters = &self.pool.shared.counters;
        match exchange.answer().await {
            Ok(answer) => {
                self.answered(answer.status);
                Ok(answer)
            }
            Err(Failure::Unprocessed(reason)) => {
                up(&counters.refused);
                Err(Lost::Unprocessed(reason))
            }
            Err(Failure::Broken(reason)) => {
                up(&counters.lost);
                Err(Lost::Indefinite(reason))
            }
            Err(Failure::TimedOut) => {
                self.connection.doubt();
                up(&counters.timed_out);
                let limit = self.pool.shared.config.request_timeout;
                Err(Lost::Indefinite(format!("no answer within {limit:?}")))
            }
        }
    }

    fn answered(&self, status: StatusCode) {
        // A server that knows who we are says so with the first answer.
        let proof = !matches!(status.as_u16(), 401 | 403 | 429 | 500..);
        if self.connection.gauge.answered(proof) {
            self.pool.shared.proved();
        }
    }
}
