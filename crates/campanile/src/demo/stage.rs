//! The stage: a directory, a simulated Apple and Google with the devices of two users, and a
//! configuration that leads there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use campanile_core::{AppId, Environment, Platform, SilentBudget};
use campanile_push::apns::ApnsKey;
use campanile_push::fcm::ServiceAccount;
use campanile_push::{Roots, Target};
use campanile_simulate::{apns, fcm};

use super::devices::DEVICES;

use crate::config::{
    ApnsRouteConfig, AppConfig, Config, DeliverConfig, FcmRouteConfig, IngestConfig, LogConfig,
    LogFormat, ObserveConfig, ServeConfig, StoreConfig,
};
use crate::exit::{Failure, Kind};
use crate::role::Role;

/// The app of the story.
pub(super) const APP: &str = "demo";
/// Its bundle id.
pub(super) const TOPIC: &str = "org.example.demo";
/// Its project.
pub(super) const PROJECT: &str = "demo-2026";
const TEAM: &str = "DEMOTEAM01";
const KEY: &str = "DEMOKEY001";

/// What the story plays on. Dropping it stops Apple and Google, and removes the directory.
pub(super) struct Stage {
    pub(super) apns: apns::Simulator,
    pub(super) fcm: fcm::Simulator,
    pub(super) config: Config,
    pub(super) directory: tempfile::TempDir,
}

impl Stage {
    /// Sets the stage; the server is to listen on `port`, 0 for a free one.
    ///
    /// # Errors
    /// [`Failure`] if there is no directory, or no port.
    pub(super) fn set(port: u16) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new().prefix("campanile-demo-").tempdir();
        let directory = directory.map_err(failed)?;
        let (apns, to_apple) = apple()?;
        let (fcm, to_google) = google()?;
        let app = AppId::new(APP).map_err(failed)?;
        let routes = AppConfig { apns: vec![to_apple], fcm: vec![to_google] };
        let config = config(port, &directory, BTreeMap::from([(app, routes)]));
        Ok(Self { apns, fcm, config, directory })
    }
}

/// A simulated Apple that knows its devices, and the route there.
fn apple() -> Result<(apns::Simulator, ApnsRouteConfig), Failure> {
    let apns = apns::Simulator::spawn_thread(apns::Config::default()).map_err(failed)?;
    let key = apns.generate_key(TEAM, KEY).map_err(failed)?;
    apns.register_topic(TEAM, TOPIC);
    for it in DEVICES.into_iter().filter(|it| it.platform == Platform::Apns) {
        let registered = apns.register_device(it.token, TOPIC, apns::Environment::Production);
        registered.map_err(failed)?;
    }
    let key = ApnsKey::new(TEAM, KEY, &key.private_pem()).map_err(failed)?;
    let environment = Environment::Production;
    let route = ApnsRouteConfig {
        environment,
        topic: TOPIC.to_owned(),
        key: Arc::new(key),
        server: at(apns.addr(), apns.ca_pem(), campanile_push::apns::server(environment)),
    };
    Ok((apns, route))
}

/// A simulated Google that knows its devices, and the route there.
fn google() -> Result<(fcm::Simulator, FcmRouteConfig), Failure> {
    let fcm = fcm::Simulator::spawn_thread(fcm::Config::default()).map_err(failed)?;
    let account = fcm.generate_account(PROJECT).map_err(failed)?;
    for it in DEVICES.into_iter().filter(|it| it.platform == Platform::Fcm) {
        fcm.register_device(PROJECT, it.token).map_err(failed)?;
    }
    let account = ServiceAccount::from_json(&account.json()).map_err(failed)?;
    let (address, ca) = (fcm.addr(), fcm.ca_pem());
    let route = FcmRouteConfig {
        server: at(address, ca, campanile_push::fcm::server()),
        sign_in: at(address, ca, account.sign_in_server()),
        account: Arc::new(account),
    };
    Ok((fcm, route))
}

/// The server `known`, if it were at `address`.
fn at(address: SocketAddr, ca_pem: &str, known: Target) -> Target {
    Target { address: Some(address), roots: Roots::Pem(ca_pem.to_owned()), ..known }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Unavailable, error)
}

fn config(port: u16, directory: &tempfile::TempDir, apps: BTreeMap<AppId, AppConfig>) -> Config {
    Config {
        serve: ServeConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            roles: BTreeSet::from(Role::ALL),
            insecure_no_auth: false,
        },
        store: StoreConfig {
            directory: directory.path().to_owned(),
            partitions: 64,
            segment_bytes: 8 << 20,
            cache_bytes: 16 << 20,
            retention: None,
        },
        ingest: IngestConfig { app_rate: 0, user_rate: 0 },
        deliver: DeliverConfig {
            connections: 1,
            fcm_connections: 1,
            // Simulated phones hear of everything, so that nobody waits for them.
            silent: SilentBudget { pushes: 1000, window: Duration::from_secs(1) },
            request_timeout: Duration::from_secs(15),
            drain: Duration::from_secs(2),
        },
        observe: ObserveConfig {
            listen: None,
            stuck_after: Duration::from_secs(120),
            traces: None,
        },
        log: LogConfig { level: tracing::Level::WARN, format: LogFormat::Text },
        apps,
    }
}
