//! `campanile deadletter list|redrive`

use std::collections::BTreeMap;
use std::fmt;

use campanile_proto::v1;
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::history::delivery_line;
use super::words::word;
use super::{Client, instant};
use crate::exit::Failure;
use crate::output::say;

/// What to do about deliveries that failed.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists them, with what a redrive would do about each.
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Asks for those that still matter once more. A failure is asked for again once, however often
    /// this is run.
    #[command(group = clap::ArgGroup::new("part").required(true).multiple(true)
        .args(["from", "user", "unsid", "notification"]))]
    Redrive {
        #[command(flatten)]
        which: Which,
        /// Only count what would be asked for, and what would be left alone and why.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Which of them.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Which {
    /// The app.
    #[arg(long)]
    app: String,
    /// Only of this user, by the app's own name.
    #[arg(long, conflicts_with = "unsid")]
    user: Option<String>,
    /// Only of the user of this installation, by its handle.
    #[arg(long, allow_hyphen_values = true)]
    unsid: Option<String>,
    /// Only of this notification.
    #[arg(long, value_name = "ID")]
    notification: Option<String>,
    /// Only to this endpoint, by its id.
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
    /// Only on this platform; may be given again.
    #[arg(long, value_enum)]
    platform: Vec<Platform>,
    /// Only those that failed for this reason; may be given again.
    #[arg(long, value_enum)]
    reason: Vec<Reason>,
    /// Only what was recorded at this instant or later, such as 2026-01-31T10:00:00Z
    #[arg(long, value_name = "INSTANT")]
    from: Option<prost_types::Timestamp>,
    /// Only what was recorded before this instant; until now if not said.
    #[arg(long, value_name = "INSTANT")]
    until: Option<prost_types::Timestamp>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Platform {
    Apns,
    Fcm,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Reason {
    Rejected,
    AddressGone,
    GaveUp,
    Expired,
}

impl Which {
    fn into_wire(self) -> (String, Option<v1::DeadLetterFilter>) {
        use v1::target::Target::{Unsid, UserId};
        let platforms = self.platform.into_iter().map(|platform| match platform {
            Platform::Apns => v1::Platform::Apns.into(),
            Platform::Fcm => v1::Platform::Fcm.into(),
        });
        let reasons = self.reason.into_iter().map(|reason| match reason {
            Reason::Rejected => v1::DeadReason::Rejected.into(),
            Reason::AddressGone => v1::DeadReason::AddressGone.into(),
            Reason::GaveUp => v1::DeadReason::GaveUp.into(),
            Reason::Expired => v1::DeadReason::Expired.into(),
        });
        let target = self.user.map(UserId).or(self.unsid.map(Unsid));
        let filter = v1::DeadLetterFilter {
            target: target.map(|target| v1::Target { target: Some(target) }),
            notification_id: self.notification.unwrap_or_default(),
            endpoint_id: self.endpoint.unwrap_or_default(),
            platforms: platforms.collect(),
            reasons: reasons.collect(),
            from: self.from,
            until: self.until,
        };
        (self.app, Some(filter))
    }
}

/// A delivery that failed.
#[derive(Debug, Serialize)]
struct Letter {
    recorded_at: String,
    user: String,
    notification_id: String,
    endpoint_id: String,
    platform: String,
    /// The revision it was to show; absent: it was to synchronise state.
    shows_revision: Option<u32>,
    attempts: u32,
    reason: String,
    /// What came of it, in words.
    detail: String,
    /// What a redrive would do about it: `yes`, or why it would leave it alone.
    redrivable: String,
}

impl From<v1::DeadLetter> for Letter {
    fn from(letter: v1::DeadLetter) -> Self {
        let (platform, reason) = (letter.platform(), letter.reason());
        let redrivable = left_alone(letter.redrivable(), letter.not_due());
        let delivery = letter.delivery.unwrap_or_default();
        Self {
            recorded_at: instant(letter.recorded_at.as_ref()),
            user: letter.user,
            notification_id: letter.notification_id,
            platform: word(platform.as_str_name(), "PLATFORM_"),
            shows_revision: delivery.shows_revision,
            attempts: delivery.attempts,
            reason: word(reason.as_str_name(), "DEAD_REASON_"),
            detail: delivery_line(&delivery).detail,
            endpoint_id: delivery.endpoint_id,
            redrivable,
        }
    }
}

/// `yes`, or why a redrive leaves a dead letter alone.
fn left_alone(why: v1::Redrivable, not_due: v1::Suppression) -> String {
    match why {
        v1::Redrivable::NotDue => word(not_due.as_str_name(), "SUPPRESSION_"),
        why => word(why.as_str_name(), "REDRIVABLE_"),
    }
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recorded_at, notification_id, endpoint_id, platform, detail, .. } = self;
        write!(f, "{recorded_at}  {notification_id}  {platform} {endpoint_id}  {detail}")?;
        match self.redrivable.as_str() {
            "yes" => Ok(()),
            why => write!(f, "  (left alone: {why})"),
        }
    }
}

/// What came of a redrive.
#[derive(Debug, Default, Serialize)]
struct Redriven {
    dry_run: bool,
    redriven: u64,
    skipped: BTreeMap<String, u64>,
}

impl fmt::Display for Redriven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let would = if self.dry_run { "would be asked for" } else { "asked for" };
        write!(f, "{} {would} once more", self.redriven)?;
        let skipped: Vec<_> =
            self.skipped.iter().map(|(why, count)| format!("{count} {why}")).collect();
        match self.skipped.values().sum::<u64>() {
            0 => Ok(()),
            count => write!(f, "; {count} left alone: {}", skipped.join(", ")),
        }
    }
}

/// Does what `command` says.
///
/// # Errors
/// [`Failure`].
pub(crate) fn run(command: Command, client: &Client) -> Result<(), Failure> {
    match command {
        Command::List { which } => client.run(|client, format| async move {
            let (app, filter) = which.into_wire();
            let (mut cursor, mut complete) = (String::new(), true);
            loop {
                let (app, filter, limit) = (app.clone(), filter.clone(), Some(500));
                let request = v1::ListDeadLettersRequest { app, filter, cursor, limit };
                let page = client.list_dead_letters(request).await?;
                complete &= page.complete;
                for letter in page.dead_letters {
                    format.write(&Letter::from(letter))?;
                }
                cursor = page.cursor;
                if cursor.is_empty() {
                    say_whether(complete);
                    return Ok(());
                }
            }
        }),
        Command::Redrive { which, dry_run } => client.run(|client, format| async move {
            let (app, filter) = which.into_wire();
            let (mut cursor, mut complete) = (String::new(), true);
            let mut sum = Redriven { dry_run, ..Redriven::default() };
            loop {
                let (app, filter, limit) = (app.clone(), filter.clone(), Some(500));
                let request = v1::RedriveDeadLettersRequest { app, filter, cursor, limit, dry_run };
                let done = client.redrive_dead_letters(request).await?;
                complete &= done.complete;
                sum.redriven += u64::from(done.redriven);
                for it in done.skipped {
                    let why = left_alone(it.why(), it.not_due());
                    *sum.skipped.entry(why).or_default() += u64::from(it.count);
                }
                cursor = done.cursor;
                if cursor.is_empty() {
                    break;
                }
                say(format_args!("{sum}; going on"));
            }
            say_whether(complete);
            Ok(format.write(&sum)?)
        }),
    }
}

fn say_whether(complete: bool) {
    if !complete {
        say("the log does not reach back that far: older ones may be missing");
    }
}
