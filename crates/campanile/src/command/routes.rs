//! `campanile routes`

use std::fmt;

use campanile_proto::v1;
use serde::Serialize;

use super::words::{tried, word};
use super::{Client, instant};
use crate::exit::Failure;

/// The arguments.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The app.
    #[arg(long)]
    app: String,
}

/// How a route fares.
#[derive(Debug, Serialize)]
struct Route {
    platform: String,
    environment: String,
    credential: String,
    /// open, catching up, throttled or held.
    state: &'static str,
    /// Why it is held, in a word.
    why: Option<String>,
    /// What the platform or the transport said last.
    reason: Option<String>,
    since: Option<String>,
    next_try: Option<String>,
    backlog_events: u64,
    backlog_partitions: u32,
}

impl From<v1::RouteStatus> for Route {
    fn from(route: v1::RouteStatus) -> Self {
        let hold = route.hold.as_ref();
        let state = match hold.map(v1::RouteHold::why) {
            Some(v1::HoldReason::Throttled) => "throttled",
            Some(_) => "held",
            None if route.backlog_events > 0 => "catching up",
            None => "open",
        };
        Self {
            platform: word(route.platform().as_str_name(), "PLATFORM_"),
            environment: word(route.environment().as_str_name(), "ENVIRONMENT_"),
            state,
            why: hold.map(|hold| word(hold.why().as_str_name(), "HOLD_REASON_")),
            reason: hold.map(|hold| hold.reason.clone()),
            since: hold.map(|hold| instant(hold.since.as_ref())),
            next_try: hold.map(|hold| instant(hold.next_try.as_ref())),
            backlog_events: route.backlog_events,
            backlog_partitions: route.backlog_partitions,
            credential: route.credential,
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { platform, environment, credential, state, .. } = self;
        write!(f, "{platform}/{environment}/{credential}  {state}")?;
        if let (Some(why), Some(reason)) = (&self.why, &self.reason) {
            write!(f, ": {why} ({reason})")?;
        }
        if let (Some(since), Some(next)) = (&self.since, &self.next_try) {
            write!(f, ", since {since}, {}", tried(next))?;
        }
        if self.backlog_events > 0 {
            let (events, partitions) = (self.backlog_events, self.backlog_partitions);
            write!(f, ", {events} records in {partitions} partitions wait")?;
        }
        Ok(())
    }
}

/// Lists the routes of an app.
///
/// # Errors
/// [`Failure`].
pub(crate) fn run(args: Args, client: &Client) -> Result<(), Failure> {
    client.run(|client, format| async move {
        let request = v1::ListRoutesRequest { app: args.app };
        for route in client.list_routes(request).await?.routes {
            format.write(&Route::from(route))?;
        }
        Ok(())
    })
}
