//! A message as a device receives it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::message;

/// What a message is for its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A notification message: the system draws it.
    Notification,
    /// A data message with a change of state: `data.campanile` has `items`.
    Sync,
    /// Any other data message.
    Raw,
}

/// How urgent a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// It may wait for the device to wake up by itself.
    Normal,
    /// At once.
    High,
}

/// A message that reached its device.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// When the service accepted it, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What it is for the device.
    pub kind: Kind,
    /// How urgent it is.
    pub priority: Priority,
    /// For how long it is stored, in seconds; 0 = never.
    pub ttl_s: u64,
    /// What replaces it while it is stored.
    pub collapse_key: Option<String>,
    /// What replaces it on the screen.
    pub tag: Option<String>,
    /// Its name as the sender was told: `projects/…/messages/…`.
    pub name: Arc<str>,
    /// The number of the connection it came over; see [`ConnectionStats`](super::ConnectionStats).
    pub connection: u64,
    /// Whether the device had the same data and tag before.
    pub duplicate: bool,
    /// The object `message` of the request, names in camel case.
    pub message: Arc<Map<String, Value>>,
}

impl Received {
    /// The title that is drawn.
    pub fn title(&self) -> Option<&str> {
        message::notification(&self.message, "title")
    }

    /// The text that is drawn.
    pub fn body(&self) -> Option<&str> {
        message::notification(&self.message, "body")
    }

    /// The number that it adds to the app's icon.
    pub fn notification_count(&self) -> Option<u64> {
        message::own_notification(&self.message)?.get("notificationCount")?.as_u64()
    }

    /// A value of its data.
    pub fn data(&self, key: &str) -> Option<&str> {
        message::data(&self.message, key)
    }

    /// The JSON in `data.campanile`: of a shown item `{"id":…,"seq":…}`, of a sync `{"items":[…]}`.
    pub fn campanile(&self) -> Option<Value> {
        campanile(&self.message)
    }

    /// The ids that a sync takes off the screen.
    pub fn cleared(&self) -> Vec<String> {
        let root = if self.kind == Kind::Sync { self.campanile() } else { None };
        let items = root.as_ref().and_then(|root| root.get("items")).and_then(Value::as_array);
        let clears = |item: &&Value| item.get("clear").and_then(Value::as_bool) == Some(true);
        let id = |item: &Value| item.get("id")?.as_str().map(str::to_owned);
        items.into_iter().flatten().filter(clears).filter_map(id).collect()
    }
}

impl Kind {
    pub(crate) fn of(fields: &Map<String, Value>) -> Self {
        let draws =
            fields.contains_key("notification") || message::own_notification(fields).is_some();
        if draws {
            return Self::Notification;
        }
        let items = campanile(fields).is_some_and(|root| root.get("items").is_some());
        if items { Self::Sync } else { Self::Raw }
    }
}

fn campanile(fields: &Map<String, Value>) -> Option<Value> {
    serde_json::from_str(message::data(fields, "campanile")?).ok()
}

/// What makes a message the same as another: its tag and its data. The rest, such as the time it
/// has left, differs when a sender tries again.
pub(crate) fn identity(tag: Option<&str>, fields: &Map<String, Value>) -> u64 {
    let mut hasher = DefaultHasher::new();
    tag.hash(&mut hasher);
    message::all_data(fields).for_each(|pair| pair.hash(&mut hasher));
    hasher.finish()
}
