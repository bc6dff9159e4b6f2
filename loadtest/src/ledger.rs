//! The ledger: what was meant to be sent when, and what of it arrived where and how often.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::{CreationError, Histogram};

/// What a notification's title begins with; ten digits follow, its number.
const MARK: &str = "lt-";
const DIGITS: usize = 10;
/// The longest time that is told apart, in microseconds; longer ones count as this.
const LONGEST: u64 = 600_000_000;

/// Everything about one run. Numbers of notifications count from 0, without gaps.
pub(crate) struct Ledger {
    /// Set when the load begins.
    began: OnceLock<Instant>,
    endpoints: usize,
    /// When each was to be sent, in nanoseconds since the beginning, plus one; 0: not sent.
    intended: Vec<AtomicU64>,
    /// How often each reached each endpoint.
    arrived: Vec<AtomicU8>,
    acknowledged: Track,
    pushed: Track,
    doubled: AtomicU64,
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
}

impl Ledger {
    /// A ledger for at most `most` notifications to `endpoints` endpoints each.
    ///
    /// # Errors
    /// [`CreationError`] if latencies cannot be counted.
    pub(crate) fn new(most: usize, endpoints: usize) -> Result<Self, CreationError> {
        Ok(Self {
            began: OnceLock::new(),
            endpoints,
            intended: (0..most).map(|_| AtomicU64::new(0)).collect(),
            arrived: (0..most * endpoints).map(|_| AtomicU8::new(0)).collect(),
            acknowledged: Track::new()?,
            pushed: Track::new()?,
            doubled: AtomicU64::new(0),
        })
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
    pub(crate) fn acknowledge(&self, number: usize, window: Window) {
        if let Some(at) = self.when(number) {
            self.acknowledged.count(at, self.now(), window);
        }
    }

    /// A push with this body reached an endpoint.
    pub(crate) fn arrive(&self, endpoint: usize, body: &[u8], window: Window) {
        let Some((number, at)) = number_in(body).and_then(|it| Some((it, self.when(it)?))) else {
            return;
        };
        let Some(arrived) = self.arrived.get(number * self.endpoints + endpoint) else { return };
        if arrived.fetch_add(1, Ordering::Relaxed) > 0 {
            self.doubled.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.pushed.count(at, self.now(), window);
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
        let doubled = self.doubled.load(Ordering::Relaxed);
        Sums { sent, lost: due.saturating_sub(arrived), doubled }
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

/// The title of a notification.
pub(crate) fn title(number: usize) -> String {
    format!("{MARK}{number:0DIGITS$}")
}

/// The number of the notification that a push shows, wherever in the body the title is.
fn number_in(body: &[u8]) -> Option<usize> {
    let at = body.windows(MARK.len()).position(|window| window == MARK.as_bytes())?;
    let digits = body.get(at + MARK.len()..)?.get(..DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    const ALWAYS: Window = Window { from: Duration::ZERO, to: Duration::from_secs(3600) };

    fn body(number: usize) -> String {
        format!(r#"{{"aps":{{"alert":{{"title":"{}","body":"lt- is no mark"}}}}}}"#, title(number))
    }

    #[test]
    fn what_does_not_arrive_is_lost_and_what_arrives_again_is_doubled() {
        let ledger = Ledger::new(4, 2).unwrap();
        ledger.begin();
        (0..3).for_each(|number| ledger.send(number, ledger.now()));
        for (number, endpoint) in [(0, 0), (0, 1), (1, 0), (1, 0), (2, 1), (3, 0)] {
            ledger.arrive(endpoint, body(number).as_bytes(), ALWAYS);
        }
        let sums = ledger.sums();
        // The fourth was never sent, so it cannot have arrived.
        assert_eq!((sums.sent, sums.lost, sums.doubled), (3, 2, 1));
        assert_eq!((ledger.pushed().all(), ledger.pushed().measured()), (4, 4));
    }

    #[test]
    fn lateness_counts_from_when_it_was_to_be_sent() {
        let ledger = Ledger::new(2, 1).unwrap();
        ledger.begin();
        // It should have gone out at the beginning, and did not for 20 ms.
        ledger.send(0, Duration::ZERO);
        while ledger.now() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        ledger.send(1, ledger.now());
        ledger.acknowledge(0, ALWAYS);
        ledger.acknowledge(1, Window { from: Duration::from_secs(5), ..ALWAYS });
        let late = ledger.acknowledged().late();
        assert_eq!((late.len(), ledger.acknowledged().all()), (1, 2), "the other is not measured");
        assert!(late.max() >= 20_000, "{} us", late.max());
    }

    #[test]
    fn numbers_are_found_wherever_the_title_is() {
        assert_eq!(number_in(body(7).as_bytes()), Some(7));
        assert_eq!(number_in(br#"{"title":"lt-12"}"#), None);
        assert_eq!(number_in(b"nothing"), None);
    }
}
