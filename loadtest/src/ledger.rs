//! The ledger: what was meant to be sent when, and what of it arrived where and how often.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::{CreationError, Histogram};

use crate::arrival::{Arrival, Said};

/// The longest time that is told apart, in microseconds; longer ones count as this.
const LONGEST: u64 = 600_000_000;

/// Everything about one run. Numbers of notifications count from 0, without gaps.
pub(crate) struct Ledger {
    /// Set when the load begins.
    began: OnceLock<Instant>,
    users: usize,
    endpoints: usize,
    window: Window,
    /// When each was to be sent, in nanoseconds since the beginning, plus one; 0: not sent.
    intended: Vec<AtomicU64>,
    /// How often each reached each endpoint.
    arrived: Vec<AtomicU8>,
    acknowledged: Track,
    pushed: Track,
    doubled: AtomicU64,
    strange: AtomicU64,
    heard: AtomicU64,
}

/// One kind of event: how many there were, in all and while it was measured, and how late.
pub(crate) struct Track {
    all: AtomicU64,
    measured: AtomicU64,
    /// From the intended time, in microseconds; of notifications that were to be sent while it was
    /// measured.
    late: Mutex<Histogram<u64>>,
}

/// From when to when is measured, since the beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

/// What a run came to.
pub(crate) struct Sums {
    /// Notifications that were sent.
    pub(crate) sent: usize,
    /// Deliveries that did not arrive.
    pub(crate) lost: u64,
    /// Deliveries that arrived again.
    pub(crate) doubled: u64,
    /// Pushes that nobody sent, or that reached another user's device.
    pub(crate) strange: u64,
    /// Everything that the platforms accepted.
    pub(crate) heard: u64,
}

impl Ledger {
    /// A ledger for at most `most` notifications to `endpoints` endpoints each of `users` users, by
    /// turns.
    ///
    /// # Errors
    /// [`CreationError`] if latencies cannot be counted.
    pub(crate) fn new(
        most: usize,
        (users, endpoints): (usize, usize),
        window: Window,
    ) -> Result<Self, CreationError> {
        Ok(Self {
            began: OnceLock::new(),
            users,
            endpoints,
            window,
            intended: (0..most).map(|_| AtomicU64::new(0)).collect(),
            arrived: (0..most * endpoints).map(|_| AtomicU8::new(0)).collect(),
            acknowledged: Track::new()?,
            pushed: Track::new()?,
            doubled: AtomicU64::new(0),
            strange: AtomicU64::new(0),
            heard: AtomicU64::new(0),
        })
    }

    /// What is measured.
    pub(crate) const fn window(&self) -> Window {
        self.window
    }

    /// How many notifications it has room for.
    pub(crate) fn room(&self) -> usize {
        self.intended.len()
    }

    /// The load begins; only the first call counts.
    pub(crate) fn begin(&self) {
        self.began.get_or_init(Instant::now);
    }

    /// The time since the beginning; zero before it.
    pub(crate) fn now(&self) -> Duration {
        self.began.get().map(Instant::elapsed).unwrap_or_default()
    }

    /// A notification is to be sent at `at`.
    pub(crate) fn send(&self, number: usize, at: Duration) {
        if let Some(intended) = self.intended.get(number) {
            intended.store(nanos(at) + 1, Ordering::Release);
        }
    }

    /// A notification is durable.
    pub(crate) fn acknowledge(&self, number: usize) {
        if let Some(at) = self.when(number) {
            self.acknowledged.count(at, self.now(), self.window);
        }
    }

