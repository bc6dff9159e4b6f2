//! A push as a device receives it.

use std::sync::Arc;

use serde_json::Value;

use super::id::ApnsId;
use super::push_type::PushType;

/// What a push is for its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It interacts with the user: alert, badge or sound.
    Alert,
    /// It wakes the app with a change of state: a background push with `campanile.items`.
    Sync,
    /// It wakes the app with data of its own: any other background push.
    Raw,
    /// Every other type; recorded only.
    Other,
}

/// A push that reached its device.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// When the service accepted it, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What it is for the device.
    pub kind: Kind,
    /// The declared type.
    pub push_type: PushType,
    /// 10, 5 or 1.
    pub priority: u8,
    /// Seconds since the Unix epoch; 0 = never stored.
    pub expiration: Option<u64>,
    /// The id under which it is shown and replaced.
    pub collapse_id: Option<String>,
    /// The id of the request, chosen by the sender or else by the service.
    pub apns_id: ApnsId,
    /// The number of the connection it came over; see [`ConnectionStats`](super::ConnectionStats).
    pub connection: u64,
    /// Whether the device had this `apns-id` before.
    pub duplicate: bool,
    /// The whole JSON body.
    pub payload: Arc<Value>,
}

impl Received {
    /// The title of the alert.
    pub fn title(&self) -> Option<&str> {
        self.alert()?.get("title")?.as_str()
    }

    /// The text of the alert.
    pub fn body(&self) -> Option<&str> {
        let alert = self.alert()?;
        alert.as_str().or_else(|| alert.get("body")?.as_str())
    }

    /// The badge that it sets.
    pub fn badge(&self) -> Option<u64> {
        self.payload.get("aps")?.get("badge")?.as_u64()
    }

    /// The root key `campanile`: of an alert `{"id":…,"seq":…}`, of a sync `{"items":[…]}`.
    pub fn campanile(&self) -> Option<&Value> {
        self.payload.get("campanile")
    }

    /// The place in the log of what it tells: `seq` of the root key `campanile`.
    pub fn seq(&self) -> Option<u64> {
        self.campanile()?.get("seq")?.as_u64()
    }

    /// The ids that it takes off the screen, each with its `seq`: a sync does, and an alert that runs
    /// the app's service extension.
    pub fn cleared(&self) -> impl Iterator<Item = (&str, Option<u64>)> {
        let items = self.campanile().and_then(|root| root.get("items")).and_then(Value::as_array);
        let clears = |item: &&Value| item.get("clear").and_then(Value::as_bool) == Some(true);
        items
            .filter(|_| self.kind == Kind::Sync || self.is_mutable())
            .into_iter()
            .flatten()
            .filter(clears)
            .filter_map(|item| {
                let seq = item.get("seq").and_then(Value::as_u64).or_else(|| self.seq());
                Some((item.get("id")?.as_str()?, seq))
            })
    }

    /// Whether it puts something on the screen.
    pub fn is_visible(&self) -> bool {
        self.kind == Kind::Alert && self.alert().is_some()
    }

    fn is_mutable(&self) -> bool {
        let mutable = self.payload.get("aps").and_then(|aps| aps.get("mutable-content"));
        self.kind == Kind::Alert && mutable.and_then(Value::as_u64) == Some(1)
    }

    fn alert(&self) -> Option<&Value> {
        self.payload.get("aps")?.get("alert")
    }
}

impl Kind {
    pub(crate) fn of(push_type: PushType, payload: &Value) -> Self {
        match push_type {
            PushType::Alert => Self::Alert,
            PushType::Background => {
                let items = payload.get("campanile").and_then(|root| root.get("items"));
                if items.is_some_and(Value::is_array) { Self::Sync } else { Self::Raw }
            }
            _ => Self::Other,
        }
    }
}
