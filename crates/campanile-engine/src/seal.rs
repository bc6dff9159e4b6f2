//! Sealed handles: what a client carries for us and can neither read nor make up.
//!
//! AES-256-GCM with a random 96-bit nonce: `nonce ‖ ciphertext ‖ tag`, in unpadded base64url. The
//! kind of handle and the app are authenticated too, so one cannot pass for another.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use campanile_core::port::Entropy;
use campanile_core::{
    AppId, EndpointId, Fingerprint, Generation, Offset, Partition, RegistrationId, Timestamp,
    UserRef,
};

const NONCE: usize = 12;

/// Why a handle was not opened: it was tampered with, is of another kind or deployment, or is not
/// a handle at all. No more is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a handle given out by this deployment")]
pub struct NotOurs;

/// Seals and opens handles.
pub struct Seal {
    key: LessSafeKey,
    entropy: Arc<dyn Entropy>,
}

/// What an UNSID holds: enough to find the endpoint without a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsid {
    /// The user.
    pub user: UserRef,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The registration.
    pub registration: RegistrationId,
    /// When the lease ends.
    pub expires_at: Timestamp,
}

/// What a cursor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorKind {
    /// Catching up with changes: `next` is the first offset not seen.
    Sync,
    /// Paging through a list: `next` is the change of the last item listed.
    Page,
}

impl CursorKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Sync => "cursor",
            Self::Page => "page",
        }
    }
}

/// What a cursor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Whose items.
    pub user: UserRef,
    /// The log's generation.
    pub generation: Generation,
    /// The user's partition.
    pub partition: Partition,
    /// See [`CursorKind`].
    pub next: Offset,
}

/// How far a reader has come in every partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The log's generation.
    pub generation: Generation,
    /// The partition to begin with.
    pub turn: u16,
    /// Of each partition, the first offset not seen.
    pub next: Vec<Offset>,
}

/// How far a reader of dead letters has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadPlaces {
    /// Where.
    pub places: Places,
    /// What is recorded from then on is not looked for, so that the reader comes to an end.
    pub until: Timestamp,
    /// What is looked for.
    pub of: Fingerprint,
}

impl Default for Places {
    fn default() -> Self {
        Self { generation: Generation(0), turn: 0, next: Vec::new() }
    }
}

impl Seal {
    /// Seals with `key`.
    ///
    /// # Errors
    /// [`NotOurs`] if the cryptographic library refuses the key, which 32 bytes never cause.
    pub fn new(key: &[u8; 32], entropy: Arc<dyn Entropy>) -> Result<Self, NotOurs> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| NotOurs)?;
        Ok(Self { key: LessSafeKey::new(key), entropy })
    }

    /// Seals an UNSID for `app`: it opens only for the same app.
    ///
    /// # Errors
    /// [`NotOurs`] if encryption fails, which it does not for these sizes.
    pub fn unsid(&self, app: &AppId, unsid: &Unsid) -> Result<String, NotOurs> {
        let expires_at = unsid.expires_at.as_millis().to_be_bytes();
        let registration = unsid.registration.as_bytes();
        let plain: [&[u8]; 4] =
            [unsid.user.as_bytes(), unsid.endpoint.as_bytes(), registration, &expires_at];
        self.seal("unsid", app, plain.concat())
    }

    /// Opens an UNSID of `app`.
    ///
    /// # Errors
    /// [`NotOurs`].
    pub fn open_unsid(&self, app: &AppId, sealed: &str) -> Result<Unsid, NotOurs> {
        let plain = self.open("unsid", app, sealed)?;
        let mut fields = Fields(&plain);
        Ok(Unsid {
            user: UserRef::from_bytes(fields.take()?),
            endpoint: EndpointId::from_bytes(fields.take()?),
            registration: RegistrationId::from_bytes(fields.take()?),
            expires_at: Timestamp::from_millis(u64::from_be_bytes(fields.take()?)),
        })
    }

    /// Seals a cursor for `app`.
    ///
    /// # Errors
    /// [`NotOurs`] if encryption fails, which it does not for these sizes.
    pub fn cursor(&self, app: &AppId, kind: CursorKind, c: &Cursor) -> Result<String, NotOurs> {
        let generation = c.generation.0.to_be_bytes();
        let (partition, next) = (c.partition.0.to_be_bytes(), c.next.0.to_be_bytes());
        let plain: [&[u8]; 4] = [c.user.as_bytes(), &generation, &partition, &next];
        self.seal(kind.name(), app, plain.concat())
    }

    /// Opens a cursor of `app`.
    ///
    /// # Errors
    /// [`NotOurs`].
    pub fn open_cursor(
        &self,
        app: &AppId,
        kind: CursorKind,
        sealed: &str,
    ) -> Result<Cursor, NotOurs> {
        let plain = self.open(kind.name(), app, sealed)?;
        let mut fields = Fields(&plain);
        Ok(Cursor {
            user: UserRef::from_bytes(fields.take()?),
            generation: Generation(u32::from_be_bytes(fields.take()?)),
            partition: Partition(u16::from_be_bytes(fields.take()?)),
            next: Offset(u64::from_be_bytes(fields.take()?)),
        })
    }

    /// Seals places for `app`.
    ///
    /// # Errors
    /// [`NotOurs`] if encryption fails, which it does not for these sizes.
    pub fn places(&self, app: &AppId, places: &Places) -> Result<String, NotOurs> {
        self.seal("places", app, places.bytes())
    }

    /// Opens places of `app`.
    ///
    /// # Errors
    /// [`NotOurs`].
    pub fn open_places(&self, app: &AppId, sealed: &str) -> Result<Places, NotOurs> {
        let plain = self.open("places", app, sealed)?;
        Places::read(Fields(&plain))
    }

    /// Seals the places of a reader of dead letters of `app`.
    ///
    /// # Errors
    /// [`NotOurs`] if encryption fails, which it does not for these sizes.
    pub fn dead_places(&self, app: &AppId, dead: &DeadPlaces) -> Result<String, NotOurs> {
        let until = dead.until.as_millis().to_be_bytes();
        let plain = [&until[..], dead.of.as_bytes(), &dead.places.bytes()].concat();
        self.seal("dead letters", app, plain)
    }

    /// Opens the places of a reader of dead letters of `app`.
    ///
    /// # Errors
    /// [`NotOurs`].
    pub fn open_dead_places(&self, app: &AppId, sealed: &str) -> Result<DeadPlaces, NotOurs> {
        let plain = self.open("dead letters", app, sealed)?;
        let mut fields = Fields(&plain);
        let until = Timestamp::from_millis(u64::from_be_bytes(fields.take()?));
        let of = Fingerprint::from_bytes(fields.take()?);
        Ok(DeadPlaces { places: Places::read(fields)?, until, of })
    }

    fn seal(&self, kind: &str, app: &AppId, mut bytes: Vec<u8>) -> Result<String, NotOurs> {
        let mut nonce = [0; NONCE];
        nonce.iter_mut().zip(self.entropy.draw()).for_each(|(to, from)| *to = from);
        let (aad, sealing) = (aad(kind, app), Nonce::assume_unique_for_key(nonce));
        self.key.seal_in_place_append_tag(sealing, aad, &mut bytes).map_err(|_| NotOurs)?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &bytes].concat()))
    }

    fn open(&self, kind: &str, app: &AppId, sealed: &str) -> Result<Vec<u8>, NotOurs> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| NotOurs)?;
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(NotOurs)?;
        let mut bytes = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain =
            self.key.open_in_place(nonce, aad(kind, app), &mut bytes).map_err(|_| NotOurs)?;
        Ok(plain.to_vec())
    }
}

