//! The payload that was made last: what goes to all devices of a user goes to one after the other,
//! and says the same on each.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use campanile_core::NotificationId;
use campanile_core::port::{Push, PushBody};

use super::request::payload;
use crate::told::Unsayable;

/// Makes payloads, and remembers the last one.
#[derive(Default)]
pub(super) struct Payloads(Mutex<Option<Made>>);

/// A payload, and all that it says.
struct Made {
    item: NotificationId,
    sequence: u64,
    body: PushBody,
    is_background: bool,
    payload: Bytes,
}

impl Payloads {
    /// Whether `push` is a background push, and its payload.
    ///
    /// # Errors
    /// As [`payload`].
    pub(super) fn of(&self, push: &Push) -> Result<(bool, Bytes), Unsayable> {
        // What is told of other items differs by device.
        if !push.along.is_empty() {
            return payload(push);
        }
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |made: &&Made| {
            (made.item, made.sequence) == (push.item, push.sequence) && made.body == push.body
        };
        if let Some(made) = last.as_ref().filter(same) {
            return Ok((made.is_background, made.payload.clone()));
        }
        let (is_background, payload) = payload(push)?;
        let (item, sequence, body) = (push.item, push.sequence, push.body.clone());
        *last = Some(Made { item, sequence, body, is_background, payload: payload.clone() });
        Ok((is_background, payload))
    }
}
