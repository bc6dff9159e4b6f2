//! What is encoded is decoded to the same value, and nothing else makes a decoder fall.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    missing_docs,
    reason = "test code"
)]

mod arbitrary;

use bytes::Bytes;
use campanile_core::{Event, Fact};
use campanile_proto::codec::{
    Heading, decode_agenda_entry, decode_fact, decode_piece, decode_receipt, encode_agenda_entry,
    encode_fact, encode_piece, encode_receipt, heading_of_post, subject_of_receipt,
};
use campanile_proto::v1;
use proptest::prelude::*;
use prost::Message;

proptest! {
    #[test]
    fn facts(fact in arbitrary::fact()) {
        let heading = match &fact.event {
            Event::NotificationPosted(posted) => {
                let (item, platforms) = (posted.id, posted.platforms);
                Some(Heading { item, platforms, request: posted.request.map(|stamp| stamp.key) })
            }
            _ => None,
        };
        let bytes = encode_fact(&fact);
        prop_assert_eq!(heading_of_post(&bytes), heading);
        prop_assert_eq!(decode_fact(&bytes), Ok(fact));
    }

    #[test]
    fn a_post_is_written_as_prost_would(
        fact in arbitrary::fact(),
        posted in arbitrary::posted(),
    ) {
        let stored = encode_fact(&Fact { event: Event::NotificationPosted(posted), ..fact });
        let envelope = v1::Envelope::decode(stored.clone()).unwrap();
        let body = v1::NotificationPostedBody::decode(envelope.body.clone().unwrap()).unwrap();
        let again = v1::Envelope { body: Some(body.encode_to_vec().into()), ..envelope };
        prop_assert_eq!(Bytes::from(again.encode_to_vec()), stored);
    }

    #[test]
    fn receipts(receipt in arbitrary::receipt()) {
        let bytes = encode_receipt(&receipt);
        prop_assert_eq!(subject_of_receipt(&bytes), Ok((receipt.user, receipt.item)));
        prop_assert_eq!(decode_receipt(&bytes), Ok(receipt));
    }

    #[test]
    fn the_subject_of_a_receipt_is_what_the_whole_says(
        receipt in arbitrary::receipt(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = encode_receipt(&receipt);
        let mut damaged = whole.to_vec();
        damaged[at.index(whole.len())] ^= 1 << bit;
        for bytes in [Bytes::from(damaged), whole.slice(..cut.index(whole.len()))] {
            if let Ok(read) = decode_receipt(&bytes) {
                prop_assert_eq!(subject_of_receipt(&bytes), Ok((read.user, read.item)));
            }
        }
    }

    #[test]
    fn pieces(piece in arbitrary::piece()) {
        prop_assert_eq!(decode_piece(&encode_piece(&piece)), Ok(piece));
    }

    #[test]
    fn agenda_entries(entry in arbitrary::agenda_entry()) {
        let bytes = encode_agenda_entry(&entry);
        prop_assert_eq!(decode_agenda_entry(&bytes), Ok(entry));
    }

    #[test]
    fn a_fact_cut_off_anywhere_is_an_error(
        fact in arbitrary::fact(),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = encode_fact(&fact);
        prop_assert!(decode_fact(&whole.slice(..cut.index(whole.len()))).is_err());
    }

    #[test]
    fn damage_is_answered(
        fact in arbitrary::fact(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let mut damaged = encode_fact(&fact).to_vec();
        let at = at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        if let Ok(read) = decode_fact(&Bytes::from(damaged)) {
            prop_assert_eq!(decode_fact(&encode_fact(&read)), Ok(read));
        }
    }

    #[test]
    fn noise_is_answered(noise in proptest::collection::vec(any::<u8>(), 0..256)) {
        let noise = Bytes::from(noise);
        let _ = (decode_receipt(&noise), decode_piece(&noise), decode_agenda_entry(&noise));
        prop_assert!(decode_fact(&noise).is_err());
    }
}
