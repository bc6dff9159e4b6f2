//! Devices that follow their user live, and lose their connection all at once.
//!
//! Every stream must show every notification of its user, however often it was cut: it resumes from
//! its cursor.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use campanile_api::{Client, ClientError};
use campanile_proto::v1;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_stream::StreamExt;

use crate::addresses::user;
use crate::arrival::number_in;
use crate::error::LoadError;
use crate::ledger::Ledger;
use crate::scenario::Watch;
use crate::track::{Track, Window};

/// How long all streams may take to be open at first.
const OPEN_WITHIN: Duration = Duration::from_secs(60);
/// How long a stream that was refused or broke waits before it is asked for again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(10);

/// The streams. Dropping it ends them.
pub(crate) struct Watchers {
    watch: Watch,
    followed: Arc<Followed>,
    cut: watch::Sender<u64>,
    _tasks: JoinSet<()>,
}

/// What all streams came to.
pub(crate) struct Followed {
    /// What was shown on a stream the first time, and how late.
    pub(crate) shown: Track,
    /// From a cut to the first message after it.
    pub(crate) resumed: Track,
    /// Streams and connections that broke, or could not be had, and were asked for again.
    broken: AtomicUsize,
    /// Streams that had a message.
    opened: AtomicUsize,
    /// The numbers that each stream showed.
    seen: Vec<Mutex<HashSet<u32>>>,
}

impl Watchers {
    /// Opens the streams, each of a user by turns.
    ///
    /// # Errors
    /// [`LoadError`] if they are not open in time.
    pub(crate) async fn start(
        address: &str,
        watch: Watch,
        ledger: &Arc<Ledger>,
    ) -> Result<Self, LoadError> {
        let always = Window { from: Duration::ZERO, to: Duration::MAX };
        let followed = Arc::new(Followed {
            shown: Track::new(ledger.window())?,
            resumed: Track::new(always)?,
            broken: AtomicUsize::new(0),
            opened: AtomicUsize::new(0),
            seen: (0..watch.streams).map(|_| Mutex::default()).collect(),
        });
        let (cut, _) = watch::channel(0);
        let mut tasks = JoinSet::new();
        for first in (0..watch.streams).step_by(watch.per_connection) {
            let streams = first..(first + watch.per_connection).min(watch.streams);
            let connection = Connection {
                address: address.to_owned(),
                ledger: ledger.clone(),
                followed: followed.clone(),
                cut: cut.subscribe(),
            };
            tasks.spawn(connection.hold(streams));
        }
        let limit = Instant::now() + OPEN_WITHIN;
        while followed.opened.load(Ordering::Relaxed) < watch.streams {
            if Instant::now() > limit {
                return Err(LoadError::NotUp(OPEN_WITHIN));
            }
            sleep(LOOK).await;
        }
        Ok(Self { watch, followed, cut, _tasks: tasks })
    }

    /// Cuts all connections as often as it was asked for, until the window of `ledger` ends.
    pub(crate) async fn storm(&self, ledger: &Ledger) {
        if self.watch.cut_every_seconds == 0 {
            return;
        }
        let every = Duration::from_secs(self.watch.cut_every_seconds);
        let mut next = ledger.window().from + every;
        while next < ledger.window().to {
            sleep(next.saturating_sub(ledger.now())).await;
            self.cut.send_modify(|times| *times += 1);
            next += every;
        }
    }

    /// What they came to.
    pub(crate) fn followed(&self) -> &Followed {
        &self.followed
    }

    /// How many notifications were not shown on a stream of their user.
    pub(crate) fn lost(&self, ledger: &Ledger) -> u64 {
        let plan = ledger.plan();
        let mut due = vec![0_usize; plan.users()];
        for number in 0..ledger.sent() {
            if let Some(due) = due.get_mut(plan.user(number)) {
                *due += 1;
            }
        }
        let streams = self.followed.seen.iter().enumerate();
        let lost = streams.map(|(stream, seen)| {
            let due = due.get(stream % plan.users()).copied().unwrap_or_default();
            due.saturating_sub(seen.lock().unwrap_or_else(PoisonError::into_inner).len())
        });
        u64::try_from(lost.sum::<usize>()).unwrap_or(u64::MAX)
    }
}

