//! A run: the same load several times, each time on a fresh engine with fresh platforms.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use campanile_api::Client;
use campanile_proto::v1;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::sleep;

use crate::addresses::{APP, address};
use crate::baseline;
use crate::costs::Costs;
use crate::engine::Engine;
use crate::error::LoadError;
use crate::h2load;
use crate::ledger::{Ledger, Window};
use crate::platforms::Platforms;
use crate::process::Process;
use crate::progress::Progress;
use crate::publisher::publish;
use crate::report::{Figures, Report};
use crate::scenario::{Rate, Scenario};

/// Pushes, or if there are none notifications, that a run with `max` has room for a second; and
/// notifications in all.
const MOST_A_SECOND: u64 = 400_000;
const MOST: u64 = 8_000_000;
/// Registrations under way at once.
const REGISTRATIONS: usize = 64;
/// After so long without another push, what has not arrived is lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether everything has arrived.
const LOOK: Duration = Duration::from_millis(20);

/// Runs `scenario` against `binary`, as often as it says.
///
/// # Errors
/// [`LoadError`]; that something was lost is in the report.
pub(crate) async fn run(
    name: &str,
    scenario: Scenario,
    binary: &Path,
) -> Result<Report, LoadError> {
    let mut rounds = Vec::with_capacity(scenario.repeats);
    for number in 1..=scenario.repeats {
        let progress = Progress::new(name, (number, scenario.repeats), &scenario);
        rounds.push(round(&scenario, binary, &progress).await?);
    }
    Ok(Report::new(name, scenario, rounds))
}

async fn round(
    scenario: &Scenario,
    binary: &Path,
    progress: &Progress,
) -> Result<Figures, LoadError> {
    // A rate that is bound by something else says nothing beside what the disk can do.
    let raw = match (scenario.rate, scenario.endpoints) {
        (Rate::Max, 0) => Some(baseline::raw_writes(scenario.batch)?),
        _ => None,
    };
    let window = Window { from: scenario.warm_up(), to: scenario.warm_up() + scenario.span() };
    let devices = (scenario.users, scenario.endpoints);
    let ledger = Arc::new(Ledger::new(room(scenario), devices, window)?);
    let hearing = ledger.clone();
    let mut platforms = Platforms::start(scenario, move |push| hearing.arrive(push)).await?;
    let mut engine = Engine::start(binary, &platforms)?;
    let client = engine.client().await?;
    register(&client, scenario).await?;
    let costs = Costs::of([engine.process(), platforms.process(), Process::own()]);
    platforms.begin()?;
    ledger.begin();
    tokio::select! {
        published = publish(&client, scenario, &ledger) => published?,
        never = progress.tell(&ledger) => match never {},
    }
    arrived(&ledger, scenario).await;
    let costs = costs.since();
    let tally = platforms.tally().await?;
    let mut figures = Figures::of(&ledger, scenario, &costs, &tally, raw);
    drop(engine);
    if scenario.rate == Rate::Max && scenario.endpoints > 0 {
        let baseline = h2load::measure(&mut platforms, scenario).await?;
        baseline.into_iter().for_each(|baseline| figures.compare(&baseline));
    }
    Ok(figures)
}

fn room(scenario: &Scenario) -> usize {
    let seconds = scenario.warm_up_seconds + scenario.seconds;
    let most = match scenario.rate {
        Rate::Max => (seconds * MOST_A_SECOND / scenario.endpoints.max(1) as u64).min(MOST),
        // One more for the end of the window.
        Rate::PerSecond(rate) => seconds * u64::from(rate) + 1,
    };
    usize::try_from(most).unwrap_or(usize::MAX)
}

async fn register(client: &Client, scenario: &Scenario) -> Result<(), LoadError> {
    let all = (0..scenario.users)
        .flat_map(|user| (0..scenario.endpoints).map(move |endpoint| (user, endpoint)));
    let calls = all.map(|(user, endpoint)| async move {
        let request = v1::RegisterEndpointRequest {
            app: APP.to_owned(),
            user_id: format!("user-{user}"),
            installation_id: format!("device-{endpoint}"),
            address: Some(address(scenario, user, endpoint)),
            ..Default::default()
        };
        client.register_endpoint(request).await?;
        Ok::<_, LoadError>(())
    });
    stream::iter(calls).buffer_unordered(REGISTRATIONS).try_collect().await
}

/// Waits until everything that was published has arrived, or nothing has for too long.
async fn arrived(ledger: &Ledger, scenario: &Scenario) {
    let (mut seen, mut quiet) = (0, Duration::ZERO);
    while scenario.endpoints > 0 && ledger.sums().lost > 0 && quiet < PATIENCE {
        let now = ledger.pushed().all();
        quiet = if now > seen { Duration::ZERO } else { quiet + LOOK };
        seen = now;
        sleep(LOOK).await;
    }
}
