//! `campanile publish`

use std::fmt;
use std::time::Duration;

use campanile_proto::v1;
use clap::ValueEnum;
use serde::Serialize;

use super::words::seconds;
use super::{Client, Whom, span};
use crate::exit::Failure;

/// The arguments.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    whom: Whom,
    /// The title, 1 to 256 characters.
    #[arg(long, required_unless_present = "raw")]
    title: Option<String>,
    /// The text below it.
    #[arg(long, requires = "title")]
    body: Option<String>,
    /// A sound that the app brings.
    #[arg(long, requires = "title")]
    sound: Option<String>,
    /// The number on the app's icon.
    #[arg(long, requires = "title")]
    badge: Option<u32>,
    /// Text handed to the app as it is.
    #[arg(long)]
    raw: Option<String>,
    /// Names the request: the same again is nothing.
    #[arg(long = "key", value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Names the notification: a later one with this name replaces it.
    #[arg(long = "name", value_name = "NAME")]
    app_notification_id: Option<String>,
    /// A label for grouping.
    #[arg(long)]
    group: Option<String>,
    /// What it can be recalled by, together with others.
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// How urgent it is.
    #[arg(long, value_enum, default_value_t)]
    priority: Priority,
    /// How long until it vanishes everywhere, such as "1 h"; 7 d if not said.
    #[arg(long, value_parser = span, value_name = "DURATION")]
    ttl: Option<Duration>,
    /// How long pushes are still sent, such as "10 min".
    #[arg(long, value_parser = span, value_name = "DURATION")]
    deliver_within: Option<Duration>,
    /// What an Apple device shows if its app asks for signals and has not fetched in time.
    #[arg(long, requires = "fallback_after", value_name = "TITLE")]
    fallback_title: Option<String>,
    /// The text below it.
    #[arg(long, requires = "fallback_title", value_name = "BODY")]
    fallback_body: Option<String>,
    /// In what time it has to fetch, 1 min to 10 min.
    #[arg(long, requires = "fallback_title", value_parser = span, value_name = "DURATION")]
    fallback_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Priority {
    Low,
    Normal,
    #[default]
    High,
}

/// What is told of a publish.
#[derive(Debug, Serialize)]
struct Published {
    notification_id: String,
    repeated: bool,
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repeated = if self.repeated { "  (was known)" } else { "" };
        write!(f, "{}{repeated}", self.notification_id)
    }
}

/// Publishes one notification.
///
/// # Errors
/// [`Failure`].
pub(crate) fn run(args: Args, client: &Client) -> Result<(), Failure> {
    client.run(|client, format| async move {
        let answer = client.publish(request(args)).await?;
        let v1::PublishResponse { notification_id, repeated, .. } = answer;
        Ok(format.write(&Published { notification_id, repeated })?)
    })
}

fn request(args: Args) -> v1::PublishRequest {
    let (app, target) = args.whom.into_wire();
    let Args { body, sound, badge, .. } = args;
    let visual = args.title.map(|title| v1::Visual { title, body, sound, badge });
    let content = v1::Content { visual, raw: args.raw.map(|raw| raw.into_bytes().into()) };
    let priority = match args.priority {
        Priority::Low => v1::Priority::Low,
        Priority::Normal => v1::Priority::Normal,
        Priority::High => v1::Priority::High,
    };
    let fallback = args.fallback_title.zip(args.fallback_after).map(|(title, after)| {
        let visual = v1::Visual { title, body: args.fallback_body, ..v1::Visual::default() };
        let after_seconds = u32::try_from(after.as_secs()).unwrap_or(u32::MAX);
        v1::Fallback { after_seconds, visual: Some(visual) }
    });
    let notification = v1::Notification {
        target,
        idempotency_key: args.idempotency_key,
        app_notification_id: args.app_notification_id,
        group: args.group,
        campaign: args.campaign,
        content: Some(content),
        platforms: Vec::new(),
        priority: priority.into(),
        end: args.ttl.map(|ttl| v1::notification::End::TtlSeconds(seconds(ttl))),
        deliver_within_seconds: args.deliver_within.map(seconds),
        fallback,
    };
    v1::PublishRequest { app, notification: Some(notification) }
}