impl Followed {
    /// How many streams and connections broke, or could not be had.
    pub(crate) fn broken(&self) -> usize {
        self.broken.load(Ordering::Relaxed)
    }

    /// Takes note of what a stream showed, at `now`.
    fn show(&self, stream: usize, items: &[v1::InboxItem], ledger: &Ledger) {
        let Some(seen) = self.seen.get(stream) else { return };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for item in items {
            let Some(number) = number_of(item, ledger) else { continue };
            let intended = ledger.intended(usize::try_from(number).unwrap_or(usize::MAX));
            if let Some(intended) = intended.filter(|_| seen.insert(number)) {
                self.shown.count(intended, ledger.now());
            }
        }
    }
}

/// The number of a notification. One that has ended has no content any more.
fn number_of(item: &v1::InboxItem, ledger: &Ledger) -> Option<u32> {
    let visual = item.content.as_ref().and_then(|content| content.visual.as_ref());
    visual.and_then(|visual| number_in(visual.title.as_bytes())).or_else(|| {
        let id = u128::from_str_radix(&item.notification_id, 16).ok()?;
        ledger.clearing().number(id)
    })
}

/// A connection with some streams.
#[derive(Clone)]
struct Connection {
    address: String,
    ledger: Arc<Ledger>,
    followed: Arc<Followed>,
    cut: watch::Receiver<u64>,
}

impl Connection {
    /// Holds streams open, for ever: when all are cut, they get a new connection.
    async fn hold(mut self, streams: std::ops::Range<usize>) {
        let mut cursors = vec![String::new(); streams.len()];
        let mut since = None;
        loop {
            self.cut.mark_unchanged();
            let Ok(client) = Client::connect(&self.address).await else {
                self.followed.broken.fetch_add(1, Ordering::Relaxed);
                sleep(AGAIN_AFTER).await;
                continue;
            };
            let mut tasks = JoinSet::new();
            for (stream, cursor) in streams.clone().zip(cursors) {
                tasks.spawn(self.clone().follow(client.clone(), stream, cursor, since));
            }
            drop(client);
            // The streams see the cut, too, and end with their cursors.
            let mut ended = Vec::with_capacity(streams.len());
            while let Some(stream) = tasks.join_next().await {
                ended.extend(stream);
            }
            since = Some(self.ledger.now());
            ended.sort();
            cursors = ended.into_iter().map(|(_, cursor)| cursor).collect();
        }
    }

    /// Follows a user until the cut, and answers the last cursor. A stream that breaks is asked for
    /// again.
    async fn follow(
        self,
        client: Client,
        stream: usize,
        mut cursor: String,
        mut since: Option<Duration>,
    ) -> (usize, String) {
        loop {
            let request = v1::WatchRequest {
                app: self.ledger.plan().app(self.user(stream)).to_owned(),
                target: Some(user(self.user(stream))),
                cursor: cursor.clone(),
            };
            let mut cut = self.cut.clone();
            let ended = tokio::select! {
                _ = cut.changed() => return (stream, cursor),
                ended = self.read(&client, request, stream, &mut cursor, &mut since) => ended,
            };
            let before = self.followed.broken.fetch_add(1, Ordering::Relaxed);
            if let (0, Err(error)) = (before, ended) {
                eprintln!("loadtest: a watch broke: {error}");
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn read(
        &self,
        client: &Client,
        request: v1::WatchRequest,
        stream: usize,
        cursor: &mut String,
        since: &mut Option<Duration>,
    ) -> Result<(), ClientError> {
        let mut messages = client.watch(request).await?;
        while let Some(message) = messages.next().await {
            let message = message?;
            if cursor.is_empty() {
                self.followed.opened.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(since) = since.take() {
                self.followed.resumed.count(since, self.ledger.now());
            }
            self.followed.show(stream, &message.items, &self.ledger);
            *cursor = message.cursor;
        }
        Ok(())
    }

    fn user(&self, stream: usize) -> usize {
        stream % self.ledger.plan().users()
    }
}
