//! Trouble of a whole route: a platform that is away for seconds, a credential that is wrong.

use campanile_api::Client;
use campanile_proto::v1;
use campanile_simulate::apns::{Environment, Reason};
use campanile_simulate::{Action, Fault, When};

use crate::calls::{
    inbox_when, is_accepted, notification, publish, register, settled, suppression, user,
};
use crate::platforms::{Both, PHONE, TABLET, endpoints, register_fcm, tablet, told};
use crate::tower::{TEAM, Tower, write_private};

/// Enough to tell a platform that is away from pushes that failed.
const MANY: usize = 40;

#[tokio::test]
async fn a_platform_that_is_away_is_left_alone_and_catches_up() {
    let both = Both::new();
    let (server, client) = both.serve().await;
    register(&client, "alice", PHONE).await.unwrap();
    register_fcm(&client, "alice", tablet()).await.unwrap();
    let away = Action::Reject(Reason::ServiceUnavailable.into());
    let away = both.tower.apns.inject(Fault::new(away, When::Always));

    let end = Some(v1::notification::End::TtlSeconds(1));
    let brief = v1::Notification { end, ..notification("alice", "Brief bell", None) };
    let brief = publish(&client, brief).await.unwrap().notification_id;
    let mut ids = Vec::new();
    for number in 0..MANY {
        ids.push(told(&client, &format!("Bell {number}")).await);
    }
    for id in &ids {
        both.tray(&[TABLET], id, true).await;
    }
    let log = server.log_with("route held").await;
    assert!(log.contains("Unreachable"), "{log}");
    let is_expired = |items: &[v1::InboxItem]| {
        let mut ended = items.iter().filter(|it| it.notification_id == brief);
        ended.any(|it| it.ended == Some(v1::Ended::Expired.into()))
    };
    inbox_when(&client, "alice", is_expired).await;
    let tried = both.tower.apns.counts().rejected;
    assert!(tried < 3 * MANY as u64, "{tried} requests to a platform that is away");

    assert!(both.tower.apns.lift(away));
    for id in &ids {
        both.phone(id, true).await;
    }
    assert!(!both.tower.shows(PHONE, &brief));
    let ended = settled(&client, "alice", &brief, 2).await;
    let late = ended.iter().find(|it| !is_accepted(it)).expect("the phone did not get it");
    assert_eq!(suppression(late), Some(v1::Suppression::Expired), "{ended:?}");
    assert_eq!(both.tower.accepted(PHONE), MANY as u64, "each once");
    assert!(server.terminate().await.success());
}

const OTHER: &str = "other";
const OTHER_TOPIC: &str = "org.example.other";
const OTHER_KEY: &str = "KEY0000002";

async fn register_other(client: &Client, token: &str) {
    let apns = v1::ApnsAddress {
        token: token.to_owned(),
        topic: OTHER_TOPIC.to_owned(),
        environment: v1::Environment::Production.into(),
    };
    let request = v1::RegisterEndpointRequest {
        app: OTHER.to_owned(),
        user_id: "alice".to_owned(),
        installation_id: "the other app".to_owned(),
        address: Some(v1::Address { platform: Some(v1::address::Platform::Apns(apns)) }),
        ..v1::RegisterEndpointRequest::default()
    };
    client.register_endpoint(request).await.unwrap();
}

async fn told_by_other(client: &Client) -> String {
    let notification = Some(notification("alice", "Other bell", None));
    let request = v1::PublishRequest { app: OTHER.to_owned(), notification };
    client.publish(request).await.unwrap().notification_id
}

#[tokio::test]
async fn a_wrong_credential_of_one_app_retires_nobody_and_delays_no_other_app() {
    let tower = Tower::new();
    tower.device(PHONE);
    tower.apns.register_topic(TEAM, OTHER_TOPIC);
    tower.apns.register_device("b2", OTHER_TOPIC, Environment::Production).unwrap();
    let key = tower.apns.generate_key(TEAM, OTHER_KEY).unwrap();
    assert!(tower.apns.revoke_key(OTHER_KEY));
    write_private(&tower.path("other.p8"), &key.private_pem());
    let (path, address) = (tower.path("campanile.toml"), tower.apns.addr());
    let config = std::fs::read_to_string(&path).unwrap();
    let app = format!(
        "[[apps]]\nid = \"{OTHER}\"\n[[apps.apns]]\ntopic = \"{OTHER_TOPIC}\"\n\
         team_id = \"{TEAM}\"\nkey_id = \"{OTHER_KEY}\"\nkey_file = \"other.p8\"\n\
         ca_file = \"ca.pem\"\naddress = \"{address}\"\n"
    );
    std::fs::write(path, format!("{config}{app}")).unwrap();

    let (server, client) = tower.serve(None).await;
    register(&client, "alice", PHONE).await.unwrap();
    register_other(&client, "b2").await;
    let waits = [told_by_other(&client).await, told_by_other(&client).await];
    let log = server.log_with("route held").await;
    assert!(log.contains("other/apns/production/org.example.other"), "{log}");
    for title in ["Bell", "Second bell", "Third bell"] {
        let id = told(&client, title).await;
        let rings = |world: &campanile_simulate::apns::World| {
            world.device(PHONE).is_some_and(|device| device.shown(&id).is_some())
        };
        tower.wait_until("the phone of the app that is right", rings).await;
    }
    assert_eq!(tower.accepted("b2"), 0);
    let request = v1::ListRoutesRequest { app: OTHER.to_owned() };
    let routes = client.list_routes(request).await.unwrap().routes;
    let [route] = &routes[..] else { panic!("{routes:?}") };
    let hold = route.hold.as_ref().expect("it is held");
    assert_eq!((route.credential.as_str(), hold.why()), (OTHER_TOPIC, v1::HoldReason::Credential));
    assert!(route.backlog_events > 0 && hold.since.is_some() && hold.next_try.is_some());
    let request = v1::ListRoutesRequest { app: crate::tower::APP.to_owned() };
    let routes = client.list_routes(request).await.unwrap().routes;
    assert!(routes.len() == 1 && routes[0].hold.is_none(), "{routes:?}");
    let request = v1::ListEndpointsRequest { app: OTHER.to_owned(), target: user("alice") };
    let listed = client.list_endpoints(request).await.unwrap();
    assert_eq!((listed.endpoints.len(), listed.retired.len()), (1, 0), "nobody is retired");
    assert_eq!(endpoints(&client).await.retired.len(), 0);

    tower.apns.register_key(key.public_key()).unwrap();
    for id in &waits {
        let rings = |world: &campanile_simulate::apns::World| {
            world.device("b2").is_some_and(|device| device.shown(id).is_some())
        };
        tower.wait_until("the phone of the app that was wrong", rings).await;
    }
    assert_eq!((tower.accepted("b2"), tower.accepted(PHONE)), (2, 3), "each once");
    assert!(server.terminate().await.success());
}
