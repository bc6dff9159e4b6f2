//! `campanile recall`

use std::fmt;

use campanile_proto::v1;
use clap::ArgGroup;
use serde::Serialize;

use super::Client;
use crate::exit::Failure;

/// The arguments.
#[derive(Clone, Debug, clap::Args)]
#[command(group = ArgGroup::new("what").required(true).args(["id", "name", "campaign"]))]
pub(crate) struct Args {
    /// The app.
    #[arg(long)]
    app: String,
    /// The app's own name for the user; not for a campaign, which is everybody's.
    #[arg(long, required_unless_present = "campaign", conflicts_with = "campaign")]
    user: Option<String>,
    /// The notification, by its id.
    #[arg(value_name = "NOTIFICATION")]
    id: Option<String>,
    /// The notification, by the name it was published with.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Everything that was published with this campaign's name, to whomever.
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
}

/// What is told of a recall.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Recalled {
    One { notification_id: String },
    Campaign { campaign: String },
}

impl fmt::Display for Recalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One { notification_id } => f.write_str(notification_id),
            Self::Campaign { campaign } => write!(f, "everything of {campaign}"),
        }
    }
}

/// Takes one notification back, or a campaign.
///
/// # Errors
/// [`Failure`].
pub(crate) fn run(args: Args, client: &Client) -> Result<(), Failure> {
    use v1::recall_request::Notification::{AppNotificationId, NotificationId};
    use v1::target::Target::UserId;
    client.run(|client, format| async move {
        let Args { app, user, id, name, campaign } = args;
        if let Some(campaign) = campaign {
            let request = v1::RecallCampaignRequest { app, campaign: campaign.clone() };
            client.recall_campaign(request).await?;
            return Ok(format.write(&Recalled::Campaign { campaign })?);
        }
        let target = Some(v1::Target { target: user.map(UserId) });
        let notification = id.map(NotificationId).or(name.map(AppNotificationId));
        let answer = client.recall(v1::RecallRequest { app, target, notification }).await?;
        Ok(format.write(&Recalled::One { notification_id: answer.notification_id })?)
    })
}
