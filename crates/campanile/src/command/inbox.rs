//! `campanile inbox`

use std::fmt;

use campanile_proto::v1;
use serde::Serialize;

use super::words::word;
use super::{Client, Whom, instant};
use crate::exit::Failure;

/// The arguments.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    whom: Whom,
    /// Only unread ones.
    #[arg(long)]
    unread: bool,
    /// Only those with this label.
    #[arg(long)]
    group: Option<String>,
    /// Ended ones too, as long as they are remembered.
    #[arg(long)]
    ended: bool,
    /// How many at most, 1 to 500.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=500))]
    limit: i32,
}

/// A notification as its user has it.
#[derive(Debug, Serialize)]
pub(crate) struct Item {
    notification_id: String,
    app_notification_id: Option<String>,
    group: Option<String>,
    title: Option<String>,
    body: Option<String>,
    revision: u32,
    read: bool,
    action: String,
    /// How it ended, if it has.
    ended: Option<String>,
    created_at: String,
    modified_at: String,
    expires_at: String,
}

impl Item {
    /// How it stands, in a word.
    pub(crate) fn state(&self) -> &str {
        match (&self.ended, self.action.as_str(), self.read) {
            (Some(ended), ..) => ended,
            (None, "none" | "unspecified", true) => "read",
            (None, "none" | "unspecified", false) => "unread",
            (None, action, _) => action,
        }
    }
}

impl From<v1::InboxItem> for Item {
    fn from(item: v1::InboxItem) -> Self {
        let visual = item.content.clone().and_then(|content| content.visual);
        let (title, body) = visual.map_or((None, None), |it| (Some(it.title), it.body));
        Self {
            title,
            body,
            action: word(item.action().as_str_name(), "USER_ACTION_"),
            ended: item.ended.map(|_| word(item.ended().as_str_name(), "ENDED_")),
            created_at: instant(item.created_at.as_ref()),
            modified_at: instant(item.modified_at.as_ref()),
            expires_at: instant(item.expires_at.as_ref()),
            notification_id: item.notification_id,
            app_notification_id: item.app_notification_id,
            group: item.group,
            revision: item.revision,
            read: item.read,
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, state, at) = (&self.notification_id, self.state(), &self.modified_at);
        write!(f, "{id}  {at}  {state:9}  {}", self.title.as_deref().unwrap_or("-"))
    }
}

/// Lists a user's notifications.
///
/// # Errors
/// [`Failure`].
pub(crate) fn run(args: Args, client: &Client) -> Result<(), Failure> {
    client.run(|client, format| async move {
        let (app, target) = args.whom.into_wire();
        let filter = v1::ItemFilter {
            read: args.unread.then_some(false),
            actions: Vec::new(),
            group: args.group,
            include_ended: args.ended,
        };
        let request = v1::ListNotificationsRequest {
            app,
            target,
            filter: Some(filter),
            page_size: Some(args.limit),
            page_token: String::new(),
        };
        for item in client.list_notifications(request).await?.items {
            format.write(&Item::from(item))?;
        }
        Ok(())
    })
}
