//! `campanile dismiss`

use std::fmt;

use campanile_proto::v1;
use clap::ValueEnum;
use serde::Serialize;

use super::{Client, Whom};
use crate::exit::{Failure, Kind};

/// The arguments.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    whom: Whom,
    /// The notifications, 1 to 500.
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "NOTIFICATION")]
    ids: Vec<String>,
    /// Everything the user was told until now.
    #[arg(long, conflicts_with_all = ["read", "action"])]
    all: bool,
    /// With --all: until then, by a cursor of a sync or a watch.
    #[arg(long, requires = "all", allow_hyphen_values = true, value_name = "CURSOR")]
    cursor: Option<String>,
    /// Marks them read; without --action nothing else.
    #[arg(long)]
    read: bool,
    /// What the user did; dismissed if nothing is said.
    #[arg(long, value_enum)]
    action: Option<Action>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    Activated,
    Dismissed,
    Snoozed,
}

/// What became of one of them.
#[derive(Debug, Serialize)]
struct Recorded {
    notification_id: String,
    recorded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.reason.as_deref().unwrap_or("recorded");
        write!(f, "{}  {reason}", self.notification_id)
    }
}

/// Records what the user did.
///
/// # Errors
/// [`Failure`] if one of them was not recorded; the others were.
pub(crate) fn run(args: Args, client: &Client) -> Result<(), Failure> {
    if args.all {
        return client.run(|client, format| async move {
            Ok(format.write(&dismiss_all(args, &client).await?)?)
        });
    }
    client.run(|client, format| async move {
        let ids = args.ids.clone();
        let asked = ids.len();
        let answer = client.update_state(request(args)).await?;
        let mut recorded = 0;
        // In the order asked. The server does not repeat what is no id.
        for (notification_id, result) in ids.into_iter().zip(answer.results) {
            let reason = match result.result {
                Some(v1::item_result::Result::Failure(failure)) => Some(failure.reason),
                _ => None,
            };
            recorded += usize::from(reason.is_none());
            let recorded = reason.is_none();
            format.write(&Recorded { notification_id, recorded, reason })?;
        }
        match asked - recorded.min(asked) {
            0 => Ok(()),
            failed => {
                let message = format_args!("{failed} of {asked} were not recorded");
                Err(Failure::new(Kind::Failed, message))
            }
        }
    })
}

/// That everything is dismissed.
#[derive(Debug, Serialize)]
struct AllDismissed {
    /// What was told before is dismissed.
    cursor: String,
}

impl fmt::Display for AllDismissed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("everything until now")
    }
}

async fn dismiss_all(args: Args, client: &campanile_api::Client) -> Result<AllDismissed, Failure> {
    let (app, target) = args.whom.into_wire();
    let cursor = match args.cursor {
        Some(cursor) => cursor,
        None => {
            // A watch without a cursor begins now, and says where that is.
            let (app, target, cursor) = (app.clone(), target.clone(), String::new());
            let mut watch = client.watch(v1::WatchRequest { app, target, cursor }).await?;
            let first = watch.message().await.map_err(campanile_api::ClientError::from)?;
            first.map(|first| first.cursor).unwrap_or_default()
        }
    };
    let request = v1::DismissAllRequest { app, target, cursor: cursor.clone() };
    client.dismiss_all(request).await?;
    Ok(AllDismissed { cursor })
}

fn request(args: Args) -> v1::UpdateStateRequest {
    let (app, target) = args.whom.into_wire();
    let default = (!args.read).then_some(Action::Dismissed);
    let action = args.action.or(default).map(|action| match action {
        Action::Activated => v1::UserAction::Activated.into(),
        Action::Dismissed => v1::UserAction::Dismissed.into(),
        Action::Snoozed => v1::UserAction::Snoozed.into(),
    });
    let read = args.read.then_some(true);
    let update =
        |notification_id| v1::StateUpdate { notification_id, revision: None, read, action };
    v1::UpdateStateRequest { app, target, updates: args.ids.into_iter().map(update).collect() }
}
