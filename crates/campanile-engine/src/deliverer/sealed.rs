//! Records as a worker reads them: a post is opened only if somebody may have to hear of it.
//!
//! Most platforms are of no use to most users, and most of what a log holds is posts; so a worker
//! looks at the outside of each, and passes over those that are for nobody it serves.

use std::collections::BTreeSet;
use std::sync::Arc;

use campanile_core::port::{PieceKey, Record};
use campanile_core::{Event, NotificationId, Position, Recorded, RequestKey, UserRef};
use campanile_proto::codec::{Heading, heading_of_post};

use super::view::View;
use crate::projector::open::decode;
use crate::telemetry::Telemetry;

/// A record that was read.
#[derive(Debug)]
pub(crate) enum Read {
    /// A post that was not opened.
    Sealed(Sealed),
    /// Anything else.
    Open(Arc<Recorded>),
}

/// A post that was not opened.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) position: Position,
    record: Record,
    heading: Heading,
}

impl Sealed {
    /// Opens it; `None` if that cannot be done, which is told.
    pub(crate) fn open(&self, telemetry: &Telemetry) -> Option<Recorded> {
        decode(&self.record, self.position, telemetry)
    }
}

impl Read {
    /// What was read at `position`; `None` if it cannot be opened, which is told.
    pub(crate) fn new(record: Record, position: Position, telemetry: &Telemetry) -> Option<Self> {
        match heading_of_post(&record.body) {
            Some(heading) => Some(Self::Sealed(Sealed { position, record, heading })),
            None => Some(Self::Open(Arc::new(decode(&record, position, telemetry)?))),
        }
    }

    pub(crate) const fn opened(&self) -> Option<&Arc<Recorded>> {
        match self {
            Self::Open(event) => Some(event),
            Self::Sealed(_) => None,
        }
    }

    pub(crate) fn position(&self) -> Position {
        match self {
            Self::Open(event) => event.position,
            Self::Sealed(sealed) => sealed.position,
        }
    }

    pub(crate) fn user(&self) -> UserRef {
        match self {
            Self::Open(event) => event.fact.user,
            Self::Sealed(sealed) => sealed.record.user,
        }
    }

    /// Of a post whose request named itself: whose it is, its item and that request.
    pub(crate) fn requested(&self) -> Option<(UserRef, NotificationId, RequestKey)> {
        match self {
            Self::Open(event) => requested(event),
            Self::Sealed(sealed) => {
                let Heading { item, request, .. } = sealed.heading;
                Some((sealed.record.user, item, request?))
            }
        }
    }
}

/// Of a post whose request named itself: whose it is, its item and that request.
pub(crate) fn requested(event: &Recorded) -> Option<(UserRef, NotificationId, RequestKey)> {
    match &event.fact.event {
        Event::NotificationPosted(posted) => {
            Some((event.fact.user, posted.id, posted.request?.key))
        }
        _ => None,
    }
}

impl View {
    /// Opens what of `read` somebody may have to hear of, or changes a piece that is known; asked
    /// again after each read of state, for that may be more then. Answers whose endpoints must be
    /// known before that can be told.
    pub(crate) fn open(&self, read: &mut Vec<Read>) -> Vec<PieceKey> {
        let sealed = read.iter().filter_map(|read| match read {
            Read::Sealed(sealed) if sealed.heading.platforms.contains(self.platform()) => {
                Some(PieceKey::Reach(sealed.record.user))
            }
            _ => None,
        });
        let unknown: BTreeSet<_> = sealed.filter(|key| !self.is_known(key)).collect();
        if !unknown.is_empty() {
            return unknown.into_iter().collect();
        }
        let registers =
            |event: &&Arc<Recorded>| matches!(event.fact.event, Event::EndpointRegistered { .. });
        let registering = read.iter().filter_map(Read::opened).filter(registers);
        let registering: BTreeSet<_> = registering.map(|event| event.fact.user).collect();
        read.retain_mut(|read| {
            let Read::Sealed(sealed) = read else { return true };
            if !self.concerns(sealed, &registering) {
                return true;
            }
            let event = sealed.open(self.telemetry());
            let Some(event) = event else { return false };
            *read = Read::Open(Arc::new(event));
            true
        });
        Vec::new()
    }

    fn concerns(&self, sealed: &Sealed, registering: &BTreeSet<UserRef>) -> bool {
        let (user, heading) = (sealed.record.user, sealed.heading);
        let is_heard = heading.platforms.contains(self.platform())
            && (registering.contains(&user) || self.has_endpoint(user));
        let request = heading.request.map(|key| PieceKey::Request(user, key));
        is_heard
            || self.is_known(&PieceKey::Item(user, heading.item))
            || request.is_some_and(|key| self.is_known(&key))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use campanile_core::port::Views;
    use campanile_core::{
        AppId, Content, Fact, Generation, Offset, Partition, Platform, PlatformMask, Posted,
        Priority, RetireReason, Timestamp,
    };
    use campanile_proto::codec::encode_fact;

    use super::*;
    use crate::planted::Planted;

    const USER: UserRef = UserRef::from_bytes([1; 16]);
    const ITEM: NotificationId = NotificationId::from_bytes([2; 16]);

    fn post(platforms: PlatformMask) -> Event {
        let end = Timestamp::from_millis(100_000);
        Event::NotificationPosted(Posted {
            id: ITEM,
            request: None,
            app_notification_id: None,
            group: None,
            campaign: None,
            content: Arc::new(Content { visual: None, raw: None }),
            platforms,
            priority: Priority::High,
            expires_at: end,
            deliver_by: end,
            fallback: None,
        })
    }

    fn read(event: Event) -> Vec<Read> {
        let fact = Fact { app: AppId::new("app").unwrap(), user: USER, cause: None, event };
        let (offset, time) = (Offset(10), Timestamp::from_millis(1));
        let record = Record { offset, time, user: USER, body: encode_fact(&fact) };
        let position = Position { generation: Generation(1), partition: Partition(0), offset };
        Read::new(record, position, &Telemetry::default()).into_iter().collect()
    }

    fn knowing(keys: &[PieceKey]) -> View {
        let mut view = View::new(Platform::Fcm, Offset(10), 1, Arc::default(), Planted::default());
        view.load(keys, Views { pieces: vec![None; keys.len()], checkpoint: Offset(10) });
        view
    }

    /// Whether a view that knows `keys` opens what is read, once it needs to know no more.
    fn opens(keys: &[PieceKey], event: Event) -> Option<bool> {
        let mut read = read(event);
        let is_enough = knowing(keys).open(&mut read).is_empty();
        is_enough.then(|| read.iter().all(|read| read.opened().is_some()))
    }

    #[test]
    fn a_post_is_opened_only_for_somebody() {
        let (reach, item) = (PieceKey::Reach(USER), PieceKey::Item(USER, ITEM));
        let apple = PlatformMask::of(&[Platform::Apns]);
        assert_eq!(opens(&[], post(PlatformMask::ALL)), None, "who the user is must be known");
        assert_eq!(opens(&[reach], post(PlatformMask::ALL)), Some(false), "no endpoint");
        assert_eq!(opens(&[], post(apple)), Some(false), "another platform's");
        assert_eq!(opens(&[item], post(apple)), Some(true), "it changes what is known");
        let endpoint = campanile_core::EndpointId::from_bytes([3; 16]);
        let reason = RetireReason::Unregistered;
        let retired = Event::EndpointRetired { endpoint, registration: None, reason };
        assert_eq!(opens(&[], retired), Some(true), "no post");
    }
}
