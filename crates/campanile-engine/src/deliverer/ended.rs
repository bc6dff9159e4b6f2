//! Deliveries that ended, as long as they may still come due.
//!
//! A worker that died may have parked a delivery that its successor sent before it read of that.
//! When the delivery comes due, the successor must not send it again.

use std::collections::{BTreeSet, VecDeque};

use campanile_core::DeliveryId;

/// How many are remembered. What is parked twice is parked soon after it was sent, and a worker
/// reads far ahead of what it sends; so few lie between.
const MOST: usize = 1024;

/// The deliveries of a partition that ended last, since the worker has it.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    ids: BTreeSet<DeliveryId>,
    order: VecDeque<DeliveryId>,
}

impl Ended {
    pub(crate) fn contains(&self, delivery: DeliveryId) -> bool {
        self.ids.contains(&delivery)
    }

    pub(crate) fn insert(&mut self, delivery: DeliveryId) {
        if !self.ids.insert(delivery) {
            return;
        }
        self.order.push_back(delivery);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
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
        let mut ended = Ended::default();
        (0..=MOST).for_each(|number| ended.insert(delivery(number)));
        ended.insert(delivery(MOST));
        assert!(!ended.contains(delivery(0)));
        assert!((1..=MOST).all(|number| ended.contains(delivery(number))));
        assert_eq!((ended.ids.len(), ended.order.len()), (MOST, MOST));
    }
}
