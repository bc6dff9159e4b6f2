//! Deliveries in a few words.

use std::fmt;

use campanile_core::{Delivery, DeliveryKind, UserRef};

use crate::vocabulary::{Device, item, laptop, phone, tablet, user};

/// A delivery that is expected: to user 1, of revision 1, unless it is told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    whose: UserRef,
    item: &'static str,
    revision: Option<u32>,
    falls_back: bool,
    device: Option<Device>,
}

/// A revision of the item is shown.
#[must_use]
pub fn show(item: &'static str) -> Expected {
    Expected { whose: user(1), item, revision: Some(1), falls_back: false, device: None }
}

/// The state of the item is told silently.
#[must_use]
pub fn sync(item: &'static str) -> Expected {
    Expected { whose: user(1), item, revision: None, falls_back: false, device: None }
}

/// The fallback of a revision of the item is shown.
#[must_use]
pub fn fallback(item: &'static str) -> Expected {
    Expected { falls_back: true, ..show(item) }
}

/// What names are looked up among, to tell what a delivery is.
const ITEMS: [&str; 4] = ["a", "b", "c", "d"];

impl Expected {
    /// It is revision `revision`.
    #[must_use]
    pub const fn revision(self, revision: u32) -> Self {
        Self { revision: Some(revision), ..self }
    }

    /// It goes to the device.
    #[must_use]
    pub const fn to(self, device: Device) -> Self {
        Self { device: Some(device), ..self }
    }

    /// It is for this user.
    #[must_use]
    pub const fn of(self, whose: UserRef) -> Self {
        Self { whose, ..self }
    }

    /// Whether `delivery`, to `whose`, is the one.
    #[must_use]
    pub fn matches(&self, whose: UserRef, delivery: &Delivery) -> bool {
        self.to_string() == Self::describe(whose, delivery)
    }

    /// The delivery in the words of an expectation.
    #[must_use]
    pub fn describe(whose: UserRef, delivery: &Delivery) -> String {
        let name = ITEMS.into_iter().find(|name| item(whose, name) == delivery.item);
        let name = name.unwrap_or("an unknown item");
        let makers = [phone, laptop, tablet];
        let mut devices = (0..40).flat_map(|number| makers.map(|maker| maker(number)));
        let device = devices.find(|device| device.endpoint(whose) == delivery.endpoint);
        let device = device.map_or_else(|| "an unknown device".to_owned(), |it| it.to_string());
        let revision = match delivery.kind {
            DeliveryKind::Show { revision } | DeliveryKind::Fallback { revision } => Some(revision),
            DeliveryKind::Sync => None,
        };
        let falls_back = matches!(delivery.kind, DeliveryKind::Fallback { .. });
        words(whose, name, (revision, falls_back), &device)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = self.device.map_or_else(|| "no device".to_owned(), |it| it.to_string());
        f.write_str(&words(self.whose, self.item, (self.revision, self.falls_back), &device))
    }
}

fn words(whose: UserRef, item: &str, what: (Option<u32>, bool), device: &str) -> String {
    let what = match what {
        (None, _) => "state".to_owned(),
        (Some(revision), false) => format!("revision {revision}"),
        (Some(revision), true) => format!("the fallback of revision {revision}"),
    };
    format!("{what} of {item} to {device} of user {}", whose.prefix())
}
