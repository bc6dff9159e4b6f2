//! Random histories for property tests: few users, devices, items and requests, so that events
//! meet each other.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use campanile_core::{
    AddressClaim, AgendaEntry, Content, DeliveryId, DeliveryKind, Displaced, Due, Event, Fact,
    Fallback, Fingerprint, Generation, Offset, Parked, ParkedDelivery, Partition, Platform,
    PlatformMask, Position, Posted, Priority, PushStyle, PutOff, Recorded, Redelivery,
    RequestStamp, RetireReason, StateChange, Sweep, SweepStep, Timestamp, Urgency, UserAction,
    UserRef, Visual,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};
use proptest::sample::select;

use crate::vocabulary::{Device, START, app, item, laptop, phone, request, tablet, user};

/// How many users there are. They share one partition in logs of up to [`USERS_APART`] partitions.
pub const USERS: u16 = 2;

/// The distance between the numbers of two users.
pub const USERS_APART: u16 = 64;

/// The campaign that half of the posts belong to.
pub const CAMPAIGN: &str = "spring";

/// User number `index` of [`USERS`].
#[must_use]
pub fn some_user(index: u16) -> UserRef {
    user(index * USERS_APART)
}

/// The devices each user has at most.
pub const DEVICES: [Device; 3] = [phone(1), laptop(1), tablet(1)];

/// The items there are for each user.
pub const ITEMS: [&str; 3] = ["a", "b", "c"];

/// A log of up to `most` records of one partition, with gaps between offsets, and with pauses
/// between them from none to more than any lease or life.
pub fn logs(most: usize) -> impl Strategy<Value = Vec<Recorded>> {
    let step = (0..USERS).prop_flat_map(|index| {
        let whose = some_user(index);
        (Just(whose), events(whose), waits(), 1..3_u64)
    });
    vec(step, 0..=most).prop_map(|steps| {
        let (mut time, mut offset) = (START, 0);
        let record = |(user, event, wait, gap)| {
            (time, offset) = (time.after(wait), offset + gap);
            recorded(offset, time, user, relative_to(time, event))
        };
        steps.into_iter().map(record).collect()
    })
}

/// An event in the log, about `user`, at `offset`.
#[must_use]
pub fn recorded(offset: u64, time: Timestamp, user: UserRef, event: Event) -> Recorded {
    let (generation, partition) = (Generation(0), Partition(0));
    let position = Position { generation, partition, offset: Offset(offset) };
    Recorded { position, time, fact: Fact { app: app(), user, cause: None, event } }
}

fn waits() -> impl Strategy<Value = Duration> {
    prop_oneof![
        8 => (0..5_u64).prop_map(Duration::from_secs),
        2 => (0..200_000_u64).prop_map(Duration::from_secs),
        1 => (0..40 * 86_400_u64).prop_map(Duration::from_secs),
    ]
}

/// Any event about `whose`. Its times count from [`Timestamp::ZERO`], up to 40 days.
pub fn events(whose: UserRef) -> BoxedStrategy<Event> {
    prop_oneof![
        6 => posts(whose),
        6 => changes(whose),
        4 => registrations(whose),
        2 => retirements(whose),
        1 => (items(whose), option::weighted(0.3, 0..4_u32))
            .prop_map(|(id, revision)| Event::NotificationRecalled { id, revision }),
        1 => sweeps(whose),
        2 => claims(whose),
        2 => (items(whose), origins(whose))
            .prop_map(|(id, origin)| Event::NotificationDeleted { id, origin }),
        2 => entries(whose).prop_map(Event::CameDue),
        1 => parkings(whose),
        2 => redeliveries(whose),
        2 => fetches(whose),
    ]
    .boxed()
}

fn items(whose: UserRef) -> impl Strategy<Value = campanile_core::NotificationId> {
    select(&ITEMS[..]).prop_map(move |name| item(whose, name))
}

fn sweeps(whose: UserRef) -> impl Strategy<Value = Event> {
    let sweep = (0..100_u64, 0..100_u64)
        .prop_map(|(event, from)| Sweep { event: Offset(event), from: Offset(from) });
    prop_oneof![
        Just(Event::CampaignRecalled { campaign: CAMPAIGN.into() }),
        (0..100_u64, origins(whose))
            .prop_map(|(up_to, origin)| Event::AllDismissed { up_to: Offset(up_to), origin }),
        (spans(), sweep, option::of((0..100_u64).prop_map(Offset)))
            .prop_map(|(at, sweep, next)| Event::SweepAdvanced(SweepStep { at, sweep, next })),
    ]
}

