//! For app installations: a user's notifications and what the user does with them.

use std::sync::Arc;

use campanile_core::{NotificationId, Position, UserAction};
use campanile_engine::gateway::{Filter, Gateway, StateUpdate};
use campanile_engine::tasks::Shutdown;
use campanile_proto::convert::{self, Violation};
use campanile_proto::v1;
use campanile_proto::v1::inbox_server::Inbox as Service;
use tonic::{Request, Response, Status};

use super::watch::{Changes, changes};
use super::words;
use crate::context::{Caller, context};
use crate::status::{Answer, status};

const PAGE: usize = 50;
const SYNC: usize = 100;

/// The service.
#[derive(Debug)]
pub(crate) struct Inbox {
    gateway: Arc<Gateway>,
    shutdown: Shutdown,
}

impl Inbox {
    pub(crate) const fn new(gateway: Arc<Gateway>, shutdown: Shutdown) -> Self {
        Self { gateway, shutdown }
    }
}

#[tonic::async_trait]
impl Service for Inbox {
    type WatchStream = Changes;

    async fn list_notifications(
        &self,
        request: Request<v1::ListNotificationsRequest>,
    ) -> Result<Response<v1::ListNotificationsResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::ListNotificationsRequest { target, filter: wire, page_size, page_token, .. } =
            request.into_inner();
        let target = words::target(target).map_err(status)?;
        let filter = filter(wire.unwrap_or_default()).map_err(status)?;
        let size = convert::page_size("page_size", page_size, PAGE).map_err(status)?;
        let token = (!page_token.is_empty()).then_some(page_token.as_str());
        let page = self.gateway.list(&context, &target, &filter, size, token).await;
        let page = page.map_err(status)?;
        Ok(Response::new(v1::ListNotificationsResponse {
            items: page.items.iter().map(|item| words::item(item)).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn sync(
        &self,
        request: Request<v1::SyncRequest>,
    ) -> Result<Response<v1::SyncResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::SyncRequest { target, cursor, limit, .. } = request.into_inner();
        let target = words::target(target).map_err(status)?;
        let limit = convert::page_size("limit", limit, SYNC).map_err(status)?;
        let cursor = (!cursor.is_empty()).then_some(cursor.as_str());
        let page = self.gateway.sync(&context, &target, cursor, limit).await.map_err(status)?;
        Ok(Response::new(v1::SyncResponse {
            items: page.items.iter().map(|item| words::item(item)).collect(),
            cursor: page.cursor,
            more: page.more,
        }))
    }

    async fn update_state(
        &self,
        request: Request<v1::UpdateStateRequest>,
    ) -> Result<Response<v1::UpdateStateResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::UpdateStateRequest { target, updates, .. } = request.into_inner();
        let target = words::target(target).map_err(status)?;
        convert::batch("updates", updates.len()).map_err(status)?;
        let (sound, checked) = part(updates.into_iter().map(update), |update| update.id);
        let recorded = match sound.is_empty() {
            true => Vec::new(),
            false => self.gateway.update_state(&context, &target, sound).await.map_err(status)?,
        };
        Ok(Response::new(v1::UpdateStateResponse { results: results(checked, recorded) }))
    }

    async fn dismiss_all(
        &self,
        request: Request<v1::DismissAllRequest>,
    ) -> Result<Response<v1::DismissAllResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::DismissAllRequest { target, cursor, .. } = request.into_inner();
        let target = words::target(target).map_err(status)?;
        if cursor.is_empty() {
            let reason = "is missing: without it, what nobody has seen would be dismissed too";
            return Err(status(Violation::new("cursor", reason)));
        }
        let position = self.gateway.dismiss_all(&context, &target, &cursor).await;
        let position = Some(words::position(position.map_err(status)?));
        Ok(Response::new(v1::DismissAllResponse { position }))
    }

