//! Redriving: asking for what failed once more, as events that everybody reads.
//!
//! Nothing keeps two callers from asking for the same failure at once; the fold counts the first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use campanile_core::{Event, Offset, Partition, Position, Suppression};

use super::{DeadLetter, DeadLetterFilter, Redrivable};
use crate::gateway::Gateway;
use crate::tasks::sleep;
use crate::{Error, RequestContext};

/// How often it is looked whether the projection knows what was asked for, and the wait between:
/// half a second in all.
const LOOKS: u32 = 100;
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Why a dead letter was left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skipped {
    /// It was asked for again before.
    Redriven,
    /// Another attempt at the same delivery was accepted.
    Accepted,
    /// The log has the event no more that called for it.
    Forgotten,
    /// It would not be sent.
    NotDue(Suppression),
}

/// What came of a redrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redriven {
    /// How many were asked for once more; of a dry run, how many would be.
    pub redriven: u32,
    /// How many were left alone, and why.
    pub skipped: BTreeMap<Skipped, u32>,
    /// Where to go on; absent: there are no more.
    pub cursor: Option<String>,
    /// Whether the log reaches back to the beginning of what was asked for.
    pub complete: bool,
}

impl Gateway {
    /// Asks for about `limit` dead letters once more, those that still matter. An `Ok` means that
    /// it is durable.
    ///
    /// # Errors
    /// As [`Gateway::dead_letters`]; [`Error::Invalid`] if the filter has neither beginning nor
    /// target nor item. After any other error the same call again does what is left to do.
    pub async fn redrive(
        &self,
        context: &RequestContext,
        filter: &DeadLetterFilter,
        cursor: Option<&str>,
        limit: usize,
        dry_run: bool,
    ) -> Result<Redriven, Error> {
        if filter.from.is_none() && filter.target.is_none() && filter.item.is_none() {
            let reason = "must have from, a target or a notification_id";
            return Err(Error::invalid("filter", reason));
        }
        let page = self.dead_letters(context, filter, cursor, limit).await?;
        let (mut asked, mut skipped) = (Vec::new(), BTreeMap::new());
        // A crash can leave two receipts of one delivery.
        let mut failures = BTreeSet::new();
        for DeadLetter { receipt, redrivable, .. } in &page.letters {
            let why = match *redrivable {
                Redrivable::Yes(again) if failures.insert(again.request()) => {
                    asked.push((receipt.user, Event::RedeliveryRequested(again)));
                    continue;
                }
                Redrivable::Yes(_) | Redrivable::Redriven => Skipped::Redriven,
                Redrivable::Accepted => Skipped::Accepted,
                Redrivable::Forgotten => Skipped::Forgotten,
                Redrivable::NotDue(why) => Skipped::NotDue(why),
            };
            let count: &mut u32 = skipped.entry(why).or_default();
            *count = count.saturating_add(1);
        }
        let redriven = u32::try_from(asked.len()).unwrap_or(u32::MAX);
        if !dry_run && !asked.is_empty() {
            let answers = self.edge.append_all(context, asked).await;
            let positions = answers.into_iter().collect::<Result<Vec<_>, _>>();
            // Some of them may be durable, so it cannot be said that nothing happened.
            let open = |error: Error| Error::Indefinite { reason: error.to_string() };
            self.known(&positions.map_err(open)?).await;
            self.edge.telemetry.gateway_redriven.add(redriven as usize);
        }
        let (cursor, complete) = (page.cursor, page.complete);
        Ok(Redriven { redriven, skipped, cursor, complete })
    }

    /// Waits until the projection knows what was asked for, so that who asks again is told so; a
    /// moment at most, because the fold sees to it that nothing comes of it anyway.
    async fn known(&self, positions: &[Position]) {
        let mut last = BTreeMap::<Partition, Offset>::new();
        for Position { partition, offset, .. } in positions {
            let known = last.entry(*partition).or_default();
            *known = (*known).max(offset.next());
        }
        for _ in 0..LOOKS {
            let Some((partition, needed)) = last.first_key_value() else { return };
            match self.edge.projection.view(*partition, &[]).await {
                Ok(views) if views.checkpoint >= *needed => drop(last.pop_first()),
                Ok(_) => sleep(LOOK_AGAIN).await,
                Err(_) => return,
            }
        }
    }
}
