//! The stored format does not change by accident: files written once are read to the same values,
//! and today's encoder writes the same bytes.
//!
//! A deliberate change writes them anew with `BLESS=1 cargo test -p campanile-proto`; if old
//! files can no longer be read, that is a new major.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use campanile_core::port::Piece;
use campanile_core::*;
use campanile_proto::codec::{self, DecodeError};

#[track_caller]
fn check<T: Debug + PartialEq>(
    name: &str,
    value: &T,
    encode: fn(&T) -> Bytes,
    decode: fn(&Bytes) -> Result<T, DecodeError>,
) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let path = directory.join(format!("{name}.bin"));
    let today = encode(value);
    #[expect(clippy::disallowed_methods, reason = "how a developer asks for new files")]
    if std::env::var("BLESS").is_ok_and(|bless| bless == "1") {
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(&path, &today).unwrap();
    }
    let golden = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; write it with BLESS=1", path.display()));
    let golden = Bytes::from(golden);
    assert_eq!(decode(&golden).as_ref(), Ok(value), "{name}: read differently");
    assert_eq!(today, golden, "{name}: written differently");
}

fn check_event(name: &str, event: Event) {
    let fact = Fact {
        app: AppId::new("app.example").unwrap(),
        user: UserRef::from_bytes([0x11; 16]),
        cause: Some(TRACEPARENT.into()),
        event,
    };
    check(name, &fact, codec::encode_fact, codec::decode_fact);
}

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const ITEM: NotificationId = NotificationId::from_bytes([0x22; 16]);
const ENDPOINT: EndpointId = EndpointId::from_bytes([0x33; 16]);
const REGISTRATION: RegistrationId = RegistrationId::from_bytes([0x44; 16]);
const DELIVERY: DeliveryId = DeliveryId::from_bytes([0x55; 16]);
const FINGERPRINT: Fingerprint = Fingerprint::from_bytes([0x66; 16]);
const LATER: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn address() -> Arc<Address> {
    Arc::new(Address::Apns {
        token: ApnsToken::new("00ff00ff").unwrap(),
        topic: "com.example.app".into(),
        environment: Environment::Sandbox,
    })
}

fn content() -> Arc<Content> {
    let visual = Visual {
        title: "Order 42 – ready".into(),
        body: Some("Pick it up at gate 7".into()),
        sound: Some("bell.caf".into()),
        badge: Some(3),
    };
    Arc::new(Content { visual: Some(visual), raw: Some(Bytes::from_static(b"{\"order\":42}")) })
}

fn posted() -> Posted {
    let key = RequestKey::from_bytes([0x77; 16]);
    Posted {
        id: ITEM,
        request: Some(RequestStamp { key, fingerprint: FINGERPRINT }),
        app_notification_id: Some("order-42".into()),
        group: Some("orders".into()),
        campaign: None,
        content: content(),
        platforms: PlatformMask::of(&[Platform::Apns, Platform::WebPush]),
        priority: Priority::High,
        expires_at: LATER,
        deliver_by: Timestamp::from_millis(1_790_000_000_000),
        fallback: None,
    }
}

const fn parked() -> ParkedDelivery {
    ParkedDelivery {
        delivery: DELIVERY,
        item: ITEM,
        cause: Offset(300),
        tells_of: Offset(300),
        endpoint: ENDPOINT,
        platform: Platform::Apns,
        kind: DeliveryKind::Show { revision: 2 },
        attempts: 6,
        urgency: Urgency::Urgent,
        trace: None,
    }
}

