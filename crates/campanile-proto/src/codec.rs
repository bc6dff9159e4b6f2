//! What is stored, as bytes: events, receipts, pieces of the projection and agenda entries.
//!
//! Encoding writes each message once into one buffer of the right size. Decoding trusts nothing:
//! any bytes give a value or a [`DecodeError`], never a panic. What a decoder returns owns its
//! memory, so a small value that is kept does not keep a large read buffer alive.

mod event;
mod field;
mod heading;
mod post;
mod receipt;
mod state;
mod vocabulary;

use bytes::Bytes;
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};

pub use event::{decode_fact, encode_fact};
pub use heading::{Heading, heading_of_post, subject_of_receipt};
pub use receipt::{decode_receipt, encode_receipt};
pub use state::{decode_agenda_entry, decode_piece, encode_agenda_entry, encode_piece};

/// The format written today, and the only major read.
pub const SCHEMA_MAJOR: u32 = 1;
/// The additions to [`SCHEMA_MAJOR`] written today; a reader takes every one.
pub const SCHEMA_MINOR: u32 = 0;

/// Why stored bytes cannot be understood. Reading them again will not help: they are damaged, or
/// another release wrote them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are cut off, or no protobuf at all.
    #[error("cut off or no protobuf: {reason}")]
    Malformed {
        /// What the protobuf reader said.
        reason: String,
    },
    /// A later release wrote them, in a format that this one does not know.
    #[error("written in format {major}; this release reads format {known}")]
    UnknownMajor {
        /// Their major.
        major: u32,
        /// The major this release reads.
        known: u32,
    },
    /// A field that must be there is not.
    #[error("{field} is missing")]
    Missing {
        /// The field, as the protobuf file names it.
        field: &'static str,
    },
    /// A field holds what it never should.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field, as the protobuf file names it.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<prost::DecodeError> for DecodeError {
    fn from(error: prost::DecodeError) -> Self {
        Self::Malformed { reason: error.to_string() }
    }
}

/// Reads a stored message after a look at its major: in another major the same field numbers may
/// mean other things.
fn open<M: Message + Default>(bytes: &Bytes) -> Result<M, DecodeError> {
    check_major(bytes)?;
    Ok(M::decode(bytes.clone())?)
}

/// Looks whether this release can read a stored message at all, without reading it.
///
/// # Errors
/// [`DecodeError::UnknownMajor`] if a later one wrote it; another one if it is damaged at its
/// beginning.
pub fn check_major(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut start = bytes;
    if decode_key(&mut start)? != (1, WireType::Varint) {
        return Err(DecodeError::Missing { field: "schema_major" });
    }
    let major = decode_varint(&mut start)?;
    if major != u64::from(SCHEMA_MAJOR) {
        let major = u32::try_from(major).unwrap_or(u32::MAX);
        return Err(DecodeError::UnknownMajor { major, known: SCHEMA_MAJOR });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;
    use crate::v1;

    #[test]
    fn another_major_is_told_apart_from_damage() {
        // Field 3 of the envelope is a number; a later format might make it a text.
        let later = Bytes::from_static(&[0x08, 2, 0x1a, 1, b'x']);
        let unknown = DecodeError::UnknownMajor { major: 2, known: 1 };
        assert_eq!(decode_fact(&later), Err(unknown));
        let damaged = Bytes::from_static(&[0x08, 1, 0x1a, 1, b'x']);
        assert!(matches!(decode_fact(&damaged), Err(DecodeError::Malformed { .. })));
    }

    #[test]
    fn bytes_without_a_major_are_refused() {
        let missing = DecodeError::Missing { field: "schema_major" };
        assert_eq!(open::<v1::Envelope>(&Bytes::from_static(&[0x10, 1])), Err(missing));
        assert!(matches!(open::<v1::Envelope>(&Bytes::new()), Err(DecodeError::Malformed { .. })));
    }

    #[test]
    fn a_higher_minor_with_unknown_fields_is_read() {
        let id = v1::Id { high: 1, low: 2 };
        let entry = v1::AgendaEntry {
            at_ms: 5,
            due: Some(v1::agenda_entry::Due::Expiry(v1::DueExpiry { item: Some(id), revision: 1 })),
        };
        let stored = v1::StoredAgendaEntry { schema_major: 1, schema_minor: 7, entry: Some(entry) };
        let mut bytes = stored.encode_to_vec();
        // Field 2000, a text of two bytes.
        bytes.extend([0x82, 0x7d, 2, b'h', b'i']);
        let read = decode_agenda_entry(&bytes.into()).unwrap();
        assert_eq!(read.at.as_millis(), 5);
    }
}
