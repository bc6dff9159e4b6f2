//! Live changes: a stream per device, woken only when its user's state changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use campanile_core::port::{ChangeFeed, FeedEvent, Projection, ProjectionError};
use campanile_core::{Item, Offset, Partition, UserRef};
use tokio::sync::watch;

use super::Gateway;
use crate::edge::{Target, Whom};
use crate::seal::CursorKind;
use crate::tasks::{self, Task, sleep};
use crate::{Error, RequestContext};

/// Items in one message at most.
const BATCH: usize = 100;
/// Streams of one user at once: more than a user has devices and open pages.
const STREAMS_PER_USER: usize = 100;
/// The wait before a broken feed is subscribed to again.
const RETRY: Duration = Duration::from_millis(200);

/// A stream of changes of one user's items.
#[derive(Debug)]
pub struct Watch {
    gateway: Arc<Gateway>,
    context: RequestContext,
    whom: Whom,
    next: Offset,
    wake: Subscription,
    is_first: bool,
}

impl Gateway {
    /// Follows a user's items from `cursor` on, or from now on if there is none.
    ///
    /// # Errors
    /// As [`Gateway::sync`]; [`Error::Exhausted`] if the user has too many streams.
    pub async fn watch(
        self: &Arc<Self>,
        context: RequestContext,
        target: &Target,
        cursor: Option<&str>,
    ) -> Result<Watch, Error> {
        let whom = self.edge.whom(&context.app, target)?;
        // Subscribed before the first read, so that nothing falls between.
        let wake = Hub::subscribe(&self.hub, whom.partition, whom.user).await?;
        if wake.others >= STREAMS_PER_USER {
            self.edge.telemetry.watch_refused.add(1);
            let reason = format!("the user has {STREAMS_PER_USER} streams");
            return Err(Error::Exhausted { reason, retry_after: None });
        }
        let next = match cursor {
            Some(cursor) => self.open_sync(&context, &whom, cursor).await?,
            None => self.edge.projection.view(whom.partition, &[]).await?.checkpoint,
        };
        Ok(Watch { gateway: self.clone(), context, whom, next, wake, is_first: true })
    }
}

impl Watch {
    /// Waits for changes: the items as they stand now, earliest change first, and a cursor to
    /// resume with. The first answer comes at once, perhaps empty.
    ///
    /// # Errors
    /// [`Error`]; the stream can be resumed with the last cursor.
    pub async fn next(&mut self) -> Result<(Vec<Arc<Item>>, String), Error> {
        loop {
            self.wake.seen();
            let since = Some(self.next);
            let (items, next, _) = self.gateway.changes(&self.whom, since, BATCH).await?;
            // That something is written to a stream does not say that anybody reads it: an app that
            // is suspended keeps its stream for a while. So a watch is no fetch.
            self.next = next;
            if !items.is_empty() || std::mem::take(&mut self.is_first) {
                let gateway = &self.gateway;
                let kind = CursorKind::Sync;
                let cursor = gateway.cursor(&self.context, &self.whom, kind, Some(next))?;
                return Ok((items, cursor));
            }
            self.wake.woken().await?;
        }
    }
}

/// Wakes watchers: one feed per partition somebody watches, whatever the number of watchers.
pub(super) struct Hub {
    projection: Arc<dyn Projection>,
    partitions: Mutex<BTreeMap<Partition, Pump>>,
}

/// The watchers of one partition, and the task that reads its feed.
struct Pump {
    users: BTreeMap<UserRef, (watch::Sender<u64>, usize)>,
    _task: Task,
}

/// One watcher's place in the hub; dropping it gives the place back.
#[derive(Debug)]
struct Subscription {
    hub: Arc<Hub>,
    partition: Partition,
    user: UserRef,
    /// How many of the user were there before.
    others: usize,
    wakes: watch::Receiver<u64>,
}

impl Hub {
    pub(super) fn new(projection: Arc<dyn Projection>) -> Self {
        Self { projection, partitions: Mutex::default() }
    }

    fn partitions(&self) -> MutexGuard<'_, BTreeMap<Partition, Pump>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn subscribe(
        hub: &Arc<Self>,
        partition: Partition,
        user: UserRef,
    ) -> Result<Subscription, ProjectionError> {
        if let Some(place) = hub.place(partition, user) {
            return Ok(place);
        }
        let feed = hub.projection.feed(partition).await?;
        let pump = || Pump {
            users: BTreeMap::new(),
            _task: tasks::spawn(pump(Arc::downgrade(hub), partition, feed)),
        };
        hub.partitions().entry(partition).or_insert_with(pump);
        // Nobody can have emptied it in between but a watcher that came and went.
        let reason = "the feed ended; watch again".to_owned();
        hub.place(partition, user).ok_or(ProjectionError::Unavailable { reason })
    }

    fn place(self: &Arc<Self>, partition: Partition, user: UserRef) -> Option<Subscription> {
        let mut partitions = self.partitions();
        let pump = partitions.get_mut(&partition)?;
        let (sender, watchers) = pump.users.entry(user).or_insert_with(|| (watch::channel(0).0, 0));
        let (others, wakes) = (*watchers, sender.subscribe());
        *watchers += 1;
        Some(Subscription { hub: self.clone(), partition, user, others, wakes })
    }

    /// Wakes the watchers of these users, or all of the partition.
    fn wake(&self, partition: Partition, users: Option<&[UserRef]>) {
        let partitions = self.partitions();
        let Some(pump) = partitions.get(&partition) else { return };
        let wake = |(sender, _): &(watch::Sender<u64>, usize)| {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        };
        match users {
            Some(users) => users.iter().filter_map(|user| pump.users.get(user)).for_each(wake),
            None => pump.users.values().for_each(wake),
        }
    }
}

/// Reads a partition's feed until nobody watches it any more.
async fn pump(hub: std::sync::Weak<Hub>, partition: Partition, mut feed: Box<dyn ChangeFeed>) {
    loop {
        let event = feed.next().await;
        let Some(hub) = hub.upgrade() else { return };
        match event {
            Ok(FeedEvent::Changed { users, .. }) => hub.wake(partition, Some(&users)),
            Ok(FeedEvent::Lagged) => hub.wake(partition, None),
            Err(error) => {
                tracing::warn!(%partition, %error, "feed broke");
                sleep(RETRY).await;
                if let Ok(again) = hub.projection.feed(partition).await {
                    feed = again;
                }
                hub.wake(partition, None);
            }
        }
    }
}

impl Subscription {
    /// What was told so far is taken note of.
    fn seen(&mut self) {
        self.wakes.mark_unchanged();
    }

    async fn woken(&mut self) -> Result<(), Error> {
        let ended = |_| Error::Unavailable { reason: "the feed ended".to_owned() };
        self.wakes.changed().await.map_err(ended)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut partitions = self.hub.partitions();
        let Some(pump) = partitions.get_mut(&self.partition) else { return };
        if let Some((_, watchers)) = pump.users.get_mut(&self.user) {
            *watchers -= 1;
            if *watchers == 0 {
                pump.users.remove(&self.user);
            }
        }
        if pump.users.is_empty() {
            partitions.remove(&self.partition);
        }
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("partitions", &self.partitions().len()).finish()
    }
}
