//! Request messages that have to arrive in time.
//!
//! A call whose message does not come holds its place among those that may run, and costs whoever
//! opened it nothing. Streams of messages are exempt: they may be quiet for as long as they like.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use campanile_engine::tasks;
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Bytes;

use crate::status::Answer;

/// The methods to which a client streams.
const STREAMS: [&str; 2] = ["PublishStream", "ServerReflectionInfo"];

/// Gives the message of a call that has one this long to arrive.
pub(crate) fn in_time(request: Request<Body>, within: Duration) -> Request<Body> {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default();
    if STREAMS.contains(&method) {
        return request;
    }
    request.map(|body| Body::new(Arriving { body, within, limit: None, is_late: false }))
}

/// A body that is waited for, but not longer than some time in all.
struct Arriving {
    body: Body,
    within: Duration,
    /// Runs from the first wait on: mostly everything is there at once.
    limit: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// The time is over, and that was said.
    is_late: bool,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_late {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let within = self.within;
        let limit = self.limit.get_or_insert_with(|| Box::pin(tasks::sleep(within)));
        match limit.as_mut().poll(cx) {
            Poll::Ready(()) => {
                self.is_late = true;
                Poll::Ready(Some(Err(Answer::too_slow(within).into_status())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
