//! What may go wrong, and when it does.
//!
//! A seed enables some of the faults (a swarm: a schedule without the usual ones reaches what
//! they would hide). Three sorts: a point strikes a single call now and then; a window lasts a
//! while, opened by the director; an act is something the director does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use campanile_core::Tick;

use super::held;
use super::random::Random;

macro_rules! faults {
    ($($sort:ident { $($(#[$doc:meta])* $name:ident = $text:literal,)* })*) => {
        /// One kind of trouble.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Fault {
            $($($(#[$doc])* $name,)*)*
        }

        impl Fault {
            /// Every kind, with its sort and its name in coverage tables.
            pub(crate) const ALL: &[(Self, Sort, &str)] =
                &[$($((Self::$name, Sort::$sort, $text),)*)*];
        }
    };
}

/// How a fault comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Strikes single calls.
    Point,
    /// Lasts a while.
    Window,
    /// Is done once.
    Act,
}

faults! {
    Point {
    /// An append is refused, and did not happen.
    AppendRefused = "append refused",
    /// An append happened, but no answer came.
    AppendUnanswered = "append indefinite, applied",
    /// An append did not happen, and no answer came.
    AppendLost = "append indefinite, not applied",
    /// An append takes long.
    AppendSlow = "append slow",
    /// A read of the log fails.
    ReadUnavailable = "log read unavailable",
    /// A commit of progress fails and is not stored.
    CommitLost = "commit lost",
    /// A commit of progress is stored, but no answer came.
    CommitUnanswered = "commit unanswered",
    /// A commit of progress takes long.
    CommitSlow = "commit slow",
    /// A call of the projection fails.
    ProjectionFails = "projection call fails",
    /// A write of the projection is stored, but no answer came.
    ApplyUnanswered = "projection write unanswered",
    /// A call of the projection takes long.
    ProjectionSlow = "projection slow",
    /// 429, with or without a wait asked for.
    Throttled = "provider 429",
    /// 5xx.
    ServerError = "provider 5xx",
    /// The push is shown, but the answer comes after the client gave up.
    AnswerLate = "provider answers too late",
    /// The provider stalls until the client gives up; the push is lost.
    Stall = "provider stalls",
    /// The connection breaks after the push was taken.
    ResetShown = "connection reset, shown",
    /// The connection breaks before the push was taken.
    ResetLost = "connection reset, not shown",
    /// The stream is refused: certainly not processed.
    RefusedStream = "refused stream",
    /// The provider token ran out of time.
    CredentialStale = "credential stale",
    /// The push is rejected for good.
    Rejected = "provider rejects",
    /// No connection for one push.
    NoRoom = "no room on the route",
    }
    Window {
    /// No connection can be made.
    RouteDown = "route down",
    /// The credential is refused by the provider.
    CredentialRefused = "credential refused",
    /// The credential is missing: held before anything is sent.
    RouteHeld = "route held",
    /// The projection cannot be reached.
    ProjectionDown = "projection down",
    /// The projector lags: every write is slow.
    ProjectorLags = "projector lags",
    /// Nothing can be appended for a while.
    LogDown = "log down for appends",
    }
    Act {
    /// A role's tasks are dropped.
    CrashRole = "role crashes",
    /// A role's tasks are dropped between two steps of a call.
    CrashMidStep = "role crashes between two steps",
    /// Everything is dropped.
    CrashProcess = "process crashes",
    /// A role is stopped in good order.
    StopRole = "role stops in good order",
    /// A worker is not scheduled for a while; its partitions are given away.
    Zombie = "zombie worker",
    /// All sessions of a group expire at once.
    SessionsExpire = "sessions expire",
    /// The projection is lost.
    WipeProjection = "projection wiped",
    /// The projection goes back to an older state.
    StaleProjection = "projection falls back",
    /// The wall clock jumps forward.
    ClockForward = "clock jumps forward",
    /// The wall clock jumps back.
    ClockBack = "clock jumps back",
    /// The group of the workers is lost; an operator makes it anew, at the end.
    GroupLost = "group offsets lost",
    /// A device loses the app without a word.
    Uninstall = "app uninstalled",
    }
}

/// The faults of one seed.
#[derive(Debug)]
pub(crate) struct Faults {
    random: Random,
    enabled: BTreeSet<Fault>,
    per_mille: u64,
    open: Mutex<BTreeMap<Fault, Tick>>,
    healed: AtomicBool,
}

impl Faults {
    /// Draws the faults of `seed`; one seed in eight has none.
    pub(crate) fn of_seed(seed: u64) -> Self {
        let random = Random::new(seed, 0xfa17);
        let share = if random.chance(125) { 0 } else { random.between(60, 500) };
        let all = Fault::ALL.iter().map(|(fault, ..)| *fault);
        let enabled = all.filter(|_| random.chance(share)).collect();
        let per_mille = [4, 15, 40, 120].get(random.index(4)).copied().unwrap_or(15);
        let (open, healed) = (Mutex::default(), AtomicBool::new(false));
        Self { random, enabled, per_mille, open, healed }
    }

    /// Whether the seed has this fault.
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.enabled.contains(&fault)
    }

    /// The enabled faults that the director brings about.
    pub(crate) fn of_director(&self) -> Vec<(Fault, Sort)> {
        let all = Fault::ALL.iter().filter(|(_, sort, _)| *sort != Sort::Point);
        all.filter(|(fault, ..)| self.has(*fault)).map(|(fault, sort, _)| (*fault, *sort)).collect()
    }

    /// Whether a point strikes now.
    pub(crate) fn strikes(&self, fault: Fault) -> bool {
        self.has(fault) && !self.is_healed() && self.random.chance(self.per_mille)
    }

    /// Opens a window until `until`.
    pub(crate) fn open(&self, fault: Fault, until: Tick) {
        held(&self.open).insert(fault, until);
    }

    /// Whether a window is open at `now`.
    pub(crate) fn is_open(&self, fault: Fault, now: Tick) -> bool {
        held(&self.open).get(&fault).is_some_and(|until| now < *until)
    }

    /// Ends all trouble.
    pub(crate) fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
        held(&self.open).clear();
    }

    fn is_healed(&self) -> bool {
        self.healed.load(Ordering::Relaxed)
    }

    /// Decisions about how a fault plays out.
    pub(crate) const fn random(&self) -> &Random {
        &self.random
    }
}

impl Fault {
    /// The name in coverage tables.
    pub(crate) fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(fault, ..)| *fault == self);
        found.map_or("", |(_, _, name)| *name)
    }
}
