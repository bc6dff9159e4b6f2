//! Reading receipts again, a bounded part at a time.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use campanile_core::port::{HistoryQuery, ReadLimit, Record, Stream};
use campanile_core::{
    AppId, DeadReason, EndpointId, Fingerprint, NotificationId, Offset, Partition, PlatformMask,
    Position, Receipt, Settled, Timestamp, UserRef,
};

use super::DeadLetterFilter;
use crate::gateway::Gateway;
use crate::projector::open::decode_receipt;
use crate::seal::Places;
use crate::{Error, RequestContext};

/// Bytes of receipts that one read takes at most.
const MOST_BYTES: usize = 1 << 20;
/// Receipts that are read at once, at most; fewer if there is room for few letters.
const AT_ONCE: usize = 256;
/// Receipts that are read at once for each letter there is room for.
const FOR_ONE: usize = 16;

/// What is looked for.
#[derive(Debug)]
pub(super) struct Scope {
    app: AppId,
    user: Option<UserRef>,
    item: Option<NotificationId>,
    endpoint: Option<EndpointId>,
    platforms: PlatformMask,
    reasons: BTreeSet<DeadReason>,
    /// The only partition, if there is but one.
    partition: Option<Partition>,
    /// What is recorded from then on is not looked for.
    pub(super) until: Timestamp,
    /// Tells filters apart.
    pub(super) of: Fingerprint,
}

/// A dead letter, as its receipt tells of it.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) position: Position,
    pub(super) time: Timestamp,
    pub(super) receipt: Receipt,
    pub(super) settled: Settled,
    pub(super) reason: DeadReason,
}

/// What a part of a partition has.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) letters: Vec<Letter>,
    /// Where to read on.
    pub(super) next: Offset,
    /// How many receipts were read, whether or not they were looked at.
    pub(super) read: usize,
    /// Whether there is nothing more.
    pub(super) is_all: bool,
}

impl Scope {
    pub(super) fn covers(&self, partition: Partition) -> bool {
        self.partition.is_none_or(|only| only == partition)
    }

    /// The dead letters that a receipt tells of.
    fn letters(&self, position: Position, time: Timestamp, receipt: Receipt) -> Vec<Letter> {
        let is_meant = receipt.app == self.app
            && self.user.is_none_or(|user| user == receipt.user)
            && self.item.is_none_or(|item| item == receipt.item)
            && self.platforms.contains(receipt.platform);
        if !is_meant {
            return Vec::new();
        }
        let Receipt { settled, .. } = &receipt;
        let dead = settled.iter().filter_map(|settled| Some((settled.clone(), settled.dead()?)));
        let dead: Vec<_> = dead.collect();
        let head = Receipt { settled: Vec::new(), ..receipt };
        let letter = |(settled, reason): (Settled, DeadReason)| {
            let is_meant = self.reasons.contains(&reason)
                && self.endpoint.is_none_or(|endpoint| endpoint == settled.endpoint);
            let receipt = head.clone();
            is_meant.then_some(Letter { position, time, receipt, settled, reason })
        };
        dead.into_iter().filter_map(letter).collect()
    }
}

impl Gateway {
    /// What `filter` means.
    pub(super) fn scope(
        &self,
        context: &RequestContext,
        filter: &DeadLetterFilter,
        until: Timestamp,
    ) -> Result<Scope, Error> {
        let target = filter.target.as_ref();
        let whom = target.map(|target| self.edge.whom(&context.app, target)).transpose()?;
        if let (Some(whom), Some(id)) = (&whom, filter.item) {
            self.edge.belongs(whom, id)?;
        }
        let partitions = self.edge.receipts.identity().partitions.max(1);
        let of_item = filter.item.map(|id| Partition(id.prefix() % partitions));
        Ok(Scope {
            app: context.app.clone(),
            user: whom.map(|whom| whom.user),
            item: filter.item,
            endpoint: filter.endpoint,
            platforms: filter.platforms,
            reasons: filter.reasons.clone(),
            partition: whom.map(|whom| whom.partition).or(of_item),
            until,
            of: fingerprint(filter, whom.map(|whom| whom.user)),
        })
    }

    /// Where each partition is read from at first.
    pub(super) async fn first_places(
        &self,
        scope: &Scope,
        from: Option<Timestamp>,
    ) -> Result<Places, Error> {
        let log = &self.edge.receipts;
        let identity = *log.identity();
        let mut places = Places { generation: identity.generation, ..Places::default() };
        for partition in identity.partitions() {
            places.next.push(match from {
                _ if !scope.covers(partition) => Offset(0),
                Some(from) => log.first_at(partition, from).await?,
                None => log.bounds(partition).await?.start,
            });
        }
        Ok(places)
    }

