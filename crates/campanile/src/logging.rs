//! Logs: text or JSON, on standard error. What users are told, and tokens and keys, are not in it.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogFormat};

/// Starts logging. The first call in a process wins.
pub(crate) fn start(config: &LogConfig) {
    // Below `info` the libraries tell what passes over the wire, which is nobody's business.
    let of_libraries = config.level.min(Level::INFO);
    let levels = Targets::new().with_default(of_libraries).with_target("campanile", config.level);
    let registry = tracing_subscriber::registry().with(levels);
    let layer = fmt::layer().with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Json => registry.with(layer.json()).try_init(),
        LogFormat::Text => {
            let ansi = std::io::stderr().is_terminal();
            registry.with(layer.with_ansi(ansi)).try_init()
        }
    };
    // Only tests in one process get here twice.
    let _first_wins = started;
}
