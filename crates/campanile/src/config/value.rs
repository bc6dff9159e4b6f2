//! The values of settings: how each is written, and how it is read.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tonic::transport::Uri;

use super::sources::Setting;
use super::{ConfigError, LogFormat};
use crate::role::Role;

/// How a value stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A text in quotes.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Truth,
    /// Texts in brackets; with commas between them elsewhere.
    Texts,
}

/// A type that settings have.
pub(super) trait SettingValue: Sized {
    /// How it stands in a file.
    const SHAPE: Shape;
    /// What it must be, in words.
    const MUST: &'static str;

    /// Reads it; `None` if it is not what it must be.
    fn read(text: &str) -> Option<Self>;
}

macro_rules! setting_values {
    ($($type:ty, $shape:ident, $must:literal, $read:expr;)*) => {$(
        impl SettingValue for $type {
            const SHAPE: Shape = Shape::$shape;
            const MUST: &'static str = $must;

            fn read(text: &str) -> Option<Self> {
                let read: fn(&str) -> Option<Self> = $read;
                read(text)
            }
        }
    )*};
}

setting_values! {
    SocketAddr, Text, "must be an IP address and port, such as \"127.0.0.1:8640\"",
        |text| text.parse().ok();
    Listen, Text, "must be an IP address and port, such as \"127.0.0.1:9464\", or \"off\"", listen;
    Collector, Text, "must be http://, a host and a port, such as \"http://127.0.0.1:4317\", or \"off\"",
        collector;
    Retention, Text, "must be a duration, such as \"30 d\", or \"off\"", retention;
    bool, Truth, "must be true or false", |text| text.parse().ok();
    Partitions, Number, "must be a whole number, 1 to 4096",
        |text| text.parse().ok().filter(|it| (1..=4096).contains(it)).map(Partitions);
    Connections, Number, "must be a whole number, 1 to 100",
        |text| text.parse().ok().filter(|it| (1..=100).contains(it)).map(Connections);
    Pushes, Number, "must be a whole number, 1 to 1000",
        |text| text.parse().ok().filter(|it| (1..=1000).contains(it)).map(Pushes);
    Rate, Number, "must be a whole number, 0 to 1000000",
        |text| text.parse().ok().filter(|it| *it <= 1_000_000).map(Rate);
    Path, Text, "must be a path", |text| (!text.is_empty()).then(|| Path(text.into()));
    Size, Text, "must be a size, such as \"64 MiB\"", |text| size(text).map(Size);
    Span, Text, "must be a duration, such as \"15 s\"", |text| span(text).map(Span);
    tracing::Level, Text, "must be error, warn, info, debug or trace", level;
    LogFormat, Text, "must be text or json", log_format;
    Names, Texts, "must be names", |text| Some(Names(names(text)));
}

/// Where to listen, if anywhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listen(pub(super) Option<SocketAddr>);

/// Who collects traces, if anybody.
#[derive(Clone, Debug)]
pub(super) struct Collector(pub(super) Option<Uri>);

/// How long to keep; absent: forever.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention(pub(super) Option<Duration>);

/// A path; relative ones are relative to where the process was started.
#[derive(Clone, Debug)]
pub(super) struct Path(pub(super) PathBuf);

/// How many partitions a new log gets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partitions(pub(super) u16);

/// How many connections a route may open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connections(pub(super) usize);

/// How many pushes in some time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pushes(pub(super) u32);

/// How many a second; 0 is any number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate(pub(super) u32);

/// A number of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size(pub(super) u64);

/// A length of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub(super) Duration);

/// Some names.
#[derive(Clone, Debug)]
pub(super) struct Names(pub(super) Vec<String>);

/// The roles that a setting names.
pub(super) fn roles(setting: &Setting<Names>) -> Result<BTreeSet<Role>, ConfigError> {
    let known = format!("must be some of {}", Role::ALL_NAMES);
    let roles: Option<BTreeSet<Role>> =
        setting.value.0.iter().map(|name| Role::parse(name)).collect();
    roles.filter(|roles| !roles.is_empty()).ok_or_else(|| setting.refuse(&known))
}

fn listen(text: &str) -> Option<Listen> {
    match text {
        "off" => Some(Listen(None)),
        address => address.parse().ok().map(|address| Listen(Some(address))),
    }
}

fn collector(text: &str) -> Option<Collector> {
    if text == "off" {
        return Some(Collector(None));
    }
    let uri: Uri = text.parse().ok()?;
    let is_bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
    let is_plain = uri.scheme_str() == Some("http") && is_bare;
    let has_place = uri.host().is_some_and(|host| !host.is_empty()) && uri.port_u16().is_some();
    let has_secret = uri.authority().is_some_and(|it| it.as_str().contains('@'));
    (is_plain && has_place && !has_secret).then_some(Collector(Some(uri)))
}

fn retention(text: &str) -> Option<Retention> {
    match text {
        "off" => Some(Retention(None)),
        keep => span(keep).map(|keep| Retention(Some(keep))),
    }
}

fn level(text: &str) -> Option<tracing::Level> {
    // `parse` also takes numbers.
    text.chars().all(char::is_alphabetic).then(|| text.parse().ok())?
}

fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

fn names(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// A whole number and a unit.
fn quantity(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim()))
}

fn size(text: &str) -> Option<u64> {
    let (number, unit) = quantity(text)?;
    let unit: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// Reads a length of time: a whole number and one of `ms`, `s`, `min`, `h`, `d`.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let (number, unit) = quantity(text)?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_a_place_and_nothing_else() {
        let place = |text| collector(text).map(|it| it.0.map(|uri| uri.to_string()));
        assert_eq!(place("off"), Some(None));
        let local = Some(Some("http://127.0.0.1:4317/".to_owned()));
        assert_eq!(place("http://127.0.0.1:4317"), local);
        assert_eq!(place("http://127.0.0.1:4317/"), local);
        assert!(place("http://[::1]:4317").is_some() && place("http://collector:4317").is_some());
        let not =
            ["", "on", "127.0.0.1:4317", "https://a:1", "http://a", "http://:1", "grpc://a:1"];
        let nor =
            ["http://a:1/v1/traces", "http://user:word@a:1", "http://a:99999", "http://a b:1"];
        for bad in not.into_iter().chain(nor) {
            assert!(place(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn sizes_and_spans_need_their_units() {
        assert_eq!(size("64 MiB"), Some(64 << 20));
        assert_eq!(size("10KiB"), Some(10 << 10));
        assert_eq!(span("250 ms"), Some(Duration::from_millis(250)));
        assert_eq!(span("2min"), Some(Duration::from_secs(120)));
        for bad in ["", "64", "MiB", "64 MB", "-1 MiB", "1.5 MiB", "99999999999999999999 B"] {
            assert_eq!(size(bad), None, "{bad}");
        }
        for bad in ["", "15", "s", "1.5 s", "-1 s", "15 sec", "9999999999999999999 d"] {
            assert_eq!(span(bad), None, "{bad}");
        }
        assert_eq!(size("99999999999 GiB"), None);
    }
}