/// Claims to an address, which for this has the name of a user.
fn claims(whose: UserRef) -> impl Strategy<Value = Event> {
    (displaced(whose), spans(), any::<bool>()).prop_map(|(by, lease_until, renews)| {
        Event::AddressClaimed(AddressClaim { by, lease_until, renews })
    })
}

fn displaced(whose: UserRef) -> impl Strategy<Value = Displaced> {
    (devices(), 0..3_u8).prop_map(move |(device, number)| Displaced {
        user: whose,
        endpoint: device.endpoint(whose),
        registration: device.registration(whose, number),
    })
}

fn devices() -> impl Strategy<Value = Device> {
    select(&DEVICES[..])
}

fn origins(whose: UserRef) -> impl Strategy<Value = Option<campanile_core::EndpointId>> {
    option::weighted(0.7, devices().prop_map(move |device| device.endpoint(whose)))
}

fn spans() -> impl Strategy<Value = Timestamp> {
    prop_oneof![0..100_000_u64, 0..40 * 86_400_000_u64].prop_map(Timestamp::from_millis)
}

fn posts(whose: UserRef) -> impl Strategy<Value = Event> {
    let stamp = (select(&["k", "l"][..]), select(&["x", "y"][..])).prop_map(move |(key, says)| {
        RequestStamp { key: request(whose, key), fingerprint: Fingerprint::of(says.as_bytes()) }
    });
    let priority = select(&[Priority::Low, Priority::Normal, Priority::High][..]);
    let post =
        (items(whose), option::weighted(0.5, stamp), any::<u8>(), priority, spans(), spans());
    let masks = [
        PlatformMask::ALL,
        PlatformMask::NONE,
        PlatformMask::of(&[Platform::Apns]),
        PlatformMask::of(&[Platform::Fcm]),
    ];
    let mask = select(masks.to_vec());
    (post, mask, fallbacks()).prop_map(|(post, platforms, fallback)| {
        let (id, request, says, priority, expires_at, deliver_by) = post;
        let raw = Some(Bytes::copy_from_slice(&[says]));
        Event::NotificationPosted(Posted {
            id,
            request,
            app_notification_id: None,
            group: None,
            campaign: (says % 2 == 0).then(|| CAMPAIGN.into()),
            content: Arc::new(Content { visual: None, raw }),
            platforms,
            priority,
            expires_at,
            deliver_by,
            fallback,
        })
    })
}

fn fallbacks() -> impl Strategy<Value = Option<Fallback>> {
    let fallback = (0..900_u64).prop_map(|after| Fallback {
        after: Duration::from_secs(after),
        content: Arc::new(Content { visual: Some(Visual::default()), raw: None }),
    });
    option::weighted(0.4, fallback)
}

fn fetches(whose: UserRef) -> impl Strategy<Value = Event> {
    (items(whose), 1..4_u32, devices()).prop_map(move |(id, revision, device)| Event::ItemFetched {
        id,
        revision,
        endpoint: device.endpoint(whose),
    })
}

/// Changes of an item's state.
pub fn changes(whose: UserRef) -> impl Strategy<Value = Event> {
    let actions = [
        UserAction::None,
        UserAction::Activated,
        UserAction::Dismissed,
        UserAction::Dismissed,
        UserAction::Snoozed,
    ];
    let action = option::weighted(0.7, select(actions.to_vec()));
    let change = (items(whose), option::of(0..4_u32), option::of(any::<bool>()), action);
    (change, origins(whose)).prop_map(|((id, revision, read, action), origin)| {
        Event::StateChanged(StateChange { id, revision, read, action, origin })
    })
}

fn registrations(whose: UserRef) -> impl Strategy<Value = Event> {
    (devices(), 0..3_u8, styles(), spans(), any::<bool>()).prop_map(
        move |(device, number, style, lease_until, renews)| {
            let endpoint = device.endpoint(whose);
            let registration = device.registration(whose, number);
            if renews {
                return Event::EndpointRenewed { endpoint, registration, lease_until };
            }
            let address = device.address(whose, number);
            Event::EndpointRegistered { endpoint, registration, address, style, lease_until }
        },
    )
}

fn styles() -> impl Strategy<Value = PushStyle> {
    select(vec![PushStyle::Payload, PushStyle::Payload, PushStyle::Signal, PushStyle::None])
}

