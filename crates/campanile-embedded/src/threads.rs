//! The threads that wait for the disk in place of tasks.
//!
//! A few, and the same ones all the time: threads that come and go leave the memory they worked
//! with behind, each its share.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::{Semaphore, oneshot};

/// How many calls wait for a thread; more wait outside.
const WAITING: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// A few threads. They end when it is dropped, after what they are at.
pub(crate) struct Threads {
    queue: Arc<Queue>,
    /// As many as may be in the queue. Each goes with its job.
    room: Arc<Semaphore>,
}

/// What is to be done. A job wakes one thread, and no other.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

impl Threads {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn start(name: &str, count: usize) -> io::Result<Self> {
        let threads = Self { queue: Arc::default(), room: Arc::new(Semaphore::new(WAITING)) };
        for _ in 0..count {
            let queue = threads.queue.clone();
            thread::Builder::new().name(name.to_owned()).spawn(move || queue.work())?;
        }
        Ok(threads)
    }

    /// Runs `work` on one of the threads; `None` if it panicked.
    ///
    /// A caller that is dropped meanwhile leaves the work to end by itself.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let place = self.room.clone().acquire_owned().await.ok()?;
        let (tell, told) = oneshot::channel();
        let job = Box::new(move || {
            drop(place);
            let done = work();
            // Nobody may wait for it any more.
            let _unheard = tell.send(done);
        });
        self.queue.lock().jobs.push_back(job);
        self.queue.filled.notify_one();
        told.await.ok()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.filled.notify_all();
    }
}

impl Queue {
    fn work(&self) {
        while let Some(job) = self.take() {
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a call of the store panicked");
            }
        }
    }

    /// Waits for a job; `None` once there is none and none will come.
    fn take(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            let job = state.jobs.pop_front();
            if job.is_some() || state.is_closed {
                return job;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

    use super::*;

    #[tokio::test]
    async fn more_calls_than_threads_and_places_all_get_their_turn() {
        let threads = Threads::start("test", 2).unwrap();
        let calls = (0..3 * WAITING).map(|number| threads.run(move || number));
        let done = futures::future::join_all(calls).await;
        assert!(done.into_iter().eq((0..3 * WAITING).map(Some)));
    }

    #[tokio::test]
    async fn a_panic_is_told_and_takes_no_thread_along() {
        let threads = Threads::start("test", 1).unwrap();
        assert_eq!(threads.run(|| -> u32 { panic!("on purpose") }).await, None);
        assert_eq!(threads.run(|| 7).await, Some(7));
    }
}
