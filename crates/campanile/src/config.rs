//! The configuration: where it comes from, what is in it, and what is wrong with it.
//!
//! A setting is taken from the flag, else from the environment (`CAMPANILE__SECTION__KEY`), else
//! from the file, else it has its default. All of it is read here, once, at the start; everything
//! else gets values. What is wrong is told in one line that names the place, the setting and the
//! reason, and never repeats a value, which might be a secret in the wrong place.

mod apps;
mod file;
mod place;
mod raw;
mod sources;
#[cfg(all(test, unix))]
mod tests;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use campanile_api::may_listen;
use campanile_core::{AppId, Environment, Platform, Route, SilentBudget};
use campanile_push::Target;
use campanile_push::apns::ApnsKey;
use campanile_push::fcm::ServiceAccount;
use tonic::transport::Uri;

use crate::role::Role;
use sources::Sources;

pub(crate) use file::read_secret;
pub(crate) use value::span;

/// Where a server listens and a client looks for it unless told otherwise.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:8640";

/// The longest drain: with it a stop takes less than ten seconds in all.
const LONGEST_DRAIN: Duration = Duration::from_secs(8);

/// A checked configuration.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) serve: ServeConfig,
    pub(crate) store: StoreConfig,
    pub(crate) ingest: IngestConfig,
    pub(crate) deliver: DeliverConfig,
    pub(crate) observe: ObserveConfig,
    pub(crate) log: LogConfig,
    /// The tenants and their routes.
    pub(crate) apps: BTreeMap<AppId, AppConfig>,
}

/// What the process does, and where it listens.
#[derive(Clone, Debug)]
pub(crate) struct ServeConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) insecure_no_auth: bool,
}

/// Where the log and the projection are.
#[derive(Clone, Debug)]
pub(crate) struct StoreConfig {
    pub(crate) directory: PathBuf,
    pub(crate) partitions: u16,
    pub(crate) segment_bytes: u64,
    pub(crate) cache_bytes: u64,
    /// How long records stay in the log at least; absent: forever.
    pub(crate) retention: Option<Duration>,
}

/// How much is taken in: notifications a second, on average over a minute; 0 for any number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IngestConfig {
    /// Of each app.
    pub(crate) app_rate: u32,
    /// For each user.
    pub(crate) user_rate: u32,
}

/// How pushes are sent.
#[derive(Clone, Debug)]
pub(crate) struct DeliverConfig {
    /// Connections of one route to Apple.
    pub(crate) connections: usize,
    /// Connections of one route to Google, which allows fewer requests on each.
    pub(crate) fcm_connections: usize,
    /// How many silent pushes an Apple device is sent.
    pub(crate) silent: SilentBudget,
    /// How long a platform may take to answer.
    pub(crate) request_timeout: Duration,
    /// How long a stop waits for what is in flight.
    pub(crate) drain: Duration,
}

/// What operators see over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct ObserveConfig {
    /// Absent: nowhere.
    pub(crate) listen: Option<SocketAddr>,
    /// How long a role may have something to do and finish nothing.
    pub(crate) stuck_after: Duration,
    /// Absent: traces are passed on and not recorded.
    pub(crate) traces: Option<TracesConfig>,
}

/// Which traces are recorded, and who collects them.
#[derive(Clone, Debug)]
pub(crate) struct TracesConfig {
    /// Where a collector takes OTLP over gRPC.
    pub(crate) collector: Uri,
    /// Of so many requests without a trace one begins one; 0: none does.
    pub(crate) one_in: u32,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub(crate) struct LogConfig {
    pub(crate) level: tracing::Level,
    pub(crate) format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The routes of a tenant. Without any it has an inbox, and nothing to push to.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppConfig {
    pub(crate) apns: Vec<ApnsRouteConfig>,
    pub(crate) fcm: Vec<FcmRouteConfig>,
}

/// A route to Apple.
#[derive(Clone, Debug)]
pub(crate) struct ApnsRouteConfig {
    pub(crate) environment: Environment,
    /// The app's bundle id.
    pub(crate) topic: String,
    pub(crate) key: Arc<ApnsKey>,
    pub(crate) server: Target,
}

/// A route to Google: to the project of its account.
#[derive(Clone, Debug)]
pub(crate) struct FcmRouteConfig {
    pub(crate) account: Arc<ServiceAccount>,
    pub(crate) server: Target,
    /// Where the account signs in.
    pub(crate) sign_in: Target,
}

impl ApnsRouteConfig {
    /// The route of `app` that this is.
    pub(crate) fn route(&self, app: &AppId) -> Route {
        Route {
            app: app.clone(),
            platform: Platform::Apns,
            environment: self.environment,
            credential: self.topic.as_str().into(),
        }
    }
}

impl FcmRouteConfig {
    /// The route of `app` that this is.
    pub(crate) fn route(&self, app: &AppId) -> Route {
        Route {
            app: app.clone(),
            platform: Platform::Fcm,
            environment: Environment::Production,
            credential: self.account.project().into(),
        }
    }
}

/// What the command line and the environment say about the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// The file named by `--config` or `CAMPANILE_CONFIG`.
    pub(crate) file: Option<PathBuf>,
    /// Values of flags, by setting; with the name of the flag.
    pub(crate) flags: BTreeMap<&'static str, (&'static str, String)>,
    /// Variables that begin with `CAMPANILE__`; `None` for a value that is not UTF-8.
    pub(crate) environment: BTreeMap<String, Option<String>>,
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub(crate) struct ConfigError {
    /// `file:line: setting`, the flag, or the variable.
    pub(crate) place: String,
    /// Why it cannot be used. Never a value.
    pub(crate) reason: String,
}

/// One setting as it took effect, for `config show`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effective {
    pub(crate) setting: &'static str,
    /// The value as a file would have it.
    pub(crate) value: String,
    /// Where it comes from.
    pub(crate) origin: String,
}

