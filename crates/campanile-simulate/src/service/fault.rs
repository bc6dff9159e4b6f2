//! Scripted trouble: what goes wrong, when, and for whom.

use std::time::Duration;

use h2::Reason as ErrorCode;

use super::Subject;
use crate::random::Random;

/// A fault of a script. Build it with [`Fault::new`] or [`Fault::delay`] and, for one device
/// only, [`Fault::on_device`].
#[derive(Clone, Debug)]
pub struct Fault<R> {
    effect: Effect<R>,
    when: When,
    scope: Scope,
}

#[derive(Clone, Debug)]
enum Effect<R> {
    Delay(Duration),
    Action(Action<R>),
}

/// Which requests a fault concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    Pushes,
    /// Pushes to the device of this key.
    Device(String),
    SignIns,
}

impl<R> Fault<R> {
    /// An action that concerns the pushes to every device.
    pub fn new(action: Action<R>, when: When) -> Self {
        Self { effect: Effect::Action(action), when, scope: Scope::Pushes }
    }

    /// Latency: the push is handled on arrival, and its answer held back for this long. If the
    /// client gives up before, the push was taken and nobody knows. It combines with an action
    /// that answers.
    pub fn delay(time: Duration, when: When) -> Self {
        Self { effect: Effect::Delay(time), when, scope: Scope::Pushes }
    }

    /// Restricts the fault to the pushes of one device token; only these are then counted.
    #[must_use]
    pub fn on_device(mut self, token: &str) -> Self {
        self.scope = Scope::Device(token.to_owned());
        self
    }

    /// Makes it concern the requests by which a sender signs in, and no pushes. A service without
    /// such requests never meets it.
    #[must_use]
    pub fn on_sign_in(mut self) -> Self {
        self.scope = Scope::SignIns;
        self
    }

    /// With the key of its device in place of the name that the device goes by.
    pub(crate) fn keyed(mut self, key: impl Fn(&str) -> String) -> Self {
        if let Scope::Device(name) = &mut self.scope {
            *name = key(name);
        }
        self
    }
}

impl Scope {
    fn concerns(&self, subject: &Subject<'_>) -> bool {
        match (self, subject) {
            (Self::Pushes, Subject::Push(_)) | (Self::SignIns, Subject::SignIn) => true,
            (Self::Device(only), Subject::Push(device)) => only == device,
            _ => false,
        }
    }
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<R> {
    /// This answer, whatever the push is.
    Reject(R),
    /// No answer, ever: the stream stays open until the client resets it.
    Stall(Fate),
    /// `RST_STREAM` with this code. RFC 9113 §8.7: `REFUSED_STREAM` promises that the push was not
    /// processed, so only [`Fate::Lost`] is truthful with it.
    Reset(ErrorCode, Fate),
    /// `GOAWAY`, then the connection is closed as soon as the earlier streams are answered. With
    /// [`Fate::Taken`] its last stream is the push that set it off, which is answered; with
    /// [`Fate::Lost`] the last stream is the one before. A later stream that was judged before,
    /// because its body was complete first, is the last stream in both cases; a lost push below it
    /// gets no answer. Streams above the last one are never judged (RFC 9113 §6.8).
    GoAway {
        /// The error code; Apple sends `NO_ERROR` also for trouble that it explains in `reason`.
        code: ErrorCode,
        /// Becomes the debug data `{"reason":"…"}`.
        reason: String,
        /// Whether the push that sets it off is processed.
        fate: Fate,
    },
    /// The TCP connection is reset without a word.
    Disconnect(Fate),
}

/// Whether the push reaches its device although the answer does not reach the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The push is not even looked at.
    Lost,
    /// The push is checked and delivered; only the client does not hear of it.
    Taken,
}

/// Which of the pushes in question are hit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// All of them.
    Always,
    /// The next so many, then none.
    Next(u64),
    /// Every k-th: with 3 the third, the sixth, and so on. 0 is never.
    Every(u64),
    /// Each with this probability, drawn from the simulator's seed.
    Chance(f64),
}

/// Names a fault in order to lift it or to ask how often it struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FaultId(u64);

/// What the script says about one push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan<R> {
    pub(crate) delay: Option<Duration>,
    pub(crate) action: Option<Action<R>>,
}

/// The faults in force, in the order in which they were added.
#[derive(Debug)]
pub(crate) struct Script<R> {
    entries: Vec<Entry<R>>,
    next: u64,
}

#[derive(Debug)]
struct Entry<R> {
    id: FaultId,
    fault: Fault<R>,
    seen: u64,
    struck: u64,
}

impl<R> Plan<R> {
    /// Nothing goes wrong.
    pub(crate) const NONE: Self = Self { delay: None, action: None };

