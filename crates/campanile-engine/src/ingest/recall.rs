//! Taking back: one item of one user, or a campaign.

use std::sync::Arc;

use campanile_core::{Event, NotificationId, Position, UserRef};

use super::Ingest;
use crate::edge::Target;
use crate::{Error, RequestContext};

/// Which item to take back.
#[derive(Clone, Debug)]
pub enum Recall {
    /// By its id.
    Id(NotificationId),
    /// By the producer's name for it.
    AppNotificationId(String),
}

impl Ingest {
    /// Takes an item back from every device.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn recall(
        &self,
        context: &RequestContext,
        target: &Target,
        item: &Recall,
    ) -> Result<(NotificationId, Position), Error> {
        let whom = self.edge.whom(&context.app, target)?;
        let id = match item {
            Recall::Id(id) => *id,
            Recall::AppNotificationId(name) => {
                self.edge.names.of(&context.app).item(whom.user, name)
            }
        };
        self.edge.belongs(&whom, id)?;
        let event = Event::NotificationRecalled { id, revision: None };
        Ok((id, self.edge.append(context, whom.user, event).await?))
    }

    /// Takes back, from every user, what was posted before with a campaign's name. An `Ok` means
    /// that it is durable, in every partition; to carry it out is the scheduler's business.
    ///
    /// # Errors
    /// [`Error`]; repeat it then: some partitions may have it and others not.
    pub async fn recall_campaign(
        &self,
        context: &RequestContext,
        campaign: &Arc<str>,
    ) -> Result<Vec<Position>, Error> {
        let event = |partition| {
            let user = UserRef::of_campaign(&context.app, campaign, partition);
            (user, Event::CampaignRecalled { campaign: campaign.clone() })
        };
        let events = self.edge.events.identity().partitions().map(event).collect();
        let answers = self.append(context, events).await;
        let may_be =
            |answer: &Result<_, Error>| matches!(answer, Ok(_) | Err(Error::Indefinite { .. }));
        let is_somewhere = answers.iter().any(may_be);
        // Where some partitions may have it, it cannot be said that nothing happened.
        let open = |error: Error| match error {
            error if !is_somewhere => error,
            error => Error::Indefinite { reason: error.to_string() },
        };
        answers.into_iter().map(|answer| answer.map_err(open)).collect()
    }
}
