//! One row per check of a sign-in: a valid one with one thing changed, and the documented answer.

use campanile_simulate::fcm::{Account, AccountError, ServiceAccount};
use serde_json::{Value, json};

use super::client::Push;
use super::fixture::{Fixture, NOW, accounts, alert, grant, send};

fn account() -> &'static ServiceAccount {
    &accounts()[0]
}

/// A grant for claims with one thing changed.
fn claiming(name: &str, value: Value) -> Push {
    let mut claims = account().claims(NOW);
    claims[name] = value;
    grant(&account().sign(&account().header(), &claims).unwrap())
}

fn headed(name: &str, value: Value) -> Push {
    let mut header = account().header();
    header[name] = value;
    grant(&account().sign(&header, &account().claims(NOW)).unwrap())
}

fn valid() -> Push {
    grant(&account().assertion(NOW).unwrap())
}

async fn outcome(fixture: &Fixture, push: &Push) -> (u16, String) {
    let answer = fixture.connect().await.push(push).await.unwrap();
    let error = answer.json()["error"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), error)
}

#[tokio::test]
async fn an_assertion_is_exchanged_for_a_token_that_sends() {
    let fixture = Fixture::start();
    let answer = fixture.connect().await.push(&valid()).await.unwrap();
    let granted = answer.json();
    assert_eq!((&granted["expires_in"], &granted["token_type"]), (&json!(3599), &json!("Bearer")));
    let bearer = format!("Bearer {}", granted["access_token"].as_str().unwrap());
    let sent = fixture.connect().await.push(&send(&bearer, alert("t"))).await.unwrap();
    assert_eq!(sent.status, 200);
    let counts = fixture.fcm.counts();
    assert_eq!((counts.requests, counts.signed_in, counts.accepted), (2, 1, 1));
}

#[tokio::test]
async fn the_form() {
    let fixture = Fixture::start();
    let assertion = account().assertion(NOW).unwrap();
    let form = |text: &str| valid().body(text.to_owned());
    let kind = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
    for (name, push, error) in [
        ("content type", valid().set("content-type", "application/json"), "invalid_request"),
        ("no content type", valid().unset("content-type"), "invalid_request"),
        ("no grant type", form(&format!("assertion={assertion}")), "invalid_request"),
        ("grant type", form("grant_type=password&assertion=x"), "unsupported_grant_type"),
        ("no assertion", form(kind), "invalid_request"),
        ("assertion twice", form(&format!("{kind}&assertion=a&assertion=b")), "invalid_request"),
    ] {
        assert_eq!(outcome(&fixture, &push).await, (400, error.to_owned()), "{name}");
    }
    let get = outcome(&fixture, &valid().method("GET")).await;
    assert_eq!(get, (405, "invalid_request".to_owned()));
}

#[tokio::test]
async fn the_assertion() {
    let fixture = Fixture::start();
    let assertion = account().assertion(NOW).unwrap();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}{}", "AAAA", &signature[4..]);
    // The signature has 256 bytes, which base64 pads with two signs.
    let padded = format!("{assertion}==");
    let elsewhere = accounts()[1].sign(&account().header(), &account().claims(NOW)).unwrap();
    let scope = |text: &str| claiming("scope", json!(text));
    for (name, push, error) in [
        ("no JWT", grant("abc"), "invalid_grant"),
        ("other algorithm", headed("alg", json!("RS512")), "invalid_grant"),
        ("no algorithm", headed("alg", json!("none")), "invalid_grant"),
        ("padded", grant(&padded), "invalid_grant"),
        ("forged signature", grant(&forged), "invalid_grant"),
        ("another's signature", grant(&elsewhere), "invalid_grant"),
        ("unknown key", headed("kid", json!("nobody's")), "invalid_grant"),
        ("no key id", headed("kid", Value::Null), "invalid_grant"),
        ("unknown account", claiming("iss", json!("nobody@example.org")), "invalid_grant"),
        ("audience", claiming("aud", json!("https://example.org/token")), "invalid_grant"),
        ("too long a life", claiming("exp", json!(NOW + 3601)), "invalid_grant"),
        ("ends before it begins", claiming("exp", json!(NOW - 1)), "invalid_grant"),
        ("from the future", claiming("iat", json!(NOW + 301)), "invalid_grant"),
        ("no scope", claiming("scope", Value::Null), "invalid_scope"),
        ("empty scope", scope(""), "invalid_scope"),
        ("unknown scope", scope("https://www.googleapis.com/auth/drive"), "invalid_scope"),
    ] {
        assert_eq!(outcome(&fixture, &push).await, (400, error.to_owned()), "{name}");
    }
    let wider = scope("https://www.googleapis.com/auth/cloud-platform");
    assert_eq!(outcome(&fixture, &wider).await.0, 200);
}

#[tokio::test]
async fn an_assertion_that_is_too_old_is_refused() {
    let fixture = Fixture::start();
    let push = valid();
    fixture.clock.set((NOW + 3599) * 1000);
    assert_eq!(outcome(&fixture, &push).await.0, 200);
    fixture.clock.set((NOW + 3600) * 1000);
    assert_eq!(outcome(&fixture, &push).await, (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn a_revoked_account_signs_in_no_more_but_keeps_its_tokens() {
    let fixture = Fixture::start();
    let bearer = fixture.bearer(account()).await;
    assert!(fixture.fcm.revoke_account(account().email()));
    assert!(!fixture.fcm.revoke_account(account().email()));
    assert_eq!(outcome(&fixture, &valid()).await, (400, "invalid_grant".to_owned()));
    let mut client = fixture.connect().await;
    assert_eq!(client.push(&send(&bearer, alert("t"))).await.unwrap().status, 200);
    fixture.fcm.revoke_tokens();
    assert_eq!(client.push(&send(&bearer, alert("t"))).await.unwrap().status, 401);
}

#[tokio::test]
async fn an_account_needs_an_rsa_key() {
    let fixture = Fixture::start();
    let public_pem = rcgen::KeyPair::generate().unwrap().public_key_pem();
    let account = Account { public_pem, ..account().public() };
    let refused = fixture.fcm.register_account(account).unwrap_err();
    assert!(matches!(refused, AccountError::NotRsa { .. }), "{refused}");
}
