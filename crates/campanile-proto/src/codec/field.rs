//! Reading single fields: presence, range, and the core's types.

use std::sync::Arc;

use campanile_core::{
    AppId, DeliveryId, EndpointId, Fingerprint, NotificationId, PlatformMask, RegistrationId,
    RequestKey, Timestamp, UserRef,
};

use super::DecodeError;
use crate::v1;

/// The value of a field that must be there.
pub(super) fn need<T>(field: &'static str, value: Option<T>) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Missing { field })
}

/// The error of a field that holds what it never should.
pub(super) fn invalid(field: &'static str, reason: impl ToString) -> DecodeError {
    DecodeError::Invalid { field, reason: reason.to_string() }
}

/// A whole number in a narrower type.
pub(super) fn narrow<T: TryFrom<u32>>(field: &'static str, value: u32) -> Result<T, DecodeError> {
    T::try_from(value).map_err(|_| invalid(field, format_args!("{value} is out of range")))
}

/// A known value of an enumeration, in the core's words.
pub(super) fn one_of<W, C>(
    field: &'static str,
    number: i32,
    to_core: fn(W) -> Option<C>,
) -> Result<C, DecodeError>
where
    W: TryFrom<i32>,
{
    let known =
        W::try_from(number).map_err(|_| invalid(field, format_args!("unknown {number}")))?;
    need(field, to_core(known))
}

pub(super) fn app(field: &'static str, text: &str) -> Result<AppId, DecodeError> {
    AppId::new(text).map_err(|error| invalid(field, error))
}

pub(super) fn mask(field: &'static str, bits: u32) -> Result<PlatformMask, DecodeError> {
    Ok(PlatformMask::from_bits(narrow(field, bits)?))
}

pub(super) const fn time(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(super) fn shared(text: Option<String>) -> Option<Arc<str>> {
    text.map(Arc::from)
}

pub(super) fn text(shared: Option<&Arc<str>>) -> Option<String> {
    shared.map(|text| text.as_ref().to_owned())
}

/// The core's 128-bit ids as the two numbers of [`v1::Id`]: neither direction allocates, and an id
/// of the wrong length cannot be written down.
pub(super) trait Id128: Sized {
    fn bytes(self) -> [u8; 16];
    fn of(bytes: [u8; 16]) -> Self;

    fn wire(self) -> v1::Id {
        let value = u128::from_be_bytes(self.bytes());
        v1::Id { high: (value >> 64) as u64, low: value as u64 }
    }

    fn read(id: v1::Id) -> Self {
        Self::of(((u128::from(id.high) << 64) | u128::from(id.low)).to_be_bytes())
    }

    fn need(field: &'static str, id: Option<v1::Id>) -> Result<Self, DecodeError> {
        need(field, id).map(Self::read)
    }
}

macro_rules! id_128 {
    ($($name:ident),*) => {$(
        impl Id128 for $name {
            fn bytes(self) -> [u8; 16] {
                *self.as_bytes()
            }

            fn of(bytes: [u8; 16]) -> Self {
                Self::from_bytes(bytes)
            }
        }
    )*};
}

id_128!(UserRef, NotificationId, EndpointId, RegistrationId, DeliveryId, RequestKey, Fingerprint);
