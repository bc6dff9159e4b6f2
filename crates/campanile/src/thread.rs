//! The one place that starts threads.
//!
//! A role that runs in the background has a thread and a current-thread runtime of its own: no
//! task moves between cores, and a busy role delays no other.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use tokio::runtime::Builder;

/// A started thread.
#[derive(Debug)]
pub(crate) struct Running(JoinHandle<()>);

impl Running {
    /// Waits until nothing of it is left.
    pub(crate) fn join(self) {
        // A panic was told as the end already.
        let _told = self.0.join();
    }
}

/// Runs `role` on a thread and runtime of its own, and then tells its end: `None` if it panicked.
///
/// # Errors
/// If the system gives no thread, or no runtime.
pub(crate) fn start<F, Fut>(
    name: &str,
    role: F,
    tell: impl FnOnce(Option<Fut::Output>) + Send + 'static,
) -> io::Result<Running>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future,
{
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Nothing of a role that panicked is looked at again.
        let end = catch_unwind(AssertUnwindSafe(|| runtime.block_on(async { role().await })));
        drop(runtime);
        tell(end.ok());
    })?;
    Ok(Running(thread))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_end_is_told_and_a_panic_too() {
        let (tell, told) = mpsc::channel();
        let other = tell.clone();
        let fine = start("fine", || async { 7 }, move |end| tell.send(end).unwrap());
        fine.unwrap().join();
        assert_eq!(told.recv(), Ok(Some(7)));
        let broken = || async { panic!("on purpose") };
        let broken = start("broken", broken, move |end: Option<i32>| other.send(end).unwrap());
        broken.unwrap().join();
        assert_eq!(told.recv(), Ok(None));
    }
}
