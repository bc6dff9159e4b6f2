//! Who is told what, and when: notifications have numbers, and a number decides the rest.

use std::time::Duration;

use crate::addresses::{APP, NOISY};
use crate::rate::Rate;
use crate::scenario::Scenario;

/// The plan of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    rate: Rate,
    users: usize,
    /// How many notifications in a hundred are the first user's.
    hot_percent: usize,
    noise: Option<Noise>,
}

/// Another app that publishes more, to as many users of its own.
#[derive(Clone, Copy, Debug)]
struct Noise {
    /// The number of the first notification of the time with noise.
    first: usize,
    /// How many of the noisy app there are for each of the other one.
    times: usize,
}

impl Plan {
    /// The plan of `scenario`. Noise begins in the middle of what is measured.
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let quiet = scenario.warm_up() + scenario.span() / 2;
        let noise = match scenario.rate {
            Rate::PerSecond(rate) if scenario.noisy_times > 0 => {
                let first = whole(quiet.as_secs_f64() * f64::from(rate));
                Some(Noise { first, times: scenario.noisy_times })
            }
            _ => None,
        };
        Self {
            rate: scenario.rate,
            users: scenario.users,
            hot_percent: scenario.hot_percent,
            noise,
        }
    }

    /// Users of all apps.
    pub(crate) const fn users(&self) -> usize {
        match self.noise {
            Some(_) => self.users * 2,
            None => self.users,
        }
    }

    /// The apps that publish.
    pub(crate) const fn apps(&self) -> &'static [&'static str] {
        match self.noise {
            Some(_) => &[APP, NOISY],
            None => &[APP],
        }
    }

    /// A user's app.
    pub(crate) const fn app(&self, user: usize) -> &'static str {
        if user < self.users { APP } else { NOISY }
    }

    /// Whom a notification is for.
    pub(crate) fn user(&self, number: usize) -> usize {
        if let Some((turn, place, noise)) = self.turn(number) {
            return match place.checked_sub(1) {
                None => (noise.first + turn) % self.users,
                Some(place) => self.users + (turn * noise.times + place) % self.users,
            };
        }
        match hundredth(number) < self.hot_percent {
            true => 0,
            false => number % self.users,
        }
    }

    /// When a notification is to be sent, if there is a rate.
    pub(crate) fn at(&self, number: usize) -> Option<Duration> {
        let Rate::PerSecond(rate) = self.rate else { return None };
        let turns = match self.turn(number) {
            None => number as f64,
            Some((turn, place, noise)) => {
                (noise.first + turn) as f64 + place as f64 / (noise.times + 1) as f64
            }
        };
        Some(Duration::from_secs_f64(turns / f64::from(rate)))
    }

    /// How many are to be sent before `now`, if there is a rate.
    pub(crate) fn due(&self, now: Duration) -> Option<usize> {
        let Rate::PerSecond(rate) = self.rate else { return None };
        let turns = now.as_secs_f64() * f64::from(rate);
        let noise = self.noise.filter(|noise| turns >= noise.first as f64);
        // Rounded down, and the one that is due right now.
        Some(match noise {
            None => whole(turns) + 1,
            Some(noise) => {
                let loud = (turns - noise.first as f64) * (noise.times + 1) as f64;
                noise.first + whole(loud) + 1
            }
        })
    }

    /// How many are to be sent before `end` all in all, if there is a rate.
    pub(crate) fn total(&self, end: Duration) -> Option<usize> {
        let due = self.due(end)?;
        // What is due right then is not before it.
        (due.saturating_sub(2)..=due).find(|number| self.at(*number).is_none_or(|at| at >= end))
    }

    /// What kinds of notifications are told apart.
    pub(crate) const fn kinds(&self) -> &'static [&'static str] {
        match (self.noise, self.hot_percent) {
            (Some(_), _) => &["quiet app alone", "quiet app beside noise", "noisy app"],
            (None, 0) => &[],
            (None, _) => &["other users", "hot user"],
        }
    }

    /// Of which of these a notification is.
    pub(crate) fn kind(&self, number: usize) -> usize {
        match (self.noise, self.turn(number)) {
            (Some(_), Some((_, place, _))) => 1 + usize::from(place > 0),
            (Some(_), None) => 0,
            (None, _) => usize::from(self.user(number) == 0),
        }
    }

    /// In which turn of the time with noise, and at which place in it, a notification is; the first
    /// place is the quiet app's.
    fn turn(&self, number: usize) -> Option<(usize, usize, Noise)> {
        let noise = self.noise?;
        let later = number.checked_sub(noise.first)?;
        Some((later / (noise.times + 1), later % (noise.times + 1), noise))
    }
}