    async fn delete_notifications(
        &self,
        request: Request<v1::DeleteNotificationsRequest>,
    ) -> Result<Response<v1::DeleteNotificationsResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::DeleteNotificationsRequest { target, notification_ids: ids, .. } =
            request.into_inner();
        let target = words::target(target).map_err(status)?;
        convert::batch("notification_ids", ids.len()).map_err(status)?;
        let parsed = ids.iter().map(|id| convert::notification_id("notification_ids", id));
        let (sound, checked) = part(parsed, |id| *id);
        let recorded = match sound.is_empty() {
            true => Vec::new(),
            false => self.gateway.delete(&context, &target, sound).await.map_err(status)?,
        };
        Ok(Response::new(v1::DeleteNotificationsResponse { results: results(checked, recorded) }))
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Changes>, Status> {
        let caller = Caller::of(&request);
        let v1::WatchRequest { app, target, cursor } = request.into_inner();
        let context = caller.context(&app).map_err(status)?;
        let target = words::target(target).map_err(status)?;
        let cursor = (!cursor.is_empty()).then_some(cursor.as_str());
        let watch = self.gateway.watch(context, &target, cursor).await.map_err(status)?;
        Ok(Response::new(changes(watch, caller, self.shutdown.clone())))
    }
}

fn action(field: convert::Field, wire: i32) -> Result<UserAction, Violation> {
    let known = v1::UserAction::try_from(wire).ok().and_then(convert::action_from_wire);
    known.ok_or_else(|| Violation::new(field, "is not a known action"))
}

fn filter(wire: v1::ItemFilter) -> Result<Filter, Violation> {
    if let Some(group) = &wire.group {
        convert::name("filter.group", group)?;
    }
    let actions = wire.actions.into_iter().map(|wire| action("filter.actions", wire));
    Ok(Filter {
        read: wire.read,
        actions: actions.collect::<Result<_, _>>()?,
        group: wire.group,
        include_ended: wire.include_ended,
    })
}

fn update(wire: v1::StateUpdate) -> Result<StateUpdate, Violation> {
    let id = convert::notification_id("notification_id", &wire.notification_id)?;
    if wire.read.is_none() && wire.action.is_none() {
        return Err(Violation::new("read", "is missing, and so is action; one must be there"));
    }
    let action = wire.action.map(|wire| action("action", wire)).transpose()?;
    Ok(StateUpdate { id, revision: wire.revision, read: wire.read, action })
}

/// Each entry of a batch: its item, or what is wrong with it.
type Checked = Vec<Result<NotificationId, Violation>>;

/// The sound entries, and what became of the check of each.
fn part<T>(
    entries: impl Iterator<Item = Result<T, Violation>>,
    id: fn(&T) -> NotificationId,
) -> (Vec<T>, Checked) {
    let mut sound = Vec::new();
    let check = |entry: Result<T, Violation>| {
        entry.map(|entry| {
            let id = id(&entry);
            sound.push(entry);
            id
        })
    };
    let checked = entries.map(check).collect();
    (sound, checked)
}

fn results(
    checked: Checked,
    recorded: Vec<Result<Position, campanile_engine::Error>>,
) -> Vec<v1::ItemResult> {
    use v1::item_result::Result as Wire;
    let mut recorded = recorded.into_iter();
    let result = |checked: Result<NotificationId, Violation>| {
        let notification_id = checked.as_ref().map(ToString::to_string).unwrap_or_default();
        let failed = |answer: Answer| Wire::Failure(answer.into_failure());
        let result = match checked.map(|_| recorded.next()) {
            Ok(Some(Ok(position))) => Wire::Recorded(words::position(position)),
            Ok(Some(Err(error))) => failed(error.into()),
            Ok(None) => failed(Answer::unanswered()),
            Err(violation) => failed(violation.into()),
        };
        v1::ItemResult { notification_id, result: Some(result) }
    };
    checked.into_iter().map(result).collect()
}
