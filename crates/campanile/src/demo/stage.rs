//! The stage: a directory, a simulated Apple, the devices of two users, and a configuration that
//! leads there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use campanile_core::{AppId, Environment};
use campanile_push::apns::{ApnsKey, server};
use campanile_push::{Roots, Target};
use campanile_simulate::apns;

use crate::config::{
    ApnsRouteConfig, AppConfig, Config, DeliverConfig, LogConfig, LogFormat, ServeConfig,
    StoreConfig,
};
use crate::exit::{Failure, Kind};
use crate::role::Role;

/// The app of the story.
pub(super) const APP: &str = "demo";
/// Its bundle id.
pub(super) const TOPIC: &str = "org.example.demo";
const TEAM: &str = "DEMOTEAM01";
const KEY: &str = "DEMOKEY001";

/// A device of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) user: &'static str,
    pub(super) name: &'static str,
    pub(super) token: &'static str,
}

/// Who hears of it.
pub(super) const IPHONE: Device = device("alice", "Alice's iPhone", "a11ce001");
pub(super) const IPAD: Device = device("alice", "Alice's iPad", "a11ce002");
pub(super) const MAC: Device = device("alice", "Alice's Mac", "a11ce003");
/// Who must not.
pub(super) const BOBS: Device = device("bob", "Bob's iPhone", "b0b00001");

/// Every device.
pub(super) const DEVICES: [Device; 4] = [IPHONE, IPAD, MAC, BOBS];

const fn device(user: &'static str, name: &'static str, token: &'static str) -> Device {
    Device { user, name, token }
}

/// What the story plays on. Dropping it stops Apple and removes the directory.
pub(super) struct Stage {
    pub(super) apns: apns::Simulator,
    pub(super) config: Config,
    pub(super) directory: tempfile::TempDir,
}

impl Stage {
    /// Sets the stage; the server is to listen on `port`, 0 for a free one.
    ///
    /// # Errors
    /// [`Failure`] if there is no directory, or no port.
    pub(super) fn set(port: u16) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new(Kind::Unavailable, error);
        let directory = tempfile::Builder::new().prefix("campanile-demo-").tempdir();
        let directory = directory.map_err(|error| failed(&error))?;
        let apns = apns::Simulator::spawn_thread(apns::Config::default());
        let apns = apns.map_err(|error| failed(&error))?;
        let key = apns.generate_key(TEAM, KEY).map_err(|error| failed(&error))?;
        apns.register_topic(TEAM, TOPIC);
        for Device { token, .. } in DEVICES {
            let registered = apns.register_device(token, TOPIC, apns::Environment::Production);
            registered.map_err(|error| failed(&error))?;
        }
        let key = ApnsKey::new(TEAM, KEY, &key.private_pem()).map_err(|error| failed(&error))?;
        let target = Target {
            address: Some(apns.addr()),
            roots: Roots::Pem(apns.ca_pem().to_owned()),
            ..server(Environment::Production)
        };
        let app = AppId::new(APP).map_err(|error| failed(&error))?;
        let route = ApnsRouteConfig {
            environment: Environment::Production,
            topic: TOPIC.to_owned(),
            key: Arc::new(key),
            server: target,
        };
        let config = config(
            port,
            &directory,
            BTreeMap::from([(app, AppConfig { apns: vec![route], fcm: Vec::new() })]),
        );
        Ok(Self { apns, config, directory })
    }

    /// The name of the device with a token.
    pub(super) fn device(&self, token: &str) -> &'static str {
        let found = DEVICES.into_iter().find(|device| device.token == token);
        found.map_or("a device", |device| device.name)
    }
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
        },
        deliver: DeliverConfig {
            connections: 1,
            fcm_connections: 1,
            request_timeout: Duration::from_secs(15),
            drain: Duration::from_secs(2),
        },
        log: LogConfig { level: tracing::Level::WARN, format: LogFormat::Text },
        apps,
    }
}
