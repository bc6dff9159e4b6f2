//! The inbox: what a user has been told, and what the user did with it.

use std::sync::Arc;

use campanile_core::port::{ItemOrder, ItemQuery};
use campanile_core::{Event, Item, NotificationId, Offset, Position, StateChange, UserAction};

use super::Gateway;
use crate::edge::{Target, Whom};
use crate::seal::{Cursor, CursorKind};
use crate::{Error, RequestContext};

/// Items looked at for one page at most, however few pass the filter.
const SCAN: usize = 2000;

/// Which items a list is to hold; absent means any.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Read, or unread.
    pub read: Option<bool>,
    /// One of these actions; empty means any.
    pub actions: Vec<UserAction>,
    /// With this label.
    pub group: Option<String>,
    /// Ended ones too.
    pub include_ended: bool,
}

/// A page of a list, latest change first.
#[derive(Clone, Debug)]
pub struct Page {
    /// The items.
    pub items: Vec<Arc<Item>>,
    /// Where the next page starts; absent on the last.
    pub next: Option<String>,
}

/// Changes since a cursor, earliest first, ended items among them.
#[derive(Clone, Debug)]
pub struct SyncPage {
    /// The items as they stand now.
    pub items: Vec<Arc<Item>>,
    /// Where to go on.
    pub cursor: String,
    /// Whether there are more now.
    pub more: bool,
}

/// A change of one item's state.
#[derive(Clone, Debug)]
pub struct StateUpdate {
    /// The item.
    pub id: NotificationId,
    /// The revision the user saw; absent means whatever is current.
    pub revision: Option<u32>,
    /// Whether it is read.
    pub read: Option<bool>,
    /// What the user did.
    pub action: Option<UserAction>,
}

impl Gateway {
    /// Lists a user's items.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the page token does not open.
    pub async fn list(
        &self,
        context: &RequestContext,
        target: &Target,
        filter: &Filter,
        page_size: usize,
        page_token: Option<&str>,
    ) -> Result<Page, Error> {
        let whom = self.edge.whom(&context.app, target)?;
        let after = match page_token {
            Some(token) => {
                let field = "page_token";
                Some(self.open_cursor(context, &whom, CursorKind::Page, token, field)?.next)
            }
            None => None,
        };
        let page = self.page(context, &whom, filter, page_size, after).await?;
        self.fetched(context, &whom, &page.items).await?;
        Ok(page)
    }

    async fn page(
        &self,
        context: &RequestContext,
        whom: &Whom,
        filter: &Filter,
        page_size: usize,
        mut after: Option<Offset>,
    ) -> Result<Page, Error> {
        let (now, mut items, mut scanned) = (self.edge.clock.now(), Vec::new(), 0);
        loop {
            let limit = (page_size - items.len()).max(50);
            let query = ItemQuery { order: ItemOrder::NewestFirst, after, limit };
            let found = self.edge.projection.items(whom.partition, whom.user, query).await?;
            scanned += found.items.len();
            for item in found.items {
                after = Some(item.changed_at());
                if filter.passes(&item, item.is_listed(now)) {
                    items.push(item);
                }
                if items.len() == page_size {
                    let next = self.cursor(context, whom, CursorKind::Page, after)?;
                    return Ok(Page { items, next: Some(next) });
                }
            }
            if !found.more {
                return Ok(Page { items, next: None });
            }
            if scanned >= SCAN {
                let next = self.cursor(context, whom, CursorKind::Page, after)?;
                return Ok(Page { items, next: Some(next) });
            }
        }
    }

