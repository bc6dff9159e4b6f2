//! Routes to Apple.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use campanile_core::Environment;
use campanile_push::apns::{ApnsKey, InvalidKey, server};

use super::super::file::read_secret;
use super::super::place::Place;
use super::super::raw::Apns;
use super::super::{ApnsRouteConfig, ConfigError};
use super::{Elsewhere, Reader};

impl Reader<'_> {
    /// The route that `raw` describes.
    pub(super) fn apns(&mut self, raw: &Apns) -> Result<ApnsRouteConfig, ConfigError> {
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
        let said = Elsewhere {
            host: raw.host.as_ref(),
            port: raw.port.as_ref(),
            address: raw.address.as_ref(),
            ca_file: raw.ca_file.as_ref(),
        };
        let server = self.server(server(environment), &said)?;
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
}

const IDS: &str = "must be 10 capital letters and digits";
const NO_KEY: &str = "holds no P-256 private key in PEM (the .p8 file that Apple gives out)";
