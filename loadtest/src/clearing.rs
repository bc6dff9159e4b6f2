//! What was dismissed on one device, and on which others it must be cleared.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::CreationError;

use crate::track::{Track, Window};

/// Notifications that were dismissed, by the engine's id.
pub(crate) struct Clearing {
    items: Mutex<Items>,
    /// Dismissals that every other device has heard of.
    last: Track,
}

#[derive(Default)]
struct Items {
    dismissed: HashMap<u128, Item>,
    due: u64,
    cleared: u64,
    doubled: u64,
}

struct Item {
    number: u32,
    user: u32,
    /// When it was to be dismissed.
    at: Duration,
    /// A bit for each device that must hear of it and has not.
    left: u32,
    /// A bit for each device that may hear of it.
    others: u32,
    /// A bit for each device that has heard.
    heard: u32,
}

/// A notification of a user that is to be dismissed at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dismissal {
    pub(crate) number: u32,
    pub(crate) user: u32,
    pub(crate) at: Duration,
}

/// What became of dismissals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cleared {
    /// Dismissed notifications.
    pub(crate) dismissed: u64,
    /// Clears that did not arrive.
    pub(crate) lost: u64,
    /// Clears that arrived again.
    pub(crate) doubled: u64,
}

impl Clearing {
    /// Nothing is dismissed.
    ///
    /// # Errors
    /// [`CreationError`].
    pub(crate) fn new(window: Window) -> Result<Self, CreationError> {
        Ok(Self { items: Mutex::default(), last: Track::new(window)? })
    }

    /// `id` is to be dismissed: the devices of `others` may hear of it, those of `due` must. Both
    /// have a bit for each device.
    pub(crate) fn dismiss(&self, id: u128, dismissal: Dismissal, (others, due): (u32, u32)) {
        let Dismissal { number, user, at } = dismissal;
        let mut items = self.items();
        items.due += u64::from(due.count_ones());
        items.dismissed.insert(id, Item { number, user, at, left: due, others, heard: 0 });
    }

    /// The number of a notification that was dismissed.
    pub(crate) fn number(&self, id: u128) -> Option<u32> {
        self.items().dismissed.get(&id).map(|item| item.number)
    }

    /// A device heard that `id` is to be cleared. `None` if it should not have.
    pub(crate) fn clear(&self, id: u128, user: u32, endpoint: u8, now: Duration) -> Option<()> {
        let mut items = self.items();
        let item = items.dismissed.get_mut(&id).filter(|item| item.user == user)?;
        let bit = 1_u32.checked_shl(endpoint.into()).filter(|bit| item.others & bit != 0)?;
        let (is_again, was_due) = (item.heard & bit != 0, item.left & bit != 0);
        item.heard |= bit;
        item.left &= !bit;
        if was_due && item.left == 0 {
            self.last.count(item.at, now);
        }
        items.cleared += u64::from(was_due);
        items.doubled += u64::from(is_again);
        Some(())
    }

    /// How late the last device of each dismissed notification heard of it.
    pub(crate) const fn last(&self) -> &Track {
        &self.last
    }

    /// How it stands.
    pub(crate) fn sums(&self) -> Cleared {
        let items = self.items();
        let dismissed = u64::try_from(items.dismissed.len()).unwrap_or(u64::MAX);
        Cleared { dismissed, lost: items.due - items.cleared, doubled: items.doubled }
    }

    fn items(&self) -> MutexGuard<'_, Items> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    #[test]
    fn a_dismissal_is_done_when_every_device_that_must_has_heard_of_it() {
        let ms = Duration::from_millis;
        let clearing = Clearing::new(Window { from: ms(0), to: ms(1000) }).unwrap();
        // On the first of four; the last is one that need not hear of it.
        clearing.dismiss(7, Dismissal { number: 2, user: 3, at: ms(10) }, (0b1110, 0b0110));
        assert_eq!((clearing.number(7), clearing.number(8)), (Some(2), None));
        assert_eq!(clearing.clear(7, 3, 1, ms(20)), Some(()));
        assert_eq!(clearing.clear(7, 3, 3, ms(25)), Some(()));
        assert_eq!(clearing.clear(7, 3, 1, ms(26)), Some(()));
        assert_eq!(clearing.sums(), Cleared { dismissed: 1, lost: 1, doubled: 1 });
        assert_eq!(clearing.last().all(), 0);
        assert_eq!(clearing.clear(7, 3, 2, ms(40)), Some(()));
        assert_eq!(clearing.sums().lost, 0);
        assert_eq!((clearing.last().all(), clearing.last().late().max() / 1000), (1, 30));
    }

    #[test]
    fn nobody_else_may_hear_of_it() {
        let clearing = Clearing::new(Window { from: Duration::ZERO, to: Duration::MAX }).unwrap();
        clearing.dismiss(7, Dismissal { number: 2, user: 3, at: Duration::ZERO }, (0b10, 0b10));
        // The acting device, another user's, one that is none, and another notification.
        for (id, user, endpoint) in [(7, 3, 0), (7, 4, 1), (7, 3, 200), (8, 3, 1)] {
            assert_eq!(clearing.clear(id, user, endpoint, Duration::ZERO), None);
        }
        assert_eq!(clearing.sums().lost, 1);
    }
}
