//! Composition: adapters and roles put together, one short function for each role.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use campanile_core::port::{
    Clock, Entropy, EventLog, Fit, Projection, Pusher, Stream, Tracer, Untraced,
};
use campanile_core::{AppId, Offset, Platform, Quota};
use campanile_embedded::{EmbeddedLog, OpenError, Options, Store};
use campanile_engine::deliverer::{self, Deliverer};
use campanile_engine::edge::{Edge, Names};
use campanile_engine::gateway::Gateway;
use campanile_engine::ingest::{Ingest, Quotas};
use campanile_engine::keeper::{self, Keeper};
use campanile_engine::planted::Planted;
use campanile_engine::projector::{self, Projector};
use campanile_engine::replayer;
use campanile_engine::scheduler::{self, Scheduler};
use campanile_engine::seal::Seal;
use campanile_engine::tasks::sleep;
use campanile_engine::telemetry::Telemetry;
use campanile_push::PoolConfig;
use campanile_push::apns::{self, ApnsConfig, ApnsPusher, ApnsRoute};
use campanile_push::fcm::{self, FcmConfig, FcmPusher, FcmRoute};
use tokio::time::timeout;

use crate::config::{
    ApnsRouteConfig, AppConfig, Config, DeliverConfig, FcmRouteConfig, IngestConfig,
};
use crate::exit::{Failure, Kind};
use crate::observe::{Pools, Traces, Workers};
use crate::role::Group;
use crate::root::Root;
use crate::system::{SystemClock, SystemEntropy};

/// Between two looks at the projection.
const LOOK: Duration = Duration::from_millis(2);

/// What every role is made of: the ports, and the secrets.
pub(crate) struct Parts {
    store: Store,
    root: Root,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// What all roles but the delivery workers count.
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) workers: Workers,
    /// Absent: nothing is traced.
    pub(crate) traces: Option<Arc<Traces>>,
}

impl Parts {
    /// Opens the store, or creates it, and with it the root secret.
    ///
    /// # Errors
    /// [`Failure`] that says why there is no store.
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        let clock = SystemClock::start();
        let entropy = SystemEntropy::open().map_err(|it| Failure::new(Kind::Unavailable, it))?;
        let mut options = Options::new(config.store.partitions, clock.clone(), entropy.clone());
        options.segment_bytes = config.store.segment_bytes;
        options.projection_cache_bytes = config.store.cache_bytes;
        let directory = &config.store.directory;
        let store = Store::open(directory, &options).map_err(unopened)?;
        let root = Root::of(directory, is_unused(&store).await?, &entropy)?;
        let (telemetry, workers) = (Arc::default(), Workers::default());
        let traces = config.observe.traces.as_ref();
        let traces = traces.map(|traces| Traces::start(traces, clock.clone(), entropy.clone()));
        Ok(Self { store, root, clock, entropy, telemetry, workers, traces })
    }

    /// Who takes spans.
    fn tracer(&self) -> Arc<dyn Tracer> {
        self.traces.clone().map_or_else(|| Arc::new(Untraced) as _, |traces| traces as _)
    }

    /// A stream of the log.
    pub(crate) fn log(&self, stream: Stream) -> Arc<EmbeddedLog> {
        self.store.log(stream)
    }

    /// Whether nothing was ever written to the log.
    ///
    /// # Errors
    /// [`Failure`] if the log cannot be read.
    pub(crate) async fn is_unused(&self) -> Result<bool, Failure> {
        is_unused(&self.store).await
    }

    /// Waits until somebody has claimed every partition of the projection, but not longer than
    /// `limit`: until then nobody knows whether a user has nothing, or nothing yet.
    pub(crate) async fn built(&self, limit: Duration) {
        let projection = self.projection();
        let all = async {
            for partition in self.log(Stream::Events).identity().partitions() {
                while projection.view(partition, &[]).await.is_err() {
                    sleep(LOOK).await;
                }
            }
        };
        if timeout(limit, all).await.is_err() {
            tracing::warn!(?limit, "the projection is not built yet");
        }
    }

    /// How many partitions of the projection cannot be read.
    pub(crate) async fn unbuilt(&self) -> usize {
        let projection = self.projection();
        let mut unbuilt = 0;
        for partition in self.log(Stream::Events).identity().partitions() {
            unbuilt += usize::from(projection.view(partition, &[]).await.is_err());
        }
        unbuilt
    }

    /// Waits until the store has stopped by itself, and tells why.
    pub(crate) async fn stopped(&self) -> String {
        let mut stopped = self.store.stopped();
        let reason = stopped.wait_for(Option::is_some).await;
        reason.ok().and_then(|reason| reason.clone()).unwrap_or_else(|| "closed".to_owned())
    }

    /// Sends what was traced, if anybody takes it soon.
    pub(crate) async fn flush(&self) {
        if let Some(traces) = &self.traces {
            traces.flush().await;
        }
    }

    /// Writes what waits, and closes the store. Blocks.
    pub(crate) fn close(&self) {
        self.store.close();
    }

    fn projection(&self) -> Arc<dyn Projection> {
        self.store.projection()
    }

    /// What the two roles that serve requests work with.
    ///
    /// # Errors
    /// [`Failure`] if the seal's key is refused.
    pub(crate) fn edge(&self) -> Result<Edge, Failure> {
        let seal = Seal::new(&self.root.seal, self.entropy.clone());
        Ok(Edge {
            events: self.log(Stream::Events),
            receipts: self.log(Stream::Receipts),
            projection: self.projection(),
            names: Names::new(self.root.names),
            seal: Arc::new(seal.map_err(|error| Failure::new(Kind::Bug, error))?),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            telemetry: self.telemetry.clone(),
            tracer: self.tracer(),
        })
    }
}

