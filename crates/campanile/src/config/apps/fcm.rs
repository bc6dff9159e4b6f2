//! Routes to Google.

use std::sync::Arc;

use campanile_push::fcm::{InvalidAccount, ServiceAccount, server};
use toml::Spanned;

use super::super::file::read_secret;
use super::super::raw::Fcm;
use super::super::{ConfigError, FcmRouteConfig};
use super::{Elsewhere, Reader};

impl Reader<'_> {
    /// The route that `raw` describes.
    pub(super) fn fcm(&mut self, raw: &Fcm) -> Result<FcmRouteConfig, ConfigError> {
        let account = self.account(&raw.account_file)?;
        let said = Elsewhere {
            host: raw.host.as_ref(),
            port: raw.port.as_ref(),
            address: raw.address.as_ref(),
            ca_file: raw.ca_file.as_ref(),
        };
        let server = self.server(server(), &said)?;
        let said = Elsewhere {
            host: raw.sign_in.host.as_ref(),
            port: raw.sign_in.port.as_ref(),
            address: raw.sign_in.address.as_ref(),
            ca_file: raw.sign_in.ca_file.as_ref(),
        };
        let sign_in = self.server(account.sign_in_server(), &said)?;
        Ok(FcmRouteConfig { account, server, sign_in })
    }

    fn account(&mut self, file: &Spanned<String>) -> Result<Arc<ServiceAccount>, ConfigError> {
        let path = self.path(file.get_ref());
        if let Some(known) = self.accounts.get(&path) {
            return Ok(known.clone());
        }
        let place = self.place(file);
        let text = read_secret(&path).map_err(|error| place.refuse(error.to_string()))?;
        let account = ServiceAccount::from_json(&text).map_err(|it| place.refuse(reason(&it)))?;
        let account = Arc::new(account);
        self.accounts.insert(path, account.clone());
        Ok(account)
    }
}

/// What is wrong with an account, without any value of its file.
fn reason(error: &InvalidAccount) -> String {
    match error {
        InvalidAccount::Json { line, column } => {
            format!("is not the JSON of a service account: line {line}, column {column}")
        }
        InvalidAccount::Missing { field } => format!("has no {field}"),
        InvalidAccount::Field { field, must, .. } => format!("has a {field} that is not {must}"),
        InvalidAccount::Key { .. } => "has a private_key that is no RSA key in PEM".to_owned(),
    }
}
