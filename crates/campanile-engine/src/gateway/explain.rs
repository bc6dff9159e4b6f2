//! Explanations: what the log says about the way of an item to each endpoint.

use std::collections::BTreeMap;

use campanile_core::port::PieceKey;
use campanile_core::{
    Account, EndpointId, Explanation, NotificationId, Offset, Recorded, Route, State, touches,
};

use super::Gateway;
use super::history::{TimelineEntry, fold};
use crate::edge::{Target, Whom};
use crate::pieces::Pieces;
use crate::planted::Planted;
use crate::{Error, RequestContext};

/// Events of one item that are explained at most; each may concern every endpoint.
const MOST_EVENTS: usize = 2000;
/// Steps of an answer at most, so that it fits in a message.
const MOST_STEPS: usize = 20_000;

/// What is known about an item's way.
#[derive(Clone, Debug)]
pub struct Explained {
    /// What the log says.
    pub explanation: Explanation,
    /// The routes to the user's endpoints, as they are registered now.
    pub routes: BTreeMap<EndpointId, Route>,
    /// Whether the log reaches back to its beginning; otherwise steps may be missing.
    pub complete: bool,
}

impl Gateway {
    /// Why an item rang where it did, and why not elsewhere; about one endpoint, if one is named.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nothing is recorded about the item, or about the endpoint beside it;
    /// [`Error::Exhausted`] if it is too much for one answer.
    pub async fn explain(
        &self,
        context: &RequestContext,
        target: &Target,
        id: NotificationId,
        endpoint: Option<EndpointId>,
    ) -> Result<Explained, Error> {
        let whom = self.edge.whom(&context.app, target)?;
        self.edge.belongs(&whom, id)?;
        let complete = self.is_complete(&whom).await?;
        let events = self.events(&whom).await?;
        let about = events.iter().filter(|it| it.fact.event.item() == Some(id)).count();
        let receipts = self.receipts(&whom, id).await?;
        if about == 0 && receipts.is_empty() {
            return Err(Error::NotFound { what: "notification" });
        }
        if about > MOST_EVENTS {
            return Err(too_much("events", MOST_EVENTS));
        }
        let mut pieces = Pieces::new(Planted::default());
        let mut account = Account::new(id);
        for recorded in &events {
            let changes = fold(&mut pieces, recorded);
            if recorded.fact.event.item() == Some(id) {
                account.event(&state_after(&pieces, recorded), recorded, &changes);
            }
        }
        for entry in &receipts {
            if let TimelineEntry::Receipt { receipt, .. } = entry {
                account.receipt(receipt);
            }
        }
        let now = [PieceKey::Reach(whom.user), PieceKey::Item(whom.user, id)];
        let now = State::from_pieces(now.iter().filter_map(|key| pieces.get(key).cloned()));
        let found = account.explain(&now, self.edge.clock.now());
        let explanation = match endpoint {
            Some(endpoint) => found.only(endpoint).ok_or(Error::NotFound { what: "endpoint" })?,
            None => found,
        };
        if explanation.steps.len() > MOST_STEPS {
            return Err(too_much("steps", MOST_STEPS));
        }
        let endpoints = now.reach.endpoints.iter();
        let routes = endpoints.map(|(id, it)| (*id, it.address.route(&context.app))).collect();
        Ok(Explained { explanation, routes, complete })
    }

    async fn is_complete(&self, whom: &Whom) -> Result<bool, Error> {
        let events = self.edge.events.bounds(whom.partition).await?;
        let receipts = self.edge.receipts.bounds(whom.partition).await?;
        Ok(events.start == Offset(0) && receipts.start == Offset(0))
    }
}

fn too_much(what: &str, most: usize) -> Error {
    let reason = format!("the notification has more than {most} {what}");
    Error::Exhausted { reason, retry_after: None }
}

/// What an event touches, and the user's reach, right after it was folded.
fn state_after(pieces: &Pieces, recorded: &Recorded) -> State {
    let user = recorded.fact.user;
    let keys = touches(user, &recorded.fact.event).chain([PieceKey::Reach(user)]);
    State::from_pieces(keys.filter_map(|key| pieces.get(&key).cloned()))
}