#[test]
fn events_about_endpoints() {
    let (endpoint, registration) = (ENDPOINT, REGISTRATION);
    let registered = Event::EndpointRegistered {
        endpoint,
        registration,
        address: address(),
        style: PushStyle::Payload,
        lease_until: LATER,
    };
    check_event("endpoint_registered", registered);
    for style in [PushStyle::Signal, PushStyle::None] {
        let (address, lease_until) = (address(), LATER);
        let registered =
            Event::EndpointRegistered { endpoint, registration, address, style, lease_until };
        check_event(&format!("endpoint_registered_{}", style.name()), registered);
    }
    for (name, target) in [
        ("endpoint_registered_fcm_token", FcmTarget::Token as fn(FcmToken) -> FcmTarget),
        ("endpoint_registered_fcm_fid", FcmTarget::Installation),
    ] {
        let target = target(FcmToken::new("fid-1_2:APA91b").unwrap());
        let address = Arc::new(Address::Fcm { target, project: "bells-0815".into() });
        let (style, lease_until) = (PushStyle::Payload, LATER);
        let registered =
            Event::EndpointRegistered { endpoint, registration, address, style, lease_until };
        check_event(name, registered);
    }
    let renewed = Event::EndpointRenewed { endpoint, registration, lease_until: LATER };
    check_event("endpoint_renewed", renewed);
    let reason = RetireReason::AddressGone;
    let retired = Event::EndpointRetired { endpoint, registration: Some(registration), reason };
    check_event("endpoint_retired", retired);
}

#[test]
fn events_about_items() {
    check_event("notification_posted", Event::NotificationPosted(posted()));
    let recalled = |revision| Event::NotificationRecalled { id: ITEM, revision };
    check_event("notification_recalled", recalled(None));
    check_event("notification_recalled_revision", recalled(Some(2)));
    let posted = Posted { campaign: Some("spring".into()), ..posted() };
    check_event("notification_posted_campaign", Event::NotificationPosted(posted));
}

#[test]
fn what_falls_back() {
    let visual = content().visual.clone();
    let content = Arc::new(Content { visual, raw: None });
    let after = std::time::Duration::from_secs(120);
    let fallback = Some(Fallback { after, content: content.clone() });
    let posted = Posted { fallback, ..posted() };
    check_event("notification_posted_fallback", Event::NotificationPosted(posted));
    let fetched = Event::ItemFetched { id: ITEM, revision: 2, endpoint: ENDPOINT };
    check_event("item_fetched", fetched);
    let (encode, decode) = (codec::encode_agenda_entry, codec::decode_agenda_entry);
    let due = Due::Fallback { id: ITEM, revision: 2 };
    check("agenda_fallback", &AgendaEntry { at: LATER, due }, encode, decode);
    let shown = ParkedDelivery { kind: DeliveryKind::Fallback { revision: 2 }, ..parked() };
    let entry = AgendaEntry { at: LATER, due: Due::Retry(shown) };
    check("agenda_retry_fallback", &entry, encode, decode);
    let fallback = Some(ItemFallback { due: LATER, content });
    let item = Item { fallback, fetched_by: BTreeSet::from([ENDPOINT]), ..item() };
    let item = Piece::Item(Arc::new(item));
    check("item_fallback", &item, codec::encode_piece, codec::decode_piece);
    let settled = Settled {
        delivery: DELIVERY,
        endpoint: ENDPOINT,
        kind: DeliveryKind::Fallback { revision: 2 },
        attempts: 0,
        at: LATER,
        end: End::Suppressed(Suppression::Fetched),
    };
    let receipt = receipt(vec![settled]);
    check("receipt_fallback", &receipt, codec::encode_receipt, codec::decode_receipt);
}

#[test]
fn addresses_that_change_hands() {
    let user = UserRef::from_bytes([0x88; 16]);
    let by = Displaced { user, endpoint: ENDPOINT, registration: REGISTRATION };
    let claim = |renews| Event::AddressClaimed(AddressClaim { by, lease_until: LATER, renews });
    check_event("address_claimed", claim(false));
    check_event("address_claimed_again", claim(true));
    let (encode, decode) = (codec::encode_agenda_entry, codec::decode_agenda_entry);
    let entry = AgendaEntry { at: LATER, due: Due::Displace(by) };
    check("agenda_displace", &entry, encode, decode);
    let holder = Piece::Holder(Holder { as_of: Offset(301), by, lease_until: LATER });
    check("piece_holder", &holder, codec::encode_piece, codec::decode_piece);
}