    /// What changed since `cursor`, or everything there is if there is none.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the cursor is of an older log or from before what is kept: sync
    /// again without one.
    pub async fn sync(
        &self,
        context: &RequestContext,
        target: &Target,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<SyncPage, Error> {
        let whom = self.edge.whom(&context.app, target)?;
        let since = match cursor {
            Some(cursor) => Some(self.open_sync(context, &whom, cursor).await?),
            None => None,
        };
        let (items, next, more) = self.changes(&whom, since, limit).await?;
        self.fetched(context, &whom, &items).await?;
        let cursor = self.cursor(context, &whom, CursorKind::Sync, Some(next))?;
        Ok(SyncPage { items, cursor, more })
    }

    /// Records state changes; an `Ok` means durable. The acting device, if the target is its
    /// UNSID, is not told.
    ///
    /// # Errors
    /// [`Error`] for the request as a whole; each update answers for itself.
    pub async fn update_state(
        &self,
        context: &RequestContext,
        target: &Target,
        updates: Vec<StateUpdate>,
    ) -> Result<Vec<Result<Position, Error>>, Error> {
        let whom = self.edge.whom(&context.app, target)?;
        let changes = updates.into_iter().map(|update| {
            let StateUpdate { id, revision, read, action } = update;
            let origin = whom.endpoint;
            (id, Event::StateChanged(StateChange { id, revision, read, action, origin }))
        });
        Ok(self.append_all(context, &whom, changes.collect()).await)
    }

    /// Dismisses everything that was posted before `cursor`; an `Ok` means durable. To carry it out
    /// is the scheduler's business. The acting device, if the target is its UNSID, is not told.
    ///
    /// # Errors
    /// As [`Gateway::sync`].
    pub async fn dismiss_all(
        &self,
        context: &RequestContext,
        target: &Target,
        cursor: &str,
    ) -> Result<Position, Error> {
        let whom = self.edge.whom(&context.app, target)?;
        let up_to = self.open_sync(context, &whom, cursor).await?;
        let event = Event::AllDismissed { up_to, origin: whom.endpoint };
        self.edge.append(context, whom.user, event).await
    }

    /// Deletes items; an `Ok` means durable.
    ///
    /// # Errors
    /// [`Error`] for the request as a whole; each deletion answers for itself.
    pub async fn delete(
        &self,
        context: &RequestContext,
        target: &Target,
        ids: Vec<NotificationId>,
    ) -> Result<Vec<Result<Position, Error>>, Error> {
        let whom = self.edge.whom(&context.app, target)?;
        let origin = whom.endpoint;
        let deletions = ids.into_iter();
        let deletions = deletions.map(|id| (id, Event::NotificationDeleted { id, origin }));
        Ok(self.append_all(context, &whom, deletions.collect()).await)
    }

    async fn append_all(
        &self,
        context: &RequestContext,
        whom: &Whom,
        events: Vec<(NotificationId, Event)>,
    ) -> Vec<Result<Position, Error>> {
        let checks: Vec<_> = events.iter().map(|(id, _)| self.edge.belongs(whom, *id)).collect();
        let sound = events.into_iter().zip(&checks).filter(|(_, check)| check.is_ok());
        let sound = sound.map(|((_, event), _)| (whom.user, event)).collect();
        let mut appended = self.edge.append_all(context, sound).await.into_iter();
        let answers = checks.into_iter().map(|check| {
            check?;
            let missing = || Err(Error::Bug { reason: "log gave no answer".to_owned() });
            appended.next().unwrap_or_else(missing)
        });
        answers.collect()
    }

    /// Items that changed from `since` on, where to go on, and whether there are more now.
    pub(super) async fn changes(
        &self,
        whom: &Whom,
        since: Option<Offset>,
        limit: usize,
    ) -> Result<(Vec<Arc<Item>>, Offset, bool), Error> {
        let after = since.and_then(|since| since.0.checked_sub(1)).map(Offset);
        let query = ItemQuery { order: ItemOrder::OldestFirst, after, limit };
        let found = self.edge.projection.items(whom.partition, whom.user, query).await?;
        let last = found.items.last().map(|item| item.changed_at().next());
        let next = if found.more { last } else { None };
        let next = next.unwrap_or(found.checkpoint).max(since.unwrap_or_default());
        let now = self.edge.clock.now();
        let mut items = found.items;
        if since.is_none() {
            items.retain(|item| item.is_listed(now));
        }
        Ok((items, next, found.more))
    }

    /// Opens a sync cursor and checks that the log still reaches back to it.
    pub(super) async fn open_sync(
        &self,
        context: &RequestContext,
        whom: &Whom,
        cursor: &str,
    ) -> Result<Offset, Error> {
        let cursor = self.open_cursor(context, whom, CursorKind::Sync, cursor, "cursor")?;
        let kept = self.edge.events.bounds(whom.partition).await?;
        if cursor.next < kept.start || cursor.next > kept.end {
            let reason = "is from before what is kept; sync without one".to_owned();
            return Err(Error::OutOfRange { field: "cursor", reason });
        }
        Ok(cursor.next)
    }

    fn open_cursor(
        &self,
        context: &RequestContext,
        whom: &Whom,
        kind: CursorKind,
        sealed: &str,
        field: &'static str,
    ) -> Result<Cursor, Error> {
        let opened = self.edge.seal.open_cursor(&context.app, kind, sealed);
        let cursor = opened.map_err(|error| Error::invalid(field, error))?;
        if cursor.user != whom.user {
            return Err(Error::invalid(field, "is another user's"));
        }
        if cursor.generation != self.edge.events.identity().generation {
            let reason = "is of an older log; start again without one".to_owned();
            return Err(Error::OutOfRange { field, reason });
        }
        Ok(cursor)
    }

    pub(super) fn cursor(
        &self,
        context: &RequestContext,
        whom: &Whom,
        kind: CursorKind,
        next: Option<Offset>,
    ) -> Result<String, Error> {
        let cursor = Cursor {
            user: whom.user,
            generation: self.edge.events.identity().generation,
            partition: whom.partition,
            next: next.unwrap_or_default(),
        };
        let sealed = self.edge.seal.cursor(&context.app, kind, &cursor);
        sealed.map_err(|error| Error::Bug { reason: error.to_string() })
    }
}

impl Filter {
    fn passes(&self, item: &Item, is_listed: bool) -> bool {
        (is_listed || (self.include_ended && item.revision > 0))
            && self.read.is_none_or(|read| read == item.read)
            && (self.actions.is_empty() || self.actions.contains(&item.action))
            && self.group.as_deref().is_none_or(|group| item.group.as_deref() == Some(group))
    }
}
