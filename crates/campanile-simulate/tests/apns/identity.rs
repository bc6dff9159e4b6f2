//! `apns-id` and duplicates.

use super::fixture::{Fixture, PHONE, TABLET};

const ID: &str = "eabeae54-14a8-11e5-b60b-1697f925ec7b";

#[tokio::test]
async fn apns_id_is_echoed_on_success_and_on_rejection() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    let push = fixture.alert("hi").set("apns-id", ID);
    let accepted = client.push(&push).await.unwrap();
    assert_eq!((accepted.status.as_u16(), accepted.apns_id()), (200, ID));
    let rejected = client.push(&push.to("0123")).await.unwrap();
    assert_eq!((rejected.status.as_u16(), rejected.apns_id()), (400, ID));
}

#[tokio::test]
async fn apns_id_is_made_when_absent_or_bad() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    let first = client.push(&fixture.alert("hi")).await.unwrap();
    let second = client.push(&fixture.alert("hi")).await.unwrap();
    let bad = client.push(&fixture.alert("hi").set("apns-id", "42")).await.unwrap();
    let ids = [first.apns_id(), second.apns_id(), bad.apns_id()];
    assert!(ids.iter().all(|id| id.len() == 36), "{ids:?}");
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
    let device = fixture.apns.device(PHONE).unwrap();
    let recorded: Vec<_> = device.history().map(|push| push.apns_id.to_string()).collect();
    assert_eq!(recorded, ids[..2]);
}

#[tokio::test]
async fn a_repeated_id_is_a_duplicate_on_the_same_device_only() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    let push = fixture.alert("hi").set("apns-id", ID).collapse("n1");
    for push in [push.clone(), push.clone(), push.clone().to(TABLET)] {
        assert_eq!(client.push(&push).await.unwrap().status, 200);
    }
    let counts = fixture.apns.counts();
    assert_eq!((counts.accepted, counts.duplicates), (3, 1));
    let device = fixture.apns.device(PHONE).unwrap();
    assert_eq!(device.duplicates(), 1);
    let flags: Vec<_> = device.history().map(|push| push.duplicate).collect();
    assert_eq!(flags, [false, true]);
    assert_eq!(device.screen().len(), 1, "the duplicate replaced itself");
}