impl Config {
    /// Reads the file, if one is given, and checks everything.
    ///
    /// # Errors
    /// The first [`ConfigError`] found.
    pub(crate) fn load(given: Given) -> Result<(Self, Vec<Effective>), ConfigError> {
        let (name, text) = match &given.file {
            Some(path) => (path.display().to_string(), file::read_text(path, file::CONFIG_BYTES)?),
            None => (String::new(), String::new()),
        };
        let base = given.file.as_deref().and_then(Path::parent).map(Path::to_owned);
        let raw = raw::parse(&name, &text)?;
        let mut sources = Sources::new(&name, &text, given.flags, given.environment);
        let serve = serve(&mut sources, &raw.serve)?;
        let is_open = serve.insecure_no_auth;
        let config = Self {
            serve,
            store: store(&mut sources, &raw.store)?,
            ingest: ingest(&mut sources, &raw.ingest)?,
            deliver: deliver(&mut sources, &raw.deliver)?,
            observe: observe(&mut sources, &raw.observe, is_open)?,
            log: log(&mut sources, &raw.log)?,
            apps: apps::check(&name, &text, base.as_deref(), raw.apps)?,
        };
        let effective = sources.finish()?;
        Ok((config, effective))
    }
}

fn serve(from: &mut Sources<'_>, raw: &raw::Serve) -> Result<ServeConfig, ConfigError> {
    let insecure_no_auth =
        from.get("serve.insecure_no_auth", raw.insecure_no_auth.as_ref(), "false")?;
    let listen = from.get("serve.listen", raw.listen.as_ref(), DEFAULT_LISTEN)?;
    if may_listen(listen.value, insecure_no_auth.value).is_err() {
        let reason = "callers are not authenticated, so anybody who reaches this address could \
                      send as any app; listen on a loopback address, or say --insecure-no-auth";
        return Err(listen.refuse(reason));
    }
    let roles = from.get("serve.roles", raw.roles.as_ref(), Role::ALL_NAMES)?;
    Ok(ServeConfig {
        listen: listen.value,
        roles: value::roles(&roles)?,
        insecure_no_auth: insecure_no_auth.value,
    })
}

fn store(from: &mut Sources<'_>, raw: &raw::Store) -> Result<StoreConfig, ConfigError> {
    let directory: sources::Setting<value::Path> =
        from.get("store.directory", raw.directory.as_ref(), "campanile-data")?;
    let partitions: sources::Setting<value::Partitions> =
        from.get("store.partitions", raw.partitions.as_ref(), "64")?;
    let segment: sources::Setting<value::Size> =
        from.get("store.segment_size", raw.segment_size.as_ref(), "64 MiB")?;
    let cache: sources::Setting<value::Size> =
        from.get("store.cache_size", raw.cache_size.as_ref(), "16 MiB")?;
    let within = |size: &sources::Setting<value::Size>, least: u64, most: u64, reason| {
        let bytes = size.value.0;
        if (least..=most).contains(&bytes) { Ok(bytes) } else { Err(size.refuse(reason)) }
    };
    let retention: sources::Setting<value::Retention> =
        from.get("store.retention", raw.retention.as_ref(), "off")?;
    if retention.value.0.is_some_and(|keep| keep < Duration::from_secs(1)) {
        return Err(retention.refuse("must be at least 1 s, or off"));
    }
    let segment_bytes = within(&segment, 64 << 10, 1 << 30, "must be 64 KiB to 1 GiB")?;
    let partitions = partitions.value.0;
    if segment_bytes < u64::from(partitions) << 10 {
        return Err(segment.refuse("must be at least 1 KiB for each partition"));
    }
    Ok(StoreConfig {
        directory: directory.value.0.clone(),
        partitions,
        segment_bytes,
        cache_bytes: within(&cache, 1 << 20, 64 << 30, "must be 1 MiB to 64 GiB")?,
        retention: retention.value.0,
    })
}

