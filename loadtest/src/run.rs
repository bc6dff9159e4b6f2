//! A run: the same load several times, each time on a fresh engine with fresh platforms.

use std::sync::Arc;
use std::time::Duration;

use campanile_api::Client;
use futures::FutureExt;
use futures::future::{OptionFuture, pending};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::sleep;

use crate::baseline;
use crate::costs::Costs;
use crate::dismisser::dismiss;
use crate::engine::{Engine, Subject};
use crate::error::LoadError;
use crate::figures::{Curve, Figures, PUSHED};
use crate::h2load;
use crate::host::Host;
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::platforms::Platforms;
use crate::process::Process;
use crate::publisher::publish;
use crate::rate::Rate;
use crate::registry::Registry;
use crate::report::{Report, Round};
use crate::samples::Sampler;
use crate::scenario::Scenario;
use crate::track::Window;
use crate::trouble::{outage, rebuild};
use crate::watchers::Watchers;

/// Pushes, or if there are none notifications, that a run with `max` has room for a second; and
/// notifications in all.
const MOST_A_SECOND: u64 = 400_000;
const MOST: u64 = 8_000_000;
/// After so long without anything new, what has not arrived is lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether everything has arrived.
const LOOK: Duration = Duration::from_millis(20);
/// How long things are given to come to rest.
const REST: Duration = Duration::from_secs(1);

/// Runs `scenario` against `subject`, as often as it says.
///
/// # Errors
/// [`LoadError`]; that something was lost is in the report.
pub(crate) async fn run(
    name: &str,
    mut scenario: Scenario,
    subject: &Subject,
) -> Result<Report, LoadError> {
    if let (Subject::Running(_), Some(what)) = (subject, scenario.needs_rounds()) {
        return Err(LoadError::NotAlone(what));
    }
    let aside = |name: &str, scenario: Scenario| {
        let sampler = Sampler::new(name, (1, 1), &scenario);
        async move { Ok::<_, LoadError>(round(&scenario, subject, sampler).await?.figures) }
    };
    let mut most = None;
    if scenario.rate == Rate::Half {
        let figures = aside("the most", Scenario { rate: Rate::Max, ..scenario.clone() }).await?;
        scenario.rate = half(&figures, scenario.endpoints);
        most = Some(figures);
    }
    let mut rounds = Vec::with_capacity(scenario.repeats);
    for number in 1..=scenario.repeats {
        let mut before = None;
        if scenario.without_latency_too {
            let without = Scenario { latency_ms: 0, ..scenario.clone() };
            before = Some(aside("without latency", without).await?);
        }
        let sampler = Sampler::new(name, (number, scenario.repeats), &scenario);
        let mut round = round(&scenario, subject, sampler).await?;
        most.iter().for_each(|most| round.figures.beside("at most", most));
        before.iter().for_each(|before| round.figures.beside("without latency", before));
        rounds.push(round);
    }
    Ok(Report::new(name, scenario, rounds))
}

/// Half of the notifications a second of a round.
fn half(most: &Figures, endpoints: usize) -> Rate {
    let notifications = most.get(PUSHED).unwrap_or_default() / endpoints.max(1) as f64;
    Rate::PerSecond(((notifications / 2.0) as u32).max(1))
}

/// What there is in a round.
struct Stage<'a> {
    /// First, as they go first at the end, too: they would complain that the engine is gone.
    watchers: Option<Watchers>,
    scenario: &'a Scenario,
    subject: &'a Subject,
    ledger: Arc<Ledger>,
    platforms: Platforms,
    engine: Engine,
    /// A client for each app.
    clients: Vec<Client>,
    registry: Registry,
}

async fn round(
    scenario: &Scenario,
    subject: &Subject,
    sampler: Sampler,
) -> Result<Round, LoadError> {
    let mut figures = Figures::default();
    let mut stage = Stage::set(scenario, subject, &mut figures).await?;
    let engine = stage.engine.process();
    let costs = Costs::of([engine.clone(), Some(stage.platforms.process()), Some(Process::own())]);
    stage.platforms.begin()?;
    stage.ledger.begin();
    let host = Host::begin(&stage.ledger)?;
    let (ledger, metrics) = (stage.ledger.clone(), stage.engine.metrics().map(str::to_owned));
    tokio::select! {
        done = stage.load(&mut figures) => done?,
        never = sampler.take(&ledger, engine.as_ref(), metrics.as_deref()) => match never {},
    }
    let spent = costs.since();
    let others = host.others(spent.iter().map(|(_, cpu, _)| cpu).sum());
    drop(host);
    figures.spent(&spent, &ledger);
    figures.ledger(&ledger, scenario);
    figures.host(others, &ledger);
    if let Some(watchers) = &stage.watchers {
        figures.watchers(watchers, &ledger);
    }
    figures.tally(&stage.platforms.tally().await?, &ledger);
    let Stage { engine, mut platforms, watchers, .. } = stage;
    drop(watchers);
    let record = engine.log_bytes().map(|bytes| bytes / ledger.sent().max(1));
    drop(engine);
    // A rate that is bound by something else says nothing beside what disk or sender can do.
    match (scenario.rate, scenario.endpoints, record) {
        (Rate::Max, 0, Some(record)) => {
            figures.disk(baseline::raw_writes(scenario.ahead, record)?);
        }
        (Rate::Max, 1.., _) => {
            let baseline = h2load::measure(&mut platforms, scenario).await?;
            baseline.into_iter().for_each(|baseline| figures.h2load(&baseline));
        }
        _ => {}
    }
    let curves = ledger.latencies().filter_map(|(name, track)| Curve::of(name, &track.late()));
    Ok(Round { figures, samples: sampler.taken(), curves: curves.collect() })
}

