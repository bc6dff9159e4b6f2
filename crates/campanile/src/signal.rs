//! When the process is asked to stop.

use std::io;

/// Listens for SIGTERM and SIGINT.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct StopSignal {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignal {
    /// Listens from now on: a signal that comes before anybody waits is not lost.
    ///
    /// # Errors
    /// If the system does not tell of signals.
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // A log that nobody reads any more is no reason to end. It is none in any Rust program, but
        // one that tried to take its own place, and was refused, has the system's way of it.
        let _no_reason = signal(SignalKind::pipe())?;
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for a signal; answers its name. May be dropped while it waits.
    pub(crate) async fn given(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Listens for Ctrl-C.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct StopSignal(tokio::signal::windows::CtrlC);

#[cfg(not(unix))]
impl StopSignal {
    /// Listens from now on: a signal that comes before anybody waits is not lost.
    ///
    /// # Errors
    /// If the system does not tell of signals.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self(tokio::signal::windows::ctrl_c()?))
    }

    /// Waits for a signal; answers its name. May be dropped while it waits.
    pub(crate) async fn given(&mut self) -> &'static str {
        let _closed_or_given = self.0.recv().await;
        "Ctrl-C"
    }
}
