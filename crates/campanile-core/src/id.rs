//! Identities: what a thing is called, derived so that the same request, device or delivery has
//! the same name after a retry, a crash or a rebalance, without looking anything up.
//!
//! All derived ids are 128 bits of BLAKE3, keyed per app where outsiders could otherwise guess.

use std::fmt;
use std::sync::Arc;

use crate::{Address, Offset, Partition};

/// Why a text is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than the limit.
    #[error("must be at most {limit} bytes, got {got}")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
        /// The length in bytes.
        got: usize,
    },
    /// The text has a character outside the allowed ones.
    #[error("has a character that is not allowed at byte {at}; allowed are {allowed}")]
    Character {
        /// The byte index of the first offender.
        at: usize,
        /// The allowed characters, in words.
        allowed: &'static str,
    },
    /// The text is not the fixed-length lower-case hexadecimal form.
    #[error("must be {digits} lower-case hexadecimal digits")]
    NotHex {
        /// How many digits are expected.
        digits: usize,
    },
}

fn check(
    text: &str,
    limit: usize,
    allowed: &'static str,
    ok: fn(char) -> bool,
) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > limit {
        return Err(InvalidId::TooLong { limit, got: text.len() });
    }
    match text.char_indices().find(|(_, c)| !ok(*c)) {
        Some((at, _)) => Err(InvalidId::Character { at, allowed }),
        None => Ok(()),
    }
}

/// An app: a tenant. 1 to 64 bytes of `a-z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(Arc<str>);

impl AppId {
    /// Checks and takes `text`.
    ///
    /// # Errors
    /// [`InvalidId`] if it is empty, over 64 bytes or has other characters.
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        check(text, 64, "a-z 0-9 . _ -", |c| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c)
        })?;
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The app's own name for a user. 1 to 512 bytes of ASCII letters, digits and `. _ @ | : + = ~ -`:
/// enough for e-mail addresses, GUIDs and identity-provider subjects. It never enters the log.
#[derive(Clone, PartialEq, Eq)]
pub struct UserId(String);

impl UserId {
    /// Checks and takes `text`.
    ///
    /// # Errors
    /// [`InvalidId`] if it is empty, over 512 bytes or has other characters.
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        check(text, 512, "letters, digits and . _ @ | : + = ~ -", |c| {
            c.is_ascii_alphanumeric() || "._@|:+=~-".contains(c)
        })?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for UserId {
    /// Personal data: never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(…)")
    }
}

/// The hexadecimal digit of a number below 16. Ids are printed several times for each push; the
/// formatting of the standard library takes ten times as long.
const fn digit(number: u8) -> u8 {
    if number < 10 { b'0' + number } else { b'a' + number - 10 }
}

