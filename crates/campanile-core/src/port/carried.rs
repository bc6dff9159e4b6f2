//! What outlives the log: the state of its users, where retention will drop the events it is made
//! of.

use async_trait::async_trait;

use super::{AgendaWrite, PieceWrite, ProjectionError};
use crate::{Offset, Partition, Timestamp};

/// What a partition amounted to at a checkpoint. A fold may begin with it, and goes on with the
/// event at `as_of`: what is carried has every event before in it, so none of them is folded again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedState {
    /// The next event to fold.
    pub as_of: Offset,
    /// The partition's time.
    pub time: Timestamp,
    /// Every piece that has to be kept.
    pub pieces: Vec<PieceWrite>,
    /// Every agenda entry, as an addition.
    pub agenda: Vec<AgendaWrite>,
}

/// Carries state forward.
///
/// # Contract
/// - `carry` takes the serving projection at one instant, and answers once it is stored for good.
///   What is carried never goes back: if the projection is behind it, it stays as it is. If it is
///   where it was, what it is now replaces what was carried, which may have been of another one.
/// - `as_of` and `state` tell what was carried last, whole, also after a crash.
#[async_trait]
pub trait Carried: Send + Sync {
    /// Carries the partition as it is; answers up to where it is carried.
    ///
    /// # Errors
    /// [`ProjectionError`]; what was carried before is still there.
    async fn carry(&self, partition: Partition) -> Result<Offset, ProjectionError>;

    /// Up to where the partition is carried; `None` if it never was.
    ///
    /// # Errors
    /// [`ProjectionError`].
    async fn as_of(&self, partition: Partition) -> Result<Option<Offset>, ProjectionError>;

    /// What the partition is carried as.
    ///
    /// # Errors
    /// [`ProjectionError::Damaged`] if that cannot be trusted.
    async fn state(&self, partition: Partition) -> Result<Option<CarriedState>, ProjectionError>;
}
