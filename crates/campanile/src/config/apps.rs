//! The tenants: who may be told of what by which route.

mod apns;
mod fcm;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use campanile_core::AppId;
use campanile_push::apns::ApnsKey;
use campanile_push::fcm::ServiceAccount;
use campanile_push::{Roots, Target};
use toml::Spanned;

use super::file::{PEM_BYTES, read_text};
use super::place::Place;
use super::raw::{Apns, App, Fcm};
use super::{ApnsRouteConfig, AppConfig, ConfigError, FcmRouteConfig};

/// The apps of a file, checked. Paths are relative to `base`, the directory of the file.
pub(super) fn check(
    name: &str,
    text: &str,
    base: Option<&Path>,
    raw: Vec<Spanned<App>>,
) -> Result<BTreeMap<AppId, AppConfig>, ConfigError> {
    let mut reader = Reader { name, text, base, keys: BTreeMap::new(), accounts: BTreeMap::new() };
    let mut apps = BTreeMap::new();
    for app in raw {
        let App { id, apns, fcm } = app.into_inner();
        let place = reader.place(&id);
        let id = AppId::new(id.get_ref()).map_err(|error| place.refuse(error.to_string()))?;
        let app = AppConfig { apns: reader.apple(apns)?, fcm: reader.google(fcm)? };
        if apps.insert(id, app).is_some() {
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
    /// Service accounts by the file each was read from: routes share them.
    accounts: BTreeMap<PathBuf, Arc<ServiceAccount>>,
}

/// What a file says of a server, as far as it is not the one that is known.
struct Elsewhere<'a> {
    host: Option<&'a Spanned<String>>,
    port: Option<&'a Spanned<u16>>,
    address: Option<&'a Spanned<String>>,
    ca_file: Option<&'a Spanned<String>>,
}

impl Reader<'_> {
    fn place<T>(&self, value: &Spanned<T>) -> Place {
        Place::of(self.name, self.text, value.span().start)
    }

    fn path(&self, text: &str) -> PathBuf {
        self.base.map_or_else(|| text.into(), |base| base.join(text))
    }

    fn apple(&mut self, raw: Vec<Spanned<Apns>>) -> Result<Vec<ApnsRouteConfig>, ConfigError> {
        let mut routes: Vec<ApnsRouteConfig> = Vec::with_capacity(raw.len());
        for route in raw {
            let place = self.place(&route);
            let route = self.apns(&route.into_inner())?;
            let is_same = |other: &ApnsRouteConfig| {
                other.environment == route.environment && other.topic == route.topic
            };
            if routes.iter().any(is_same) {
                return Err(place.refuse("the app has this topic and environment already"));
            }
            routes.push(route);
        }
        Ok(routes)
    }

    fn google(&mut self, raw: Vec<Spanned<Fcm>>) -> Result<Vec<FcmRouteConfig>, ConfigError> {
        let mut routes: Vec<FcmRouteConfig> = Vec::with_capacity(raw.len());
        for route in raw {
            let place = self.place(&route);
            let route = self.fcm(&route.into_inner())?;
            let project = route.account.project();
            if routes.iter().any(|other| other.account.project() == project) {
                return Err(place.refuse("the app has a route to this account's project already"));
            }
            routes.push(route);
        }
        Ok(routes)
    }

    /// The server `known`, as far as the file does not say otherwise.
    fn server(&self, known: Target, said: &Elsewhere<'_>) -> Result<Target, ConfigError> {
        let mut target = known;
        if let Some(host) = said.host {
            let right = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
            if host.get_ref().is_empty() || !host.get_ref().bytes().all(right) {
                return Err(self.place(host).refuse("must be a host name"));
            }
            target.host = host.get_ref().clone();
        }
        if let Some(port) = said.port {
            target.port = *port.get_ref();
        }
        if let Some(address) = said.address {
            let parsed = address.get_ref().parse();
            let reason = "must be an IP address and port, such as \"127.0.0.1:2197\"";
            target.address = Some(parsed.map_err(|_| self.place(address).refuse(reason))?);
        }
        if let Some(file) = said.ca_file {
            let read = read_text(&self.path(file.get_ref()), PEM_BYTES);
            let pem = read.map_err(|error| self.place(file).refuse(error.to_string()))?;
            target.roots = Roots::Pem(pem);
        }
        Ok(target)
    }
}