/// 0 to 99, evenly, and in no step with the turns of users (Knuth's multiplicative hash).
const fn hundredth(number: usize) -> usize {
    (number.wrapping_mul(2_654_435_761) >> 16) % 100
}

/// Rounded down. Rates and lengths are bounded, so it fits.
const fn whole(value: f64) -> usize {
    value as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    fn plan(more: &str) -> Plan {
        let text = "about = \"x\"\nusers = 10\nendpoints = 1\nrate = 100\nwarm_up_seconds = 1\n\
                    seconds = 2\nrepeats = 1\n";
        Plan::of(&toml::from_str(&format!("{text}{more}")).unwrap())
    }

    #[test]
    fn everybody_is_told_in_turn_at_the_rate() {
        let plan = plan("");
        assert_eq!([0, 9, 10].map(|number| plan.user(number)), [0, 9, 0]);
        assert_eq!(plan.at(250), Some(Duration::from_millis(2500)));
        assert_eq!([0, 9, 10].map(|ms| plan.due(Duration::from_millis(ms))), [1, 1, 2].map(Some));
        assert!(plan.kinds().is_empty() && plan.users() == 10);
    }

    #[test]
    fn a_hot_user_gets_its_part() {
        let plan = plan("hot_percent = 30\n");
        let hot = (0..1000).filter(|number| plan.user(*number) == 0).count();
        // A tenth of the other 70 % is the first user's anyway.
        assert!((340..=400).contains(&hot), "{hot}");
        let first = (0..1000).find(|number| plan.user(*number) == 0).unwrap();
        assert_eq!(plan.kinds().get(plan.kind(first)), Some(&"hot user"));
        let told: std::collections::BTreeSet<_> = (0..1000).map(|it| plan.user(it)).collect();
        assert_eq!(told.len(), 10, "everybody else is told, too");
    }

    #[test]
    fn noise_comes_in_the_middle_and_changes_nothing_for_the_quiet_app() {
        let plan = plan("noisy_times = 10\n");
        let quiet: Vec<usize> = (0..2000).filter(|number| plan.user(*number) < 10).collect();
        let users: Vec<usize> = quiet.iter().map(|number| plan.user(*number)).collect();
        assert!(users.iter().enumerate().all(|(at, user)| *user == at % 10), "{users:?}");
        for (at, number) in quiet.iter().enumerate() {
            let due = Duration::from_secs_f64(at as f64 / 100.0);
            assert!(plan.at(*number).unwrap().abs_diff(due) < Duration::from_micros(1));
        }
        // From two seconds on eleven hundred a second.
        assert_eq!(plan.due(Duration::from_secs(2)), Some(201));
        assert_eq!(plan.due(Duration::from_secs(3)), Some(1301));
        assert_eq!([199, 200, 201].map(|number| plan.kind(number)), [0, 1, 2]);
        assert!((201..211).all(|number| plan.app(plan.user(number)) == NOISY));
    }

    #[test]
    fn what_is_due_and_when_it_is_due_agree() {
        for plan in [plan(""), plan("noisy_times = 3\n")] {
            for number in 0..900 {
                let at = plan.at(number).unwrap();
                assert!(plan.due(at + Duration::from_micros(1)).unwrap() > number, "{number}");
                assert_eq!(plan.total(at), Some(number));
            }
        }
    }
}
