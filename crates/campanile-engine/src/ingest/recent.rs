//! Requests published here a moment ago, which the projection may not know yet.

use std::collections::VecDeque;

use campanile_core::{RequestKey, RequestRecord};

use crate::pieces::Map;

/// How many are remembered; the oldest go first.
const MOST: usize = 65_536;

/// A bounded memory of requests.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    records: Map<RequestKey, RequestRecord>,
    order: VecDeque<RequestKey>,
}

impl Recent {
    pub(crate) fn get(&self, key: RequestKey) -> Option<&RequestRecord> {
        self.records.get(&key)
    }

    /// The first request with a key is the one that counts, as in the fold.
    pub(crate) fn put(&mut self, key: RequestKey, record: RequestRecord) {
        let is_first = self.records.get(&key).is_none_or(|known| record.at < known.at);
        if is_first && self.records.insert(key, record).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > MOST {
            self.order.pop_front().map(|oldest| self.records.remove(&oldest));
        }
    }
}
