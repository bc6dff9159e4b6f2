//! Dead letters: deliveries that failed for a reason that somebody may have mended, found by reading
//! the receipts again. Nothing is kept of them: the log is asked when somebody wants to know.

mod find;
mod redrive;
mod standing;

pub use redrive::{Redriven, Skipped};
pub use standing::Redrivable;

use std::collections::BTreeSet;
use std::time::Duration;

use campanile_core::{
    DeadReason, EndpointId, NotificationId, Offset, Partition, PlatformMask, Position, Receipt,
    Settled, Timestamp,
};

use self::find::Scope;
use super::Gateway;
use crate::edge::Target;
use crate::seal::{DeadPlaces, Places};
use crate::{Error, RequestContext};

/// About how many receipts one page reads at most, whatever it finds.
const MOST_READ: usize = 4096;
/// The place of a partition in which nothing more is to be found.
const DONE: Offset = Offset(u64::MAX);

/// Which dead letters. All that is named must fit.
#[derive(Clone, Debug)]
pub struct DeadLetterFilter {
    /// Only this user's.
    pub target: Option<Target>,
    /// Only those of one item.
    pub item: Option<NotificationId>,
    /// Only those to one endpoint.
    pub endpoint: Option<EndpointId>,
    /// Only those on these platforms.
    pub platforms: PlatformMask,
    /// Only those for these reasons.
    pub reasons: BTreeSet<DeadReason>,
    /// Only those recorded at this time or later.
    pub from: Option<Timestamp>,
    /// Only those recorded before; absent: before the first page was asked for.
    pub until: Option<Timestamp>,
}

impl Default for DeadLetterFilter {
    /// All of them.
    fn default() -> Self {
        Self {
            target: None,
            item: None,
            endpoint: None,
            platforms: PlatformMask::ALL,
            reasons: DeadReason::ALL.into(),
            from: None,
            until: None,
        }
    }
}

/// A delivery that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where its receipt stands.
    pub position: Position,
    /// When that was recorded.
    pub time: Timestamp,
    /// Whose it is, which event called for it, on which platform. Its list of deliveries is empty.
    pub receipt: Receipt,
    /// What came of it.
    pub settled: Settled,
    /// Why it is a dead letter.
    pub reason: DeadReason,
    /// What a redrive would do about it now.
    pub redrivable: Redrivable,
}

/// A page of them.
#[derive(Clone, Debug)]
pub struct DeadLetterPage {
    /// Those of a partition in the order of the log; of several, in no order.
    pub letters: Vec<DeadLetter>,
    /// Where to go on; absent: there are no more.
    pub cursor: Option<String>,
    /// Whether the log reaches back to the beginning of what was asked for.
    pub complete: bool,
}

impl Gateway {
    /// A page of about `limit` dead letters of the app, from `cursor` on. It may be short or empty
    /// and have more behind it, because one page reads a bounded part of the log.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the cursor is none, or another filter's; [`Error::OutOfRange`] if it is of
    /// an older log, or `from` is in the future.
    pub async fn dead_letters(
        &self,
        context: &RequestContext,
        filter: &DeadLetterFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<DeadLetterPage, Error> {
        let (scope, mut places) = self.begin(context, filter, cursor).await?;
        let (mut letters, mut left, mut more) = (Vec::new(), MOST_READ, false);
        let partitions = self.edge.receipts.identity().partitions;
        let first = places.turn;
        for nth in 0..partitions {
            let partition = Partition(first.wrapping_add(nth) % partitions.max(1));
            let Some(place) = places.next.get_mut(usize::from(partition.0)) else { continue };
            if !scope.covers(partition) || *place == DONE {
                continue;
            }
            let room = limit.saturating_sub(letters.len());
            let found = self.find(&scope, partition, *place, room, left).await?;
            *place = if found.is_all { DONE } else { found.next };
            left = left.saturating_sub(found.read);
            letters.extend(self.judged(partition, found.letters).await?);
            if !found.is_all {
                // The next page begins here, so that no partition is kept waiting by another.
                (places.turn, more) = (partition.0, true);
                break;
            }
        }
        let complete = self.reaches_back(&scope, filter.from).await?;
        let places = DeadPlaces { places, until: scope.until, of: scope.of };
        let sealed = self.edge.seal.dead_places(&context.app, &places);
        let sealed = sealed.map_err(|error| Error::Bug { reason: error.to_string() })?;
        Ok(DeadLetterPage { letters, cursor: more.then_some(sealed), complete })
    }

    /// What is looked for, and where each partition is to be read on.
    async fn begin(
        &self,
        context: &RequestContext,
        filter: &DeadLetterFilter,
        cursor: Option<&str>,
    ) -> Result<(Scope, Places), Error> {
        let now = self.edge.clock.now();
        if filter.from.is_some_and(|from| from > now) {
            let reason = "is in the future".to_owned();
            return Err(Error::OutOfRange { field: "filter.from", reason });
        }
        if filter.from.zip(filter.until).is_some_and(|(from, until)| until <= from) {
            return Err(Error::invalid("filter.until", "must be after from"));
        }
        // What is recorded in this very moment is in.
        let end = now.after(Duration::from_millis(1));
        let until = filter.until.map_or(end, |until| until.min(end));
        let mut scope = self.scope(context, filter, until)?;
        let Some(cursor) = cursor else {
            let places = self.first_places(&scope, filter.from).await?;
            return Ok((scope, places));
        };
        let opened = self.edge.seal.open_dead_places(&context.app, cursor);
        let opened = opened.map_err(|error| Error::invalid("cursor", error))?;
        let identity = *self.edge.receipts.identity();
        if opened.of != scope.of {
            return Err(Error::invalid("cursor", "is of another filter"));
        }
        if opened.places.generation != identity.generation {
            let reason = "is of an older log; start again without one".to_owned();
            return Err(Error::OutOfRange { field: "cursor", reason });
        }
        scope.until = opened.until;
        Ok((scope, opened.places))
    }
}