#[test]
fn events_about_many_items() {
    check_event("campaign_recalled", Event::CampaignRecalled { campaign: "spring".into() });
    let all = Event::AllDismissed { up_to: Offset(300), origin: Some(ENDPOINT) };
    check_event("all_dismissed", all);
    let sweep = Sweep { event: Offset(300), from: Offset(7) };
    let step = SweepStep { at: LATER, sweep, next: Some(Offset(1031)) };
    check_event("sweep_advanced", Event::SweepAdvanced(step));
    let due = Due::Sweep(sweep);
    let (encode, decode) = (codec::encode_agenda_entry, codec::decode_agenda_entry);
    check("agenda_sweep", &AgendaEntry { at: LATER, due }, encode, decode);
    let origin = Some(ENDPOINT);
    check_event("notification_deleted", Event::NotificationDeleted { id: ITEM, origin });
    let change = StateChange {
        id: ITEM,
        revision: Some(2),
        read: Some(false),
        action: Some(UserAction::Dismissed),
        origin,
    };
    check_event("state_changed", Event::StateChanged(change));
}

#[test]
fn events_about_time() {
    let deliveries =
        vec![parked(), ParkedDelivery { kind: DeliveryKind::Sync, attempts: 1, ..parked() }];
    let put_off = Parked {
        item: ITEM,
        until: LATER,
        reason: "TooManyRequests".into(),
        why: PutOff::Held(HoldReason::Throttled),
        deliveries,
    };
    let deferred = Parked {
        reason: String::new(),
        why: PutOff::Deferred,
        deliveries: vec![ParkedDelivery { kind: DeliveryKind::Sync, attempts: 0, ..parked() }],
        ..put_off.clone()
    };
    check_event("clear_deferred", Event::DeliveriesParked(deferred));
    check_event("deliveries_parked", Event::DeliveriesParked(put_off));
    let due = Due::Expire { id: ITEM, revision: 2 };
    check_event("came_due", Event::CameDue(AgendaEntry { at: LATER, due }));
}

#[test]
fn redeliveries() {
    let first = Redelivery {
        item: ITEM,
        endpoint: ENDPOINT,
        platform: Platform::Apns,
        kind: DeliveryKind::Show { revision: 2 },
        failed: Offset(300),
        tells_of: Offset(300),
        urgency: Urgency::Urgent,
    };
    check_event("redelivery_requested", Event::RedeliveryRequested(first));
    let again = Redelivery { failed: Offset(301), kind: DeliveryKind::Sync, ..first };
    check_event("redelivery_requested_again", Event::RedeliveryRequested(again));
    let bulk = Redelivery { urgency: Urgency::Bulk, ..first };
    check_event("redelivery_requested_bulk", Event::RedeliveryRequested(bulk));
    let parked = ParkedDelivery { tells_of: Offset(299), ..parked() };
    let entry = AgendaEntry { at: LATER, due: Due::Retry(parked) };
    check(
        "agenda_retry_redelivery",
        &entry,
        codec::encode_agenda_entry,
        codec::decode_agenda_entry,
    );
}

#[test]
fn agenda_entries() {
    let due = Due::Lapse { endpoint: ENDPOINT, registration: REGISTRATION };
    let (urgency, trace) = (Urgency::Bulk, TraceContext::parse(TRACEPARENT));
    let followed = Due::Retry(ParkedDelivery { urgency, trace, ..parked() });
    let retry = Due::Retry(parked());
    let all =
        [("agenda_lapse", due), ("agenda_retry", retry), ("agenda_retry_bulk_traced", followed)];
    for (name, due) in all {
        let entry = AgendaEntry { at: LATER, due };
        check(name, &entry, codec::encode_agenda_entry, codec::decode_agenda_entry);
    }
}

