//! For producers: tell a user, and take it back.

use std::sync::Arc;

use campanile_engine::ingest::{Ingest, Lifetime, Publish, Published, Recall};
use campanile_engine::tasks::Shutdown;
use campanile_proto::convert::{self, Violation};
use campanile_proto::v1;
use campanile_proto::v1::notifications_server::Notifications as Service;
use tonic::{Request, Response, Status, Streaming};

use super::publish_stream::{Answers, answers};
use super::words;
use crate::context::{Caller, context};
use crate::status::{Answer, status};

/// The service.
#[derive(Debug)]
pub(crate) struct Notifications {
    ingest: Arc<Ingest>,
    shutdown: Shutdown,
}

impl Notifications {
    pub(crate) const fn new(ingest: Arc<Ingest>, shutdown: Shutdown) -> Self {
        Self { ingest, shutdown }
    }
}

#[tonic::async_trait]
impl Service for Notifications {
    type PublishStreamStream = Answers;

    async fn publish(
        &self,
        request: Request<v1::PublishRequest>,
    ) -> Result<Response<v1::PublishResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let wire = request.into_inner().notification;
        let publish = wire.ok_or_else(|| Violation::new("notification", "is missing"));
        let publish = publish.and_then(notification).map_err(status)?;
        let mut answers = self.ingest.publish(&context, vec![publish]).await;
        let published = answers.pop().unwrap_or_else(no_answer).map_err(status)?;
        Ok(Response::new(v1::PublishResponse {
            notification_id: published.id.to_string(),
            position: Some(words::position(published.position)),
            repeated: published.repeated,
        }))
    }

    async fn publish_stream(
        &self,
        request: Request<Streaming<v1::PublishStreamRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let caller = Caller::of(&request);
        let messages = request.into_inner();
        Ok(Response::new(answers(self.ingest.clone(), caller, messages, self.shutdown.clone())))
    }

    async fn recall(
        &self,
        request: Request<v1::RecallRequest>,
    ) -> Result<Response<v1::RecallResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::RecallRequest { target, notification, .. } = request.into_inner();
        let target = words::target(target).map_err(status)?;
        let item = recalled(notification).map_err(status)?;
        let (id, position) = self.ingest.recall(&context, &target, &item).await.map_err(status)?;
        let position = Some(words::position(position));
        Ok(Response::new(v1::RecallResponse { notification_id: id.to_string(), position }))
    }

    async fn recall_campaign(
        &self,
        request: Request<v1::RecallCampaignRequest>,
    ) -> Result<Response<v1::RecallCampaignResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::RecallCampaignRequest { campaign, .. } = request.into_inner();
        convert::name("campaign", &campaign).map_err(status)?;
        let positions = self.ingest.recall_campaign(&context, &campaign.into()).await;
        let positions = positions.map_err(status)?.into_iter().map(words::position).collect();
        Ok(Response::new(v1::RecallCampaignResponse { positions }))
    }
}

fn no_answer() -> Result<Published, campanile_engine::Error> {
    Err(campanile_engine::Error::Bug { reason: "ingest gave no answer".to_owned() })
}

/// A notification in the engine's words, or the first field at fault.
pub(super) fn notification(wire: v1::Notification) -> Result<Publish, Violation> {
    use v1::notification::End;
    let named = |field, text: &Option<String>| match text {
        Some(text) => convert::name(field, text),
        None => Ok(()),
    };
    named("idempotency_key", &wire.idempotency_key)?;
    named("app_notification_id", &wire.app_notification_id)?;
    named("group", &wire.group)?;
    named("campaign", &wire.campaign)?;
    let end = match &wire.end {
        None => Lifetime::Default,
        Some(End::TtlSeconds(seconds)) => Lifetime::For(convert::span("ttl_seconds", *seconds)?),
        Some(End::ExpiresAt(at)) => Lifetime::Until(convert::instant("expires_at", at)?),
    };
    let within = wire.deliver_within_seconds;
    let within = within.map(|seconds| convert::span("deliver_within_seconds", seconds));
    let platforms = convert::platforms(&wire.platforms)?;
    let fallback = wire.fallback.map(|fallback| convert::fallback(fallback, platforms));
    Ok(Publish {
        target: words::target(wire.target)?,
        idempotency_key: wire.idempotency_key,
        app_notification_id: wire.app_notification_id.map(Arc::from),
        group: wire.group.map(Arc::from),
        campaign: wire.campaign.map(Arc::from),
        content: convert::content(wire.content)?,
        platforms,
        priority: convert::priority(wire.priority)?,
        end,
        deliver_within: within.transpose()?,
        fallback: fallback.transpose()?,
    })
}

fn recalled(wire: Option<v1::recall_request::Notification>) -> Result<Recall, Answer> {
    use v1::recall_request::Notification as Wire;
    match wire {
        Some(Wire::NotificationId(text)) => {
            Ok(Recall::Id(convert::notification_id("notification_id", &text)?))
        }
        Some(Wire::AppNotificationId(name)) => {
            convert::name("app_notification_id", &name)?;
            Ok(Recall::AppNotificationId(name))
        }
        None => {
            Err(Answer::invalid("notification", "must be a notification_id or app_notification_id"))
        }
    }
}
