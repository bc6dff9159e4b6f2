//! The ledger: what was meant to be sent when, and what of it arrived where and how often.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::CreationError;
use tokio::sync::mpsc::UnboundedSender;

use crate::arrival::{Arrival, Said};
use crate::clearing::Clearing;
use crate::plan::Plan;
use crate::track::{Track, Window};

/// Everything about one run. Numbers of notifications count from 0, without gaps.
pub(crate) struct Ledger {
    /// Set when the load begins.
    began: OnceLock<Instant>,
    plan: Plan,
    endpoints: usize,
    window: Window,
    /// When each was to be sent, in nanoseconds since the beginning, plus one; 0: not sent.
    intended: Vec<AtomicU64>,
    /// How often each reached each endpoint.
    arrived: Vec<AtomicU8>,
    acknowledged: Track,
    pushed: Track,
    /// Pushes by the plan's kinds of notifications.
    kinds: Vec<Track>,
    doubled: AtomicU64,
    strange: AtomicU64,
    heard: AtomicU64,
    /// Who wants to know what every device shows.
    shown: OnceLock<UnboundedSender<Shown>>,
    clearing: Clearing,
    /// How late a thread wakes that only sleeps.
    host: Track,
}

/// A notification that all devices of its user show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) number: usize,
    /// As the engine calls it.
    pub(crate) id: u128,
}

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    /// Notifications that were sent.
    pub(crate) sent: usize,
    /// Pushes that did not arrive.
    pub(crate) lost: u64,
    /// Pushes that arrived again.
    pub(crate) doubled: u64,
    /// Pushes that nobody sent, or that reached another user's device.
    pub(crate) strange: u64,
    /// Everything that the platforms accepted.
    pub(crate) heard: u64,
}

impl Ledger {
    /// A ledger for at most `most` notifications as `plan` says, to `endpoints` endpoints each.
    ///
    /// # Errors
    /// [`CreationError`] if latencies cannot be counted.
    pub(crate) fn new(
        most: usize,
        plan: Plan,
        endpoints: usize,
        window: Window,
    ) -> Result<Self, CreationError> {
        let kinds = plan.kinds().iter().map(|_| Track::new(window));
        Ok(Self {
            began: OnceLock::new(),
            plan,
            endpoints,
            window,
            intended: (0..most).map(|_| AtomicU64::new(0)).collect(),
            arrived: (0..most * endpoints).map(|_| AtomicU8::new(0)).collect(),
            acknowledged: Track::new(window)?,
            pushed: Track::new(window)?,
            kinds: kinds.collect::<Result<_, _>>()?,
            doubled: AtomicU64::new(0),
            strange: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            shown: OnceLock::new(),
            clearing: Clearing::new(window)?,
            host: Track::new(window)?,
        })
    }

    /// Who is told what.
    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is measured.
    pub(crate) const fn window(&self) -> Window {
        self.window
    }

    /// How many notifications it has room for.
    pub(crate) fn room(&self) -> usize {
        self.intended.len()
    }

    /// From now on it is told to `shown` what every device of a user shows; only the first counts.
    pub(crate) fn tell(&self, shown: UnboundedSender<Shown>) {
        self.shown.get_or_init(|| shown);
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
        if let Some(at) = self.intended(number) {
            self.acknowledged.count(at, self.now());
        }
    }

    /// A platform accepted a push.
    pub(crate) fn arrive(&self, arrival: &Arrival) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        let (user, endpoint) = (arrival.user, arrival.endpoint);
        let at = Duration::from_nanos(arrival.at);
        let known = match arrival.said {
            Said::Show { number, id } => self.show(number, id, arrival),
            Said::Clear { id } => self.clearing.clear(id, user, endpoint, at),
            Said::Other => None,
        };
        if known.is_none() {
            self.strange.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn show(&self, number: u32, id: u128, arrival: &Arrival) -> Option<()> {
        let (number, endpoint) = (usize::try_from(number).ok()?, usize::from(arrival.endpoint));
        let whose = usize::try_from(arrival.user).ok()?;
        let is_theirs = whose == self.plan.user(number) && endpoint < self.endpoints;
        let intended = self.intended(number).filter(|_| is_theirs)?;
        let first = number * self.endpoints;
        let devices = self.arrived.get(first..first + self.endpoints)?;
        // More than 255 would be counted as few, but never as none.
        if devices.get(endpoint)?.fetch_add(1, Ordering::Relaxed) > 0 {
            self.doubled.fetch_add(1, Ordering::Relaxed);
            return Some(());
        }
        let at = Duration::from_nanos(arrival.at);
        self.pushed.count(intended, at);
        if let Some(kind) = self.kinds.get(self.plan.kind(number)) {
            kind.count(intended, at);
        }
        // Arrivals come one after the other, so one of them is the last.
        if let Some(shown) = self.shown.get()
            && devices.iter().all(|device| device.load(Ordering::Relaxed) > 0)
        {
            // At the end of a run nobody listens any more.
            let _unheard = shown.send(Shown { number, id });
        }
        Some(())
    }

    /// When a notification was to be sent; `None` if it was not.
    pub(crate) fn intended(&self, number: usize) -> Option<Duration> {
        let intended = self.intended.get(number)?.load(Ordering::Acquire);
        intended.checked_sub(1).map(Duration::from_nanos)
    }

    /// Acknowledgements.
    pub(crate) const fn acknowledged(&self) -> &Track {
        &self.acknowledged
    }

    /// Pushes that show something, each once.
    pub(crate) const fn pushed(&self) -> &Track {
        &self.pushed
    }

    /// The same by the plan's kinds of notifications.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (&'static str, &Track)> {
        self.plan.kinds().iter().copied().zip(&self.kinds)
    }

    /// How late a thread of this machine wakes that only sleeps.
    pub(crate) const fn host(&self) -> &Track {
        &self.host
    }

    /// Everything that has a latency, by name.
    pub(crate) fn latencies(&self) -> impl Iterator<Item = (&'static str, &Track)> {
        let own = [
            ("publish to acknowledgement", &self.acknowledged),
            ("publish to provider", &self.pushed),
            ("dismiss to last device", self.clearing.last()),
            ("host lateness", &self.host),
        ];
        own.into_iter().chain(self.kinds())
    }

    /// What was dismissed.
    pub(crate) const fn clearing(&self) -> &Clearing {
        &self.clearing
    }

    /// Notifications that were sent.
    pub(crate) fn sent(&self) -> usize {
        // Numbers are sent in order.
        self.intended.partition_point(|it| it.load(Ordering::Acquire) > 0)
    }

    /// Pushes of what was to be sent by `at` that did not arrive yet.
    pub(crate) fn missing(&self, at: Duration) -> usize {
        let due = self
            .intended
            .partition_point(|it| (1..=nanos(at)).contains(&it.load(Ordering::Acquire)));
        let arrived = self.arrived.get(..due * self.endpoints).unwrap_or_default();
        arrived.iter().filter(|it| it.load(Ordering::Relaxed) == 0).count()
    }

    /// What it came to.
    pub(crate) fn sums(&self) -> Sums {
        let sent = self.sent();
        let due = u64::try_from(sent * self.endpoints).unwrap_or(u64::MAX);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let cleared = self.clearing.sums();
        Sums {
            sent,
            lost: due.saturating_sub(self.pushed.all()) + cleared.lost,
            doubled: count(&self.doubled) + cleared.doubled,
            strange: count(&self.strange),
            heard: count(&self.heard),
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests;