fn ingest(from: &mut Sources<'_>, raw: &raw::Ingest) -> Result<IngestConfig, ConfigError> {
    let app: sources::Setting<value::Rate> =
        from.get("ingest.app_rate", raw.app_rate.as_ref(), "0")?;
    let user: sources::Setting<value::Rate> =
        from.get("ingest.user_rate", raw.user_rate.as_ref(), "50")?;
    Ok(IngestConfig { app_rate: app.value.0, user_rate: user.value.0 })
}

fn deliver(from: &mut Sources<'_>, raw: &raw::Deliver) -> Result<DeliverConfig, ConfigError> {
    let connections: sources::Setting<value::Connections> =
        from.get("deliver.connections", raw.connections.as_ref(), "4")?;
    let fcm_connections: sources::Setting<value::Connections> =
        from.get("deliver.fcm_connections", raw.fcm_connections.as_ref(), "16")?;
    let pushes: sources::Setting<value::Pushes> =
        from.get("deliver.silent_pushes", raw.silent_pushes.as_ref(), "3")?;
    let window: sources::Setting<value::Span> =
        from.get("deliver.silent_window", raw.silent_window.as_ref(), "1 h")?;
    let timeout: sources::Setting<value::Span> =
        from.get("deliver.request_timeout", raw.request_timeout.as_ref(), "15 s")?;
    let drain: sources::Setting<value::Span> =
        from.get("deliver.drain", raw.drain.as_ref(), "6 s")?;
    let within = |span: &sources::Setting<value::Span>, least, most, reason| {
        let value: Duration = span.value.0;
        if value >= least && value <= most { Ok(value) } else { Err(span.refuse(reason)) }
    };
    let (second, minutes) = (Duration::from_secs(1), Duration::from_secs(120));
    let day = Duration::from_secs(86_400);
    let window = within(&window, second, day, "must be 1 s to 1 d")?;
    let limit = "must be 0 s to 8 s, so that a stop takes less than 10 s";
    Ok(DeliverConfig {
        connections: connections.value.0,
        fcm_connections: fcm_connections.value.0,
        silent: SilentBudget { pushes: pushes.value.0, window },
        request_timeout: within(&timeout, second, minutes, "must be 1 s to 2 min")?,
        drain: within(&drain, Duration::ZERO, LONGEST_DRAIN, limit)?,
    })
}

fn observe(
    from: &mut Sources<'_>,
    raw: &raw::Observe,
    insecure_no_auth: bool,
) -> Result<ObserveConfig, ConfigError> {
    let listen: sources::Setting<value::Listen> =
        from.get("observe.listen", raw.listen.as_ref(), "off")?;
    let may_listen = |address| may_listen(address, insecure_no_auth).is_ok();
    if !listen.value.0.is_none_or(may_listen) {
        let reason = "callers are not authenticated, so anybody who reaches this address could \
                      read the metrics; use a loopback address, or say --insecure-no-auth";
        return Err(listen.refuse(reason));
    }
    let stuck_after: sources::Setting<value::Span> =
        from.get("observe.stuck_after", raw.stuck_after.as_ref(), "2 min")?;
    if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&stuck_after.value.0) {
        return Err(stuck_after.refuse("must be 1 s to 1 h"));
    }
    let collector: sources::Setting<value::Collector> =
        from.get("observe.traces", raw.traces.as_ref(), "off")?;
    let one_in: sources::Setting<value::Rate> =
        from.get("observe.trace_one_in", raw.trace_one_in.as_ref(), "0")?;
    let traces = collector.value.0.clone();
    Ok(ObserveConfig {
        listen: listen.value.0,
        stuck_after: stuck_after.value.0,
        traces: traces.map(|collector| TracesConfig { collector, one_in: one_in.value.0 }),
    })
}

fn log(from: &mut Sources<'_>, raw: &raw::Log) -> Result<LogConfig, ConfigError> {
    let level = from.get("log.level", raw.level.as_ref(), "info")?;
    let format = from.get("log.format", raw.format.as_ref(), "text")?;
    Ok(LogConfig { level: level.value, format: format.value })
}
