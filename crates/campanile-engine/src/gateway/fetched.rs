//! What an installation fetched by itself, where a fallback depends on it.

use std::sync::Arc;

use campanile_core::{Endpoint, Event, Item};

use super::Gateway;
use crate::edge::Whom;
use crate::{Error, RequestContext};

impl Gateway {
    /// Records that an installation is given `items`, as far as it matters: whoever fetched an item
    /// is not shown its fallback. Before it is given them, so that none is shown what it has.
    ///
    /// # Errors
    /// [`Error`] if it could not be recorded: then the installation asks again.
    pub(super) async fn fetched(
        &self,
        context: &RequestContext,
        whom: &Whom,
        items: &[Arc<Item>],
    ) -> Result<(), Error> {
        let Some(endpoint) = whom.endpoint else { return Ok(()) };
        let now = self.edge.clock.now();
        let awaited = items.iter().filter(|item| item.awaits_fetch(endpoint, now));
        let fetched = |item: &Arc<Item>| {
            let (id, revision) = (item.id, item.revision);
            (whom.user, Event::ItemFetched { id, revision, endpoint })
        };
        let events: Vec<_> = awaited.map(fetched).collect();
        if events.is_empty() {
            return Ok(());
        }
        let reach = self.reach(whom).await?;
        if !reach.endpoints.get(&endpoint).is_some_and(Endpoint::falls_back) {
            return Ok(());
        }
        self.edge.append_all(context, events).await.into_iter().try_for_each(|it| it.map(drop))
    }
}
