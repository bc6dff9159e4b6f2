//! One connection as those who send see it: how much room it has, and whether it may be used.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use campanile_core::Tick;
use http::HeaderValue;
use tokio::sync::mpsc;

use super::link::Link;

/// What is known of a connection, shared between its driver and those who send on it.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    taken: AtomicUsize,
    limit: AtomicUsize,
    answers: AtomicU64,
    proved: AtomicBool,
    suspect: AtomicBool,
    closing: AtomicBool,
}

impl Gauge {
    /// Requests that may be in flight now.
    ///
    /// A connection carries one until a first answer proved it: with provider tokens Apple decides
    /// with the first push whether a connection is any good, and a thousand pushes should not
    /// share the fate of the first.
    fn room(&self) -> usize {
        if self.closing.load(Ordering::Relaxed) || self.suspect.load(Ordering::Relaxed) {
            return 0;
        }
        let limit = self.limit.load(Ordering::Relaxed);
        if self.proved.load(Ordering::Relaxed) { limit } else { limit.min(1) }
    }

    /// Room that is left now.
    pub(super) fn free(&self) -> usize {
        self.room().saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// Takes room for one request, if there is some.
    pub(super) fn take(&self) -> bool {
        let one_more = |taken| (taken < self.room()).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more).is_ok()
    }

    /// Gives back what [`Gauge::take`] took.
    pub(super) fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::AcqRel);
    }

    /// Learns the limit in force; answers whether it is a new one.
    pub(super) fn set_limit(&self, limit: usize) -> bool {
        self.limit.swap(limit, Ordering::Relaxed) != limit
    }

    /// Counts an answer; with `proof` it shows that the connection is good. Answers whether that
    /// is news.
    pub(super) fn answered(&self, proof: bool) -> bool {
        self.answers.fetch_add(1, Ordering::Relaxed);
        proof && !self.proved.swap(true, Ordering::Relaxed)
    }

    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    pub(super) fn is_proved(&self) -> bool {
        self.proved.load(Ordering::Relaxed)
    }

    /// Whether to doubt that the peer is still there. Nobody new sends while it is doubted.
    pub(super) fn set_suspect(&self, suspect: bool) {
        self.suspect.store(suspect, Ordering::Relaxed);
    }

    /// From now on nobody new sends. Answers whether that is news.
    pub(super) fn close(&self) -> bool {
        !self.closing.swap(true, Ordering::Relaxed)
    }
}

/// The sending side of a connection. When the last owner drops it, the driver closes the
/// connection.
pub(super) struct Connection {
    pub(super) gauge: Arc<Gauge>,
    pub(super) link: Arc<Link>,
    /// Asks the driver to find out whether the peer is still there.
    pub(super) doubts: mpsc::Sender<()>,
    authorization: Mutex<Option<(HeaderValue, Tick)>>,
}

impl Connection {
    pub(super) fn new(gauge: Arc<Gauge>, link: Arc<Link>, doubts: mpsc::Sender<()>) -> Self {
        Self { gauge, link, doubts, authorization: Mutex::default() }
    }

    /// See [`super::Room::authorization`].
    pub(super) fn authorization(
        &self,
        newest: HeaderValue,
        now: impl FnOnce() -> Tick,
        shortest_use: Duration,
    ) -> HeaderValue {
        let mut own = self.authorization.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((own, _)) = own.as_ref().filter(|(own, _)| *own == newest) {
            return own.clone();
        }
        let now = now();
        match &*own {
            Some((own, since)) if now.since(*since) < shortest_use => own.clone(),
            _ => {
                *own = Some((newest.clone(), now));
                newest
            }
        }
    }

    /// A request on it went unanswered: nobody new sends until a PING is answered.
    pub(super) fn doubt(&self) {
        self.gauge.set_suspect(true);
        // If the channel is full, the question is being asked; if closed, it is answered.
        let _ = self.doubts.try_send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(limit: usize) -> Gauge {
        let gauge = Gauge::default();
        gauge.set_limit(limit);
        gauge
    }

    #[test]
    fn one_request_proves_a_connection_before_others_follow() {
        let gauge = gauge(3);
        assert!(gauge.take());
        assert!(!gauge.take());
        assert!(gauge.answered(true));
        assert!(gauge.take());
        assert!(gauge.take());
        assert!(!gauge.take());
    }

    #[test]
    fn an_answer_that_proves_nothing_opens_nothing() {
        let gauge = gauge(3);
        assert!(!gauge.answered(false));
        assert_eq!(gauge.free(), 1);
        assert_eq!(gauge.answers(), 1);
    }

    #[test]
    fn a_lower_limit_counts_from_now_on() {
        let gauge = gauge(2);
        gauge.answered(true);
        assert!(gauge.take() && gauge.take());
        assert!(gauge.set_limit(1));
        gauge.give_back();
        assert!(!gauge.take());
        gauge.give_back();
        assert!(gauge.take());
    }

    #[test]
    fn doubt_stops_new_requests_until_it_is_lifted() {
        let gauge = gauge(2);
        gauge.set_suspect(true);
        assert!(!gauge.take());
        gauge.set_suspect(false);
        assert!(gauge.take());
    }

    #[test]
    fn a_closing_connection_takes_nobody() {
        let gauge = gauge(2);
        assert!(gauge.close());
        assert!(!gauge.close());
        assert!(!gauge.take());
    }
}
