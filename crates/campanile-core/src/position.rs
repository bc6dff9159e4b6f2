//! Where a record stands in a log.

use std::fmt;

use crate::UserRef;

/// One lane of a log. Every record of one user is in the same partition, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u16);

/// The index of a record in its partition, from 0. Offsets grow; they may have gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub u64);

impl Offset {
    /// The offset after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Which copy of the log this is: a log copied with another partition count is a new generation,
/// and positions of an older one mean nothing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u32);

/// The full address of a record: positions of one partition compare in log order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The copy of the log.
    pub generation: Generation,
    /// The lane.
    pub partition: Partition,
    /// The index in the lane.
    pub offset: Offset,
}

/// What a log is, fixed when it is created. Starting with another partition count is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// Random; tells a log from another one that happens to look alike.
    pub id: [u8; 16],
    /// The copy of the log.
    pub generation: Generation,
    /// How many partitions the log has, at least 1.
    pub partitions: u16,
}

impl LogIdentity {
    /// The partition that holds everything about `user`: the top 16 bits of the reference,
    /// modulo the partition count.
    #[must_use]
    pub fn partition_of(&self, user: UserRef) -> Partition {
        Partition(user.prefix() % self.partitions.max(1))
    }

    /// Every partition, in order.
    pub fn partitions(&self) -> impl Iterator<Item = Partition> + use<> {
        (0..self.partitions).map(Partition)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Position {
    /// `generation/partition/offset`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.generation.0, self.partition, self.offset)
    }
}