    /// Whether the log still has all that was recorded since `from`.
    pub(super) async fn reaches_back(
        &self,
        scope: &Scope,
        from: Option<Timestamp>,
    ) -> Result<bool, Error> {
        let log = &self.edge.receipts;
        for partition in log.identity().partitions().filter(|it| scope.covers(*it)) {
            let kept = log.bounds(partition).await?;
            if kept.start == Offset(0) {
                continue;
            }
            let first = ReadLimit { records: 1, bytes: 1 };
            let first = log.read(partition, kept.start, first).await?;
            let first = first.records.first().map(|record| record.time);
            if from.zip(first).is_none_or(|(from, first)| from <= first) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads on in one partition: until there are about `room` letters, about `most` receipts.
    pub(super) async fn find(
        &self,
        scope: &Scope,
        partition: Partition,
        from: Offset,
        room: usize,
        most: usize,
    ) -> Result<Found, Error> {
        let mut found = Found { letters: Vec::new(), next: from, read: 0, is_all: false };
        while !found.is_all && found.letters.len() < room && found.read < most {
            let part = AT_ONCE.min((room - found.letters.len()).saturating_mul(FOR_ONE));
            let (records, next, is_end) = match scope.user {
                Some(user) => self.of_user(scope, partition, user, found.next, part).await?,
                None => self.of_anybody(partition, found.next, part).await?,
            };
            found.read += records.len().max(1);
            if self.take(scope, partition, room, records, &mut found).is_break() {
                break;
            }
            found.next = found.next.max(next);
            found.is_all |= is_end;
        }
        Ok(found)
    }

    /// Takes what is meant of some records, until there is enough of it or it is over.
    fn take(
        &self,
        scope: &Scope,
        partition: Partition,
        room: usize,
        records: Vec<Record>,
        found: &mut Found,
    ) -> ControlFlow<()> {
        let generation = self.edge.receipts.identity().generation;
        for record in &records {
            let &Record { offset, time, .. } = record;
            if time >= scope.until {
                found.is_all = true;
                return ControlFlow::Break(());
            }
            let position = Position { generation, partition, offset };
            let receipt = decode_receipt(record, &self.edge.telemetry);
            let here = receipt.map(|receipt| scope.letters(position, time, receipt));
            let here = here.unwrap_or_default();
            let is_too_much = found.letters.len() + here.len() > room;
            if is_too_much && !found.letters.is_empty() {
                return ControlFlow::Break(());
            }
            found.letters.extend(here);
            found.next = offset.next();
        }
        ControlFlow::Continue(())
    }

    /// Receipts of whoever is in a partition, where to read on, and whether these are all.
    async fn of_anybody(
        &self,
        partition: Partition,
        from: Offset,
        most: usize,
    ) -> Result<(Vec<Record>, Offset, bool), Error> {
        let log = &self.edge.receipts;
        let kept = log.bounds(partition).await?;
        let limit = ReadLimit { records: most, bytes: MOST_BYTES };
        // What the log has dropped since is missing, and the answer says so.
        let batch = log.read(partition, from.max(kept.start), limit).await?;
        let is_all = batch.records.is_empty() || batch.next >= kept.end;
        Ok((batch.records, batch.next, is_all))
    }

    /// The same of one user, found by the user's history.
    async fn of_user(
        &self,
        scope: &Scope,
        partition: Partition,
        user: UserRef,
        from: Offset,
        most: usize,
    ) -> Result<(Vec<Record>, Offset, bool), Error> {
        let stream = Some(Stream::Receipts);
        let query = HistoryQuery { of: scope.item, stream, from, limit: most };
        let listed = self.edge.projection.history(partition, user, query).await?;
        let at: Vec<_> = listed.iter().map(|record| record.offset).collect();
        let records = self.edge.receipts.fetch(partition, &at).await?;
        let next = at.last().map_or(from, |last| last.next());
        Ok((records.into_iter().flatten().collect(), next, at.len() < most))
    }
}

/// Tells filters apart, so that a cursor is not used with another.
fn fingerprint(filter: &DeadLetterFilter, user: Option<UserRef>) -> Fingerprint {
    fn part(said: &mut Vec<u8>, bytes: Option<&[u8]>) {
        said.push(u8::from(bytes.is_some()));
        said.extend(bytes.unwrap_or_default());
    }
    let mut said = vec![filter.platforms.bits()];
    let has = |reason: &DeadReason| u8::from(filter.reasons.contains(reason));
    said.extend(DeadReason::ALL.iter().map(has));
    part(&mut said, user.as_ref().map(|user| &user.as_bytes()[..]));
    part(&mut said, filter.item.as_ref().map(|id| &id.as_bytes()[..]));
    part(&mut said, filter.endpoint.as_ref().map(|id| &id.as_bytes()[..]));
    for at in [filter.from, filter.until] {
        part(&mut said, at.map(|at| at.as_millis().to_be_bytes()).as_ref().map(|it| &it[..]));
    }
    Fingerprint::of(&said)
}
