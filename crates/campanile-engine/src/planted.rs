//! Bugs that can be put in on purpose, to show that the simulation finds them.
//!
//! Without the feature `planted-bugs` no bug can be planted: [`Planted::has`] is constantly false.

/// A bug that was made somewhere by somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bug {
    /// A publish is acknowledged whether or not its append is.
    AckBeforeDurable,
    /// A worker commits an event's offset when its deliveries are planned, not when they are
    /// settled.
    CommitBeforeSettled,
    /// The projector stores the checkpoint in a write of its own.
    CheckpointInSecondWrite,
    /// A worker takes a view that is behind its own position for a fresh one.
    StaleViewAsFresh,
    /// A repeated post is folded as if it were a new one, over a dismissal.
    LatePostOverDismissal,
    /// Deliveries of one item to one endpoint are not serial, and a retry is not checked again.
    ClearOvertakenByRetry,
    /// A worker starts with the first record of a partition, as a rebuild does.
    ReplayThroughLivePath,
    /// A missing group offset means the beginning.
    MissingOffsetIsBeginning,
    /// State that was carried is taken for that of now: a carried endpoint is back that was
    /// retired since.
    CarriedIsCurrent,
    /// A worker commits without saying what routes owe that do not send.
    HoldLosesItsRange,
    /// What was put off or held is not checked again before it is sent.
    ParkedRingsAfterDismissal,
    /// A verdict on an address retires the endpoint, whatever registration it has by then.
    VerdictOnNewerRegistration,
    /// A clear that is tried again comes after the revision that followed it, and clears it.
    RevisionOvertakesClear,
    /// A worker delivers again whatever it is asked for, as often as it is asked.
    RedeliveryEachTime,
}

impl Bug {
    /// Every bug there is.
    pub const ALL: [Self; 14] = [
        Self::AckBeforeDurable,
        Self::CommitBeforeSettled,
        Self::CheckpointInSecondWrite,
        Self::StaleViewAsFresh,
        Self::LatePostOverDismissal,
        Self::ClearOvertakenByRetry,
        Self::ReplayThroughLivePath,
        Self::MissingOffsetIsBeginning,
        Self::CarriedIsCurrent,
        Self::HoldLosesItsRange,
        Self::ParkedRingsAfterDismissal,
        Self::VerdictOnNewerRegistration,
        Self::RevisionOvertakesClear,
        Self::RedeliveryEachTime,
    ];
}

/// Which bug is planted, if any.
#[derive(Clone, Copy, Debug, Default)]
pub struct Planted {
    #[cfg(feature = "planted-bugs")]
    bug: Option<Bug>,
}

impl Planted {
    /// Plants `bug`.
    #[cfg(feature = "planted-bugs")]
    #[must_use]
    pub const fn bug(bug: Bug) -> Self {
        Self { bug: Some(bug) }
    }

    /// Whether `bug` is planted.
    #[must_use]
    pub fn has(self, bug: Bug) -> bool {
        #[cfg(feature = "planted-bugs")]
        return self.bug == Some(bug);
        #[cfg(not(feature = "planted-bugs"))]
        {
            let _ = bug;
            false
        }
    }
}
