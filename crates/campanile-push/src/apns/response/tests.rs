//! One test per row of Apple's table of refusals, and the answers that no table has.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::http2::Kept;
use crate::retry_after::RETRY_AFTER;

const NOW: Timestamp = Timestamp::from_millis(1_795_219_200_000);

fn answer(status: u16, body: &str) -> Answer {
    let status = StatusCode::from_u16(status).expect("a status");
    Answer { status, headers: Kept::default(), body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn refused(status: u16, reason: &str) -> Reading {
    read(&answer(status, &format!("{{\"reason\":\"{reason}\"}}")), || NOW)
}

fn outcome(status: u16, reason: &str) -> Outcome {
    let reading = refused(status, reason);
    assert!(!reading.close_connection, "{reason} says nothing about the connection");
    assert_eq!(reading.outcome.reason(), reason);
    reading.outcome
}

fn outcome_and_new_connection(status: u16, reason: &str) -> Outcome {
    let reading = refused(status, reason);
    assert!(reading.close_connection, "{reason} asks for another connection");
    assert_eq!(reading.outcome.reason(), reason);
    reading.outcome
}

fn is_gone(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::AddressGone { since: None, .. })
}

fn is_credential(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::RouteRefused { hold: HoldReason::Credential, .. })
}

fn is_rejected(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Rejected { .. })
}

#[test]
fn ok_is_accepted_with_apples_id() {
    let mut answer = answer(200, "");
    answer.headers.insert("apns-id", "0a0b");
    let accepted = Outcome::Accepted { provider_id: "0a0b".to_owned() };
    assert_eq!(read(&answer, || NOW), Reading { outcome: accepted, close_connection: false });
}

#[test]
fn bad_device_token_is_an_address_gone() {
    assert!(is_gone(&outcome(400, "BadDeviceToken")));
}

#[test]
fn device_token_not_for_topic_is_an_address_gone() {
    assert!(is_gone(&outcome(400, "DeviceTokenNotForTopic")));
}

/// Makes one test per reason, named for it.
macro_rules! rows {
    ($($name:ident: $status:literal $reason:literal => $check:expr;)*) => {$(
        #[test]
        fn $name() {
            let outcome = outcome($status, $reason);
            assert!($check(&outcome), "{outcome:?}");
        }
    )*};
}

rows! {
    bad_collapse_id_is_rejected: 400 "BadCollapseId" => is_rejected;
    bad_expiration_date_is_rejected: 400 "BadExpirationDate" => is_rejected;
    bad_message_id_is_rejected: 400 "BadMessageId" => is_rejected;
    bad_priority_is_rejected: 400 "BadPriority" => is_rejected;
    duplicate_headers_is_rejected: 400 "DuplicateHeaders" => is_rejected;
    invalid_push_type_is_rejected: 400 "InvalidPushType" => is_rejected;
    missing_device_token_is_rejected: 400 "MissingDeviceToken" => is_rejected;
    missing_topic_is_rejected: 400 "MissingTopic" => is_rejected;
    payload_empty_is_rejected: 400 "PayloadEmpty" => is_rejected;
    forbidden_is_rejected: 403 "Forbidden" => is_rejected;
    bad_path_is_rejected: 404 "BadPath" => is_rejected;
    method_not_allowed_is_rejected: 405 "MethodNotAllowed" => is_rejected;
    payload_too_large_is_rejected: 413 "PayloadTooLarge" => is_rejected;
    bad_topic_refuses_the_route: 400 "BadTopic" => is_credential;
    topic_disallowed_refuses_the_route: 400 "TopicDisallowed" => is_credential;
}

#[test]
fn idle_timeout_is_unprocessed_on_a_dying_connection() {
    let outcome = outcome_and_new_connection(400, "IdleTimeout");
    assert!(matches!(outcome, Outcome::Unprocessed { .. }), "{outcome:?}");
}

#[test]
fn expired_provider_token_is_a_stale_credential_and_asks_for_another_connection() {
    let outcome = outcome_and_new_connection(403, "ExpiredProviderToken");
    assert!(matches!(outcome, Outcome::CredentialStale { .. }), "{outcome:?}");
}

#[test]
fn invalid_provider_token_refuses_the_route() {
    assert!(is_credential(&outcome_and_new_connection(403, "InvalidProviderToken")));
}

#[test]
fn missing_provider_token_refuses_the_route() {
    assert!(is_credential(&outcome_and_new_connection(403, "MissingProviderToken")));
}

#[test]
fn bad_certificate_refuses_the_route() {
    assert!(is_credential(&outcome_and_new_connection(403, "BadCertificate")));
}

#[test]
fn bad_certificate_environment_refuses_the_route() {
    assert!(is_credential(&outcome_and_new_connection(403, "BadCertificateEnvironment")));
}

#[test]
fn bad_environment_key_id_refuses_the_route() {
    assert!(is_credential(&outcome_and_new_connection(403, "BadEnvironmentKeyIdInToken")));
}

#[test]
fn unrelated_key_id_is_unprocessed_and_asks_for_another_connection() {
    let outcome = outcome_and_new_connection(403, "UnrelatedKeyIdInToken");
    assert!(matches!(outcome, Outcome::Unprocessed { .. }), "{outcome:?}");
}

