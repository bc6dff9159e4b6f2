//! Which records speak of a user, and of which item.
//!
//! A push ends in a receipt, and an item's devices answer nearly together: so what one step finds
//! about an item is one entry of the table, not one for each record.

use std::collections::BTreeSet;
use std::mem;
use std::ops::Range;

use bytes::{Buf, BufMut};
use campanile_core::port::{HistoryQuery, ProjectionError, RecordRef, Stream};
use campanile_core::{NotificationId, Offset, Partition, UserRef};
use fjall::Readable;

use super::database::{Table, failed};
use super::keys::{self, Kind};
use super::read::{checkpoint_at, damaged};
use super::step::Step;
use crate::floors::Floors;

/// How far the last record of an entry may be from its first: whoever reads from an offset on
/// begins that much earlier.
const SPAN: u16 = 512;

/// A record, and whom and what it is about.
pub(super) type Found = (UserRef, Option<NotificationId>, RecordRef);

/// Puts what a step found. Records about no item have an entry each.
pub(super) fn put(step: &mut dyn Step, partition: Partition, found: &[Found]) {
    let mut found = found.to_vec();
    found.sort_unstable();
    let mut rest = found.as_slice();
    while let Some((first, others)) = rest.split_first() {
        let &(user, about, record) = first;
        let mut value = Vec::with_capacity(32);
        value.put_slice(about.as_ref().map_or(&[], |id| id.as_bytes()));
        let more = others.iter().map_while(|other| distance(first, other));
        let together = more.inspect(|distance| value.put_u16(*distance)).count();
        step.put(key(partition, user, record), Some(value));
        rest = others.get(together..).unwrap_or_default();
    }
}

/// How far `other`, which comes after `first`, is from it, if it goes into its entry.
fn distance(first: &Found, other: &Found) -> Option<u16> {
    let is_alike = first.1.is_some()
        && (first.0, first.1, first.2.stream) == (other.0, other.1, other.2.stream);
    let distance = u16::try_from(other.2.offset.0.checked_sub(first.2.offset.0)?).ok()?;
    (is_alike && distance <= SPAN).then_some(distance)
}

/// Records about a user, as [`Projection::history`](campanile_core::port::Projection::history)
/// says.
pub(super) fn read(
    table: &Table,
    floors: &Floors,
    partition: Partition,
    user: UserRef,
    query: HistoryQuery,
) -> Result<Vec<RecordRef>, ProjectionError> {
    let snapshot = table.snapshot(partition).map_err(failed)?;
    checkpoint_at(table, &snapshot, partition)?;
    let mut records = Vec::new();
    for stream in Stream::ALL {
        if query.stream.is_some_and(|wanted| wanted != stream) {
            continue;
        }
        let entries = keys_from(partition, user, stream, query.from);
        // Of entries read: the next one may begin before they end.
        let mut pending = BTreeSet::new();
        for entry in snapshot.range(&table.keyspace, entries) {
            let (key, value) = entry.into_inner().map_err(failed)?;
            let entry = first(&key).and_then(|(_, first)| Entry::decode(first, &value));
            let entry = entry.ok_or_else(|| damaged("an entry of the history cannot be read"))?;
            let later = pending.split_off(&entry.first);
            records.extend(mem::replace(&mut pending, later));
            if records.len() >= query.limit {
                break;
            }
            if query.of.is_none_or(|id| entry.about == Some(id)) {
                let is_kept = |record: &RecordRef| floors.is_kept(partition, *record);
                let wanted = entry.records().filter(|record| record.offset >= query.from);
                pending.extend(wanted.filter(is_kept));
            }
        }
        records.extend(pending);
    }
    records.truncate(query.limit);
    Ok(records)
}

/// Where entries are that may have records of a stream at `from` or after.
fn keys_from(partition: Partition, user: UserRef, stream: Stream, from: Offset) -> Range<Vec<u8>> {
    let from = Offset(from.0.saturating_sub(u64::from(SPAN)));
    let last = RecordRef { stream, offset: Offset(u64::MAX) };
    key(partition, user, RecordRef { stream, offset: from })
        ..keys::after(key(partition, user, last))
}

fn key(partition: Partition, user: UserRef, record: RecordRef) -> Vec<u8> {
    let mut key = keys::user_prefix(partition, Kind::History, user);
    key.put_u8(keys::stream_number(record.stream));
    key.put_u64(record.offset.0);
    key
}

/// The first record of an entry; `None` for those of another kind.
pub(super) fn first(mut key: &[u8]) -> Option<(Partition, RecordRef)> {
    let partition = Partition(key.try_get_u16().ok()?);
    if key.try_get_u8().ok()? != Kind::History as u8 {
        return None;
    }
    let mut rest = key.get(16..)?;
    let stream = match rest.try_get_u8().ok()? {
        0 => Stream::Events,
        1 => Stream::Receipts,
        _ => return None,
    };
    Some((partition, RecordRef { stream, offset: Offset(rest.try_get_u64().ok()?) }))
}

/// The last record of an entry.
pub(super) fn last(key: &[u8], value: &[u8]) -> Option<(Partition, RecordRef)> {
    let (partition, first) = first(key)?;
    Some((partition, Entry::decode(first, value)?.records().next_back()?))
}

/// What is stored of some records about one user and item.
struct Entry<'a> {
    first: RecordRef,
    about: Option<NotificationId>,
    /// How far the other records are from the first, in order, a u16 each.
    distances: &'a [u8],
}

impl<'a> Entry<'a> {
    fn decode(first: RecordRef, mut value: &'a [u8]) -> Option<Self> {
        if value.is_empty() {
            return Some(Self { first, about: None, distances: &[] });
        }
        let mut id = [0; 16];
        value.try_copy_to_slice(&mut id).ok()?;
        let about = Some(NotificationId::from_bytes(id));
        value.len().is_multiple_of(2).then_some(Self { first, about, distances: value })
    }

    /// Its records, in order.
    fn records(&self) -> impl DoubleEndedIterator<Item = RecordRef> {
        let RecordRef { stream, offset } = self.first;
        let others = self.distances.chunks_exact(2).map(|mut distance| distance.get_u16());
        std::iter::once(0).chain(others).map(move |distance| RecordRef {
            stream,
            offset: Offset(offset.0.saturating_add(u64::from(distance))),
        })
    }
}
