//! Arbitrary values of everything that is stored, also ones the edge would refuse: the codec does
//! not know the rules of the product.

mod parked;
mod reach;

use std::sync::Arc;

use bytes::Bytes;
use campanile_core::port::Piece;
use campanile_core::*;
use proptest::collection::{btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;

pub fn fact() -> impl Strategy<Value = Fact> {
    (app(), user(), of(text()), event()).prop_map(|(app, user, cause, event)| Fact {
        app,
        user,
        cause,
        event,
    })
}

pub fn receipt() -> impl Strategy<Value = Receipt> {
    (app(), user(), offset(), item_id(), platform(), vec(settled(), 0..5)).prop_map(
        |(app, user, cause, item, platform, settled)| Receipt {
            app,
            user,
            cause,
            item,
            platform,
            settled,
        },
    )
}

pub fn piece() -> impl Strategy<Value = Piece> {
    let request =
        (offset(), fingerprint(), item_id(), time()).prop_map(|(at, fingerprint, item, until)| {
            Piece::Request(RequestRecord { at, fingerprint, item, until })
        });
    prop_oneof![
        reach::reach().prop_map(|reach| Piece::Reach(Arc::new(reach))),
        item().prop_map(|item| Piece::Item(Arc::new(item))),
        request,
        (offset(), displaced(), time())
            .prop_map(|(as_of, by, lease_until)| Piece::Holder(Holder { as_of, by, lease_until })),
    ]
}

pub fn agenda_entry() -> impl Strategy<Value = AgendaEntry> {
    let due = prop_oneof![
        (item_id(), number()).prop_map(|(id, revision)| Due::Expire { id, revision }),
        (endpoint_id(), registration_id())
            .prop_map(|(endpoint, registration)| Due::Lapse { endpoint, registration }),
        (item_id(), parked::delivery())
            .prop_map(|(item, parked)| Due::Retry(ParkedDelivery { item, ..parked })),
        sweep().prop_map(Due::Sweep),
        displaced().prop_map(Due::Displace),
        (item_id(), number()).prop_map(|(id, revision)| Due::Fallback { id, revision }),
    ];
    (time(), due).prop_map(|(at, due)| AgendaEntry { at, due })
}

fn displaced() -> impl Strategy<Value = Displaced> {
    (id(UserRef::from_bytes), endpoint_id(), registration_id())
        .prop_map(|(user, endpoint, registration)| Displaced { user, endpoint, registration })
}

fn sweep() -> impl Strategy<Value = Sweep> {
    (offset(), offset()).prop_map(|(event, from)| Sweep { event, from })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (endpoint_id(), registration_id(), address(), style(), time()).prop_map(
            |(endpoint, registration, address, style, lease_until)| Event::EndpointRegistered {
                endpoint,
                registration,
                address,
                style,
                lease_until
            }
        ),
        (endpoint_id(), registration_id(), time()).prop_map(
            |(endpoint, registration, lease_until)| Event::EndpointRenewed {
                endpoint,
                registration,
                lease_until
            }
        ),
        (endpoint_id(), of(registration_id()), retire_reason()).prop_map(
            |(endpoint, registration, reason)| Event::EndpointRetired {
                endpoint,
                registration,
                reason
            }
        ),
        posted().prop_map(Event::NotificationPosted),
        (item_id(), number(), endpoint_id())
            .prop_map(|(id, revision, endpoint)| Event::ItemFetched { id, revision, endpoint }),
        (item_id(), of(number()))
            .prop_map(|(id, revision)| Event::NotificationRecalled { id, revision }),
        (displaced(), time(), any::<bool>()).prop_map(|(by, lease_until, renews)| {
            Event::AddressClaimed(AddressClaim { by, lease_until, renews })
        }),
        text().prop_map(|campaign| Event::CampaignRecalled { campaign }),
        (offset(), of(endpoint_id()))
            .prop_map(|(up_to, origin)| Event::AllDismissed { up_to, origin }),
        (time(), sweep(), of(offset()))
            .prop_map(|(at, sweep, next)| Event::SweepAdvanced(SweepStep { at, sweep, next })),
        (item_id(), of(number()), of(any::<bool>()), of(action()), of(endpoint_id())).prop_map(
            |(id, revision, read, action, origin)| Event::StateChanged(StateChange {
                id,
                revision,
                read,
                action,
                origin
            })
        ),
        (item_id(), of(endpoint_id()))
            .prop_map(|(id, origin)| Event::NotificationDeleted { id, origin }),
        parked::parked().prop_map(Event::DeliveriesParked),
        agenda_entry().prop_map(Event::CameDue),
        (item_id(), endpoint_id(), platform(), kind(), offset(), offset(), parked::urgency())
            .prop_map(|(item, endpoint, platform, kind, failed, tells_of, urgency)| {
                let asked =
                    Redelivery { item, endpoint, platform, kind, failed, tells_of, urgency };
                Event::RedeliveryRequested(asked)
            }),
    ]
}

