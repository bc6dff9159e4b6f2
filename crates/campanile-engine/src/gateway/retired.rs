//! Retired endpoints of an app, as they come, so that a producer can forget them too.

use campanile_core::port::{HistoryQuery, Stream};
use campanile_core::{
    AgendaEntry, Due, EndpointId, Event, Fact, Offset, Partition, Position, Recorded, RetireReason,
    Timestamp, UserRef,
};

use futures::stream::{self, StreamExt};

use super::Gateway;
use crate::projector::open::decode;
use crate::seal::Places;
use crate::{Error, RequestContext};

/// Partitions that are looked at at once.
const AT_ONCE: usize = 16;

/// An endpoint that was retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetiredEndpoint {
    /// Which.
    pub endpoint: EndpointId,
    /// Why.
    pub reason: RetireReason,
    /// When.
    pub time: Timestamp,
    /// Where it is recorded.
    pub position: Position,
}

/// A page of them.
#[derive(Clone, Debug)]
pub struct RetiredPage {
    /// Those of a partition in the order of the log; of several, in no order.
    pub endpoints: Vec<RetiredEndpoint>,
    /// Where to go on, now or later.
    pub cursor: String,
    /// Whether there are more now.
    pub more: bool,
}

impl Gateway {
    /// Endpoints of the app that were retired since `cursor`, or as long as the log reaches back
    /// if there is none.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the cursor is of an older log or from before what is kept: some
    /// may be missed; start again without one.
    pub async fn retired(
        &self,
        context: &RequestContext,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<RetiredPage, Error> {
        let mut places = match cursor {
            Some(cursor) => self.open_places(context, cursor)?,
            None => Places::default(),
        };
        let identity = *self.edge.events.identity();
        places.next.resize(usize::from(identity.partitions), Offset(0));
        places.generation = identity.generation;
        let (first, mut endpoints, mut more) = (places.turn, Vec::new(), false);
        let turns = (0..identity.partitions).filter_map(|nth| {
            let partition = Partition(first.wrapping_add(nth) % identity.partitions.max(1));
            Some((partition, *places.next.get(usize::from(partition.0))?))
        });
        let turns: Vec<_> = turns.collect();
        let looks = stream::iter(turns).map(async |(partition, from)| {
            let kept = self.edge.events.bounds(partition).await?;
            if cursor.is_some() && from < kept.start {
                return Err(too_old());
            }
            let found = self.retired_in(context, partition, from, limit).await?;
            Ok((partition, from, kept.start, found))
        });
        let mut looks = std::pin::pin!(looks.buffered(AT_ONCE));
        while let Some(looked) = looks.next().await {
            let (partition, from, start, (mut found, mut next)) = looked?;
            let left = limit - endpoints.len();
            if found.len() > left {
                (found, next) = self.retired_in(context, partition, from, left).await?;
            }
            endpoints.extend(found);
            if let Some(place) = places.next.get_mut(usize::from(partition.0)) {
                *place = next.max(start);
            }
            if endpoints.len() >= limit {
                // The next page begins here, so that no partition is kept waiting by another.
                (places.turn, more) = (partition.0, true);
                break;
            }
        }
        let cursor = self.edge.seal.places(&context.app, &places);
        let cursor = cursor.map_err(|error| Error::Bug { reason: error.to_string() })?;
        Ok(RetiredPage { endpoints, cursor, more })
    }

    /// At most `limit` of one partition, and where to go on.
    async fn retired_in(
        &self,
        context: &RequestContext,
        partition: Partition,
        from: Offset,
        limit: usize,
    ) -> Result<(Vec<RetiredEndpoint>, Offset), Error> {
        let projection = &self.edge.projection;
        let folded = projection.view(partition, &[]).await?.checkpoint;
        let user = UserRef::of_retired(&context.app, partition);
        let query = HistoryQuery { stream: Some(Stream::Events), from, limit, of: None };
        let listed = projection.history(partition, user, query).await?;
        let places: Vec<_> = listed.iter().map(|record| record.offset).collect();
        let next = resume(from, &places, limit, folded);
        let generation = self.edge.events.identity().generation;
        let records = self.edge.events.fetch(partition, &places).await?;
        let open = |record: campanile_core::port::Record| {
            let position = Position { generation, partition, offset: record.offset };
            retired(&decode(&record, position, &self.edge.telemetry)?)
        };
        Ok((records.into_iter().flatten().filter_map(open).collect(), next))
    }

    fn open_places(&self, context: &RequestContext, cursor: &str) -> Result<Places, Error> {
        let opened = self.edge.seal.open_places(&context.app, cursor);
        let places = opened.map_err(|error| Error::invalid("cursor", error))?;
        if places.generation != self.edge.events.identity().generation {
            return Err(too_old());
        }
        Ok(places)
    }
}

/// Where to go on after a list of at most `limit` that was made after the fold was at `folded`.
/// What was folded in between is listed too, and not to come again.
fn resume(from: Offset, listed: &[Offset], limit: usize, folded: Offset) -> Offset {
    let after = listed.last().map_or(from, |last| last.next());
    if listed.len() < limit { after.max(folded) } else { after }
}

fn too_old() -> Error {
    let reason = "is from before what is kept; start again without one".to_owned();
    Error::OutOfRange { field: "cursor", reason }
}

fn retired(record: &Recorded) -> Option<RetiredEndpoint> {
    let Recorded { position, time, fact: Fact { event, .. } } = record;
    let (endpoint, reason) = match event {
        Event::EndpointRetired { endpoint, reason, .. } => (*endpoint, *reason),
        Event::CameDue(AgendaEntry { due: Due::Lapse { endpoint, .. }, .. }) => {
            (*endpoint, RetireReason::Lapsed)
        }
        _ => return None,
    };
    Some(RetiredEndpoint { endpoint, reason, time: *time, position: *position })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_twice_and_nothing_is_passed_over() {
        let next = |listed: &[u64], folded| {
            let listed: Vec<_> = listed.iter().copied().map(Offset).collect();
            resume(Offset(4), &listed, 2, Offset(folded)).0
        };
        assert_eq!(next(&[], 9), 9, "nothing until there");
        assert_eq!(next(&[], 3), 4, "a projection that fell back");
        assert_eq!(next(&[5], 9), 9, "all until there");
        assert_eq!(next(&[11], 9), 12, "folded after the look");
        assert_eq!(next(&[5, 6], 9), 7, "there may be more");
    }
}
