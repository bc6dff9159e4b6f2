//! What a device gets to see.

use bytes::Bytes;
use campanile_core::port::{PushBody, SyncState};
use campanile_core::{Address, Content, FcmTarget, Outcome, UserAction, Visual};
use campanile_simulate::fcm::{Kind, Priority, Registration};

use crate::stage::{Stage, address, alert, assert_accepted, item, push, show, token};

#[tokio::test]
async fn an_alert_is_shown_under_its_item() {
    let stage = Stage::new(1);
    let outcome = stage.send(alert(0)).await;
    let Outcome::Accepted { provider_id } = outcome else { panic!("{outcome:?}") };
    let device = stage.device(0);
    let shown = &device.shown(&item(0).to_string()).unwrap().push;
    assert_eq!(*shown.name, *provider_id);
    assert!(provider_id.starts_with("projects/bells-0815/messages/"), "{provider_id}");
    assert_eq!((shown.title(), shown.priority), (Some("Bell 0"), Priority::High));
    assert!((3590..=3600).contains(&shown.ttl_s), "{}", shown.ttl_s);
    assert_eq!(shown.campanile().unwrap()["id"], item(0).to_string());
}

#[tokio::test]
async fn the_same_push_again_replaces_itself() {
    let stage = Stage::new(1);
    assert_accepted(&stage.send(alert(0)).await);
    assert_accepted(&stage.send(alert(0)).await);
    let device = stage.device(0);
    assert_eq!(device.tray().len(), 1);
    assert_eq!((device.accepted(), device.duplicates()), (2, 1));
}

#[tokio::test]
async fn a_state_takes_the_item_out_of_the_tray() {
    let stage = Stage::new(1);
    stage.send(alert(0)).await;
    let action = UserAction::Dismissed;
    let state = SyncState { id: item(0), read: true, action, clear: true };
    assert_accepted(&stage.send(push(0, PushBody::Sync(state))).await);
    let device = stage.device(0);
    assert!(device.tray().is_empty());
    let sync = device.history().next_back().unwrap();
    assert_eq!((sync.kind, sync.priority), (Kind::Sync, Priority::Normal));
}

#[tokio::test]
async fn every_form_of_content_passes_googles_checks() {
    let stage = Stage::new(1);
    let visual = Visual {
        title: "Bell".to_owned(),
        body: Some("rings".to_owned()),
        sound: Some("bell".to_owned()),
        badge: Some(3),
    };
    let raw = Some(Bytes::from_static(&[0, 1, 2, 255]));
    for content in [
        Content { visual: Some(visual.clone()), raw: None },
        Content { visual: Some(visual), raw: raw.clone() },
        Content { visual: None, raw },
    ] {
        assert_accepted(&stage.send(show(0, content)).await);
    }
    let device = stage.device(0);
    let kinds: Vec<Kind> = device.history().map(|push| push.kind).collect();
    assert_eq!(kinds, [Kind::Notification, Kind::Notification, Kind::Raw]);
    assert_eq!(device.history().next().unwrap().notification_count(), Some(3));
    assert_eq!(device.history().next_back().unwrap().campanile().unwrap()["raw"], "AAEC/w==");
}

#[tokio::test]
async fn an_installation_id_is_as_good_as_a_token() {
    let stage = Stage::new(1);
    let mut by_id = alert(0);
    by_id.address = address("fid-0", FcmTarget::Installation);
    assert_accepted(&stage.send(by_id).await);
    assert_eq!(stage.device(0).accepted(), 1);
}

#[tokio::test]
async fn an_unknown_and_a_dead_and_a_malformed_token_are_gone() {
    let stage = Stage::new(2);
    stage.simulator.set_registration(&token(0), Registration::Unregistered);
    stage.simulator.rotate_token("fid-1:next").unwrap();
    let mut malformed = alert(0);
    malformed.address = address("no/token", FcmTarget::Token);
    for (push, status, reason) in [
        (alert(0), 404, "UNREGISTERED"),
        (alert(1), 404, "UNREGISTERED"),
        (alert(2), 404, "UNREGISTERED"),
        (malformed, 400, "INVALID_ARGUMENT"),
    ] {
        let gone = Outcome::AddressGone { status, reason: reason.to_owned(), since: None };
        assert_eq!(stage.send(push).await, gone);
    }
}

#[tokio::test]
async fn a_token_of_another_project_is_gone() {
    let stage = Stage::new(0);
    stage.simulator.register_device("other", &token(0)).unwrap();
    let reason = "SENDER_ID_MISMATCH".to_owned();
    let gone = Outcome::AddressGone { status: 403, reason, since: None };
    assert_eq!(stage.send(alert(0)).await, gone);
}

#[tokio::test]
async fn a_push_for_another_route_is_not_sent() {
    let stage = Stage::new(1);
    let mut stray = alert(0);
    let Address::Fcm { target, .. } = (*stray.address).clone() else { panic!("not Google's") };
    stray.address = Address::Fcm { target, project: "other".into() }.into();
    let outcome = stage.send(stray).await;
    assert!(matches!(outcome, Outcome::Rejected { status: 0, .. }), "{outcome:?}");
    assert_eq!(stage.device(0).accepted(), 0);
}

#[tokio::test]
async fn too_large_a_push_is_not_sent() {
    let stage = Stage::new(1);
    let raw = Some(Bytes::from(vec![7; 4096]));
    let outcome = stage.send(show(0, Content { visual: None, raw })).await;
    assert!(matches!(outcome, Outcome::Rejected { status: 0, .. }), "{outcome:?}");
    assert_eq!(stage.device(0).accepted(), 0);
}
