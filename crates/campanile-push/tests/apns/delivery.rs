//! What a device gets to see.

use bytes::Bytes;
use campanile_core::port::{PushBody, SyncState};
use campanile_core::{Content, Environment, Outcome, UserAction, Visual};
use campanile_push::PoolConfig;
use campanile_simulate::apns::{Config, Registration};

use crate::stage::{Stage, alert, is_accepted, item, push, show, token};

fn stage(devices: u32) -> Stage {
    Stage::new(Config::default(), PoolConfig::default(), devices)
}

#[tokio::test]
async fn an_alert_is_shown_under_its_item() {
    let stage = stage(1);
    let outcome = stage.send(alert(0)).await;
    let provider_id = "00000000-0000-0000-0000-000000000000".to_owned();
    assert_eq!(outcome, Outcome::Accepted { provider_id });
    let device = stage.simulator.device(&token(0)).unwrap();
    assert!(device.shown(&item(0).to_string()).is_some());
}

#[tokio::test]
async fn the_same_push_again_replaces_itself() {
    let stage = stage(1);
    assert!(is_accepted(&stage.send(alert(0)).await));
    assert!(is_accepted(&stage.send(alert(0)).await));
    let device = stage.simulator.device(&token(0)).unwrap();
    assert_eq!(device.screen().len(), 1);
    assert_eq!((device.accepted(), device.duplicates()), (2, 1));
}

#[tokio::test]
async fn a_state_takes_the_item_off_the_screen() {
    let stage = stage(1);
    stage.send(alert(0)).await;
    let action = UserAction::Dismissed;
    let state = SyncState { id: item(0), read: true, action, clear: true };
    assert!(is_accepted(&stage.send(push(0, PushBody::Sync(state))).await));
    assert!(stage.simulator.device(&token(0)).unwrap().screen().is_empty());
}

#[tokio::test]
async fn every_form_of_content_passes_apples_checks() {
    let stage = stage(1);
    let visual = Visual {
        title: "Bell".to_owned(),
        body: Some("rings".to_owned()),
        sound: Some("bell.caf".to_owned()),
        badge: Some(3),
    };
    let raw = Some(Bytes::from_static(&[0, 1, 2, 255]));
    for content in [
        Content { visual: Some(visual.clone()), raw: None },
        Content { visual: Some(visual), raw: raw.clone() },
        Content { visual: None, raw },
    ] {
        let outcome = stage.send(show(0, content)).await;
        assert!(is_accepted(&outcome), "{outcome:?}");
    }
    assert_eq!(stage.simulator.device(&token(0)).unwrap().badge(), Some(3));
}

#[tokio::test]
async fn an_unknown_token_is_gone() {
    let outcome = stage(1).send(alert(1)).await;
    let gone =
        Outcome::AddressGone { status: 400, reason: "BadDeviceToken".to_owned(), since: None };
    assert_eq!(outcome, gone);
}

#[tokio::test]
async fn an_unregistered_token_is_gone_since_then() {
    let stage = stage(1);
    let at_ms = 1_700_000_000_123;
    stage.simulator.set_registration(&token(0), Registration::Unregistered(at_ms));
    let Outcome::AddressGone { status: 410, reason, since } = stage.send(alert(0)).await else {
        panic!("not gone");
    };
    assert_eq!((reason.as_str(), since.unwrap().as_millis()), ("Unregistered", at_ms));
}

#[tokio::test]
async fn a_push_for_another_route_is_not_sent() {
    let stage = stage(1);
    let mut stray = alert(0);
    let campanile_core::Address::Apns { token, topic, .. } = (*stray.address).clone() else {
        panic!("not Apple's");
    };
    let environment = Environment::Sandbox;
    stray.address = campanile_core::Address::Apns { token, topic, environment }.into();
    let outcome = stage.send(stray).await;
    assert!(matches!(outcome, Outcome::Rejected { status: 0, .. }), "{outcome:?}");
    assert_eq!(stage.simulator.counts().requests, 0);
}

#[tokio::test]
async fn too_large_a_push_is_not_sent() {
    let stage = stage(1);
    let raw = Some(Bytes::from(vec![7; 4096]));
    let outcome = stage.send(show(0, Content { visual: None, raw })).await;
    assert!(matches!(outcome, Outcome::Rejected { status: 0, .. }), "{outcome:?}");
    assert_eq!(stage.simulator.counts().requests, 0);
}