/// Takes what producers publish, if the platforms that their app has routes to can carry it.
pub(crate) fn ingest(edge: Edge, config: &Config) -> Arc<Ingest> {
    let IngestConfig { app_rate, user_rate } = config.ingest;
    let quotas = Quotas { app: Quota::per_second(app_rate), user: Quota::per_second(user_rate) };
    Arc::new(Ingest::new(edge, fits(config), quotas, Planted::default()))
}

/// What the platforms of each app can carry.
fn fits(config: &Config) -> BTreeMap<AppId, Vec<Fit>> {
    let of = |app: &AppConfig| {
        let apple: Option<Fit> = (!app.apns.is_empty()).then_some(apns::fit);
        let google: Option<Fit> = (!app.fcm.is_empty()).then_some(fcm::fit);
        apple.into_iter().chain(google).collect()
    };
    config.apps.iter().map(|(id, app)| (id.clone(), of(app))).collect()
}

/// Serves devices.
pub(crate) fn gateway(edge: Edge) -> Arc<Gateway> {
    Arc::new(Gateway::new(edge))
}

/// How the routes of this process's workers fare.
pub(crate) fn routes(parts: &Arc<Parts>) -> campanile_api::RouteReadings {
    let parts = parts.clone();
    Arc::new(move || parts.workers.routes())
}

/// Folds the stream of `group`.
pub(crate) fn projector(parts: &Parts, group: Group) -> Projector {
    Projector::new(projector::Parts {
        log: parts.log(group.stream),
        stream: group.stream,
        projection: parts.projection(),
        carried: Some(parts.store.carried()),
        group: group.group_name(),
        clock: parts.clock.clone(),
        telemetry: parts.telemetry.clone(),
        planted: Planted::default(),
    })
}

/// Hands deliveries to Apple.
///
/// # Errors
/// [`Failure`] if a route cannot be used.
pub(crate) fn deliverer_apns(parts: &Parts, config: &Config) -> Result<Deliverer, Failure> {
    let pusher = Arc::new(to_apple(config, parts.clock.clone())?);
    Ok(deliverer(parts, Platform::Apns, Group::DELIVER_APNS, pusher, &config.deliver))
}

/// Hands deliveries to Google.
///
/// # Errors
/// [`Failure`] if a route cannot be used.
pub(crate) fn deliverer_fcm(parts: &Parts, config: &Config) -> Result<Deliverer, Failure> {
    let pusher = Arc::new(to_google(config, parts.clock.clone())?);
    Ok(deliverer(parts, Platform::Fcm, Group::DELIVER_FCM, pusher, &config.deliver))
}

fn deliverer(
    parts: &Parts,
    platform: Platform,
    group: Group,
    pusher: Arc<impl Pusher + Pools + 'static>,
    config: &DeliverConfig,
) -> Deliverer {
    let telemetry = parts.workers.enlist(platform, pusher.clone());
    Deliverer::new(deliverer::Parts {
        events: parts.log(Stream::Events),
        receipts: parts.log(Stream::Receipts),
        projection: parts.projection(),
        pusher,
        group: group.group_name(),
        clock: parts.clock.clone(),
        entropy: parts.entropy.clone(),
        telemetry,
        tracer: parts.tracer(),
        config: deliverer::Config {
            drain: config.drain,
            silent: config.silent,
            ..deliverer::Config::of(platform)
        },
        planted: Planted::default(),
    })
}

