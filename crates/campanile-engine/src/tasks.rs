//! The one place that starts tasks and waits for time.
//!
//! Everything that runs concurrently is owned: dropping a [`Task`] stops it, which is also how the
//! simulation crashes a role. Time passes through tokio's timer, which the simulation pauses.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running task; dropping it stops the task at its next await point.
#[derive(Debug)]
pub struct Task<T = ()>(JoinHandle<T>);

impl<T> Task<T> {
    /// Waits for the task; `None` if it panicked.
    pub async fn join(mut self) -> Option<T> {
        (&mut self.0).await.ok()
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts `future` on the current runtime.
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    #[expect(clippy::disallowed_methods, reason = "the one place that starts tasks")]
    Task(tokio::spawn(future))
}

/// Waits for `duration` of the runtime's time.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Tells roles to finish what they have and return.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// The other end of [`Shutdown`]. Dropping it means the same as [`ShutdownHandle::begin`].
#[derive(Debug)]
pub struct ShutdownHandle(watch::Sender<bool>);

impl Shutdown {
    /// A signal that was not given yet, and the handle to give it.
    #[must_use]
    pub fn new() -> (ShutdownHandle, Self) {
        let (sender, receiver) = watch::channel(false);
        (ShutdownHandle(sender), Self(receiver))
    }

    /// Waits until the signal is given.
    pub async fn begun(&mut self) {
        let _handle_dropped = self.0.wait_for(|begun| *begun).await;
    }

    /// Whether the signal was given.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl ShutdownHandle {
    /// Gives the signal.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}
