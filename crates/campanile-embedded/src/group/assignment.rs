//! Which member has which partition. Pure: the time is a parameter.

use std::collections::{BTreeMap, BTreeSet};

use campanile_core::{Partition, Tick};

/// The members of a group, and what they have.
pub(super) struct Membership {
    members: BTreeSet<u64>,
    owners: Vec<Option<Owner>>,
    joined: u64,
    terms: u64,
    /// Whether anything changed since assignments were last brought up to date.
    is_stale: bool,
    /// When the next drain ends.
    next_drain: Option<Tick>,
    /// Counts changes of assignments.
    version: u64,
}

/// The owner of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) member: u64,
    /// Counts assignments: the same member may get the same partition again.
    pub(super) term: u64,
    /// When it is taken, if another member is to have it.
    pub(super) drain_by: Option<Tick>,
}

impl Owner {
    pub(super) fn is_draining(self) -> bool {
        self.drain_by.is_some()
    }
}

impl Membership {
    pub(super) fn new(partitions: u16) -> Self {
        let owners = vec![None; usize::from(partitions)];
        Self {
            members: BTreeSet::new(),
            owners,
            joined: 0,
            terms: 0,
            is_stale: false,
            next_drain: None,
            version: 0,
        }
    }

    /// Takes a member in, and answers its number.
    pub(super) fn join(&mut self) -> u64 {
        self.joined += 1;
        self.is_stale = true;
        self.members.insert(self.joined);
        self.joined
    }

    /// Lets a member go, and frees what it had.
    pub(super) fn leave(&mut self, member: u64) {
        self.is_stale = true;
        self.version += 1;
        self.members.remove(&member);
        for owner in &mut self.owners {
            owner.take_if(|owner| owner.member == member);
        }
    }

    /// Frees a partition.
    pub(super) fn release(&mut self, partition: Partition) {
        self.is_stale = true;
        self.version += 1;
        self.owners.get_mut(usize::from(partition.0)).into_iter().for_each(|owner| *owner = None);
    }

    pub(super) fn owner(&self, partition: Partition) -> Option<Owner> {
        *self.owners.get(usize::from(partition.0))?
    }

    /// Another one for every change of an assignment.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// When the next drain ends.
    pub(super) fn next_drain(&self) -> Option<Tick> {
        self.next_drain
    }

    /// Ends the drains that are over at `now`, gives what is free to whoever has least, and
    /// drains, until `drain_by`, what members have above their share. Answers whether anything
    /// changed.
    pub(super) fn settle(&mut self, now: Tick, drain_by: Tick) -> bool {
        // Asked before every push, and nearly always in vain.
        if !self.is_stale && self.next_drain.is_none_or(|end| end > now) {
            return false;
        }
        let before = self.owners.clone();
        for owner in &mut self.owners {
            owner.take_if(|owner| owner.drain_by.is_some_and(|end| end <= now));
        }
        let mut loads = self.loads();
        for owner in self.owners.iter_mut().filter(|owner| owner.is_none()) {
            let least = loads.iter_mut().min_by_key(|(_, load)| **load);
            let Some((member, load)) = least else { break };
            *load += 1;
            self.terms += 1;
            *owner = Some(Owner { member: *member, term: self.terms, drain_by: None });
        }
        for (member, surplus) in self.surplus(&loads) {
            let own = |owner: &&mut Owner| owner.member == member && !owner.is_draining();
            let taken = self.owners.iter_mut().flatten().rev().filter(own).take(surplus);
            taken.for_each(|owner| owner.drain_by = Some(drain_by));
        }
        self.is_stale = false;
        self.next_drain = self.owners.iter().flatten().filter_map(|owner| owner.drain_by).min();
        let is_changed = self.owners != before;
        self.version += u64::from(is_changed);
        is_changed
    }

    /// How many partitions each member has and keeps.
    fn loads(&self) -> BTreeMap<u64, usize> {
        let mut loads: BTreeMap<u64, usize> = self.members.iter().map(|it| (*it, 0)).collect();
        for owner in self.owners.iter().flatten().filter(|owner| !owner.is_draining()) {
            loads.entry(owner.member).and_modify(|load| *load += 1);
        }
        loads
    }

    /// What each member has above its share. Shares differ by one at most, and the larger ones are
    /// of those who have most already.
    fn surplus(&self, loads: &BTreeMap<u64, usize>) -> Vec<(u64, usize)> {
        let partitions = self.owners.len();
        let (share, larger) =
            (partitions.checked_div(loads.len()), partitions.checked_rem(loads.len()));
        let (share, larger) = (share.unwrap_or(0), larger.unwrap_or(0));
        let mut by_load: Vec<_> = loads.iter().map(|(member, load)| (*member, *load)).collect();
        by_load.sort_by_key(|(_, load)| std::cmp::Reverse(*load));
        let ranked = by_load.into_iter().enumerate();
        let above = |(rank, (member, load)): (usize, (u64, usize))| {
            (member, load.saturating_sub(share + usize::from(rank < larger)))
        };
        ranked.map(above).filter(|(_, surplus)| *surplus > 0).collect()
    }
}
