//! Forgets the history of records that the log dropped, while the table merges its files.
//!
//! There is no list of what to forget: history is found by user, retention drops by offset.
//! [`history`](super::read) hides what is dropped already, so when it goes does not show.

use std::sync::Arc;

use fjall::LsmError;
use fjall::compaction::filter::{CompactionFilter, Context, Factory, ItemAccessor, Verdict};

use super::history;
use crate::floors::Floors;

/// Makes a filter for each merge.
pub(super) struct HistoryFilter {
    floors: Arc<Floors>,
}

impl HistoryFilter {
    pub(super) fn new(floors: Arc<Floors>) -> Self {
        Self { floors }
    }
}

impl Factory for HistoryFilter {
    fn name(&self) -> &'static str {
        "history"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(Self { floors: self.floors.clone() })
    }
}

impl CompactionFilter for HistoryFilter {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> Result<Verdict, LsmError> {
        let is_kept = |(partition, record)| self.floors.is_kept(partition, record);
        let key = item.key();
        if history::first(key).is_none_or(is_kept) {
            return Ok(Verdict::Keep);
        }
        let value = item.value()?;
        let is_dropped = history::last(key, &value).is_some_and(|record| !is_kept(record));
        Ok(if is_dropped { Verdict::Remove } else { Verdict::Keep })
    }
}