fn retirements(whose: UserRef) -> impl Strategy<Value = Event> {
    let reasons = [RetireReason::Unregistered, RetireReason::AddressGone, RetireReason::Lapsed];
    (devices(), option::of(0..3_u8), select(reasons.to_vec())).prop_map(
        move |(device, number, reason)| Event::EndpointRetired {
            endpoint: device.endpoint(whose),
            registration: number.map(|number| device.registration(whose, number)),
            reason,
        },
    )
}

fn parked(whose: UserRef) -> impl Strategy<Value = ParkedDelivery> {
    let kind = prop_oneof![
        (1..4_u32).prop_map(|revision| DeliveryKind::Show { revision }),
        Just(DeliveryKind::Sync),
        (1..4_u32).prop_map(|revision| DeliveryKind::Fallback { revision }),
    ];
    (items(whose), devices(), 0..100_u64, kind, 0..4_u32).prop_map(
        move |(item, device, cause, kind, attempts)| {
            // The event decides, so all that is put off of one has the same.
            let urgency = if cause % 2 == 0 { Urgency::Urgent } else { Urgency::Bulk };
            let (endpoint, cause) = (device.endpoint(whose), Offset(cause));
            let delivery = DeliveryId::new(item, cause, endpoint);
            let platform = Platform::Apns;
            ParkedDelivery {
                delivery,
                item,
                cause,
                tells_of: cause,
                endpoint,
                platform,
                kind,
                attempts,
                urgency,
                trace: None,
            }
        },
    )
}

fn redeliveries(whose: UserRef) -> impl Strategy<Value = Event> {
    let offsets = (0..100_u64, 0..100_u64);
    (parked(whose), offsets).prop_map(|(parked, (failed, tells_of))| {
        let ParkedDelivery { item, endpoint, platform, kind, urgency, .. } = parked;
        let (failed, tells_of) = (Offset(failed), Offset(tells_of));
        let asked = Redelivery { item, endpoint, platform, kind, failed, tells_of, urgency };
        Event::RedeliveryRequested(asked)
    })
}

fn parkings(whose: UserRef) -> impl Strategy<Value = Event> {
    (parked(whose), spans()).prop_map(|(delivery, until)| {
        let (item, deliveries) = (delivery.item, vec![delivery]);
        let (reason, why) = ("busy".into(), PutOff::Failed);
        Event::DeliveriesParked(Parked { item, until, reason, why, deliveries })
    })
}

fn entries(whose: UserRef) -> impl Strategy<Value = AgendaEntry> {
    let lapse = (devices(), 0..3_u8).prop_map(move |(device, number)| Due::Lapse {
        endpoint: device.endpoint(whose),
        registration: device.registration(whose, number),
    });
    let due = prop_oneof![
        (items(whose), 0..4_u32).prop_map(|(id, revision)| Due::Expire { id, revision }),
        lapse,
        parked(whose).prop_map(Due::Retry),
        displaced(whose).prop_map(Due::Displace),
        (items(whose), 0..4_u32).prop_map(|(id, revision)| Due::Fallback { id, revision }),
    ];
    (spans(), due).prop_map(|(at, due)| AgendaEntry { at, due })
}

/// The event with its times counted from `now` instead of from zero.
fn relative_to(now: Timestamp, event: Event) -> Event {
    let from_now = |span: Timestamp| now.after(Duration::from_millis(span.as_millis()));
    match event {
        Event::NotificationPosted(posted) => {
            let (expires_at, deliver_by) =
                (from_now(posted.expires_at), from_now(posted.deliver_by));
            Event::NotificationPosted(Posted { expires_at, deliver_by, ..posted })
        }
        Event::EndpointRegistered { endpoint, registration, address, style, lease_until } => {
            let lease_until = from_now(lease_until);
            Event::EndpointRegistered { endpoint, registration, address, style, lease_until }
        }
        Event::EndpointRenewed { endpoint, registration, lease_until } => {
            let lease_until = from_now(lease_until);
            Event::EndpointRenewed { endpoint, registration, lease_until }
        }
        Event::AddressClaimed(claim) => {
            let lease_until = from_now(claim.lease_until);
            Event::AddressClaimed(AddressClaim { lease_until, ..claim })
        }
        Event::DeliveriesParked(parked) => {
            Event::DeliveriesParked(Parked { until: from_now(parked.until), ..parked })
        }
        other => other,
    }
}
