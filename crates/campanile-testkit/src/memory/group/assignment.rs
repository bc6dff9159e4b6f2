//! Who holds which partition. Members may vanish at any time, so nothing here is durable.

use std::collections::{BTreeMap, BTreeSet};

use campanile_core::port::GroupName;
use campanile_core::{Partition, Tick};
use tokio::time::Instant;

/// A member, by the order of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MemberId(u64);

/// One assignment of a partition to a member; the next is another, even to the same member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term(u64);

/// The end of a drain, on the log's clock and on the runtime's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DrainEnd {
    pub(crate) tick: Tick,
    pub(crate) instant: Instant,
}

/// A partition in a member's hands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holding {
    pub(crate) member: MemberId,
    pub(crate) term: Term,
    /// Set while another member waits for it.
    pub(crate) draining: Option<DrainEnd>,
}

/// The members of every group.
#[derive(Debug, Default)]
pub(crate) struct Memberships {
    groups: BTreeMap<GroupName, Membership>,
    members: u64,
    terms: u64,
}

#[derive(Debug, Default)]
struct Membership {
    members: BTreeSet<MemberId>,
    held: BTreeMap<Partition, Holding>,
}

impl Memberships {
    pub(crate) fn join(&mut self, group: &GroupName) -> MemberId {
        self.members += 1;
        let member = MemberId(self.members);
        self.groups.entry(group.clone()).or_default().members.insert(member);
        member
    }

    pub(crate) fn leave(&mut self, group: &GroupName, member: MemberId) {
        let Some(membership) = self.groups.get_mut(group) else { return };
        membership.members.remove(&member);
        membership.held.retain(|_, holding| holding.member != member);
    }

    pub(crate) fn holding(&self, group: &GroupName, partition: Partition) -> Option<&Holding> {
        self.groups.get(group)?.held.get(&partition)
    }

    pub(crate) fn held_by(&self, group: &GroupName, member: MemberId) -> Vec<(Partition, Term)> {
        let held = self.groups.get(group).into_iter().flat_map(|it| &it.held);
        let own = held.filter(|(_, holding)| holding.member == member);
        own.map(|(partition, holding)| (*partition, holding.term)).collect()
    }

    /// When the next drain of the group ends.
    pub(crate) fn next_end(&self, group: &GroupName) -> Option<Instant> {
        let held = &self.groups.get(group)?.held;
        held.values().filter_map(|holding| Some(holding.draining?.instant)).min()
    }

    pub(crate) fn release(&mut self, group: &GroupName, partition: Partition) {
        if let Some(membership) = self.groups.get_mut(group) {
            membership.held.remove(&partition);
        }
    }

    pub(crate) fn expire(&mut self, group: &GroupName) {
        if let Some(membership) = self.groups.get_mut(group) {
            membership.held.clear();
        }
    }

    /// Ends the drains whose time is over at `now`, hands out what is free, and starts to take
    /// from members that have more than their share, until `end`. Answers whether anything
    /// changed.
    pub(crate) fn settle(
        &mut self,
        group: &GroupName,
        partitions: impl Iterator<Item = Partition>,
        now: Instant,
        end: DrainEnd,
    ) -> bool {
        let Some(membership) = self.groups.get_mut(group) else { return false };
        let is_over = |holding: &Holding| holding.draining.is_some_and(|it| it.instant <= now);
        let before = membership.held.len();
        membership.held.retain(|_, holding| !is_over(holding));
        let mut changed = membership.held.len() != before;
        for partition in partitions {
            let Some(member) = membership.neediest() else { return changed };
            membership.held.entry(partition).or_insert_with(|| {
                changed = true;
                self.terms += 1;
                Holding { member, term: Term(self.terms), draining: None }
            });
        }
        changed | membership.balance(end)
    }
}

impl Membership {
    /// How many partitions each member has and keeps.
    fn loads(&self) -> BTreeMap<MemberId, usize> {
        let mut loads: BTreeMap<_, _> = self.members.iter().map(|member| (*member, 0)).collect();
        for holding in self.held.values().filter(|holding| holding.draining.is_none()) {
            loads.entry(holding.member).and_modify(|load| *load += 1);
        }
        loads
    }

    fn neediest(&self) -> Option<MemberId> {
        let loads = self.loads();
        loads.into_iter().min_by_key(|(_, load)| *load).map(|(member, _)| member)
    }

    /// Drains partitions until, once they are handed over, no member has two more than another.
    fn balance(&mut self, end: DrainEnd) -> bool {
        let mut loads = self.loads();
        let draining = self.held.values().filter(|holding| holding.draining.is_some()).count();
        let give = |loads: &mut BTreeMap<MemberId, usize>| {
            let neediest = loads.values_mut().min();
            neediest.into_iter().for_each(|load| *load += 1);
        };
        (0..draining).for_each(|_| give(&mut loads));
        let mut changed = false;
        loop {
            let least = loads.values().min().copied().unwrap_or_default();
            let most = loads.iter().max_by_key(|(_, load)| **load);
            let Some((richest, most)) = most.map(|(member, load)| (*member, *load)) else { break };
            let mut own = self.held.values_mut().rev();
            let spare = own.find(|it| it.member == richest && it.draining.is_none());
            let Some(spare) = spare.filter(|_| most > least + 1) else { break };
            spare.draining = Some(end);
            loads.entry(richest).and_modify(|load| *load -= 1);
            give(&mut loads);
            changed = true;
        }
        changed
    }
}
