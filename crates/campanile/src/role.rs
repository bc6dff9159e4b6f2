//! What a process can do.

use campanile_core::port::{GroupName, Stream};

/// A role: each can be a process of its own, and all can be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Takes what producers publish.
    Ingest,
    /// Serves devices.
    Gateway,
    /// Folds the log into the projection.
    Projector,
    /// Hands deliveries to Apple.
    DeliverApns,
    /// Hands deliveries to Google.
    DeliverFcm,
    /// Turns agenda entries that came due into events.
    Scheduler,
}

impl Role {
    /// Every role.
    pub(crate) const ALL: [Self; 6] = [
        Self::Ingest,
        Self::Gateway,
        Self::Projector,
        Self::DeliverApns,
        Self::DeliverFcm,
        Self::Scheduler,
    ];

    /// Every role's name, as a setting has them.
    pub(crate) const ALL_NAMES: &str =
        "ingest,gateway,projector,deliver:apns,deliver:fcm,scheduler";

    /// The name in settings, logs and threads.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Gateway => "gateway",
            Self::Projector => "projector",
            Self::DeliverApns => "deliver:apns",
            Self::DeliverFcm => "deliver:fcm",
            Self::Scheduler => "scheduler",
        }
    }

    /// The groups it works as.
    pub(crate) const fn groups(self) -> &'static [Group] {
        match self {
            Self::Ingest | Self::Gateway => &[],
            Self::Projector => &[Group::PROJECTOR_EVENTS, Group::PROJECTOR_RECEIPTS],
            Self::DeliverApns => &[Group::DELIVER_APNS],
            Self::DeliverFcm => &[Group::DELIVER_FCM],
            Self::Scheduler => &[Group::SCHEDULER],
        }
    }

    /// The role called `name`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A consumer group that a role works as. Its name never changes between releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) stream: Stream,
}

impl Group {
    /// Folds events.
    pub(crate) const PROJECTOR_EVENTS: Self =
        Self { name: "projector-events", stream: Stream::Events };
    /// Folds receipts.
    pub(crate) const PROJECTOR_RECEIPTS: Self =
        Self { name: "projector-receipts", stream: Stream::Receipts };
    /// Delivers to Apple.
    pub(crate) const DELIVER_APNS: Self = Self { name: "deliver:apns", stream: Stream::Events };
    /// Delivers to Google.
    pub(crate) const DELIVER_FCM: Self = Self { name: "deliver:fcm", stream: Stream::Events };
    /// Looks at agendas.
    pub(crate) const SCHEDULER: Self = Self { name: "scheduler", stream: Stream::Events };

    /// Every group there is.
    pub(crate) const ALL: [Self; 5] = [
        Self::PROJECTOR_EVENTS,
        Self::PROJECTOR_RECEIPTS,
        Self::DELIVER_APNS,
        Self::DELIVER_FCM,
        Self::SCHEDULER,
    ];

    /// The name as ports want it.
    pub(crate) fn group_name(self) -> GroupName {
        GroupName(self.name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_listed_completely() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.name()), Some(role));
        }
        assert_eq!(Role::ALL.map(Role::name).join(","), Role::ALL_NAMES);
        assert_eq!(Role::parse("deliver:pigeon"), None);
    }
}
