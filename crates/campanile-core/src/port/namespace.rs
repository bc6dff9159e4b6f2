//! The namespaces of a projection: one serves, another may be built beside it.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Projection, ProjectionError};
use crate::{Offset, Partition};

/// Which of a projection's namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// The one that everybody reads.
    Serving,
    /// The one that is being built.
    Candidate,
}

/// What a candidate begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// What was built of one that was not finished, or nothing.
    Anew,
    /// The namespace that served before the one that serves now.
    Former,
}

/// How many there are of something, and what all of them say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// A hash of them in order.
    pub hash: [u8; 32],
}

/// What a partition amounts to for those who use it, at a checkpoint. Equal folds of equal logs
/// have equal digests, whatever their storage dropped by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The next event to fold.
    pub checkpoint: Offset,
    /// Users' endpoints.
    pub reach: Sum,
    /// Items that have not ended.
    pub items: Sum,
    /// What is due when.
    pub agenda: Sum,
}

/// Administration of a projection, which request handlers do not hold.
///
/// # Contract
/// - The serving namespace is served and written as ever while a candidate is built.
/// - There is at most one candidate. What is built of it survives a process that ends in order; one
///   that is killed, or a power cut, may take the latest steps of a stream of a partition, always a
///   whole suffix of them.
/// - `hold` makes whoever writes the serving namespace wait, until it is dropped or used; readers
///   do not wait.
#[async_trait]
pub trait Namespaces: Send + Sync {
    /// The candidate; `None` if it should begin with what there is not.
    ///
    /// # Errors
    /// [`ProjectionError`].
    async fn candidate(&self, begin: Begin)
    -> Result<Option<Arc<dyn Projection>>, ProjectionError>;

    /// Adds a partition of a namespace up, at one instant.
    ///
    /// # Errors
    /// [`ProjectionError`].
    async fn digest(&self, of: Namespace, partition: Partition) -> Result<Digest, ProjectionError>;

    /// Stops the writers of the serving namespace.
    ///
    /// # Errors
    /// [`ProjectionError`].
    async fn hold(&self) -> Result<Box<dyn Held>, ProjectionError>;

    /// Drops the candidate; the former namespace stays what it is.
    ///
    /// # Errors
    /// [`ProjectionError`].
    async fn discard(&self) -> Result<(), ProjectionError>;
}

/// A serving namespace that nobody writes.
///
/// # Contract
/// - `switch` makes the candidate serve, at once for everybody and for good, and fences every
///   writer. The namespace that served becomes the former one. A candidate that is behind the one
///   that serves is refused, and nothing changes.
#[async_trait]
pub trait Held: Send {
    /// Makes the candidate serve.
    ///
    /// # Errors
    /// [`ProjectionError`]; then the other one still serves.
    async fn switch(self: Box<Self>) -> Result<(), ProjectionError>;
}