    /// A platform accepted a push.
    pub(crate) fn arrive(&self, arrival: &Arrival) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        if self.show(arrival).is_none() {
            self.strange.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn show(&self, arrival: &Arrival) -> Option<()> {
        let Said::Show { number, .. } = arrival.said else { return None };
        let (number, endpoint) = (usize::try_from(number).ok()?, usize::from(arrival.endpoint));
        let is_theirs = arrival.user as usize == number % self.users && endpoint < self.endpoints;
        let intended = self.when(number).filter(|_| is_theirs)?;
        let arrived = self.arrived.get(number * self.endpoints + endpoint)?;
        // More than 255 would be counted as few, but never as none.
        if arrived.fetch_add(1, Ordering::Relaxed) > 0 {
            self.doubled.fetch_add(1, Ordering::Relaxed);
            return Some(());
        }
        self.pushed.count(intended, Duration::from_nanos(arrival.at), self.window);
        Some(())
    }

    fn when(&self, number: usize) -> Option<Duration> {
        let intended = self.intended.get(number)?.load(Ordering::Acquire);
        intended.checked_sub(1).map(Duration::from_nanos)
    }

    /// Acknowledgements.
    pub(crate) const fn acknowledged(&self) -> &Track {
        &self.acknowledged
    }

    /// Pushes, each once.
    pub(crate) const fn pushed(&self) -> &Track {
        &self.pushed
    }

    /// What it came to.
    pub(crate) fn sums(&self) -> Sums {
        let is_sent = |it: &&AtomicU64| it.load(Ordering::Acquire) > 0;
        let sent = self.intended.iter().filter(is_sent).count();
        let arrived = self.pushed.all();
        let due = u64::try_from(sent * self.endpoints).unwrap_or(u64::MAX);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Sums {
            sent,
            lost: due.saturating_sub(arrived),
            doubled: count(&self.doubled),
            strange: count(&self.strange),
            heard: count(&self.heard),
        }
    }
}

impl Track {
    fn new() -> Result<Self, CreationError> {
        // Three digits tell a millisecond from a thousandth more.
        let late = Mutex::new(Histogram::new_with_bounds(1, LONGEST, 3)?);
        Ok(Self { all: AtomicU64::new(0), measured: AtomicU64::new(0), late })
    }

    fn count(&self, intended: Duration, now: Duration, window: Window) {
        self.all.fetch_add(1, Ordering::Relaxed);
        if window.holds(now) {
            self.measured.fetch_add(1, Ordering::Relaxed);
        }
        if window.holds(intended) {
            let late = u64::try_from(now.saturating_sub(intended).as_micros()).unwrap_or(u64::MAX);
            self.late.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(late.max(1));
        }
    }

    /// How many there were.
    pub(crate) fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    /// How many there were while it was measured.
    pub(crate) fn measured(&self) -> u64 {
        self.measured.load(Ordering::Relaxed)
    }

    /// How late they were, in microseconds.
    pub(crate) fn late(&self) -> Histogram<u64> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Window {
    fn holds(&self, at: Duration) -> bool {
        self.from <= at && at < self.to
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    const ALWAYS: Window = Window { from: Duration::ZERO, to: Duration::from_secs(3600) };

    fn show(ledger: &Ledger, number: u32, user: u32, endpoint: u8) {
        let at = u64::try_from(ledger.now().as_nanos()).unwrap();
        ledger.arrive(&Arrival { at, user, endpoint, said: Said::Show { number, id: 0 } });
    }

    #[test]
    fn what_does_not_arrive_is_lost_and_what_arrives_again_is_doubled() {
        let ledger = Ledger::new(4, (10, 2), ALWAYS).unwrap();
        ledger.begin();
        (0..3).for_each(|number| ledger.send(number, ledger.now()));
        for (number, endpoint) in [(0, 0), (0, 1), (1, 0), (1, 0), (2, 1)] {
            show(&ledger, number, number, endpoint);
        }
        let sums = ledger.sums();
        assert_eq!((sums.sent, sums.lost, sums.doubled, sums.strange), (3, 2, 1, 0));
        assert_eq!((ledger.pushed().all(), ledger.pushed().measured()), (4, 4));
    }

    #[test]
    fn what_nobody_sent_or_what_others_get_is_strange_and_fills_no_gap() {
        let ledger = Ledger::new(4, (2, 2), ALWAYS).unwrap();
        ledger.begin();
        ledger.send(0, ledger.now());
        // Another user's device; a device that the user does not have; one that was never sent.
        for (number, user, endpoint) in [(0, 1, 0), (0, 0, 2), (3, 1, 0)] {
            show(&ledger, number, user, endpoint);
        }
        ledger.arrive(&Arrival { at: 0, user: 0, endpoint: 0, said: Said::Other });
        let sums = ledger.sums();
        assert_eq!((sums.lost, sums.strange, sums.heard), (2, 4, 4));
    }

    #[test]
    fn lateness_counts_from_when_it_was_to_be_sent() {
        let measured = Window { from: Duration::ZERO, to: Duration::from_secs(1800) };
        let ledger = Ledger::new(2, (1, 1), measured).unwrap();
        ledger.begin();
        // It should have gone out at the beginning, and did not for 20 ms.
        ledger.send(0, Duration::ZERO);
        while ledger.now() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        ledger.send(1, measured.to);
        (0..2).for_each(|number| ledger.acknowledge(number));
        let late = ledger.acknowledged().late();
        assert_eq!((late.len(), ledger.acknowledged().all()), (1, 2), "the other is not measured");
        assert!(late.max() >= 20_000, "{} us", late.max());
    }
}