/// Drops from the log what is older than `keep` and not needed.
pub(crate) fn keeper(parts: &Parts, keep: Duration) -> Keeper {
    let kept = |stream| {
        let log = parts.log(stream);
        let groups = Group::ALL.into_iter().filter(|group| group.stream == stream);
        let groups = groups.map(Group::group_name).collect();
        keeper::Kept { log: log.clone(), admin: log, groups }
    };
    Keeper::new(keeper::Parts {
        events: kept(Stream::Events),
        receipts: kept(Stream::Receipts),
        projection: parts.projection(),
        carried: parts.store.carried(),
        clock: parts.clock.clone(),
        telemetry: parts.telemetry.clone(),
        keep,
    })
}

/// What a replay works with.
pub(crate) fn replayer(parts: &Parts) -> replayer::Parts {
    replayer::Parts {
        events: parts.log(Stream::Events),
        receipts: parts.log(Stream::Receipts),
        serving: parts.projection(),
        namespaces: parts.store.namespaces(),
        carried: parts.store.carried(),
        telemetry: parts.telemetry.clone(),
    }
}

/// Turns agenda entries that came due into events.
pub(crate) fn scheduler(parts: &Parts) -> Scheduler {
    Scheduler::new(scheduler::Parts {
        log: parts.log(Stream::Events),
        projection: parts.projection(),
        group: Group::SCHEDULER.group_name(),
        clock: parts.clock.clone(),
        telemetry: parts.telemetry.clone(),
    })
}

/// The sender for the configured routes to Apple. It connects when there is something to send.
///
/// # Errors
/// [`Failure`] of the kind [`Kind::Config`] that names the route.
pub(crate) fn to_apple(config: &Config, clock: Arc<dyn Clock>) -> Result<ApnsPusher, Failure> {
    let of = |(app, it): (&AppId, &ApnsRouteConfig)| ApnsRoute {
        route: it.route(app),
        key: it.key.clone(),
        server: it.server.clone(),
    };
    let apps = config.apps.iter();
    let routes = apps.flat_map(|(id, app)| app.apns.iter().map(move |it| (id, it))).map(of);
    let pool = pool(&config.deliver, config.deliver.connections);
    let config = ApnsConfig { routes: routes.collect(), pool };
    ApnsPusher::new(config, clock).map_err(|error| Failure::new(Kind::Config, error))
}

/// The sender for the configured routes to Google. It signs in and connects when there is something
/// to send.
///
/// # Errors
/// [`Failure`] of the kind [`Kind::Config`] that names the route.
pub(crate) fn to_google(config: &Config, clock: Arc<dyn Clock>) -> Result<FcmPusher, Failure> {
    let of = |(app, it): (&AppId, &FcmRouteConfig)| FcmRoute {
        route: it.route(app),
        account: it.account.clone(),
        server: it.server.clone(),
        sign_in: it.sign_in.clone(),
    };
    let apps = config.apps.iter();
    let routes = apps.flat_map(|(id, app)| app.fcm.iter().map(move |it| (id, it))).map(of);
    let pool = pool(&config.deliver, config.deliver.fcm_connections);
    let config = FcmConfig { routes: routes.collect(), pool };
    FcmPusher::new(config, clock).map_err(|error| Failure::new(Kind::Config, error))
}

fn pool(config: &DeliverConfig, connections: usize) -> PoolConfig {
    PoolConfig { connections, request_timeout: config.request_timeout, ..PoolConfig::default() }
}

async fn is_unused(store: &Store) -> Result<bool, Failure> {
    for stream in Stream::ALL {
        let log = store.log(stream);
        for partition in log.identity().partitions() {
            let kept = log.bounds(partition).await;
            let kept = kept.map_err(|error| Failure::new(Kind::Unavailable, error))?;
            if kept.end != Offset(0) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// What an error of the store means for a command.
pub(crate) fn unopened(error: OpenError) -> Failure {
    let kind = match &error {
        OpenError::Partitions { .. } | OpenError::Option { .. } => Kind::Config,
        OpenError::Used { .. } | OpenError::Scattered { .. } | OpenError::Held { .. } => {
            Kind::Failed
        }
        OpenError::InUse { .. }
        | OpenError::Damaged { .. }
        | OpenError::Io { .. }
        | OpenError::Projection { .. } => Kind::Unavailable,
    };
    match std::error::Error::source(&error) {
        Some(source) => Failure::new(kind, format_args!("{error}: {source}")),
        None => Failure::new(kind, error),
    }
}