pub fn posted() -> impl Strategy<Value = Posted> {
    let stamp = (id(RequestKey::from_bytes), fingerprint())
        .prop_map(|(key, fingerprint)| RequestStamp { key, fingerprint });
    let names = (item_id(), of(stamp), of(text()), of(text()), of(text()));
    (names, content(), mask(), priority(), time(), time(), of(fallback())).prop_map(
        |(
            (id, request, name, group, campaign),
            content,
            platforms,
            priority,
            expires_at,
            deliver_by,
            fallback,
        )| {
            Posted {
                id,
                request,
                app_notification_id: name,
                group,
                campaign,
                content,
                platforms,
                priority,
                expires_at,
                deliver_by,
                fallback,
            }
        },
    )
}

fn settled() -> impl Strategy<Value = Settled> {
    let suppression = prop_oneof![
        Just(Suppression::Handled),
        Just(Suppression::Expired),
        Just(Suppression::Recalled),
        Just(Suppression::Deleted),
        Just(Suppression::Superseded),
        Just(Suppression::EndpointGone),
    ];
    let end = prop_oneof![
        string().prop_map(|provider_id| End::Accepted { provider_id }),
        suppression.prop_map(End::Suppressed),
        any::<(u16, String)>().prop_map(|(status, reason)| End::Rejected { status, reason }),
        any::<(u16, String)>().prop_map(|(status, reason)| End::AddressGone { status, reason }),
        string().prop_map(|reason| End::GaveUp { reason }),
    ];
    (id(DeliveryId::from_bytes), endpoint_id(), kind(), number(), time(), end).prop_map(
        |(delivery, endpoint, kind, attempts, at, end)| Settled {
            delivery,
            endpoint,
            kind,
            attempts,
            at,
            end,
        },
    )
}

fn style() -> impl Strategy<Value = PushStyle> {
    prop_oneof![Just(PushStyle::Payload), Just(PushStyle::Signal), Just(PushStyle::None)]
}

fn item() -> impl Strategy<Value = Item> {
    let ended = prop_oneof![Just(Ended::Expired), Just(Ended::Deleted), Just(Ended::Recalled)];
    let change = (offset(), of(endpoint_id()), of(offset()))
        .prop_map(|(at, origin, elsewhere)| Change { at, origin, elsewhere });
    let log = (offset(), of(offset()), vec(offset(), 0..4), of(change));
    let state = (number(), any::<bool>(), action(), number(), of(ended), mask());
    let times = (time(), time(), of(time()));
    let fallback = (time(), visual()).prop_map(|(due, content)| ItemFallback { due, content });
    let fallback = (of(fallback), btree_set(endpoint_id(), 0..3));
    (posted(), log, state, times, fallback).prop_map(|(posted, log, state, times, fallback)| {
        let (fallback, fetched_by) = fallback;
        let (created, modified, earlier_end) = times;
        let (as_of, posted_at, revisions, change) = log;
        let (revision, read, action, dismissed_through, ended, shown_on) = state;
        Item {
            as_of,
            id: posted.id,
            revision,
            posted_at,
            revisions,
            app_notification_id: posted.app_notification_id,
            group: posted.group,
            campaign: posted.campaign,
            content: posted.content,
            platforms: posted.platforms,
            shown_on,
            priority: posted.priority,
            created,
            modified,
            expires_at: posted.expires_at,
            earlier_end,
            deliver_by: posted.deliver_by,
            read,
            action,
            dismissed_through,
            ended,
            change,
            fallback,
            fetched_by,
        }
    })
}

