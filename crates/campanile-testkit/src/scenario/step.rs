//! What may happen in a scenario, in a few words.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use campanile_core::{
    AgendaEntry, Content, Due, Event, Fallback, Fingerprint, Limits, Platform, PlatformMask,
    Posted, Priority, PushStyle, RequestStamp, RetireReason, StateChange, Timestamp, UserAction,
    UserRef, Visual,
};

use crate::vocabulary::{Device, item, request, user};

/// Something that happens: to user 1, one second after what happened before, unless it is told
/// otherwise.
#[derive(Clone, Debug)]
pub struct Step {
    pub(super) whose: UserRef,
    pub(super) after: Duration,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Posted(Post),
    Changed { item: &'static str, seeing: Option<u32>, change: Change, on: Option<Device> },
    Deleted { item: &'static str, on: Option<Device> },
    Recalled { item: &'static str, seeing: Option<u32> },
    Registered { device: Device, number: u8, lease: Duration, style: Option<PushStyle> },
    Retired { device: Device, number: Option<u8>, reason: RetireReason },
    Expired { item: &'static str, revision: u32 },
    Lapsed { device: Device, number: u8 },
    Plain(Event),
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Read(bool),
    Action(UserAction),
}

#[derive(Clone, Debug)]
struct Post {
    item: &'static str,
    key: Option<&'static str>,
    campaign: Option<&'static str>,
    says: &'static str,
    platforms: PlatformMask,
    priority: Priority,
    life: Duration,
    deliver_within: Duration,
    falls_back: Option<Duration>,
}

fn step(what: What) -> Step {
    Step { whose: user(1), after: Duration::from_secs(1), what }
}

/// A post of the item: its first revision, or a later one.
#[must_use]
pub fn posted(item: &'static str) -> Step {
    step(What::Posted(Post {
        item,
        key: None,
        campaign: None,
        says: item,
        platforms: PlatformMask::ALL,
        priority: Priority::High,
        life: Limits::DEFAULT_LIFE,
        deliver_within: Limits::DEFAULT_DELIVER_WITHIN,
        falls_back: None,
    }))
}

fn changed(item: &'static str, change: Change) -> Step {
    step(What::Changed { item, seeing: None, change, on: None })
}

/// The user read the item.
#[must_use]
pub fn read(item: &'static str) -> Step {
    changed(item, Change::Read(true))
}

/// The user marked the item as unread.
#[must_use]
pub fn unread(item: &'static str) -> Step {
    changed(item, Change::Read(false))
}

/// The user waved the item away.
#[must_use]
pub fn dismissed(item: &'static str) -> Step {
    changed(item, Change::Action(UserAction::Dismissed))
}

/// The user opened the item.
#[must_use]
pub fn activated(item: &'static str) -> Step {
    changed(item, Change::Action(UserAction::Activated))
}

/// The user put the item off.
#[must_use]
pub fn snoozed(item: &'static str) -> Step {
    changed(item, Change::Action(UserAction::Snoozed))
}

/// The user took back what they did with the item.
#[must_use]
pub fn reset(item: &'static str) -> Step {
    changed(item, Change::Action(UserAction::None))
}

/// The user deleted the item.
#[must_use]
pub fn deleted(item: &'static str) -> Step {
    step(What::Deleted { item, on: None })
}

/// The producer took the item back.
#[must_use]
pub fn recalled(item: &'static str) -> Step {
    step(What::Recalled { item, seeing: None })
}

/// The device registered; its registration number is 1.
#[must_use]
pub fn registered(device: Device) -> Step {
    let lease = Limits::LONGEST_LEASE;
    step(What::Registered { device, number: 1, lease, style: Some(PushStyle::Payload) })
}

/// The device renewed the lease of registration number 1.
#[must_use]
pub fn renewed(device: Device) -> Step {
    let lease = Limits::LONGEST_LEASE;
    step(What::Registered { device, number: 1, lease, style: None })
}

/// The device was retired, whatever its registration.
#[must_use]
pub fn retired(device: Device) -> Step {
    step(What::Retired { device, number: None, reason: RetireReason::Unregistered })
}

/// The end came that revision `revision` of the item had set.
#[must_use]
pub fn expired(item: &'static str, revision: u32) -> Step {
    step(What::Expired { item, revision })
}

/// The end came of the lease of the device's registration number 1.
#[must_use]
pub fn lapsed(device: Device) -> Step {
    step(What::Lapsed { device, number: 1 })
}

/// Any event.
#[must_use]
pub fn happened(event: Event) -> Step {
    step(What::Plain(event))
}

impl Step {
    /// It happens to another user.
    #[must_use]
    pub fn of(self, whose: UserRef) -> Self {
        Self { whose, ..self }
    }

    /// It happens so long after what happened before.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self { after: wait, ..self }
    }

    /// It was done on the device.
    ///
    /// # Panics
    /// If nobody does this on a device.
    #[must_use]
    pub fn on(mut self, device: Device) -> Self {
        match &mut self.what {
            What::Changed { on, .. } | What::Deleted { on, .. } => *on = Some(device),
            other => unreachable!("{other:?} is not done on a device"),
        }
        self
    }

    /// It is about this revision.
    ///
    /// # Panics
    /// If it is neither a change of state nor a recall.
    #[must_use]
    pub fn seeing(mut self, revision: u32) -> Self {
        match &mut self.what {
            What::Changed { seeing, .. } | What::Recalled { seeing, .. } => {
                *seeing = Some(revision);
            }
            other => unreachable!("{other:?} is about no revision"),
        }
        self
    }

    /// It is shown a fallback, so long after the post, where it was signalled and not fetched.
    ///
    /// # Panics
    /// If it is no post.
    #[must_use]
    pub fn falling_back_after(mut self, time: Duration) -> Self {
        match &mut self.what {
            What::Posted(post) => post.falls_back = Some(time),
            other => unreachable!("{other:?} has no fallback"),
        }
        self
    }

    /// It is about registration number `number`.
    ///
    /// # Panics
    /// If it is not about a registration.
    #[must_use]
    pub fn registration(mut self, registration: u8) -> Self {
        match &mut self.what {
            What::Registered { number, .. } | What::Lapsed { number, .. } => *number = registration,
            What::Retired { number, .. } => *number = Some(registration),
            other => unreachable!("{other:?} is not about a registration"),
        }
        self
    }

    /// What is pushed to it from then on.
    ///
    /// # Panics
    /// If it is no registration.
    #[must_use]
    pub fn asking_for(mut self, wanted: PushStyle) -> Self {
        match &mut self.what {
            What::Registered { style: Some(style), .. } => *style = wanted,
            other => unreachable!("{other:?} asks for no pushes"),
        }
        self
    }

    /// The lease is so long.
    ///
    /// # Panics
    /// If it gives no lease.
    #[must_use]
    pub fn leased_for(mut self, time: Duration) -> Self {
        match &mut self.what {
            What::Registered { lease, .. } => *lease = time,
            other => unreachable!("{other:?} gives no lease"),
        }
        self
    }

    /// The device was retired for this reason.
    ///
    /// # Panics
    /// If it is not a retirement.
    #[must_use]
    pub fn because(mut self, why: RetireReason) -> Self {
        match &mut self.what {
            What::Retired { reason, .. } => *reason = why,
            other => unreachable!("{other:?} is not a retirement"),
        }
        self
    }

    /// The request named itself with this idempotency key.
    #[must_use]
    pub fn with_key(self, key: &'static str) -> Self {
        self.post(|post| post.key = Some(key))
    }

    /// It belongs to this campaign.
    #[must_use]
    pub fn of_campaign(self, name: &'static str) -> Self {
        self.post(|post| post.campaign = Some(name))
    }

    /// The title is this.
    #[must_use]
    pub fn saying(self, text: &'static str) -> Self {
        self.post(|post| post.says = text)
    }

    /// It is for these platforms only.
    #[must_use]
    pub fn only_for(self, platforms: &[Platform]) -> Self {
        self.post(|post| post.platforms = PlatformMask::of(platforms))
    }

    /// It is posted with this priority.
    #[must_use]
    pub fn of_priority(self, priority: Priority) -> Self {
        self.post(|post| post.priority = priority)
    }

    /// It vanishes so long after the post.
    #[must_use]
    pub fn living(self, life: Duration) -> Self {
        self.post(|post| post.life = life)
    }

    /// It is sent within so long after the post.
    #[must_use]
    pub fn delivered_within(self, time: Duration) -> Self {
        self.post(|post| post.deliver_within = time)
    }

    fn post(mut self, change: impl FnOnce(&mut Post)) -> Self {
        match &mut self.what {
            What::Posted(post) => change(post),
            other => unreachable!("{other:?} is not a post"),
        }
        self
    }

    /// The event it is, if it happens `now`.
    #[must_use]
    pub fn event(&self, now: Timestamp) -> Event {
        let whose = self.whose;
        let endpoint = |device: &Device| device.endpoint(whose);
        match &self.what {
            What::Plain(event) => event.clone(),
            What::Posted(post) => Event::NotificationPosted(post.posted(whose, now)),
            What::Recalled { item: name, seeing } => {
                Event::NotificationRecalled { id: item(whose, name), revision: *seeing }
            }
            What::Changed { item: name, seeing, change, on } => {
                let (read, action) = match change {
                    Change::Read(read) => (Some(*read), None),
                    Change::Action(action) => (None, Some(*action)),
                };
                let (id, origin) = (item(whose, name), on.as_ref().map(endpoint));
                Event::StateChanged(StateChange { id, revision: *seeing, read, action, origin })
            }
            What::Deleted { item: name, on } => {
                let (id, origin) = (item(whose, name), on.as_ref().map(endpoint));
                Event::NotificationDeleted { id, origin }
            }
            What::Registered { device, number, lease, style } => {
                let registration = device.registration(whose, *number);
                let (endpoint, lease_until) = (endpoint(device), now.after(*lease));
                let Some(style) = *style else {
                    return Event::EndpointRenewed { endpoint, registration, lease_until };
                };
                let address = device.address(whose, *number);
                Event::EndpointRegistered { endpoint, registration, address, style, lease_until }
            }
            What::Retired { device, number, reason } => Event::EndpointRetired {
                endpoint: endpoint(device),
                registration: number.map(|number| device.registration(whose, number)),
                reason: *reason,
            },
            What::Expired { item: name, revision } => {
                let due = Due::Expire { id: item(whose, name), revision: *revision };
                Event::CameDue(AgendaEntry { at: now, due })
            }
            What::Lapsed { device, number } => {
                let registration = device.registration(whose, *number);
                let due = Due::Lapse { endpoint: endpoint(device), registration };
                Event::CameDue(AgendaEntry { at: now, due })
            }
        }
    }
}

impl Post {
    fn posted(&self, whose: UserRef, now: Timestamp) -> Posted {
        let visual = Visual { title: self.says.to_owned(), ..Visual::default() };
        let raw = Some(Bytes::from_static(self.says.as_bytes()));
        let stamp = |key| RequestStamp {
            key: request(whose, key),
            fingerprint: Fingerprint::of(self.says.as_bytes()),
        };
        Posted {
            id: item(whose, self.item),
            request: self.key.map(stamp),
            app_notification_id: Some(self.item.into()),
            group: None,
            campaign: self.campaign.map(Into::into),
            content: Arc::new(Content { visual: Some(visual), raw }),
            platforms: self.platforms,
            priority: self.priority,
            expires_at: now.after(self.life),
            deliver_by: now.after(self.deliver_within),
            fallback: self.falls_back.map(|after| Fallback {
                after,
                content: Arc::new(Content { visual: Some(Visual::default()), raw: None }),
            }),
        }
    }
}
