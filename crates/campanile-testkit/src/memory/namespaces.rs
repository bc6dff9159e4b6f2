//! The namespaces of a projection in memory.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use campanile_core::port::{
    Begin, Digest, Held, Namespace, Namespaces, Projection, ProjectionError,
};
use campanile_core::{LogIdentity, Partition};
use tokio::sync::OwnedRwLockWriteGuard;

use super::{MemoryProjection, lock};

/// What serves, and what is built beside it. Clones are the same.
#[derive(Clone)]
pub struct MemoryNamespaces {
    log: LogIdentity,
    serving: MemoryProjection,
    shelf: Arc<Mutex<Shelf>>,
}

/// What does not serve.
#[derive(Default)]
struct Shelf {
    /// Which of the two is the candidate, if one is.
    candidate: Option<Begin>,
    unfinished: Option<MemoryProjection>,
    former: Option<MemoryProjection>,
}

impl Shelf {
    const fn of(&self, begin: Begin) -> Option<&MemoryProjection> {
        match begin {
            Begin::Anew => self.unfinished.as_ref(),
            Begin::Former => self.former.as_ref(),
        }
    }

    fn candidate(&self) -> Result<&MemoryProjection, ProjectionError> {
        let none = || ProjectionError::Unavailable { reason: "there is no candidate".into() };
        self.candidate.and_then(|begin| self.of(begin)).ok_or_else(none)
    }
}

impl MemoryNamespaces {
    /// The namespaces of `log` of which `serving` serves, with nothing built beside it.
    #[must_use]
    pub fn new(log: LogIdentity, serving: MemoryProjection) -> Self {
        Self { log, serving, shelf: Arc::default() }
    }
}

#[async_trait]
impl Namespaces for MemoryNamespaces {
    async fn candidate(
        &self,
        begin: Begin,
    ) -> Result<Option<Arc<dyn Projection>>, ProjectionError> {
        let mut shelf = lock(&self.shelf);
        if begin == Begin::Anew && shelf.unfinished.is_none() {
            shelf.unfinished = Some(MemoryProjection::new(self.log));
        }
        let Some(found) = shelf.of(begin).cloned() else { return Ok(None) };
        shelf.candidate = Some(begin);
        Ok(Some(Arc::new(found)))
    }

    async fn digest(&self, of: Namespace, partition: Partition) -> Result<Digest, ProjectionError> {
        match of {
            Namespace::Serving => self.serving.digest(partition),
            Namespace::Candidate => lock(&self.shelf).candidate()?.digest(partition),
        }
    }

    async fn hold(&self) -> Result<Box<dyn Held>, ProjectionError> {
        let writers = self.serving.held().await;
        Ok(Box::new(HeldInMemory { namespaces: self.clone(), _writers: writers }))
    }

    async fn discard(&self) -> Result<(), ProjectionError> {
        let mut shelf = lock(&self.shelf);
        (shelf.candidate, shelf.unfinished) = (None, None);
        Ok(())
    }
}

struct HeldInMemory {
    namespaces: MemoryNamespaces,
    _writers: OwnedRwLockWriteGuard<()>,
}

#[async_trait]
impl Held for HeldInMemory {
    async fn switch(self: Box<Self>) -> Result<(), ProjectionError> {
        let MemoryNamespaces { serving, shelf, .. } = &self.namespaces;
        let mut shelf = lock(shelf);
        let former = serving.give_way_to(shelf.candidate()?)?;
        if shelf.candidate.take() == Some(Begin::Anew) {
            shelf.unfinished = None;
        }
        shelf.former = Some(former);
        Ok(())
    }
}
