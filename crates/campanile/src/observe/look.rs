//! A look at the groups of this process: how far they are, and whether they move.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use campanile_core::port::{EventLog, LogAdmin, Progress, ReadError, ReadLimit};
use campanile_core::{Offset, Tick, Timestamp};

use crate::compose::Parts;
use crate::role::{Group, Role};

/// What the last look found.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// When it was; absent before the first.
    pub(super) at: Option<Tick>,
    pub(super) groups: Vec<GroupLook>,
    /// Partitions of the projection that cannot be read, if this process needs them.
    pub(super) unbuilt: usize,
    /// Why the log, or a group's progress, could not be read.
    pub(super) trouble: Option<String>,
}

/// How far a group is.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupLook {
    pub(super) name: &'static str,
    /// Records that are not finished.
    pub(super) lag: u64,
    /// When the oldest of them came into the log.
    pub(super) oldest: Option<Timestamp>,
    /// The time by the clock then.
    pub(super) now: Timestamp,
    /// When it last had nothing to do, or finished something.
    pub(super) moved: Tick,
}

/// Looks, and remembers what it saw.
pub(super) struct Watcher {
    parts: Arc<Parts>,
    groups: Vec<Group>,
    needs_projection: bool,
    seen: BTreeMap<&'static str, Seen>,
}

struct Seen {
    progress: Vec<Progress>,
    moved: Tick,
}

impl Watcher {
    pub(super) fn new<'a>(parts: Arc<Parts>, roles: impl IntoIterator<Item = &'a Role>) -> Self {
        let roles: BTreeSet<Role> = roles.into_iter().copied().collect();
        let groups = roles.iter().flat_map(|role| role.groups().iter().copied()).collect();
        // To take a publish the log is enough.
        let needs_projection = roles.iter().any(|role| *role != Role::Ingest);
        Self { parts, groups, needs_projection, seen: BTreeMap::new() }
    }

    pub(super) async fn look(&mut self) -> Look {
        let mut look = Look { at: Some(self.parts.clock.tick()), ..Look::default() };
        if self.needs_projection {
            look.unbuilt = self.parts.unbuilt().await;
        }
        for group in self.groups.clone() {
            match self.look_at(group).await {
                Ok(group) => look.groups.push(group),
                Err(error) => look.trouble = Some(format!("{}: {error}", group.name)),
            }
        }
        look
    }

    async fn look_at(&mut self, group: Group) -> Result<GroupLook, ReadError> {
        let log = self.parts.log(group.stream);
        let progress = log.progress(&group.group_name()).await?;
        let (mut lag, mut oldest) = (0, None);
        for it in &progress {
            let end = log.bounds(it.partition).await?.end;
            let left = unfinished(it, end);
            if left > 0 {
                let limit = ReadLimit { records: 1, bytes: 1 };
                let first = log.read(it.partition, it.next, limit).await?.records;
                let first = first.first().map(|record| record.time);
                oldest = [oldest, first].into_iter().flatten().min();
            }
            lag += left;
        }
        let (tick, now) = (self.parts.clock.tick(), self.parts.clock.now());
        let before = self.seen.get(group.name);
        let stands = before.filter(|seen| lag > 0 && seen.progress == progress);
        let moved = stands.map_or(tick, |seen| seen.moved);
        self.seen.insert(group.name, Seen { progress, moved });
        Ok(GroupLook { name: group.name, lag, oldest, now, moved })
    }
}

/// How many records before `end` are not finished.
fn unfinished(progress: &Progress, end: Offset) -> u64 {
    let above: u64 = progress.finished.iter().map(|range| range.end - range.start).sum();
    end.0.saturating_sub(progress.next.0).saturating_sub(above)
}

#[cfg(test)]
mod tests {
    use campanile_core::Partition;

    use super::*;

    #[test]
    fn what_is_finished_above_a_gap_is_not_waited_for() {
        let mut progress = Progress::from(Partition(0), Offset(10));
        assert_eq!(unfinished(&progress, Offset(10)), 0);
        assert_eq!(unfinished(&progress, Offset(20)), 10);
        progress.finished = vec![12..15, 17..18];
        assert_eq!(unfinished(&progress, Offset(20)), 6);
        // The end was read before the progress.
        assert_eq!(unfinished(&progress, Offset(9)), 0);
    }
}
