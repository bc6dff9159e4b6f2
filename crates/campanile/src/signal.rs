//! When the process is asked to stop.

use std::io;

/// Waits for SIGTERM or SIGINT.
///
/// # Errors
/// If the system does not tell of signals.
#[cfg(unix)]
pub(crate) async fn asked_to_stop() -> io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}

/// Waits for Ctrl-C.
///
/// # Errors
/// If the system does not tell of it.
#[cfg(not(unix))]
pub(crate) async fn asked_to_stop() -> io::Result<&'static str> {
    tokio::signal::ctrl_c().await?;
    Ok("Ctrl-C")
}
