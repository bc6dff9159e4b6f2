//! What is remembered of devices.
#![allow(clippy::unwrap_used, reason = "test code")]

use campanile_core::{
    AppId, Delivery, NotificationId, Offset, Partition, Platform, Urgency, UserRef,
};

use super::*;
use crate::deliverer::backlog::Owed;

const PHONE: EndpointId = EndpointId::from_bytes([1; 16]);
const BUDGET: SilentBudget = SilentBudget { pushes: 3, window: Duration::from_secs(3600) };

fn at(seconds: u64) -> Tick {
    Tick::default().after(Duration::from_secs(seconds))
}

/// The endpoint with this number.
fn endpoint(number: usize) -> EndpointId {
    EndpointId::from_bytes((number as u128).to_be_bytes())
}

/// A change for an endpoint, by the offset of its event.
fn change(endpoint: EndpointId, cause: u64) -> Option<Job> {
    let (item, cause) = (NotificationId::from_bytes([2; 16]), Offset(cause));
    let (kind, platform) = (DeliveryKind::Sync, Platform::Apns);
    let id = DeliveryId::new(item, cause, endpoint);
    let delivery =
        Delivery { id, cause, tells_of: cause, item, endpoint, platform, kind, attempts: 0 };
    Some(Job {
        delivery,
        app: AppId::new("app").ok()?,
        user: UserRef::from_bytes([3; 16]),
        partition: Partition(0),
        arrival: 0,
        assignment: 1,
        owed: Owed { backlog: 0, record: cause, urgency: Urgency::Urgent },
        also: Vec::new(),
        is_parked: false,
        posted: None,
        attempts: 0,
        followed: None,
    })
}

fn waiting(silence: &Silence, endpoint: EndpointId) -> Vec<u64> {
    let device = silence.find(endpoint).into_iter();
    device.flat_map(|device| &device.waiting).map(|it| it.job.delivery.cause.0).collect()
}

#[test]
fn a_push_that_did_not_come_is_not_counted() {
    let mut silence = Silence::default();
    silence.sent(PHONE, at(0), BUDGET);
    assert_eq!(silence.wait(PHONE, at(10), BUDGET), Duration::from_secs(20));
    silence.take_back(PHONE, at(0));
    assert_eq!(silence.wait(PHONE, at(10), BUDGET), Duration::ZERO);
}

#[test]
fn of_two_under_way_the_one_that_did_not_come_is_taken_back() {
    let mut silence = Silence::default();
    for second in [0, 30, 630, 700] {
        silence.sent(PHONE, at(second), BUDGET);
    }
    silence.take_back(PHONE, at(700));
    assert_eq!(silence.wait(PHONE, at(700), BUDGET), Duration::from_secs(2900), "as before it");
    silence.take_back(PHONE, at(30));
    assert_eq!(silence.wait(PHONE, at(700), BUDGET), Duration::from_secs(530));
}

#[test]
fn what_waits_is_known_until_it_is_told() {
    let mut silence = Silence::default();
    for cause in [1, 2, 2, 3] {
        silence.later(change(PHONE, cause).unwrap(), at(0), BUDGET.window);
    }
    let two = change(PHONE, 2).unwrap().delivery.id;
    assert_eq!((silence.told(PHONE, two), silence.told(PHONE, two)), (None, None));
    assert_eq!((waiting(&silence, PHONE), silence.waiting), (vec![1, 3], 2));
    silence.keep(PHONE, |it| it.job.delivery.cause != Offset(3));
    assert_eq!((waiting(&silence, PHONE), silence.waiting), (vec![1], 1));
    for cause in 4..100 {
        silence.later(change(PHONE, cause).unwrap(), at(0), BUDGET.window);
    }
    assert_eq!((waiting(&silence, PHONE).len(), silence.waiting), (WAITING.0, WAITING.0));
    for number in 0..WAITING.1 {
        silence.later(change(endpoint(number), 1).unwrap(), at(0), BUDGET.window);
    }
    assert_eq!(silence.waiting, WAITING.1, "and no more");
}

#[test]
fn what_was_sent_is_known_for_a_window_at_least() {
    let mut silence = Silence::default();
    silence.sent(PHONE, at(3599), BUDGET);
    silence.later(change(PHONE, 1).unwrap(), at(3599), BUDGET.window);
    silence.sent(endpoint(7), at(3600), BUDGET);
    assert_eq!(silence.wait(PHONE, at(3600), BUDGET), Duration::from_secs(29));
    silence.sent(PHONE, at(3700), BUDGET);
    assert_eq!((waiting(&silence, PHONE), silence.waiting), (vec![1], 1));
    silence.sent(endpoint(7), at(7200), BUDGET);
    silence.sent(endpoint(7), at(10_800), BUDGET);
    assert!(silence.find(PHONE).is_none());
    assert_eq!(silence.waiting, 0);
}

#[test]
fn with_too_many_devices_the_oldest_are_forgotten_and_that_is_told() {
    let mut silence = Silence::default();
    let devices = DEVICES;
    let forgotten: usize =
        (0..3 * devices).map(|it| silence.sent(endpoint(it), at(0), BUDGET)).sum();
    assert_eq!(forgotten, devices);
    assert_eq!((silence.recent.len(), silence.former.len()), (devices, devices));
    assert!(silence.find(endpoint(0)).is_none());
    assert!(!silence.wait(endpoint(3 * devices - 1), at(0), BUDGET).is_zero());
}