fn fallback() -> impl Strategy<Value = Fallback> {
    (number(), visual()).prop_map(|(after, content)| Fallback {
        after: std::time::Duration::from_secs(after.into()),
        content,
    })
}

/// A content that only the system draws.
fn visual() -> impl Strategy<Value = Arc<Content>> {
    content().prop_map(|content| Arc::new(Content { visual: content.visual.clone(), raw: None }))
}

fn content() -> impl Strategy<Value = Arc<Content>> {
    let visual = (string(), of(string()), of(string()), of(number()))
        .prop_map(|(title, body, sound, badge)| Visual { title, body, sound, badge });
    let raw = vec(any::<u8>(), 0..64).prop_map(Bytes::from);
    (of(visual), of(raw)).prop_map(|(visual, raw)| Arc::new(Content { visual, raw }))
}

fn address() -> impl Strategy<Value = Arc<Address>> {
    let token = "([0-9a-f]{2}){1,100}".prop_map(|text| ApnsToken::new(&text).unwrap());
    let environment = prop_oneof![Just(Environment::Production), Just(Environment::Sandbox)];
    let apns = (token, text(), environment).prop_map(|(token, topic, environment)| Address::Apns {
        token,
        topic,
        environment,
    });
    let target = ("[!-~]{1,200}", any::<bool>()).prop_map(|(text, installation)| {
        let token = FcmToken::new(&text).unwrap();
        if installation { FcmTarget::Installation(token) } else { FcmTarget::Token(token) }
    });
    let fcm = (target, text()).prop_map(|(target, project)| Address::Fcm { target, project });
    prop_oneof![apns, fcm].prop_map(Arc::new)
}

fn app() -> impl Strategy<Value = AppId> {
    "[a-z0-9._-]{1,64}".prop_map(|text| AppId::new(&text).unwrap())
}

fn text() -> impl Strategy<Value = Arc<str>> {
    string().prop_map(Arc::from)
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_millis)
}

fn id<T: std::fmt::Debug>(of: fn([u8; 16]) -> T) -> impl Strategy<Value = T> {
    any::<[u8; 16]>().prop_map(of)
}

fn user() -> impl Strategy<Value = UserRef> {
    id(UserRef::from_bytes)
}

fn item_id() -> impl Strategy<Value = NotificationId> {
    id(NotificationId::from_bytes)
}

fn fingerprint() -> impl Strategy<Value = Fingerprint> {
    id(Fingerprint::from_bytes)
}

fn offset() -> impl Strategy<Value = Offset> {
    any::<u64>().prop_map(Offset)
}

fn number() -> impl Strategy<Value = u32> {
    any::<u32>()
}

fn string() -> impl Strategy<Value = String> {
    any::<String>()
}

fn endpoint_id() -> impl Strategy<Value = EndpointId> {
    id(EndpointId::from_bytes)
}

fn registration_id() -> impl Strategy<Value = RegistrationId> {
    id(RegistrationId::from_bytes)
}

fn mask() -> impl Strategy<Value = PlatformMask> {
    any::<u8>().prop_map(PlatformMask::from_bits)
}

fn platform() -> impl Strategy<Value = Platform> {
    proptest::sample::select(&Platform::ALL[..])
}

fn kind() -> impl Strategy<Value = DeliveryKind> {
    (of(number()), any::<bool>()).prop_map(|(revision, falls_back)| match revision {
        Some(revision) if falls_back => DeliveryKind::Fallback { revision },
        Some(revision) => DeliveryKind::Show { revision },
        None => DeliveryKind::Sync,
    })
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High)]
}

fn action() -> impl Strategy<Value = UserAction> {
    prop_oneof![
        Just(UserAction::None),
        Just(UserAction::Activated),
        Just(UserAction::Dismissed),
        Just(UserAction::Snoozed),
    ]
}

fn retire_reason() -> impl Strategy<Value = RetireReason> {
    prop_oneof![
        Just(RetireReason::Unregistered),
        Just(RetireReason::AddressGone),
        Just(RetireReason::Lapsed),
    ]
}