impl Places {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.generation.0.to_be_bytes().to_vec();
        bytes.extend(self.turn.to_be_bytes());
        bytes.extend(self.next.iter().flat_map(|next| next.0.to_be_bytes()));
        bytes
    }

    fn read(mut fields: Fields<'_>) -> Result<Self, NotOurs> {
        let generation = Generation(u32::from_be_bytes(fields.take()?));
        let turn = u16::from_be_bytes(fields.take()?);
        let mut next = Vec::new();
        while !fields.0.is_empty() {
            next.push(Offset(u64::from_be_bytes(fields.take()?)));
        }
        Ok(Self { generation, turn, next })
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

/// App ids have no colon, so the two parts cannot run together.
fn aad(kind: &str, app: &AppId) -> Aad<String> {
    Aad::from(format!("{kind}:{app}"))
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], NotOurs> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or(NotOurs)?;
        self.0 = rest;
        Ok(*field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Entropy for Fixed {
        fn draw(&self) -> [u8; 16] {
            [7; 16]
        }
    }

    fn cursor() -> Cursor {
        Cursor {
            user: UserRef::from_bytes([1; 16]),
            generation: Generation(2),
            partition: Partition(3),
            next: Offset(4),
        }
    }

    fn app(name: &str) -> AppId {
        AppId::new(name).unwrap()
    }

    #[test]
    fn a_handle_opens_for_its_app_and_kind_only() {
        let seal = Seal::new(&[9; 32], Arc::new(Fixed)).unwrap();
        let sealed = seal.cursor(&app("shop"), CursorKind::Sync, &cursor()).unwrap();
        let open = |name, kind| seal.open_cursor(&app(name), kind, &sealed);
        assert_eq!(open("shop", CursorKind::Sync), Ok(cursor()));
        assert_eq!(open("bank", CursorKind::Sync), Err(NotOurs));
        assert_eq!(open("shop", CursorKind::Page), Err(NotOurs));
        assert_eq!(seal.open_unsid(&app("shop"), &sealed), Err(NotOurs));
    }

    #[test]
    fn a_changed_handle_does_not_open() {
        let seal = Seal::new(&[9; 32], Arc::new(Fixed)).unwrap();
        let sealed = seal.cursor(&app("shop"), CursorKind::Sync, &cursor()).unwrap();
        let open = |sealed: &str| seal.open_cursor(&app("shop"), CursorKind::Sync, sealed);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(open(&changed), Err(NotOurs), "digit {at}");
            assert_eq!(open(&sealed[..at]), Err(NotOurs), "cut at {at}");
        }
    }
}