macro_rules! id_128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Reads the printed form: 32 lower-case hexadecimal digits.
            ///
            /// # Errors
            /// [`InvalidId::NotHex`] for anything else.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let value = match text.len() {
                    32 if !text.bytes().any(|b| b.is_ascii_uppercase() || b == b'+') => {
                        u128::from_str_radix(text, 16).ok()
                    }
                    _ => None,
                };
                value.map(|v| Self(v.to_be_bytes())).ok_or(InvalidId::NotHex { digits: 32 })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; 32];
                for (digits, byte) in text.chunks_exact_mut(2).zip(self.0) {
                    digits.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
                }
                f.write_str(std::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

id_128!(
    /// A user of an app, as the log knows it: a keyed hash of (app, user id). Its top 16 bits
    /// choose the partition.
    UserRef
);
id_128!(
    /// A notification (item): keyed hash of what names it. Begins with the 16 bits of its user's
    /// [`UserRef`], so that an id alone finds its partition.
    NotificationId
);
id_128!(
    /// One app installation of one user: hash of (app, user, client installation id). An address
    /// can rotate without a new endpoint.
    EndpointId
);
id_128!(
    /// One registration of an endpoint: random. A verdict names the registration it judges, so
    /// that a late one cannot hit a newer registration.
    RegistrationId
);
id_128!(
    /// One delivery: hash of (item, causing event, endpoint), so the same after a retry, a crash or
    /// a rebalance, and never another one's, also if the item is forgotten and posted anew.
    DeliveryId
);
id_128!(
    /// A publish request: keyed hash of (app, user, idempotency key).
    RequestKey
);
id_128!(
    /// What a request said: hash of its body, to tell a retry from a contradiction.
    Fingerprint
);

impl UserRef {
    /// The top 16 bits: what partitions are made of.
    #[must_use]
    pub const fn prefix(self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }
}

impl UserRef {
    /// Under what the events of a campaign of `app` are recorded and found in `partition`: no
    /// user, but as a partition of the log has it.
    #[must_use]
    pub fn of_campaign(app: &AppId, campaign: &str, partition: Partition) -> Self {
        let hash = plain_hash("campaign", &[app.as_str().as_bytes(), campaign.as_bytes()]);
        Self(in_partition(hash, partition))
    }

    /// Under what retired endpoints of `app` are found in `partition`: no user, as before.
    #[must_use]
    pub fn of_retired(app: &AppId, partition: Partition) -> Self {
        Self(in_partition(plain_hash("retired", &[app.as_str().as_bytes()]), partition))
    }
}

impl NotificationId {
    /// The 16 bits of its user's reference.
    #[must_use]
    pub const fn prefix(self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// A name from 128 random bits, for a request that names neither its item nor itself.
    #[must_use]
    pub fn random(user: UserRef, entropy: [u8; 16]) -> Self {
        Self::of_user(user, entropy)
    }

    fn of_user(user: UserRef, mut bytes: [u8; 16]) -> Self {
        let (head, _) = bytes.split_at_mut(2);
        head.copy_from_slice(&user.prefix().to_be_bytes());
        Self(bytes)
    }
}

impl RegistrationId {
    /// A registration from 128 random bits.
    #[must_use]
    pub const fn random(entropy: [u8; 16]) -> Self {
        Self(entropy)
    }
}

impl Fingerprint {
    /// The fingerprint of a request's canonical bytes.
    #[must_use]
    pub fn of(canonical: &[u8]) -> Self {
        Self(truncate(blake3::hash(canonical)))
    }
}

impl DeliveryId {
    /// The delivery to `endpoint` of the post or change of `item` that is recorded at `cause`, in
    /// the partition of the item.
    #[must_use]
    pub fn new(item: NotificationId, cause: Offset, endpoint: EndpointId) -> Self {
        let cause = cause.0.to_be_bytes();
        Self(plain_hash("delivery", &[&item.0, &cause, &endpoint.0]))
    }

    /// The delivery to `endpoint` of the fallback of the post of `item` at `posted`.
    #[must_use]
    pub fn of_fallback(item: NotificationId, posted: Offset, endpoint: EndpointId) -> Self {
        let posted = posted.0.to_be_bytes();
        Self(plain_hash("fallback", &[&item.0, &posted, &endpoint.0]))
    }
}

impl RequestKey {
    /// The request to make a delivery again that failed: the same for everybody who asks.
    #[must_use]
    pub fn of_redelivery(failed: DeliveryId) -> Self {
        Self(plain_hash("redelivery", &[&failed.0]))
    }
}

/// An app's secret from which its users', items', endpoints' and requests' names are derived.
/// Made once when the app is set up; with another key every name changes.
#[derive(Clone)]
pub struct IdentityKey([u8; 32]);

impl IdentityKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key of `app` under a deployment's root key.
    #[must_use]
    pub fn of_app(root: &[u8; 32], app: &AppId) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(root);
        frame(&mut hasher, "identity key", &[app.as_str().as_bytes()]);
        Self(*hasher.finalize().as_bytes())
    }

    /// The reference of the user whom `app` calls `user`.
    #[must_use]
    pub fn user(&self, app: &AppId, user: &UserId) -> UserRef {
        UserRef(self.hash("user", &[app.as_str().as_bytes(), user.0.as_bytes()]))
    }

    /// The item that a producer calls `app_notification_id`.
    #[must_use]
    pub fn item(&self, user: UserRef, app_notification_id: &str) -> NotificationId {
        let bytes = self.hash("item", &[&user.0, app_notification_id.as_bytes()]);
        NotificationId::of_user(user, bytes)
    }

    /// The item of a request that names itself but not its item.
    #[must_use]
    pub fn item_of_request(&self, user: UserRef, request: RequestKey) -> NotificationId {
        NotificationId::of_user(user, self.hash("item of request", &[&user.0, &request.0]))
    }

    /// The request that a producer calls `idempotency_key`.
    #[must_use]
    pub fn request(&self, user: UserRef, idempotency_key: &str) -> RequestKey {
        RequestKey(self.hash("request", &[&user.0, idempotency_key.as_bytes()]))
    }

    /// The endpoint that is the app installation `installation` of `user`.
    #[must_use]
    pub fn endpoint(&self, user: UserRef, installation: &str) -> EndpointId {
        EndpointId(self.hash("endpoint", &[&user.0, installation.as_bytes()]))
    }

    /// Under what the claims to `address` are recorded: no user, but as a partition of the log has
    /// it. The same address of another app is another.
    #[must_use]
    pub fn address(&self, address: &Address) -> UserRef {
        let (kind, token) = address.token();
        UserRef(self.hash("address", &[kind.as_bytes(), token.as_bytes()]))
    }

    fn hash(&self, domain: &str, parts: &[&[u8]]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        frame(&mut hasher, domain, parts);
        truncate(hasher.finalize())
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityKey(…)")
    }
}

/// Partitions are fewer than 65536, so the partition of the number is itself.
fn in_partition(mut hash: [u8; 16], partition: Partition) -> [u8; 16] {
    let (head, _) = hash.split_at_mut(2);
    head.copy_from_slice(&partition.0.to_be_bytes());
    hash
}

fn plain_hash(domain: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    frame(&mut hasher, domain, parts);
    truncate(hasher.finalize())
}

/// Feeds parts with their lengths, so that no two lists of parts look alike.
fn frame(hasher: &mut blake3::Hasher, domain: &str, parts: &[&[u8]]) {
    for part in std::iter::once(domain.as_bytes()).chain(parts.iter().copied()) {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
}

fn truncate(hash: blake3::Hash) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
    bytes
}
