//! Short names for the things that tests speak of. The same name is the same thing everywhere.

use std::sync::Arc;

use campanile_core::{
    Address, ApnsToken, AppId, EndpointId, Environment, IdentityKey, NotificationId,
    RegistrationId, RequestKey, Timestamp, UserId, UserRef,
};

/// When tests begin: 2027-01-15, 08:00 UTC.
pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The app.
///
/// # Panics
/// Never: the name is well formed.
#[must_use]
pub fn app() -> AppId {
    AppId::new("acme").unwrap_or_else(|error| unreachable!("{error}"))
}

/// A user. The partition is `number` modulo the partition count.
#[must_use]
pub fn user(number: u16) -> UserRef {
    let mut bytes = [0x75; 16];
    let [high, low] = number.to_be_bytes();
    bytes.iter_mut().zip([high, low]).for_each(|(to, from)| *to = from);
    UserRef::from_bytes(bytes)
}

/// The app's identity key.
#[must_use]
pub const fn identity_key() -> IdentityKey {
    IdentityKey::new([0x6b; 32])
}

/// What the app itself calls user number `number`.
///
/// # Panics
/// Never: the name is well formed.
#[must_use]
pub fn user_id(number: u16) -> UserId {
    UserId::new(&format!("user-{number}")).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The notification that the producer calls `name`.
#[must_use]
pub fn item(user: UserRef, name: &str) -> NotificationId {
    identity_key().item(user, name)
}

/// The request that the producer calls `key`.
#[must_use]
pub fn request(user: UserRef, key: &str) -> RequestKey {
    identity_key().request(user, key)
}

/// A device with the app on it. Whose it is, the step or the expectation it is used in says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Device {
    kind: &'static str,
    number: u8,
}

/// A phone.
#[must_use]
pub const fn phone(number: u8) -> Device {
    Device { kind: "phone", number }
}

/// A laptop.
#[must_use]
pub const fn laptop(number: u8) -> Device {
    Device { kind: "laptop", number }
}

/// A tablet.
#[must_use]
pub const fn tablet(number: u8) -> Device {
    Device { kind: "tablet", number }
}

impl Device {
    /// The endpoint it is for `user`.
    #[must_use]
    pub fn endpoint(self, user: UserRef) -> EndpointId {
        identity_key().endpoint(user, &self.to_string())
    }

    /// Its registration number `number`.
    #[must_use]
    pub fn registration(self, user: UserRef, number: u8) -> RegistrationId {
        let mut bytes = *self.endpoint(user).as_bytes();
        bytes.iter_mut().take(1).for_each(|byte| *byte = number);
        RegistrationId::from_bytes(bytes)
    }

    /// Its address while registration number `number` is current.
    ///
    /// # Panics
    /// Never: the token is well formed.
    #[must_use]
    pub fn address(self, user: UserRef, number: u8) -> Arc<Address> {
        let text = self.registration(user, number).to_string().repeat(2);
        let token = ApnsToken::new(&text).unwrap_or_else(|error| unreachable!("{error}"));
        let (topic, environment) = ("com.example.acme".into(), Environment::Production);
        Arc::new(Address::Apns { token, topic, environment })
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.kind, self.number)
    }
}