#[test]
fn receipts() {
    let ends = [
        End::Accepted { provider_id: "EC1BF194-B3B2-424A-89A9-5A918A6E6B5C".into() },
        End::Suppressed(Suppression::Handled),
        End::Rejected { status: 400, reason: "BadCollapseId".into() },
        End::AddressGone { status: 410, reason: "Unregistered".into() },
        End::GaveUp { reason: "connection closed".into() },
    ];
    let settled = ends.map(|end| Settled {
        delivery: DELIVERY,
        endpoint: ENDPOINT,
        kind: DeliveryKind::Show { revision: 1 },
        attempts: 2,
        at: LATER,
        end,
    });
    let receipt = receipt(settled.into());
    check("receipt", &receipt, codec::encode_receipt, codec::decode_receipt);
}

fn receipt(settled: Vec<Settled>) -> Receipt {
    Receipt {
        app: AppId::new("app.example").unwrap(),
        user: UserRef::from_bytes([0x11; 16]),
        cause: Offset(300),
        item: ITEM,
        platform: Platform::Apns,
        settled,
    }
}

#[test]
fn pieces() {
    let endpoint = Endpoint {
        registration: REGISTRATION,
        address: address(),
        style: PushStyle::Payload,
        since: Offset(7),
        registered_at: Timestamp::from_millis(1_780_000_000_000),
        lease_until: LATER,
    };
    let signalled = Endpoint { style: PushStyle::Signal, ..endpoint.clone() };
    let tombstone = Tombstone {
        registration: REGISTRATION,
        at: Offset(9),
        time: LATER,
        reason: RetireReason::Unregistered,
    };
    let reach = Reach {
        as_of: Offset(10),
        endpoints: BTreeMap::from([(ENDPOINT, endpoint)]),
        tombstones: BTreeMap::from([(EndpointId::from_bytes([0x99; 16]), tombstone)]),
    };
    let signalled = Reach {
        as_of: Offset(10),
        endpoints: BTreeMap::from([(ENDPOINT, signalled)]),
        tombstones: BTreeMap::new(),
    };
    let request =
        RequestRecord { at: Offset(11), fingerprint: FINGERPRINT, item: ITEM, until: LATER };
    let shortened =
        Item { earlier_end: Some(LATER.after(std::time::Duration::from_secs(86_400))), ..item() };
    let pieces = [
        ("reach", Piece::Reach(Arc::new(reach))),
        ("reach_signalled", Piece::Reach(Arc::new(signalled))),
        ("item", Piece::Item(Arc::new(item()))),
        ("item_shortened", Piece::Item(Arc::new(shortened))),
        ("request", Piece::Request(request)),
    ];
    for (name, piece) in pieces {
        check(name, &piece, codec::encode_piece, codec::decode_piece);
    }
}

fn item() -> Item {
    let posted = posted();
    Item {
        as_of: Offset(13),
        id: ITEM,
        revision: 2,
        posted_at: Some(Offset(11)),
        revisions: vec![Offset(8), Offset(11)],
        app_notification_id: posted.app_notification_id,
        group: posted.group,
        campaign: None,
        content: posted.content,
        platforms: posted.platforms,
        shown_on: PlatformMask::ALL,
        priority: posted.priority,
        created: Timestamp::from_millis(1_780_000_000_000),
        modified: Timestamp::from_millis(1_780_000_001_000),
        expires_at: posted.expires_at,
        earlier_end: None,
        deliver_by: posted.deliver_by,
        read: true,
        action: UserAction::Activated,
        dismissed_through: 1,
        ended: Some(Ended::Recalled),
        change: Some(Change {
            at: Offset(12),
            origin: Some(ENDPOINT),
            elsewhere: Some(Offset(10)),
        }),
        fallback: None,
        fetched_by: BTreeSet::new(),
    }
}
