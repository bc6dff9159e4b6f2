//! One request and its answer.

use bytes::{Bytes, BytesMut};
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, StatusCode};
use tokio::time::timeout;

use super::Room;
use super::counters::up;

/// The longest body that is read. Providers answer with less than a hundred bytes; what is longer
/// comes from something else.
const BODY_LIMIT: usize = 64 * 1024;

/// What a server said.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body; empty if it was longer than 64 KiB.
    pub(crate) body: Bytes,
}

/// A request on its way.
pub(crate) struct Exchange(ResponseFuture);

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
    pub(crate) async fn send(&self, request: Request<()>, body: Bytes) -> Result<Answer, Lost> {
        let exchange = self.begin(request, body)?;
        self.complete(exchange).await
    }

    /// The first half of [`Room::send`], which does not wait: whoever has thousands on their way
    /// need not keep the requests.
    ///
    /// # Errors
    /// [`Lost::Unprocessed`] if the connection takes no request any more.
    pub(crate) fn begin(&self, request: Request<()>, body: Bytes) -> Result<Exchange, Lost> {
        self.start(request, body).map(Exchange).map_err(|error| {
            // A connection that takes no request takes no other either.
            self.close_connection();
            self.lost(&error, true)
        })
    }

    /// The second half of [`Room::send`].
    ///
    /// # Errors
    /// [`Lost`] if there is no complete answer.
    pub(crate) async fn complete(&self, Exchange(response): Exchange) -> Result<Answer, Lost> {
        let limit = self.pool.shared.config.request_timeout;
        match timeout(limit, complete(response)).await {
            Ok(Ok(answer)) => {
                self.answered(answer.status);
                Ok(answer)
            }
            Ok(Err(error)) => Err(self.lost(&error, false)),
            Err(_) => {
                self.connection.doubt();
                up(&self.pool.shared.counters.timed_out);
                Err(Lost::Indefinite(format!("no answer within {limit:?}")))
            }
        }
    }

    fn start(&self, request: Request<()>, body: Bytes) -> Result<ResponseFuture, h2::Error> {
        // A clone has no memory of requests that wait for a stream, so it never refuses to queue
        // one more. That is fine: how many are queued is bounded by the room there is.
        let mut sender = self.connection.sender.clone();
        let (response, mut stream) = sender.send_request(request, body.is_empty())?;
        if !body.is_empty()
            && let Err(error) = stream.send_data(body, true)
        {
            // The connection ended in between; the answer to the request tells how.
            tracing::trace!(%error, "body not sent");
        }
        Ok(response)
    }

    fn answered(&self, status: StatusCode) {
        // A server that knows who we are says so with the first answer.
        let proof = !matches!(status.as_u16(), 401 | 403 | 429 | 500..);
        if self.connection.gauge.answered(proof) {
            self.pool.shared.proved();
        }
    }

    fn lost(&self, error: &h2::Error, before_sending: bool) -> Lost {
        let counters = &self.pool.shared.counters;
        if before_sending || is_unprocessed(error) {
            up(&counters.refused);
            Lost::Unprocessed(error.to_string())
        } else {
            up(&counters.lost);
            Lost::Indefinite(error.to_string())
        }
    }
}

/// Whether the server says that it did nothing: REFUSED_STREAM (RFC 9113 section 8.7), or the
/// stream is above the last one of a GOAWAY (section 6.8). The stream of an exchange fails with a
/// GOAWAY only in the latter case; those below go on.
fn is_unprocessed(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
}

async fn complete(response: ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, stream) = response.await?.into_parts();
    let body = match read(stream).await {
        Ok(body) => body,
        // It was taken; why the rest is missing does not matter.
        Err(_) if head.status.is_success() => Bytes::new(),
        Err(error) => return Err(error),
    };
    Ok(Answer { status: head.status, headers: head.headers, body })
}

async fn read(mut stream: RecvStream) -> Result<Bytes, h2::Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk?;
        stream.flow_control().release_capacity(chunk.len())?;
        if body.len() + chunk.len() > BODY_LIMIT {
            return Ok(Bytes::new());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