impl<'a> Stage<'a> {
    async fn set(
        scenario: &'a Scenario,
        subject: &'a Subject,
        figures: &mut Figures,
    ) -> Result<Self, LoadError> {
        let window = Window { from: scenario.warm_up(), to: scenario.warm_up() + scenario.span() };
        let plan = Plan::of(scenario);
        let ledger = Ledger::new(room(scenario, &plan, window), plan, scenario.endpoints, window)?;
        let ledger = Arc::new(ledger);
        let hearing = ledger.clone();
        let platforms =
            Platforms::start(scenario, subject.simulators(), move |push| hearing.arrive(push))
                .await?;
        let mut engine = Engine::start(subject, &platforms, plan.apps())?;
        let mut clients = Vec::new();
        for _ in plan.apps() {
            clients.push(engine.client().await?);
        }
        let client = clients.first().ok_or(LoadError::NotUp(Duration::ZERO))?;
        let registry = Registry::fill(client, scenario, &plan).await?;
        let mut watchers = None;
        if let Some(watch) = scenario.watch {
            sleep(REST).await;
            let held = || engine.process().map(|process| process.held_kib());
            let before = held();
            watchers = Some(Watchers::start(engine.address(), watch, &ledger).await?);
            sleep(REST).await;
            if let Some((before, after)) = before.zip(held()) {
                let each = (after - before) / watch.streams as f64;
                figures.put("engine memory per idle watch stream KiB", each);
            }
        }
        Ok(Self { scenario, subject, ledger, platforms, engine, clients, registry, watchers })
    }

    /// The load, with whatever happens meanwhile, until everything has arrived.
    async fn load(&mut self, figures: &mut Figures) -> Result<(), LoadError> {
        let Self { scenario, subject, ledger, platforms, engine, clients, registry, watchers } =
            self;
        let dismissing: OptionFuture<_> = match (scenario.dismiss, clients.first()) {
            (true, Some(client)) => {
                let (tell, shown) = unbounded_channel();
                ledger.tell(tell);
                Some(dismiss(client, scenario, ledger, registry, shown)).into()
            }
            _ => None.into(),
        };
        // It ends with an error only.
        let dismissing = dismissing.then(|ended| match ended {
            Some(Err(error)) => futures::future::ready(error).left_future(),
            _ => pending().right_future(),
        });
        let outage: OptionFuture<_> =
            scenario.outage.map(|it| outage(it, ledger, platforms)).into();
        let rebuild: OptionFuture<_> = scenario
            .rebuild_after_seconds
            .map(|after| rebuild(Duration::from_secs(after), scenario, ledger, subject, engine))
            .into();
        let storm: OptionFuture<_> = watchers.as_ref().map(|it| it.storm(ledger)).into();
        let load = async {
            let (drained, rebuilt, (), _) = tokio::try_join!(
                outage.map(Option::transpose),
                rebuild.map(Option::transpose),
                publish(clients, scenario, ledger),
                storm.map(Ok::<_, LoadError>),
            )?;
            drained.iter().for_each(|drained| figures.drained(drained));
            rebuilt.iter().for_each(|rebuilt| figures.rebuilt(rebuilt));
            arrived(ledger, scenario, watchers.as_ref()).await;
            Ok::<_, LoadError>(())
        };
        tokio::select! {
            done = load => done,
            error = dismissing => Err(error),
        }
    }
}

fn room(scenario: &Scenario, plan: &Plan, window: Window) -> usize {
    plan.total(window.to).unwrap_or_else(|| {
        let seconds = scenario.warm_up_seconds + scenario.seconds;
        let most = (seconds * MOST_A_SECOND / scenario.endpoints.max(1) as u64).min(MOST);
        usize::try_from(most).unwrap_or(usize::MAX)
    })
}

/// Waits until everything has arrived wherever it has to, or nothing has for too long.
async fn arrived(ledger: &Ledger, scenario: &Scenario, watchers: Option<&Watchers>) {
    let (mut seen, mut quiet) = (0, Duration::ZERO);
    loop {
        let (sums, cleared) = (ledger.sums(), ledger.clearing().sums());
        let to_dismiss =
            if scenario.dismiss { (sums.sent as u64).saturating_sub(cleared.dismissed) } else { 0 };
        let unseen = watchers.map_or(0, |watchers| watchers.lost(ledger));
        let now = sums.lost + to_dismiss + unseen;
        if now == 0 || quiet >= PATIENCE {
            // What comes again as a rule comes soon.
            sleep(REST).await;
            return;
        }
        quiet = if now == seen { quiet + LOOK } else { Duration::ZERO };
        seen = now;
        sleep(LOOK).await;
    }
}
