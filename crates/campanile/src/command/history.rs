//! `campanile timeline` and `campanile state-at`

use std::fmt;

use campanile_proto::v1;
use serde::Serialize;

use super::inbox::Item;
use super::words::word;
use super::{Client, Whom, instant};
use crate::exit::{Failure, Kind};
use crate::output::say;

/// The arguments of `timeline`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TimelineArgs {
    #[command(flatten)]
    whom: Whom,
    /// The notification.
    notification: String,
}

/// The arguments of `state-at`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StateAtArgs {
    #[command(flatten)]
    whom: Whom,
    /// The notification.
    notification: String,
    /// The instant, such as 2026-01-31T08:00:00.250Z
    #[arg(long)]
    at: prost_types::Timestamp,
}

/// One line of a timeline.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) time: String,
    /// The event's name, or `delivery`.
    pub(crate) what: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) endpoint_id: String,
    pub(crate) detail: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {:20}  {}", self.time, self.what, self.detail)?;
        let endpoint = self.endpoint_id.get(..8).unwrap_or_default();
        if endpoint.is_empty() { Ok(()) } else { write!(f, "  (endpoint {endpoint}…)") }
    }
}

/// Shows everything that happened to a notification.
///
/// # Errors
/// [`Failure`].
pub(crate) fn timeline(args: TimelineArgs, client: &Client) -> Result<(), Failure> {
    client.run(|client, format| async move {
        let (app, target) = args.whom.into_wire();
        let notification_id = args.notification;
        let request = v1::GetTimelineRequest { app, target, notification_id };
        let timeline = client.get_timeline(request).await?;
        if !timeline.complete {
            say("the log does not reach back to the beginning: older lines may be missing");
        }
        for line in lines(timeline) {
            format.write(&line)?;
        }
        Ok(())
    })
}

/// Shows a notification as it was.
///
/// # Errors
/// [`Failure`]; also if it was not there yet.
pub(crate) fn state_at(args: StateAtArgs, client: &Client) -> Result<(), Failure> {
    client.run(|client, format| async move {
        let (app, target) = args.whom.into_wire();
        let (notification_id, at) = (args.notification, Some(args.at));
        let request = v1::GetStateAtRequest { app, target, notification_id, at };
        let answer = client.get_state_at(request).await?;
        if !answer.complete {
            say("the log does not reach back to the beginning: older records may be missing");
        }
        match answer.item {
            Some(item) => Ok(format.write(&Item::from(item))?),
            None => Err(Failure::new(Kind::Failed, "it was not there yet")),
        }
    })
}

/// A timeline in lines: one for an event, one for each delivery of a receipt, in order of time.
pub(crate) fn lines(answer: v1::GetTimelineResponse) -> Vec<Line> {
    let entries = answer.entries.into_iter().flat_map(|entry| {
        let time = instant(entry.time.as_ref());
        match entry.entry {
            None => Vec::new(),
            Some(v1::timeline_entry::Entry::Event(event)) => vec![event_line(time, event)],
            Some(v1::timeline_entry::Entry::Receipt(receipt)) => {
                receipt.deliveries.iter().map(delivery_line).collect()
            }
        }
    });
    let mut lines: Vec<_> = entries.collect();
    // A receipt is written after what it tells of; its deliveries have their own times, of which
    // all texts have the same length.
    lines.sort_by(|one, other| one.time.cmp(&other.time));
    lines
}

pub(super) fn event_line(time: String, event: v1::TimelineEvent) -> Line {
    Line { time, what: event.name, endpoint_id: event.origin, detail: event.summary }
}

pub(super) fn delivery_line(delivery: &v1::DeliveryOutcome) -> Line {
    use v1::delivery_outcome::Outcome;
    let refused = |what: &str, answer: &v1::PlatformAnswer| {
        format!("{what}: {} {}", answer.status, answer.reason)
    };
    let outcome = match &delivery.outcome {
        Some(Outcome::Accepted(_)) => "accepted".to_owned(),
        Some(Outcome::Suppressed(why)) => {
            let why = v1::Suppression::try_from(*why).unwrap_or_default();
            format!("not sent: {}", word(why.as_str_name(), "SUPPRESSION_"))
        }
        Some(Outcome::Rejected(answer)) => refused("rejected", answer),
        Some(Outcome::AddressGone(answer)) => refused("address gone", answer),
        Some(Outcome::GaveUp(reason)) => format!("gave up: {reason}"),
        None => "unknown".to_owned(),
    };
    let kind = match delivery.shows_revision {
        Some(revision) if delivery.falls_back => {
            format!("show the fallback of revision {revision}")
        }
        Some(revision) => format!("show revision {revision}"),
        None => "sync".to_owned(),
    };
    let attempts = match delivery.attempts {
        0 | 1 => String::new(),
        attempts => format!(", {attempts} attempts"),
    };
    Line {
        time: instant(delivery.at.as_ref()),
        what: "delivery".to_owned(),
        endpoint_id: delivery.endpoint_id.clone(),
        detail: format!("{kind}: {outcome}{attempts}"),
    }
}
