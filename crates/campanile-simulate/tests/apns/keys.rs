//! Provider keys: verified for real, once per token, and bound to connections.

use std::time::Duration;

use campanile_simulate::apns::{Environment, KeyError, ProviderKey, SigningKey};
use serde_json::json;

use super::client::{Client, Push};
use super::fixture::{APP, Fixture, KEY, NOW, OF_OTHER_APP, OTHER_APP, SANDBOX_PHONE, TEAM};

fn signed_by(push: Push, key: &SigningKey, iat: u64) -> Push {
    push.set("authorization", &format!("bearer {}", key.provider_token(iat).unwrap()))
}

async fn outcome(client: &mut Client, push: Push) -> (u16, String) {
    client.push(&push).await.unwrap().outcome()
}

fn ok() -> (u16, String) {
    (200, String::new())
}

#[tokio::test]
async fn a_token_of_another_jwt_library_is_verified() {
    let fixture = Fixture::start();
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    header.kid = Some(KEY.to_owned());
    let key = jsonwebtoken::EncodingKey::from_ec_pem(fixture.key.private_pem().as_bytes()).unwrap();
    let claims = json!({ "iss": TEAM, "iat": NOW });
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    let push = fixture.alert("hi").set("authorization", &format!("bearer {token}"));
    assert_eq!(outcome(&mut fixture.connect().await, push).await, ok());
}

#[tokio::test]
async fn a_token_is_verified_once_however_often_it_is_used() {
    let fixture = Fixture::start();
    let push = fixture.alert("hi");
    for _ in 0..3 {
        let mut client = fixture.connect().await;
        for _ in 0..5 {
            assert_eq!(client.push(&push).await.unwrap().status, 200);
        }
    }
    assert_eq!(fixture.apns.signatures_checked(), 1);
}

#[tokio::test]
async fn a_connection_takes_one_new_token_in_20_minutes() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    let push = |iat| signed_by(fixture.alert("hi"), &fixture.key, iat);
    let (first, second) = (push(NOW), push(NOW + 1));
    assert_eq!(outcome(&mut client, first.clone()).await, ok());
    let soon = outcome(&mut client, second.clone()).await;
    assert_eq!(soon, (429, "TooManyProviderTokenUpdates".into()));
    assert_eq!(outcome(&mut client, first.clone()).await, ok(), "the old token still serves");
    assert_eq!(outcome(&mut fixture.connect().await, second.clone()).await, ok());

    fixture.clock.advance(Duration::from_secs(20 * 60));
    assert_eq!(outcome(&mut client, second.clone()).await, ok());
    let back = outcome(&mut client, first).await;
    assert_eq!(back, (429, "TooManyProviderTokenUpdates".into()));
}

#[tokio::test]
async fn a_bad_token_does_not_count_as_a_new_one() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    let stranger = SigningKey::generate(TEAM, KEY).unwrap();
    assert_eq!(outcome(&mut client, fixture.alert("hi")).await, ok());
    let bad = outcome(&mut client, signed_by(fixture.alert("hi"), &stranger, NOW)).await;
    assert_eq!(bad, (403, "InvalidProviderToken".into()));
    fixture.clock.advance(Duration::from_secs(20 * 60));
    let renewed = signed_by(fixture.alert("hi"), &fixture.key, NOW + 1200);
    assert_eq!(outcome(&mut client, renewed).await, ok());
}

#[tokio::test]
async fn a_connection_belongs_to_one_team() {
    let fixture = Fixture::start();
    let rival = fixture.apns.generate_key("TEAM999999", "KEY9999999").unwrap();
    fixture.apns.register_topic("TEAM999999", APP);
    let theirs = signed_by(fixture.alert("hi"), &rival, NOW);
    assert_eq!(outcome(&mut fixture.connect().await, theirs.clone()).await, ok());
    let mut client = fixture.connect().await;
    assert_eq!(outcome(&mut client, fixture.alert("hi")).await, ok());
    assert_eq!(outcome(&mut client, theirs).await, (403, "InvalidProviderToken".into()));
}

#[tokio::test]
async fn a_revoked_key_is_refused_on_an_open_connection() {
    let fixture = Fixture::start();
    let mut client = fixture.connect().await;
    assert_eq!(outcome(&mut client, fixture.alert("hi")).await, ok());
    assert!(fixture.apns.revoke_key(KEY));
    let refused = outcome(&mut client, fixture.alert("hi")).await;
    assert_eq!(refused, (403, "InvalidProviderToken".into()));
    fixture.apns.register_key(fixture.key.public_key()).unwrap();
    assert_eq!(outcome(&mut client, fixture.alert("hi")).await, ok());
    assert!(!fixture.apns.revoke_key("KEY0000000"));
}

#[tokio::test]
async fn a_key_of_one_environment_fails_in_the_other() {
    let fixture = Fixture::start();
    let key = SigningKey::generate(TEAM, "KEYSANDBOX").unwrap();
    let only = ProviderKey { environment: Some(Environment::Sandbox), ..key.public_key() };
    fixture.apns.register_key(only).unwrap();
    let push = signed_by(fixture.alert("hi"), &key, NOW);
    let wrong = outcome(&mut fixture.connect().await, push.clone()).await;
    assert_eq!(wrong, (403, "BadEnvironmentKeyIdInToken".into()));
    let mut sandbox = Client::connect(&fixture.target_at("api.sandbox.push.apple.com")).await;
    assert_eq!(outcome(&mut sandbox, push.to(SANDBOX_PHONE)).await, ok());
}

#[tokio::test]
async fn a_topic_specific_key_is_for_its_topics_and_shares_no_connection() {
    let fixture = Fixture::start();
    let key = SigningKey::generate(TEAM, "KEYOFTOPIC").unwrap();
    let only = ProviderKey { topics: Some(vec![APP.to_owned()]), ..key.public_key() };
    fixture.apns.register_key(only).unwrap();
    let mut client = fixture.connect().await;
    let own = signed_by(fixture.alert("hi"), &key, NOW);
    assert_eq!(outcome(&mut client, own.clone()).await, ok());
    let other = own.set("apns-topic", OTHER_APP).to(OF_OTHER_APP);
    assert_eq!(outcome(&mut client, other).await, (400, "TopicDisallowed".into()));
    let unrelated = outcome(&mut client, fixture.alert("hi")).await;
    assert_eq!(unrelated, (403, "UnrelatedKeyIdInToken".into()));
}

#[tokio::test]
async fn only_p256_keys_in_pem_can_be_registered() {
    let fixture = Fixture::start();
    let register = |pem: &str| fixture.apns.register_key(ProviderKey::new(TEAM, "KEYBAD", pem));
    let key_id = || "KEYBAD".to_owned();
    assert_eq!(register("no key"), Err(KeyError::NotPem { key_id: key_id() }));
    let pem = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    assert_eq!(register(pem), Err(KeyError::NotP256 { key_id: key_id() }));
}
