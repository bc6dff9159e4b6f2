//! An operator: looks for what failed, and has it delivered again; sometimes two at once.

use std::collections::BTreeSet;

use campanile_core::{DeadReason, Timestamp};
use campanile_engine::edge::Target;
use campanile_engine::gateway::DeadLetterFilter;

use super::{Clients, Front};

/// How many pages an operator has patience for.
const PAGES: usize = 20;

impl Clients {
    /// Lists dead letters, or asks for them once more.
    pub(super) async fn look_for_dead_letters(&self) {
        let Some(front) = self.front() else { return };
        let filter = self.some_dead_letters();
        if self.random.chance(300) {
            return self.list_dead_letters(&front, &filter).await;
        }
        self.redrive(&front, &filter).await;
    }

    /// Two who do not know of each other ask for the same.
    pub(crate) async fn redrive_at_once(&self) {
        let Some(front) = self.front() else { return };
        let filter = DeadLetterFilter { from: Some(Timestamp::ZERO), ..Default::default() };
        futures::join!(self.redrive(&front, &filter), self.redrive(&front, &filter));
    }

    fn some_dead_letters(&self) -> DeadLetterFilter {
        let user = self.any_user();
        let target = self.random.chance(400).then(|| Target::User(Self::id_of(user)));
        let item = if self.random.chance(100) { self.some_item(user) } else { None };
        let reasons: BTreeSet<_> = match self.random.chance(200) {
            true => self.random.pick(&DeadReason::ALL).copied().into_iter().collect(),
            false => DeadReason::ALL.into(),
        };
        let until = self.random.chance(200).then(|| self.stage().now());
        let from = Some(Timestamp::ZERO);
        DeadLetterFilter { target, item, reasons, from, until, ..Default::default() }
    }

    async fn list_dead_letters(&self, front: &Front, filter: &DeadLetterFilter) {
        let (context, _) = self.context();
        let (limit, mut cursor) = (1 + self.random.index(5), None::<String>);
        for _ in 0..PAGES {
            let page = front.gateway.dead_letters(&context, filter, cursor.as_deref(), limit).await;
            match page {
                Ok(page) => {
                    self.stage().reach("dead letters");
                    cursor = page.cursor;
                }
                Err(error) => return self.surprised("dead letters", &error),
            }
            if cursor.is_none() {
                return;
            }
        }
    }

    async fn redrive(&self, front: &Front, filter: &DeadLetterFilter) {
        let (context, tag) = self.context();
        let (limit, mut cursor) = (1 + self.random.index(20), None::<String>);
        let dry_run = self.random.chance(100);
        self.stage().note(format_args!("{tag} redrives {filter:?}"));
        for _ in 0..PAGES {
            let gateway = &front.gateway;
            let done = gateway.redrive(&context, filter, cursor.as_deref(), limit, dry_run).await;
            match done {
                Ok(done) => {
                    let (redriven, skipped) = (done.redriven, done.skipped);
                    self.stage().note(format_args!("{tag} asked for {redriven}, not {skipped:?}"));
                    cursor = done.cursor;
                }
                Err(error) => return self.surprised("redrive", &error),
            }
            if cursor.is_none() {
                return;
            }
        }
    }
}
