//! Following a user's items live.

use std::pin::{Pin, pin};

use campanile_engine::gateway::Watch;
use campanile_engine::tasks::Shutdown;
use campanile_proto::v1;
use futures::future::{Either, select};
use futures::{Stream, stream};
use tonic::Status;

use super::words;
use crate::context::Caller;
use crate::status::{Answer, status};

/// The messages of a watch.
pub(crate) type Changes = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

/// What `watch` tells, until it fails or the server is to stop. The caller keeps its place among
/// the calls as long.
pub(crate) fn changes(watch: Watch, caller: Caller, shutdown: Shutdown) -> Changes {
    let start = Some((watch, shutdown, caller));
    Box::pin(stream::unfold(start, |state| async move {
        let (mut watch, mut shutdown, caller) = state?;
        let told = {
            match select(pin!(watch.next()), pin!(shutdown.begun())).await {
                Either::Left((told, _)) => told.map_err(status),
                Either::Right(_) => Err(Answer::stopping().into_status()),
            }
        };
        let message = told.map(|(items, cursor)| v1::WatchResponse {
            items: items.iter().map(|item| words::item(item)).collect(),
            cursor,
        });
        let state = message.is_ok().then_some((watch, shutdown, caller));
        Some((message, state))
    }))
}
