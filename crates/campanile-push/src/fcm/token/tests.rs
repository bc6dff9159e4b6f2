//! What is signed, and what is made of the answer. How often it is asked is tested against the
//! simulated service.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::config::tests::file;
use super::*;
use crate::http2::Kept;

const NOW: Timestamp = Timestamp::from_millis(1_795_219_200_000);

fn answer(status: u16, body: impl ToString) -> Answer {
    let status = StatusCode::from_u16(status).expect("a status");
    Answer { status, headers: Kept::default(), body: Bytes::from(body.to_string()) }
}

fn granted_to(body: impl ToString) -> Result<(HeaderValue, Duration), SignInError> {
    read(&answer(200, body), NOW).0
}

#[test]
fn an_assertion_says_who_asks_whom_for_what() {
    let account = ServiceAccount::from_json(&file().to_string()).expect("usable");
    let assertion = assertion(&account, 1000).expect("signed");
    let parts: Vec<&str> = assertion.split('.').collect();
    let part = |at: usize| -> Value {
        let bytes = parts.get(at).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        serde_json::from_slice(&bytes.expect("base64url")).expect("JSON")
    };
    assert_eq!(part(0), json!({ "typ": "JWT", "alg": "RS256", "kid": "key1" }));
    let claims = json!({
        "iss": "sender@bells-0815.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1000,
        "exp": 4600,
    });
    assert_eq!((part(1), parts.len()), (claims, 3));
}

#[test]
fn a_grant_is_a_bearer_that_is_never_printed() {
    let body = json!({ "access_token": "secret", "expires_in": 3599, "token_type": "Bearer" });
    let (bearer, life) = granted_to(body).expect("granted");
    assert_eq!((bearer.to_str().ok(), life.as_secs()), (Some("Bearer secret"), 3599));
    assert!(!format!("{bearer:?}").contains("secret"));
}

#[test]
fn a_strange_grant_is_trouble_and_not_repeated() {
    for body in [
        json!({ "access_token": "secret" }),
        json!({ "access_token": "", "expires_in": 3599 }),
        json!({ "access_token": "secret", "expires_in": 0 }),
        json!({ "access_token": "sec\nret", "expires_in": 3599 }),
        json!({ "access_token": "secret", "expires_in": "soon" }),
        json!(["secret"]),
    ] {
        let error = granted_to(&body).expect_err("not granted");
        assert!(matches!(error, SignInError::Unavailable(_)), "{body}: {error:?}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[test]
fn a_refusal_is_final_only_if_it_is_about_us() {
    let body = json!({ "error": "invalid_grant", "error_description": "account not found" });
    for status in [400, 401, 403] {
        let error = read(&answer(status, &body), NOW).0.expect_err("refused");
        let text = format!("sign-in refused: {status} invalid_grant: account not found");
        assert_eq!(error.to_string(), text);
    }
    for status in [408, 429, 500, 502, 503, 302] {
        let error = read(&answer(status, &body), NOW).0.expect_err("refused");
        assert!(matches!(error, SignInError::Unavailable(_)), "{status}");
    }
    let error = read(&answer(400, "<html>"), NOW).0.expect_err("refused");
    assert_eq!(error, SignInError::Refused("400 no reason".to_owned()));
}

#[test]
fn the_wait_doubles_and_is_never_shorter_than_asked() {
    let trouble = SignInError::Unavailable(String::new());
    let waits = |asked| [0, 1, 5, 6, 99].map(|failures| wait(&trouble, failures, asked).as_secs());
    assert_eq!(waits(None), [1, 2, 32, 60, 60]);
    assert_eq!(waits(Some(Duration::from_secs(30))), [30, 30, 32, 60, 60]);
    assert_eq!(waits(Some(Duration::MAX)), [3600; 5], "cut");
    assert_eq!(wait(&SignInError::Refused(String::new()), 0, None).as_secs(), 60);
}
