//! What a redrive would do about a dead letter, by the state of now and the log.

use std::collections::{BTreeMap, BTreeSet};

use campanile_core::port::{HistoryQuery, Piece, PieceKey, Stream};
use campanile_core::{
    DeliveryId, End, Event, NotificationId, Offset, Partition, Redelivery, RequestKey, State,
    Suppression, Urgency, UserRef,
};
use campanile_proto::codec;

use super::DeadLetter;
use super::find::Letter;
use crate::Error;
use crate::gateway::Gateway;
use crate::projector::open::decode_receipt;

/// Receipts of one item that are looked through for another end of the same delivery.
const MOST_RECEIPTS: usize = 256;

/// What a redrive would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redrivable {
    /// It would ask for this.
    Yes(Redelivery),
    /// Nothing: it was asked for again before.
    Redriven,
    /// Nothing: another attempt at the same delivery was accepted. A crash can bring that about.
    Accepted,
    /// Nothing: the log has the event no more, so nobody knows what the delivery told of.
    Forgotten,
    /// Nothing: it would not be sent.
    NotDue(Suppression),
}

impl Gateway {
    /// Says of each letter of a partition what a redrive would do about it.
    pub(super) async fn judged(
        &self,
        partition: Partition,
        letters: Vec<Letter>,
    ) -> Result<Vec<DeadLetter>, Error> {
        if letters.is_empty() {
            return Ok(Vec::new());
        }
        let told = self.told_of(partition, &letters).await?;
        let keys = letters.iter().flat_map(|Letter { receipt, settled, .. }| {
            let (user, request) = (receipt.user, RequestKey::of_redelivery(settled.delivery));
            let item = PieceKey::Item(user, receipt.item);
            [PieceKey::Reach(user), item, PieceKey::Request(user, request)]
        });
        let keys: Vec<_> = keys.collect();
        let pieces = self.edge.projection.view(partition, &keys).await?.pieces;
        let judged = letters.into_iter().zip(pieces.chunks(3)).map(|(letter, pieces)| {
            let redrivable = self.redrivable(&letter, pieces, &told);
            let Letter { position, time, receipt, settled, reason } = letter;
            DeadLetter { position, time, receipt, settled, reason, redrivable }
        });
        let mut judged: Vec<_> = judged.collect();
        let open = |it: &&DeadLetter| matches!(it.redrivable, Redrivable::Yes(_));
        let whose = judged.iter().filter(open).map(|it| (it.receipt.user, it.receipt.item));
        let whose: BTreeSet<_> = whose.collect();
        for (user, item) in whose {
            let accepted = self.accepted(partition, user, item).await?;
            for letter in &mut judged {
                let is_its = letter.receipt.user == user && letter.receipt.item == item;
                if is_its && open(&&*letter) && accepted.contains(&letter.settled.delivery) {
                    letter.redrivable = Redrivable::Accepted;
                }
            }
        }
        Ok(judged)
    }

    fn redrivable(
        &self,
        letter: &Letter,
        pieces: &[Option<Piece>],
        told: &BTreeMap<Offset, (Offset, Urgency)>,
    ) -> Redrivable {
        let state = State::from_pieces(pieces.iter().flatten().cloned());
        let (receipt, settled) = (&letter.receipt, &letter.settled);
        if state.request.is_some() {
            return Redrivable::Redriven;
        }
        let Some((tells_of, urgency)) = told.get(&receipt.cause) else {
            return Redrivable::Forgotten;
        };
        let again = Redelivery {
            item: receipt.item,
            endpoint: settled.endpoint,
            platform: receipt.platform,
            kind: settled.kind,
            failed: receipt.cause,
            tells_of: *tells_of,
            urgency: *urgency,
        };
        let now = self.edge.clock.now();
        match again.may_be_sent(&state.reach, state.item.as_deref(), now) {
            Ok(()) => Redrivable::Yes(again),
            Err(why) => Redrivable::NotDue(why),
        }
    }

    /// What the event behind each letter tells of, and how urgent that is, of those that the log still
    /// has.
    async fn told_of(
        &self,
        partition: Partition,
        letters: &[Letter],
    ) -> Result<BTreeMap<Offset, (Offset, Urgency)>, Error> {
        let causes: BTreeSet<_> = letters.iter().map(|letter| letter.receipt.cause).collect();
        let causes: Vec<_> = causes.into_iter().collect();
        let events = self.edge.events.fetch(partition, &causes).await?;
        let told = events.into_iter().flatten().filter_map(|record| {
            let fact = codec::decode_fact(&record.body).ok()?;
            let tells_of = match &fact.event {
                Event::RedeliveryRequested(again) => again.tells_of,
                _ => record.offset,
            };
            Some((record.offset, (tells_of, Urgency::of(&fact.event))))
        });
        Ok(told.collect())
    }

    /// The deliveries of an item that a platform took.
    async fn accepted(
        &self,
        partition: Partition,
        user: UserRef,
        item: NotificationId,
    ) -> Result<BTreeSet<DeliveryId>, Error> {
        let stream = Some(Stream::Receipts);
        let query = HistoryQuery { stream, limit: MOST_RECEIPTS, ..HistoryQuery::about(item) };
        let listed = self.edge.projection.history(partition, user, query).await?;
        let at: Vec<_> = listed.iter().map(|record| record.offset).collect();
        let records = self.edge.receipts.fetch(partition, &at).await?;
        let receipts = records.into_iter().flatten();
        let receipts = receipts.filter_map(|record| decode_receipt(&record, &self.edge.telemetry));
        let settled = receipts.flat_map(|receipt| receipt.settled);
        let accepted = settled.filter(|it| matches!(it.end, End::Accepted { .. }));
        Ok(accepted.map(|settled| settled.delivery).collect())
    }
}
