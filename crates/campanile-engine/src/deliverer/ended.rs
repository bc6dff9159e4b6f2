//! The latest deliveries of a partition, with what is to be remembered of them.
//!
//! A worker that died may have parked a delivery that its successor sent before it read of that.
//! When the delivery comes due, the successor must not send it again. And what its predecessor
//! parked just before it died, it must not send because a hold still owes it.

use std::collections::VecDeque;

use campanile_core::DeliveryId;

use crate::pieces::Map;

/// How many are remembered. What is parked twice is parked soon after it was sent, and a worker
/// reads far ahead of what it sends; so few lie between.
const MOST: usize = 1024;

/// The deliveries of which something was heard last.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    known: Map<DeliveryId, T>,
    order: VecDeque<DeliveryId>,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self { known: Map::default(), order: VecDeque::new() }
    }
}

impl<T> Latest<T> {
    pub(crate) fn get(&self, delivery: DeliveryId) -> Option<&T> {
        self.known.get(&delivery)
    }

    pub(crate) fn insert(&mut self, delivery: DeliveryId, what: T) {
        if self.known.insert(delivery, what).is_some() {
            return;
        }
        self.order.push_back(delivery);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(number: usize) -> DeliveryId {
        DeliveryId::from_bytes((number as u128).to_be_bytes())
    }

    #[test]
    fn the_latest_are_remembered() {
        let mut latest = Latest::default();
        (0..=MOST).for_each(|number| latest.insert(delivery(number), number));
        latest.insert(delivery(MOST), 7);
        assert_eq!(latest.get(delivery(0)), None);
        assert!((1..MOST).all(|number| latest.get(delivery(number)) == Some(&number)));
        assert_eq!(latest.get(delivery(MOST)), Some(&7));
        assert_eq!((latest.known.len(), latest.order.len()), (MOST, MOST));
    }
}