#[test]
fn unregistered_is_an_address_gone_since_apples_time() {
    let body = r#"{"reason":"Unregistered","timestamp":1795219199123}"#;
    let gone = Outcome::AddressGone {
        status: 410,
        reason: "Unregistered".to_owned(),
        since: Some(Timestamp::from_millis(1_795_219_199_123)),
    };
    assert_eq!(read(&answer(410, body), || NOW).outcome, gone);
}

#[test]
fn expired_token_is_an_address_gone() {
    assert!(is_gone(&outcome(410, "ExpiredToken")));
}

#[test]
fn a_strange_timestamp_does_not_hide_the_reason() {
    for timestamp in ["-1", "1.5", "\"yesterday\"", "null", "[]", "99999999999999999999999"] {
        let body = format!(r#"{{"timestamp":{timestamp},"reason":"Unregistered"}}"#);
        assert!(is_gone(&read(&answer(410, &body), || NOW).outcome), "{timestamp}");
    }
}

#[test]
fn too_many_provider_token_updates_pauses_the_route() {
    let outcome = outcome(429, "TooManyProviderTokenUpdates");
    let hold = HoldReason::Throttled;
    assert!(matches!(outcome, Outcome::RouteRefused { hold: it, .. } if it == hold), "{outcome:?}");
}

#[test]
fn too_many_requests_throttles_the_endpoint() {
    let outcome = outcome(429, "TooManyRequests");
    assert!(matches!(outcome, Outcome::Throttled { retry_after: None, .. }), "{outcome:?}");
}

#[test]
fn internal_server_error_is_unavailable() {
    let outcome = outcome(500, "InternalServerError");
    assert!(matches!(outcome, Outcome::Unavailable { status: 500, .. }), "{outcome:?}");
}

#[test]
fn service_unavailable_is_unavailable_for_as_long_as_it_says() {
    let mut answer = answer(503, r#"{"reason":"ServiceUnavailable"}"#);
    answer.headers.insert(RETRY_AFTER, "30");
    let unavailable = Outcome::Unavailable {
        status: 503,
        reason: "ServiceUnavailable".to_owned(),
        retry_after: Some(Duration::from_secs(30)),
    };
    assert_eq!(read(&answer, || NOW), Reading { outcome: unavailable, close_connection: false });
}

#[test]
fn retry_after_may_be_a_date() {
    let mut answer = answer(429, r#"{"reason":"TooManyRequests"}"#);
    answer.headers.insert(RETRY_AFTER, "Sat, 21 Nov 2026 00:00:10 GMT");
    let outcome = read(&answer, || NOW).outcome;
    let wait = Some(Duration::from_secs(10));
    assert!(matches!(outcome, Outcome::Throttled { retry_after, .. } if retry_after == wait));
}

#[test]
fn shutdown_is_unavailable_on_a_dying_connection() {
    let outcome = outcome_and_new_connection(503, "Shutdown");
    assert!(matches!(outcome, Outcome::Unavailable { status: 503, .. }), "{outcome:?}");
}

#[test]
fn unknown_reasons_are_kept_and_the_status_decides() {
    assert!(is_rejected(&outcome(400, "BadHairDay")));
    assert!(is_credential(&outcome(403, "BadKeyring")));
    assert!(is_gone(&outcome(410, "Vanished")));
    assert!(matches!(outcome(429, "TooMuch"), Outcome::Throttled { .. }));
    assert!(matches!(outcome(500, "Oops"), Outcome::Unavailable { .. }));
    assert!(matches!(outcome(503, "Later"), Outcome::Unavailable { .. }));
}

#[test]
fn without_a_readable_reason_the_status_is_the_reason() {
    for body in ["", "<html>busy</html>", "{\"reason\":7}", "[]", "{}", "\u{0}\u{1}"] {
        let outcome = read(&answer(503, body), || NOW).outcome;
        assert_eq!(outcome.reason(), "503 without a reason", "{body:?}");
        assert!(matches!(outcome, Outcome::Unavailable { .. }));
    }
}

#[test]
fn an_answer_no_provider_gives_is_retried() {
    for status in [204, 302, 599] {
        let outcome = read(&answer(status, ""), || NOW).outcome;
        assert!(matches!(outcome, Outcome::Unavailable { .. }), "{status}: {outcome:?}");
    }
}

#[test]
fn an_endless_reason_is_cut() {
    let outcome = refused(400, &"Ü".repeat(5000)).outcome;
    assert!(outcome.reason().len() <= REASON_LIMIT);
    assert!(outcome.reason().ends_with('…'));
}

proptest! {
    #[test]
    fn any_answer_is_read_without_panic(
        status in 100..1000_u16,
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let status = StatusCode::from_u16(status).expect("a status");
        let answer = Answer { status, headers: Kept::default(), body: body.into() };
        let accepted = matches!(read(&answer, || NOW).outcome, Outcome::Accepted { .. });
        prop_assert_eq!(accepted, status == StatusCode::OK);
    }
}
