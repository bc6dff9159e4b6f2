//! The file as it is written: names and shapes, values unchecked.

use serde::Deserialize;
use toml::{Spanned, Value};

use super::ConfigError;
use super::place::Place;

/// A value and where it stands.
pub(super) type Raw = Option<Spanned<Value>>;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) serve: Serve,
    pub(super) store: Store,
    pub(super) ingest: Ingest,
    pub(super) deliver: Deliver,
    pub(super) observe: Observe,
    pub(super) log: Log,
    pub(super) apps: Vec<Spanned<App>>,
}

/// `[serve]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Serve {
    pub(super) listen: Raw,
    pub(super) roles: Raw,
    pub(super) insecure_no_auth: Raw,
}

/// `[store]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    pub(super) directory: Raw,
    pub(super) partitions: Raw,
    pub(super) segment_size: Raw,
    pub(super) cache_size: Raw,
    pub(super) retention: Raw,
}

/// `[ingest]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Ingest {
    pub(super) app_rate: Raw,
    pub(super) user_rate: Raw,
}

/// `[deliver]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Deliver {
    pub(super) connections: Raw,
    pub(super) fcm_connections: Raw,
    pub(super) silent_pushes: Raw,
    pub(super) silent_window: Raw,
    pub(super) request_timeout: Raw,
    pub(super) drain: Raw,
}

/// `[observe]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Observe {
    pub(super) listen: Raw,
    pub(super) stuck_after: Raw,
    pub(super) traces: Raw,
    pub(super) trace_one_in: Raw,
}

/// `[log]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) level: Raw,
    pub(super) format: Raw,
}

/// `[[apps]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct App {
    pub(super) id: Spanned<String>,
    #[serde(default)]
    pub(super) apns: Vec<Spanned<Apns>>,
    #[serde(default)]
    pub(super) fcm: Vec<Spanned<Fcm>>,
}

/// `[[apps.apns]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Apns {
    #[serde(default)]
    pub(super) environment: Option<Spanned<String>>,
    pub(super) topic: Spanned<String>,
    pub(super) team_id: Spanned<String>,
    pub(super) key_id: Spanned<String>,
    pub(super) key_file: Spanned<String>,
    #[serde(default)]
    pub(super) host: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) port: Option<Spanned<u16>>,
    #[serde(default)]
    pub(super) address: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) ca_file: Option<Spanned<String>>,
}

/// `[[apps.fcm]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fcm {
    pub(super) account_file: Spanned<String>,
    #[serde(default)]
    pub(super) host: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) port: Option<Spanned<u16>>,
    #[serde(default)]
    pub(super) address: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) ca_file: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) sign_in: Server,
}

/// `sign_in` of `[[apps.fcm]]`: a server other than the one that is known.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Server {
    pub(super) host: Option<Spanned<String>>,
    pub(super) port: Option<Spanned<u16>>,
    pub(super) address: Option<Spanned<String>>,
    pub(super) ca_file: Option<Spanned<String>>,
}

/// Reads `text`, which is the file called `name`.
///
/// # Errors
/// [`ConfigError`] with the line and the key.
pub(super) fn parse(name: &str, text: &str) -> Result<File, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        Place::of(name, text, at).refuse(reason(error.message()))
    })
}

/// The parser's words, without values of the file.
fn reason(message: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    match message.strip_prefix("invalid type: ").or(message.strip_prefix("invalid value: ")) {
        Some(rest) => match rest.rsplit_once("expected ") {
            Some((_, expected)) => format!("has the wrong type; it must be {expected}"),
            None => "has the wrong type".to_owned(),
        },
        None => message.to_owned(),
    }
}