    /// Whether the push is judged, or answered as if it were.
    pub(crate) fn judges(&self) -> bool {
        match &self.action {
            None | Some(Action::Reject(_)) => true,
            Some(
                Action::Stall(fate)
                | Action::Reset(_, fate)
                | Action::GoAway { fate, .. }
                | Action::Disconnect(fate),
            ) => *fate == Fate::Taken,
        }
    }
}

impl<R: Clone> Script<R> {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), next: 0 }
    }

    pub(crate) fn add(&mut self, fault: Fault<R>) -> FaultId {
        let id = FaultId(self.next);
        self.next += 1;
        self.entries.push(Entry { id, fault, seen: 0, struck: 0 });
        id
    }

    pub(crate) fn lift(&mut self, id: FaultId) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.id != id);
        self.entries.len() != before
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How often a fault struck; `None` once it is lifted.
    pub(crate) fn struck(&self, id: FaultId) -> Option<u64> {
        self.entries.iter().find(|entry| entry.id == id).map(|entry| entry.struck)
    }

    /// What happens to the next request of a subject: the first delay and the first other action that
    /// are due. Every fault that concerns the push counts it; `Next` is used up only if it wins.
    pub(crate) fn plan(&mut self, subject: &Subject<'_>, random: &mut Random) -> Plan<R> {
        let mut plan = Plan::NONE;
        for entry in &mut self.entries {
            if !entry.fault.scope.concerns(subject) {
                continue;
            }
            let due = entry.is_due(random);
            match &entry.fault.effect {
                Effect::Delay(time) if due && plan.delay.is_none() => plan.delay = Some(*time),
                Effect::Action(action) if due && plan.action.is_none() => {
                    plan.action = Some(action.clone());
                }
                _ => continue,
            }
            entry.struck += 1;
        }
        plan
    }
}

impl<R> Entry<R> {
    fn is_due(&mut self, random: &mut Random) -> bool {
        self.seen += 1;
        match self.fault.when {
            When::Always => true,
            When::Next(count) => self.struck < count,
            When::Every(k) => k != 0 && self.seen.is_multiple_of(k),
            When::Chance(probability) => random.chance(probability),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Script = super::Script<&'static str>;

    const STALL: Action<&'static str> = Action::Stall(Fate::Lost);

    fn device(name: &str) -> Subject<'_> {
        Subject::Push(name.into())
    }

    fn strikes(script: &mut Script, device: &str, pushes: usize) -> Vec<bool> {
        let mut random = Random::new(9);
        (0..pushes)
            .map(|_| script.plan(&self::device(device), &mut random).action.is_some())
            .collect()
    }

    #[test]
    fn next_is_used_up() {
        let mut script = Script::new();
        let id = script.add(Fault::new(STALL, When::Next(2)));
        assert_eq!(strikes(&mut script, "aa", 4), [true, true, false, false]);
        assert_eq!(script.struck(id), Some(2));
        assert!(script.lift(id));
        assert_eq!(script.struck(id), None);
    }

    #[test]
    fn every_counts_only_its_own_device() {
        let mut script = Script::new();
        script.add(Fault::new(STALL, When::Every(2)).on_device("aa"));
        assert_eq!(strikes(&mut script, "bb", 3), [false, false, false]);
        assert_eq!(strikes(&mut script, "aa", 4), [false, true, false, true]);
    }

    #[test]
    fn chance_is_decided_by_the_seed() {
        let run = || {
            let mut script = Script::new();
            script.add(Fault::new(STALL, When::Chance(0.5)));
            strikes(&mut script, "aa", 64)
        };
        assert_eq!(run(), run());
        assert!(run().contains(&true) && run().contains(&false));
    }

    #[test]
    fn a_delay_joins_an_action_and_the_first_action_wins() {
        let mut script = Script::new();
        let reject = Action::Reject("busy");
        script.add(Fault::delay(Duration::from_millis(5), When::Always));
        script.add(Fault::new(reject.clone(), When::Next(1)));
        let second = script.add(Fault::new(STALL, When::Next(1)));
        let mut random = Random::new(0);
        let delay = Some(Duration::from_millis(5));
        assert_eq!(script.plan(&device("aa"), &mut random), Plan { delay, action: Some(reject) });
        assert_eq!(script.struck(second), Some(0), "a fault that lost is not used up");
        assert_eq!(script.plan(&device("aa"), &mut random), Plan { delay, action: Some(STALL) });
    }

    #[test]
    fn sign_ins_are_a_matter_of_their_own() {
        let mut script = Script::new();
        script.add(Fault::new(STALL, When::Always).on_sign_in());
        let mut random = Random::new(0);
        assert_eq!(script.plan(&device("aa"), &mut random), Plan::NONE);
        assert_eq!(script.plan(&Subject::SignIn, &mut random).action, Some(STALL));
    }
}
