//! What happens meanwhile: platforms go away and come back, the state is built again.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::sleep;

use crate::engine::{Engine, Subject};
use crate::error::LoadError;
use crate::ledger::Ledger;
use crate::platforms::Platforms;
use crate::scenario::{Outage, Scenario};
use crate::wire::Order;

/// How often it is looked whether it is over.
const LOOK: Duration = Duration::from_millis(50);

/// What came of an outage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    /// Pushes that were owed when it ended.
    pub(crate) backlog: usize,
    /// Until the first of them was sent, after the end.
    pub(crate) first: Duration,
    /// Until all of them were.
    pub(crate) all: Duration,
}

/// Takes the platforms away and brings them back, and waits until what they missed is there.
///
/// # Errors
/// [`LoadError::Io`] if their process is gone.
pub(crate) async fn outage(
    outage: Outage,
    ledger: &Ledger,
    platforms: &mut Platforms,
) -> Result<Drained, LoadError> {
    let from = ledger.window().from + Duration::from_secs(outage.after_seconds);
    sleep(from.saturating_sub(ledger.now())).await;
    platforms.order(&Order::Down)?;
    let to = from + Duration::from_secs(outage.seconds);
    sleep(to.saturating_sub(ledger.now())).await;
    let pushed = ledger.pushed().all();
    platforms.order(&Order::Up)?;
    let up = ledger.now();
    let backlog = ledger.missing(up);
    let mut first = None;
    loop {
        let now = ledger.now();
        if ledger.pushed().all() > pushed {
            first.get_or_insert(now);
        }
        if ledger.missing(up) == 0 {
            let since = |at: Duration| at.saturating_sub(up);
            return Ok(Drained { backlog, first: since(first.unwrap_or(now)), all: since(now) });
        }
        sleep(LOOK).await;
    }
}

/// What `campanile replay --output json` says.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Rebuilt {
    pub(crate) records: u64,
    pub(crate) seconds: f64,
    pub(crate) switched: bool,
}

/// Has the state built again beside the one that serves, and waits until the new one does.
///
/// # Errors
/// [`LoadError::Rebuild`] if it is not.
pub(crate) async fn rebuild(
    after: Duration,
    scenario: &Scenario,
    ledger: &Ledger,
    subject: &Subject,
    engine: &Engine,
) -> Result<Rebuilt, LoadError> {
    sleep((scenario.warm_up() + after).saturating_sub(ledger.now())).await;
    let (Subject::Binary(binary), Some(data)) = (subject, engine.data()) else {
        return Err(LoadError::NotAlone("rebuild_after_seconds"));
    };
    let mut command = Command::new(binary);
    command.args(["replay", "--output", "json", "--data-dir"]).arg(data);
    command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
    let mut process = command.spawn()?;
    while process.try_wait()?.is_none() {
        sleep(LOOK).await;
    }
    let output = process.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let rebuilt = said.lines().last().and_then(|line| serde_json::from_str::<Rebuilt>(line).ok());
    match rebuilt.filter(|rebuilt| rebuilt.switched && output.status.success()) {
        Some(rebuilt) => Ok(rebuilt),
        None => Err(LoadError::Rebuild(format!("{}: {said}", output.status))),
    }
}
