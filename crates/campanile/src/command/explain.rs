//! `campanile explain`

use std::fmt;

use campanile_proto::v1;
use serde::Serialize;

use super::history::{Line, delivery_line, event_line};
use super::words::{tried, word};
use super::{Client, Whom, instant};
use crate::exit::Failure;
use crate::output::say;

/// The arguments.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    whom: Whom,
    /// The notification.
    notification: String,
    /// Only this endpoint, by its id
    #[arg(long)]
    endpoint: Option<String>,
}

/// Explains a notification's way: a line for each step, then the counts, then how far the
/// endpoints agree.
///
/// # Errors
/// [`Failure`].
pub(crate) fn run(args: Args, client: &Client) -> Result<(), Failure> {
    client.run(|client, format| async move {
        let (app, target) = args.whom.into_wire();
        let (notification_id, endpoint_id) = (args.notification, args.endpoint.unwrap_or_default());
        let request = v1::ExplainRequest { app, target, notification_id, endpoint_id };
        let answer = client.explain(request).await?;
        if !answer.complete {
            say("the log does not reach back to the beginning: older steps may be missing");
        }
        for step in answer.steps {
            format.write(&line(step))?;
        }
        for waiting in answer.waiting {
            format.write(&Waiting::from(waiting))?;
        }
        for counts in answer.counts {
            format.write(&Counts::from(counts))?;
        }
        if let Some(convergence) = answer.convergence {
            format.write(&Convergence::from(convergence))?;
        }
        Ok(())
    })
}

fn line(step: v1::ExplainStep) -> Line {
    use v1::explain_step::Step;
    let time = instant(step.time.as_ref());
    let (what, detail) = match step.step {
        Some(Step::Happened(event)) => return happened(time, event),
        Some(Step::Ended(delivery)) => return delivery_line(&delivery),
        Some(Step::Planned(purpose)) => ("planned", named(&purpose)),
        Some(Step::NotPlanned(why)) => ("not planned", reason(&why)),
        Some(Step::Parked(parking)) => ("put off", put_off(&parking)),
        Some(Step::CameDue(purpose)) => ("came due", named(&purpose)),
        None => ("unknown", String::new()),
    };
    Line { time, what: what.to_owned(), endpoint_id: step.endpoint_id, detail }
}

fn happened(time: String, event: v1::TimelineEvent) -> Line {
    let note = match event.verdict() {
        v1::PostVerdict::Repeated => "repeats a request: nothing",
        v1::PostVerdict::Conflicted => "has the key of another request: nothing",
        v1::PostVerdict::Accepted => "",
        v1::PostVerdict::Unspecified if event.changed => "",
        v1::PostVerdict::Unspecified => "changed nothing",
    };
    let mut line = event_line(time, event);
    let said = [line.detail.as_str(), note];
    line.detail = said.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
    line
}

fn named(purpose: &v1::DeliveryPurpose) -> String {
    match purpose.shows_revision {
        Some(revision) if purpose.falls_back => format!("show the fallback of revision {revision}"),
        Some(revision) => format!("show revision {revision}"),
        None => "sync".to_owned(),
    }
}

fn reason(not: &v1::NotPlanned) -> String {
    use v1::WhyNotPlanned as Why;
    let text = match not.why() {
        Why::RegisteredLater => "registered later",
        Why::Retired => match not.retired() {
            v1::RetireReason::Unspecified => "retired before",
            v1::RetireReason::Unregistered => "retired before: unregistered",
            v1::RetireReason::AddressGone => "retired before: address gone",
            v1::RetireReason::Lapsed => "retired before: its lease ran out",
            v1::RetireReason::Moved => "retired before: its address is another's now",
        },
        Why::OtherPlatform => "not meant for its platform",
        Why::Origin => "the change was made on it",
        Why::NeverShown => "nothing was posted that it could show",
        Why::RepeatedRequest => "the request was taken before",
        Why::ConflictingRequest => "the key is another request's",
        Why::NothingNew => "nothing new for it",
        Why::NoPush => "asked for no pushes",
        Why::Fetched => "fetched it by itself",
        Why::Unspecified => "unknown",
    };
    text.to_owned()
}

fn put_off(parking: &v1::Parking) -> String {
    let (until, attempts) = (instant(parking.until.as_ref()), parking.attempts);
    if parking.deferred {
        return format!("told at {until}, because silent pushes to the device are limited");
    }
    let hold = match parking.hold() {
        v1::HoldReason::Unspecified => String::new(),
        hold => format!(", route held: {}", word(hold.as_str_name(), "HOLD_REASON_")),
    };
    format!("until {until} after {attempts} attempts: {}{hold}", parking.reason)
}

