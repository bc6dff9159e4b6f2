//! `apns-id`: the identity of one request, a UUID in canonical lower-case form.

use std::fmt;

use crate::random::Random;

/// The value of an `apns-id` header: 32 lower-case hexadecimal digits displayed in five groups
/// separated by hyphens, 8-4-4-4-12 (Apple, "Sending notification requests to APNs").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApnsId(u128);

/// Where the hyphens stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const LENGTH: usize = 36;

impl ApnsId {
    /// Reads the canonical form; anything else, upper-case included, is `None`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        let mut value = 0_u128;
        for (at, &byte) in text.iter().enumerate() {
            let digit = match byte {
                b'-' if HYPHENS.contains(&at) => continue,
                _ if HYPHENS.contains(&at) => return None,
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return None,
            };
            value = (value << 4) | u128::from(digit);
        }
        Some(Self(value))
    }

    /// A fresh version 4 UUID (RFC 9562 §5.4), for a request that carries none.
    pub(crate) fn random(random: &mut Random) -> Self {
        let bits = (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64());
        let versioned = (bits & !(0xf << 76)) | (0x4 << 76);
        Self((versioned & !(0x3 << 62)) | (0x2 << 62))
    }
}

impl fmt::Display for ApnsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            v >> 96,
            (v >> 80) & 0xffff,
            (v >> 64) & 0xffff,
            (v >> 48) & 0xffff,
            v & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_form_survives_a_round_trip() {
        let text = "eabeae54-14a8-11e5-b60b-1697f925ec7b";
        assert_eq!(ApnsId::parse(text.as_bytes()).map(|id| id.to_string()).as_deref(), Some(text));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "EABEAE54-14A8-11E5-B60B-1697F925EC7B",
            "eabeae5414a811e5b60b1697f925ec7b",
            "eabeae54-14a8-11e5-b60b-1697f925ec7",
            "eabeae54-14a8-11e5-b60b-1697f925ec7bb",
            "eabeae54-14a8-11e5-b60b01697f925ec7b",
            "eabeae54-14a8-11e5-b60b-1697f925ec-b",
            "gabeae54-14a8-11e5-b60b-1697f925ec7b",
        ] {
            assert_eq!(ApnsId::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn random_ids_are_version_4_and_differ() {
        let mut random = Random::new(3);
        let (a, b) = (ApnsId::random(&mut random), ApnsId::random(&mut random));
        assert_ne!(a, b);
        assert_eq!(a.to_string().as_bytes().get(14), Some(&b'4'));
        assert!(matches!(a.to_string().as_bytes().get(19), Some(b'8' | b'9' | b'a' | b'b')));
        assert_eq!(ApnsId::parse(a.to_string().as_bytes()), Some(a));
    }
}
