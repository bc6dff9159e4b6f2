//! What is carried, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use campanile_core::port::{Carried, CarriedState, ProjectionError};
use campanile_core::{Offset, Partition};

use super::{MemoryProjection, lock};

/// What is carried of a projection in memory. Clones carry the same.
#[derive(Clone)]
pub struct MemoryCarried {
    serving: MemoryProjection,
    stored: Arc<Mutex<BTreeMap<Partition, CarriedState>>>,
}

impl MemoryCarried {
    /// Carries nothing yet of `serving`.
    #[must_use]
    pub fn new(serving: MemoryProjection) -> Self {
        Self { serving, stored: Arc::default() }
    }
}

#[async_trait]
impl Carried for MemoryCarried {
    async fn carry(&self, partition: Partition) -> Result<Offset, ProjectionError> {
        let state = self.serving.whole(partition)?;
        let mut stored = lock(&self.stored);
        let known = stored.get(&partition).map(|known| known.as_of);
        if let Some(known) = known.filter(|known| *known > state.as_of) {
            return Ok(known);
        }
        let as_of = state.as_of;
        stored.insert(partition, state);
        Ok(as_of)
    }

    async fn as_of(&self, partition: Partition) -> Result<Option<Offset>, ProjectionError> {
        Ok(lock(&self.stored).get(&partition).map(|state| state.as_of))
    }

    async fn state(&self, partition: Partition) -> Result<Option<CarriedState>, ProjectionError> {
        Ok(lock(&self.stored).get(&partition).cloned())
    }
}
