//! The bounded queue between appends and the writer thread.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use campanile_core::port::AppendError;
use campanile_core::{Position, UserRef};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// A record on its way to the disk.
pub(crate) struct Waiting {
    pub(crate) lane: usize,
    pub(crate) user: UserRef,
    pub(crate) body: Bytes,
}

/// Answers the records of one job, in order.
pub(crate) type Answer = oneshot::Sender<Result<Vec<Position>, AppendError>>;

/// Records that are written in one commit, or not at all.
pub(crate) struct Job {
    pub(crate) records: Vec<Waiting>,
    pub(crate) bytes: usize,
    pub(crate) answer: Answer,
    /// Room in the queue, given back when the job is done.
    room: OwnedSemaphorePermit,
}

impl Job {
    /// Answers, and gives the room back.
    pub(crate) fn finish(self, answer: Result<Vec<Position>, AppendError>) {
        // Nobody listens if the caller gave up waiting.
        drop(self.answer.send(answer));
        drop(self.room);
    }
}

/// What the writer is to do next.
pub(crate) enum Work {
    /// Write these jobs in one commit.
    Commit(Vec<Job>),
    /// Begin a new segment, so that the present one can be dropped.
    Roll(oneshot::Sender<()>),
}

pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    room: Arc<Semaphore>,
    /// The least a record costs, so that the bound in bytes is one in records too.
    least: usize,
    wait: Duration,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    rolls: Vec<oneshot::Sender<()>>,
    /// Why nothing more is taken.
    closed: Option<String>,
}

impl Queue {
    /// A queue of at most `bytes` of bodies and `records`, in which an append waits for room for
    /// at most `wait`.
    pub(crate) fn new(bytes: usize, records: usize, wait: Duration) -> Self {
        Self {
            state: Mutex::default(),
            filled: Condvar::new(),
            room: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))),
            least: bytes.div_ceil(records.max(1)),
            wait,
        }
    }

    /// What a body of `length` bytes costs.
    pub(crate) fn cost(&self, length: usize) -> usize {
        length.max(self.least)
    }

    /// Puts records in, as soon as there is room.
    pub(crate) async fn push(
        &self,
        records: Vec<Waiting>,
    ) -> Result<oneshot::Receiver<Result<Vec<Position>, AppendError>>, AppendError> {
        let refused = |reason| AppendError::Refused { reason, retry: true };
        let cost: usize = records.iter().map(|record| self.cost(record.body.len())).sum();
        let permits = u32::try_from(cost).unwrap_or(u32::MAX);
        let room = tokio::time::timeout(self.wait, self.room.clone().acquire_many_owned(permits));
        let room = match room.await {
            Ok(Ok(room)) => room,
            Ok(Err(_)) => return Err(refused(self.closed())),
            Err(_) => {
                let (wait, reason) = (self.wait, "the queue was full for");
                return Err(refused(format!("{reason} {wait:?}: the disk is too slow")));
            }
        };
        let bytes = records.iter().map(|record| record.body.len()).sum();
        let (answer, answered) = oneshot::channel();
        let mut state = self.lock();
        if let Some(reason) = &state.closed {
            return Err(refused(reason.clone()));
        }
        state.jobs.push_back(Job { records, bytes, answer, room });
        self.filled.notify_one();
        Ok(answered)
    }

    /// Asks for a new segment. The answer comes when it has begun, or not at all.
    pub(crate) fn roll(&self) -> oneshot::Receiver<()> {
        let (done, answer) = oneshot::channel();
        let mut state = self.lock();
        if state.closed.is_none() {
            state.rolls.push(done);
            self.filled.notify_one();
        }
        answer
    }

    /// Waits for something to do: jobs of at most `bytes` together, or a single one. `None` once
    /// the queue is closed and empty.
    pub(crate) fn take(&self, bytes: usize) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if let Some(done) = state.rolls.pop() {
                return Some(Work::Roll(done));
            }
            if !state.jobs.is_empty() {
                return Some(Work::Commit(state.next(bytes)));
            }
            if state.closed.is_some() {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Takes nothing more. What is in the queue stays there, to be taken by the writer.
    pub(crate) fn close(&self, reason: &str) {
        self.lock().closed.get_or_insert_with(|| reason.to_owned());
        self.room.close();
        self.filled.notify_one();
    }

    /// Refuses everything in the queue, and whatever comes.
    pub(crate) fn refuse_all(&self, reason: &str) {
        self.close(reason);
        let jobs = {
            let mut state = self.lock();
            state.rolls.clear();
            std::mem::take(&mut state.jobs)
        };
        for job in jobs {
            job.finish(Err(AppendError::Refused { reason: reason.to_owned(), retry: true }));
        }
    }

    fn closed(&self) -> String {
        self.lock().closed.clone().unwrap_or_else(|| "the log is closed".into())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn next(&mut self, most: usize) -> Vec<Job> {
        let mut jobs = Vec::new();
        let mut bytes = 0_usize;
        while let Some(job) = self.jobs.front() {
            bytes = bytes.saturating_add(job.bytes);
            if bytes > most && !jobs.is_empty() {
                break;
            }
            jobs.extend(self.jobs.pop_front());
        }
        jobs
    }
}
