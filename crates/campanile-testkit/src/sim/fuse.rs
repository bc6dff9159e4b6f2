//! Crashes between two steps: a fuse counts the calls of a role's adapters and, when it has
//! burned down, holds the call for ever and has the role dropped.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use super::held;

/// What stands between a role and its crash.
#[derive(Debug, Default)]
pub(crate) struct Fuse {
    /// Steps left; 0: not lit.
    left: AtomicU32,
    is_burned: AtomicBool,
    burned: Notify,
}

impl Fuse {
    /// Crashes the role after `steps` more steps.
    pub(crate) fn light(&self, steps: u32) {
        self.left.store(steps, Ordering::Relaxed);
    }

    /// A step of one of the role's adapters; does not return if it is the last.
    pub(crate) async fn step(&self) {
        let left = self.left.load(Ordering::Relaxed);
        if left > 0 {
            self.left.store(left - 1, Ordering::Relaxed);
            if left == 1 {
                self.is_burned.store(true, Ordering::Relaxed);
                self.burned.notify_one();
            }
        }
        if self.is_burned.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }

    /// Waits until the fuse has burned down.
    pub(crate) async fn burned(&self) {
        while !self.is_burned.load(Ordering::Relaxed) {
            self.burned.notified().await;
        }
    }
}

/// Keeps a role from being scheduled, as SIGSTOP does.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_shut: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Gate {
    pub(crate) fn shut(&self) {
        self.is_shut.store(true, Ordering::Relaxed);
    }

    pub(crate) fn open(&self) {
        self.is_shut.store(false, Ordering::Relaxed);
        if let Some(waker) = held(&self.waker).take() {
            waker.wake();
        }
    }

    /// Runs `role` while the gate is open.
    pub(crate) async fn guard<F: Future>(&self, role: F) -> F::Output {
        let mut role: Pin<Box<F>> = Box::pin(role);
        poll_fn(|context: &mut Context<'_>| {
            if self.is_shut.load(Ordering::Relaxed) {
                *held(&self.waker) = Some(context.waker().clone());
                return Poll::Pending;
            }
            role.as_mut().poll(context)
        })
        .await
    }
}