/// A delivery that waits for its route.
#[derive(Debug, Serialize)]
struct Waiting {
    waits: String,
    endpoint_id: String,
    platform: String,
    why: String,
    reason: String,
    since: String,
    next_try: String,
}

impl From<v1::WaitingDelivery> for Waiting {
    fn from(waiting: v1::WaitingDelivery) -> Self {
        let platform = word(waiting.platform().as_str_name(), "PLATFORM_");
        let hold = waiting.hold.unwrap_or_default();
        Self {
            waits: waiting.delivery_id,
            endpoint_id: waiting.endpoint_id,
            platform,
            why: word(hold.why().as_str_name(), "HOLD_REASON_"),
            since: instant(hold.since.as_ref()),
            next_try: instant(hold.next_try.as_ref()),
            reason: hold.reason,
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { platform, why, reason, since, next_try, .. } = self;
        let endpoint = self.endpoint_id.get(..8).unwrap_or_default();
        write!(f, "{platform}: the delivery to endpoint {endpoint}… waits, its route is held: ")?;
        write!(f, "{why} ({reason}), since {since}, {}", tried(next_try))
    }
}

/// Deliveries of one platform, by what became of them.
#[derive(Debug, Serialize)]
struct Counts {
    platform: String,
    planned: u64,
    accepted: u64,
    rejected: u64,
    address_gone: u64,
    gave_up: u64,
    suppressed: u64,
    parked: u64,
    deferred: u64,
    open: u64,
}

impl From<v1::OutcomeCounts> for Counts {
    fn from(counts: v1::OutcomeCounts) -> Self {
        Self {
            platform: word(counts.platform().as_str_name(), "PLATFORM_"),
            planned: counts.planned,
            accepted: counts.accepted,
            rejected: counts.rejected,
            address_gone: counts.address_gone,
            gave_up: counts.gave_up,
            suppressed: counts.suppressed,
            parked: counts.parked,
            deferred: counts.deferred,
            open: counts.open,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} planned", self.platform, self.planned)?;
        let parts = [
            (self.accepted, "accepted"),
            (self.rejected, "rejected"),
            (self.address_gone, "address gone"),
            (self.gave_up, "given up"),
            (self.suppressed, "not sent"),
            (self.parked, "put off"),
            (self.deferred, "deferred"),
            (self.open, "not answered yet"),
        ];
        tell(f, " = ", " + ", &parts)
    }
}

/// How far the endpoints agree with the notification.
#[derive(Debug, Serialize)]
struct Convergence {
    /// `shown` or `cleared`.
    goal: &'static str,
    total: u32,
    reached: u32,
    parked: u32,
    deferred: u32,
    open: u32,
    failed: u32,
}

impl From<v1::Convergence> for Convergence {
    fn from(found: v1::Convergence) -> Self {
        let goal = if found.shows_revision.is_some() { "shown" } else { "cleared" };
        let v1::Convergence { total, reached, parked, deferred, open, failed, .. } = found;
        Self { goal, total, reached, parked, deferred, open, failed }
    }
}

impl fmt::Display for Convergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} of {}", self.goal, self.reached, self.total)?;
        let rest = [
            (self.parked, "put off"),
            (self.deferred, "deferred"),
            (self.open, "not answered yet"),
            (self.failed, "failed"),
        ];
        tell(f, "; ", ", ", &rest.map(|(count, what)| (count.into(), what)))
    }
}

/// Writes the counts that are not zero, after `lead`.
fn tell(
    f: &mut fmt::Formatter<'_>,
    lead: &str,
    between: &str,
    parts: &[(u64, &str)],
) -> fmt::Result {
    let mut before = lead;
    for (count, what) in parts.iter().filter(|(count, _)| *count > 0) {
        write!(f, "{before}{count} {what}")?;
        before = between;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn convergence_reads_well() {
        let found = v1::Convergence { total: 4, reached: 3, parked: 1, ..Default::default() };
        assert_eq!(Convergence::from(found).to_string(), "cleared on 3 of 4; 1 put off");
        let found = v1::Convergence { total: 4, reached: 3, deferred: 1, ..Default::default() };
        assert_eq!(Convergence::from(found).to_string(), "cleared on 3 of 4; 1 deferred");
        let platform = v1::Platform::Apns.into();
        let counts =
            v1::OutcomeCounts { platform, planned: 3, accepted: 2, open: 1, ..Default::default() };
        let text = "apns: 3 planned = 2 accepted + 1 not answered yet";
        assert_eq!(Counts::from(counts).to_string(), text);
    }
}
