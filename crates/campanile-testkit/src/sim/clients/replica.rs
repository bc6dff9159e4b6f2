//! Apps that keep a copy of a user's items: by asking for changes, or by watching them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use campanile_core::{Item, NotificationId};
use campanile_engine::edge::Target;
use campanile_engine::tasks::sleep;
use campanile_engine::{Error, RequestContext};

use super::{Clients, Front};
use crate::sim::held;

/// An app's copy, and how far it goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    pub(crate) cursor: Option<String>,
    pub(crate) items: BTreeMap<NotificationId, Arc<Item>>,
}

impl Replica {
    fn take(&mut self, items: Vec<Arc<Item>>, cursor: String) {
        if self.cursor.is_none() {
            self.items.clear();
        }
        self.items.extend(items.into_iter().map(|item| (item.id, item)));
        self.cursor = Some(cursor);
    }
}

impl Clients {
    pub(super) async fn sync_somebody(&self) {
        let user = self.any_user();
        let (target, _) = self.target(user);
        if let Err(error) = self.sync_as(user, target).await {
            self.surprised("sync", &error);
        }
    }

    /// Brings a user's copy up to date with the projection.
    ///
    /// # Errors
    /// As the gateway's.
    pub(crate) async fn sync(&self, user: usize) -> Result<(), Error> {
        self.sync_as(user, Target::User(Self::id_of(user))).await
    }

    /// The same for one of the user's installations, or for the app's server.
    async fn sync_as(&self, user: usize, target: Target) -> Result<(), Error> {
        let Some(front) = self.front() else { return Ok(()) };
        let Some(mut replica) = ({
            let mut book = held(&self.book);
            book.synced.entry(user).or_default();
            book.synced.remove(&user)
        }) else {
            return Ok(());
        };
        let (context, _) = self.context();
        let result = self.catch_up(&front, &context, &target, &mut replica).await;
        held(&self.book).synced.insert(user, replica);
        result
    }

    async fn catch_up(
        &self,
        front: &Front,
        context: &RequestContext,
        target: &Target,
        replica: &mut Replica,
    ) -> Result<(), Error> {
        let limit = 1 + self.random.index(5);
        loop {
            let cursor = replica.cursor.clone();
            let page = front.gateway.sync(context, target, cursor.as_deref(), limit).await?;
            self.stage().reach("sync");
            replica.take(page.items, page.cursor);
            if !page.more {
                return Ok(());
            }
            self.stage().reach("sync in pages");
        }
    }

    /// Watches a user's items for ever, resuming with the last cursor.
    pub(crate) async fn watch(self: Arc<Self>, user: usize) {
        loop {
            if let Err(error) = self.watch_once(user).await {
                self.surprised("watch", &error);
                self.stage().reach("watch resumed");
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    async fn watch_once(&self, user: usize) -> Result<(), Error> {
        let Some(front) = self.front() else { return Ok(()) };
        let (context, _) = self.context();
        let mut replica = held(&self.book).watched.get(&user).cloned().unwrap_or_default();
        let (target, _) = self.target(user);
        if replica.cursor.is_none() {
            self.catch_up(&front, &context, &target, &mut replica).await?;
            held(&self.book).watched.insert(user, replica.clone());
        }
        let mut watch = front.gateway.watch(context, &target, replica.cursor.as_deref()).await?;
        loop {
            let (items, cursor) = watch.next().await?;
            self.stage().reach("watch told of changes");
            self.stage().note(format_args!("watcher of user {user} is told of {}", items.len()));
            replica.take(items, cursor);
            held(&self.book).watched.insert(user, replica.clone());
        }
    }

    /// The copies there are, by user: those by asking, and those by watching.
    pub(crate) fn replicas(&self) -> Vec<(&'static str, usize, Replica)> {
        let book = held(&self.book);
        let synced = book.synced.iter().map(|(user, it)| ("sync", *user, it.clone()));
        let watched = book.watched.iter().map(|(user, it)| ("watch", *user, it.clone()));
        synced.chain(watched).collect()
    }
}
