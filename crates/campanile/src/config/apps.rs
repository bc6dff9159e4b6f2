//! The tenants: who may be told of what by which route.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use campanile_core::{AppId, Environment};
use campanile_push::apns::{ApnsKey, InvalidKey, server};
use campanile_push::{Roots, Target};
use toml::Spanned;

use super::file::{PEM_BYTES, read_secret, read_text};
use super::place::Place;
use super::raw::{Apns, App};
use super::{ApnsRouteConfig, ConfigError};

/// The apps of a file, checked. Paths are relative to `base`, the directory of the file.
pub(super) fn check(
    name: &str,
    text: &str,
    base: Option<&Path>,
    raw: Vec<Spanned<App>>,
) -> Result<BTreeMap<AppId, Vec<ApnsRouteConfig>>, ConfigError> {
    let mut reader = Reader { name, text, base, keys: BTreeMap::new() };
    let mut apps = BTreeMap::new();
    for app in raw {
        let App { id, apns } = app.into_inner();
        let place = reader.place(&id);
        let id = AppId::new(id.get_ref()).map_err(|error| place.refuse(error.to_string()))?;
        let mut routes: Vec<ApnsRouteConfig> = Vec::with_capacity(apns.len());
        for route in apns {
            let place = reader.place(&route);
            let route = reader.route(&route.into_inner())?;
            let is_same = |other: &ApnsRouteConfig| {
                other.environment == route.environment && other.topic == route.topic
            };
            if routes.iter().any(is_same) {
                return Err(place.refuse("the app has this topic and environment already"));
            }
            routes.push(route);
        }
        if apps.insert(id, routes).is_some() {
            return Err(place.refuse("there is an app with this id already"));
        }
    }
    Ok(apps)
}

/// Reads routes, and the files they name.
struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    base: Option<&'a Path>,
    /// Keys by team and key id, with the file each was read from: routes share them.
    keys: BTreeMap<(String, String), (PathBuf, Arc<ApnsKey>)>,
}

impl Reader<'_> {
    fn place<T>(&self, value: &Spanned<T>) -> Place {
        Place::of(self.name, self.text, value.span().start)
    }

    fn path(&self, text: &str) -> PathBuf {
        self.base.map_or_else(|| text.into(), |base| base.join(text))
    }

    fn route(&mut self, raw: &Apns) -> Result<ApnsRouteConfig, ConfigError> {
        let environment = match &raw.environment {
            None => Environment::Production,
            Some(word) => match word.get_ref().as_str() {
                "production" => Environment::Production,
                "sandbox" => Environment::Sandbox,
                _ => return Err(self.place(word).refuse("must be production or sandbox")),
            },
        };
        let topic = raw.topic.get_ref().clone();
        if topic.is_empty() || topic.len() > 255 || !topic.bytes().all(|b| b.is_ascii_graphic()) {
            let reason = "must be a bundle id: 1 to 255 printable ASCII characters";
            return Err(self.place(&raw.topic).refuse(reason));
        }
        let key = self.key(raw)?;
        let server = self.server(environment, raw)?;
        Ok(ApnsRouteConfig { environment, topic, key, server })
    }

    fn key(&mut self, raw: &Apns) -> Result<Arc<ApnsKey>, ConfigError> {
        let path = self.path(raw.key_file.get_ref());
        let ids = (raw.team_id.get_ref().clone(), raw.key_id.get_ref().clone());
        let twice = self.place(&raw.key_file);
        match self.keys.entry(ids) {
            Entry::Occupied(known) => {
                let (known_path, key) = known.get();
                if *known_path != path {
                    let reason = "another route names another file for the same team_id and key_id";
                    return Err(twice.refuse(reason));
                }
                Ok(key.clone())
            }
            Entry::Vacant(free) => {
                let in_file = |error: ConfigError| twice.refuse(error.to_string());
                let pem = read_secret(&path).map_err(in_file)?;
                let (team, id) = (raw.team_id.get_ref(), raw.key_id.get_ref());
                let key = ApnsKey::new(team, id, &pem).map_err(|error| {
                    let (at, reason) = match &error {
                        InvalidKey::Id { field: "team_id", .. } => (&raw.team_id, IDS),
                        InvalidKey::Id { .. } => (&raw.key_id, IDS),
                        InvalidKey::Pem { .. } => (&raw.key_file, NO_KEY),
                    };
                    Place::of(self.name, self.text, at.span().start).refuse(reason)
                })?;
                let key = Arc::new(key);
                free.insert((path, key.clone()));
                Ok(key)
            }
        }
    }

    fn server(&self, environment: Environment, raw: &Apns) -> Result<Target, ConfigError> {
        let mut target = server(environment);
        if let Some(host) = &raw.host {
            let right = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
            if host.get_ref().is_empty() || !host.get_ref().bytes().all(right) {
                return Err(self.place(host).refuse("must be a host name"));
            }
            target.host = host.get_ref().clone();
        }
        if let Some(port) = &raw.port {
            target.port = *port.get_ref();
        }
        if let Some(address) = &raw.address {
            let parsed = address.get_ref().parse();
            let reason = "must be an IP address and port, such as \"127.0.0.1:2197\"";
            target.address = Some(parsed.map_err(|_| self.place(address).refuse(reason))?);
        }
        if let Some(file) = &raw.ca_file {
            let read = read_text(&self.path(file.get_ref()), PEM_BYTES);
            let pem = read.map_err(|error| self.place(file).refuse(error.to_string()))?;
            target.roots = Roots::Pem(pem);
        }
        Ok(target)
    }
}

const IDS: &str = "must be 10 capital letters and digits";
const NO_KEY: &str = "holds no P-256 private key in PEM (the .p8 file that Apple gives out)";
