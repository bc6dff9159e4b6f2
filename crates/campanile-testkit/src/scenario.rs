//! Given, when, then: the rules in one line each.
//!
//! ```
//! use campanile_testkit::scenario::{dismissed, given, posted, registered, sync};
//! use campanile_testkit::vocabulary::{laptop, phone};
//!
//! given([registered(phone(1)), registered(laptop(1)), posted("a")])
//!     .when(dismissed("a").on(phone(1)))
//!     .then_plans([sync("a").to(laptop(1))]);
//! ```

mod expected;
mod step;

use std::time::Duration;

use campanile_core::{
    AgendaEntry, Changes, Delivery, DeliveryKind, Endpoint, Item, PostVerdict, Reach, Recorded,
    Suppression, Timestamp, UserRef, plan, still_due,
};

pub use expected::{Expected, fallback, show, sync};
pub use step::{
    Step, activated, deleted, dismissed, expired, happened, lapsed, posted, read, recalled,
    registered, renewed, reset, retired, snoozed, unread,
};

use crate::strategy::recorded;
use crate::vocabulary::{START, item};
use crate::world::World;

/// What happened so far.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    log: Vec<Recorded>,
    world: World,
    planned: Vec<(UserRef, Delivery)>,
}

/// What happened last, and what came of it.
#[derive(Clone, Debug)]
pub struct Then {
    scenario: Scenario,
    before: World,
    changes: Changes,
    planned: Vec<Delivery>,
    whose: UserRef,
}

/// A scenario in which `steps` have happened.
#[must_use]
pub fn given(steps: impl IntoIterator<Item = Step>) -> Scenario {
    let mut scenario = Scenario::default();
    for step in steps {
        scenario.record(&step);
    }
    scenario
}

impl Scenario {
    /// Something more happens.
    #[must_use]
    pub fn when(mut self, step: Step) -> Then {
        let before = self.world.clone();
        let (changes, planned) = self.record(&step);
        Then { scenario: self, before, changes, planned, whose: step.whose }
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &[Recorded] {
        &self.log
    }

    /// The time of the last record.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.log.last().map_or(START, |last| last.time)
    }

    /// Offsets count from 1, so that something lies before the first event.
    fn record(&mut self, step: &Step) -> (Changes, Vec<Delivery>) {
        let (whose, time) = (step.whose, self.now().after(step.after));
        let offset = u64::try_from(self.log.len()).unwrap_or(u64::MAX).saturating_add(1);
        let record = recorded(offset, time, whose, step.event(time));
        let changes = self.world.apply(&record);
        let planned = plan(&self.world.state(whose, &record.fact.event), &record);
        self.planned.extend(planned.iter().map(|delivery| (whose, delivery.clone())));
        self.log.push(record);
        (changes, planned)
    }

    /// What becomes of a delivery that was planned, if it is attempted `wait` after the last
    /// record.
    fn attempt(&self, expected: &Expected, wait: Duration) -> Result<Endpoint, Suppression> {
        let mut planned = self.planned.iter().rev();
        let found = planned.find(|(whose, delivery)| expected.matches(*whose, delivery));
        let (whose, delivery) = found.unwrap_or_else(|| unreachable!("never planned: {expected}"));
        let (reach, item) = (self.world.reach(*whose), self.world.item(*whose, delivery.item));
        still_due(&reach, item.as_deref(), delivery, self.now().after(wait)).cloned()
    }
}

impl Then {
    /// Something more happens.
    #[must_use]
    pub fn and_when(self, step: Step) -> Self {
        self.scenario.when(step)
    }

    /// It calls for these deliveries and no others, in any order.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn then_plans(self, expected: impl IntoIterator<Item = Expected>) -> Self {
        let mut wanted: Vec<String> = expected.into_iter().map(|it| it.to_string()).collect();
        let named = |delivery| Expected::describe(self.whose, delivery);
        let mut found: Vec<String> = self.planned.iter().map(named).collect();
        wanted.sort();
        found.sort();
        assert_eq!(found, wanted, "planned is not what was expected");
        let at = self.scenario.log.last().map(|last| last.position.offset);
        let fresh =
            |it: &&Delivery| it.attempts == 0 && !matches!(it.kind, DeliveryKind::Fallback { .. });
        assert!(self.planned.iter().filter(fresh).all(|it| Some(it.cause) == at));
        self
    }

    /// Nobody must hear of it.
    ///
    /// # Panics
    /// If somebody must.
    #[track_caller]
    pub fn then_plans_nothing(self) -> Self {
        self.then_plans([])
    }

    /// No state and no agenda changed.
    ///
    /// # Panics
    /// If any did.
    #[track_caller]
    pub fn then_changes_nothing(self) -> Self {
        assert_eq!(self.scenario.world, self.before, "state changed");
        let Changes { reach, item, request, holder, verdict: _, agenda } = &self.changes;
        let is_changed = *reach || *item || *request || *holder;
        assert!(!is_changed && agenda.is_empty(), "{:?}", self.changes);
        self
    }

    /// The post amounted to this.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn then_the_post_is(self, verdict: PostVerdict) -> Self {
        assert_eq!(self.changes.verdict, Some(verdict));
        self
    }

    /// The item is like this.
    ///
    /// # Panics
    /// If it is not known, or if `check` does.
    #[track_caller]
    pub fn then_item(self, name: &str, check: impl FnOnce(&Item)) -> Self {
        let found = self.scenario.world.item(self.whose, item(self.whose, name));
        check(&found.unwrap_or_else(|| unreachable!("{name} is not known")));
        self
    }

    /// The user's reach is like this.
    ///
    /// # Panics
    /// If `check` does.
    #[track_caller]
    pub fn then_reach(self, check: impl FnOnce(&Reach)) -> Self {
        check(&self.scenario.world.reach(self.whose));
        self
    }

    /// The user's agenda is this, earliest first.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn then_agenda(self, check: impl FnOnce(&[AgendaEntry])) -> Self {
        let agenda: Vec<_> = self.scenario.world.agenda(self.whose).collect();
        check(&agenda);
        self
    }

    /// A delivery planned before, or now, is to be sent, at the time of the last record.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn then_still_due(self, expected: &Expected) -> Self {
        self.then_still_due_after(Duration::ZERO, expected)
    }

    /// The same, so long after the last record.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn then_still_due_after(self, wait: Duration, expected: &Expected) -> Self {
        let attempt = self.scenario.attempt(expected, wait);
        assert!(attempt.is_ok(), "{expected} is not sent: {attempt:?}");
        self
    }

    /// A delivery planned before, or now, is not sent any more, for this reason.
    ///
    /// # Panics
    /// If it is, or for another.
    #[track_caller]
    pub fn then_suppressed(self, expected: &Expected, why: Suppression) -> Self {
        self.then_suppressed_after(Duration::ZERO, expected, why)
    }

    /// The same, so long after the last record.
    ///
    /// # Panics
    /// If it is, or for another.
    #[track_caller]
    pub fn then_suppressed_after(
        self,
        wait: Duration,
        expected: &Expected,
        why: Suppression,
    ) -> Self {
        let attempt = self.scenario.attempt(expected, wait);
        assert_eq!(attempt.err(), Some(why), "{expected}");
        self
    }
}
