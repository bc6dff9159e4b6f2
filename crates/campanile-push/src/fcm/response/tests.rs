//! One test per row of Google's table of refusals, and the answers that no table has.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::http2::Kept;
use crate::retry_after::RETRY_AFTER;

/// 2026-11-21T00:00:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_795_219_200_000);

fn answer(status: u16, body: &str) -> Answer {
    let status = StatusCode::from_u16(status).expect("a status");
    Answer { status, headers: Kept::default(), body: Bytes::copy_from_slice(body.as_bytes()) }
}

/// A refusal with these details.
fn refused(status: u16, word: &str, details: Value) -> Answer {
    let error = json!({ "code": status, "message": "…", "status": word, "details": details });
    answer(status, &json!({ "error": error }).to_string())
}

fn fcm_error(code: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code })
}

fn field_violation() -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{ "field": "message.android.ttl", "description": "…" }],
    })
}

fn quota_failure(subject: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{ "subject": subject, "description": "Message rate exceeded" }],
    })
}

fn rate_limit() -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "RATE_LIMIT_EXCEEDED",
        "metadata": { "quota_limit": "SendsPerMinutePerProject" },
    })
}

const fn secs(secs: u64) -> Option<Duration> {
    Some(Duration::from_secs(secs))
}

fn is_gone(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::AddressGone { since: None, .. })
}

fn is_rejected(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Rejected { .. })
}

fn is_stale(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::CredentialStale { .. })
}

fn is_credential(outcome: &Outcome) -> bool {
    let hold = HoldReason::Credential;
    matches!(outcome, Outcome::RouteRefused { hold: it, retry_after: None, .. } if *it == hold)
}

fn pauses_for_a_minute(outcome: &Outcome) -> bool {
    let hold = HoldReason::Throttled;
    let Outcome::RouteRefused { hold: it, retry_after, .. } = outcome else { return false };
    *it == hold && *retry_after == secs(60)
}

fn delays_the_device_for_a_minute(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Throttled { retry_after, .. } if *retry_after == secs(60))
}

fn waits_ten_seconds(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unavailable { retry_after, .. } if *retry_after == secs(10))
}

/// Makes one test per row, named for it: status, `status`, details, the reason that is kept, and
/// what is made of it.
macro_rules! rows {
    ($($name:ident: $status:literal $word:literal $details:expr, $reason:literal => $check:expr;)*) => {$(
        #[test]
        fn $name() {
            let outcome = read(&refused($status, $word, Value::Array(Vec::from($details))), || NOW);
            assert!($check(&outcome), "{outcome:?}");
            assert_eq!(outcome.reason(), $reason);
        }
    )*};
}

rows! {
    invalid_argument_that_blames_no_field_is_an_address_gone:
        400 "INVALID_ARGUMENT" [fcm_error("INVALID_ARGUMENT")], "INVALID_ARGUMENT" => is_gone;
    invalid_argument_that_blames_a_field_is_rejected:
        400 "INVALID_ARGUMENT" [fcm_error("INVALID_ARGUMENT"), field_violation()],
        "INVALID_ARGUMENT" => is_rejected;
    invalid_argument_that_is_not_fcms_is_rejected:
        400 "INVALID_ARGUMENT" [field_violation()], "INVALID_ARGUMENT" => is_rejected;
    invalid_argument_without_details_is_rejected:
        400 "INVALID_ARGUMENT" [], "INVALID_ARGUMENT" => is_rejected;
    unauthenticated_is_a_stale_credential:
        401 "UNAUTHENTICATED" [], "UNAUTHENTICATED" => is_stale;
    third_party_auth_error_refuses_the_route:
        401 "UNAUTHENTICATED" [fcm_error("THIRD_PARTY_AUTH_ERROR")],
        "THIRD_PARTY_AUTH_ERROR" => is_credential;
    sender_id_mismatch_is_an_address_gone:
        403 "PERMISSION_DENIED" [fcm_error("SENDER_ID_MISMATCH")],
        "SENDER_ID_MISMATCH" => is_gone;
    permission_denied_refuses_the_route:
        403 "PERMISSION_DENIED" [], "PERMISSION_DENIED" => is_credential;
    unregistered_is_an_address_gone:
        404 "NOT_FOUND" [fcm_error("UNREGISTERED")], "UNREGISTERED" => is_gone;
    not_found_refuses_the_route_and_never_the_address:
        404 "NOT_FOUND" [], "NOT_FOUND" => is_credential;
    quota_exceeded_pauses_the_route:
        429 "RESOURCE_EXHAUSTED" [fcm_error("QUOTA_EXCEEDED")],
        "QUOTA_EXCEEDED" => pauses_for_a_minute;
    quota_exceeded_for_a_project_pauses_the_route:
        429 "RESOURCE_EXHAUSTED" [fcm_error("QUOTA_EXCEEDED"), quota_failure("project:bells")],
        "QUOTA_EXCEEDED" => pauses_for_a_minute;
    quota_exceeded_for_a_device_delays_the_device:
        429 "RESOURCE_EXHAUSTED" [fcm_error("QUOTA_EXCEEDED"), quota_failure("device:abc")],
        "QUOTA_EXCEEDED" => delays_the_device_for_a_minute;
    resource_exhausted_pauses_the_route:
        429 "RESOURCE_EXHAUSTED" [rate_limit()], "RESOURCE_EXHAUSTED" => pauses_for_a_minute;
    internal_is_unavailable:
        500 "INTERNAL" [fcm_error("INTERNAL")], "INTERNAL" => waits_ten_seconds;
    internal_that_is_not_fcms_is_unavailable:
        500 "INTERNAL" [], "INTERNAL" => waits_ten_seconds;
    unavailable_is_unavailable:
        503 "UNAVAILABLE" [fcm_error("UNAVAILABLE")], "UNAVAILABLE" => waits_ten_seconds;
    a_new_code_is_decided_by_its_status:
        503 "UNAVAILABLE" [fcm_error("TOO_MANY_MOONS")], "TOO_MANY_MOONS" => waits_ten_seconds;
}

#[test]
fn ok_is_accepted_with_googles_name_for_it() {
    let name = "projects/bells/messages/0:1";
    let accepted = Outcome::Accepted { provider_id: name.to_owned() };
    assert_eq!(read(&answer(200, &json!({ "name": name }).to_string()), || NOW), accepted);
    let nameless = Outcome::Accepted { provider_id: String::new() };
    for body in ["", "{}", "[1]", "{\"name\":7}"] {
        assert_eq!(read(&answer(200, body), || NOW), nameless, "{body:?}");
    }
}

#[test]
fn a_wait_that_is_asked_for_is_kept() {
    let with = |status, code: &str, wait: &'static str| {
        let mut answer = refused(status, "…", json!([fcm_error(code)]));
        answer.headers.insert(RETRY_AFTER, wait);
        read(&answer, || NOW)
    };
    for (outcome, expected) in [
        (with(429, "QUOTA_EXCEEDED", "5"), secs(5)),
        (with(429, "QUOTA_EXCEEDED", "Sat, 21 Nov 2026 00:02:00 GMT"), secs(120)),
        (with(503, "UNAVAILABLE", "3"), secs(3)),
        (with(503, "UNAVAILABLE", "Sat, 21 Nov 2026 00:02:00 GMT"), secs(120)),
        (with(500, "INTERNAL", "30"), secs(30)),
        (with(503, "UNAVAILABLE", "soon"), secs(10)),
    ] {
        match outcome {
            Outcome::RouteRefused { retry_after, .. }
            | Outcome::Unavailable { retry_after, .. } => {
                assert_eq!(retry_after, expected);
            }
            outcome => panic!("{outcome:?}"),
        }
    }
}

#[test]
fn without_a_body_the_status_decides() {
    for (status, check) in [
        (400, is_rejected as fn(&Outcome) -> bool),
        (401, is_stale),
        (403, is_credential),
        (404, is_credential),
        (410, is_rejected),
        (418, is_rejected),
        (429, pauses_for_a_minute),
        (500, waits_ten_seconds),
        (502, waits_ten_seconds),
        (302, waits_ten_seconds),
    ] {
        for body in ["", "<html>", "{\"error\":7}", "{\"error\":{\"status\":7,\"details\":{}}}"] {
            let outcome = read(&answer(status, body), || NOW);
            assert!(check(&outcome), "{status} {body:?}: {outcome:?}");
            assert_eq!(outcome.reason(), format!("{status} without a reason"));
        }
    }
}

#[test]
fn a_long_reason_is_cut() {
    let outcome = read(&refused(503, &"x".repeat(1000), json!([])), || NOW);
    assert!(outcome.reason().len() <= REASON_LIMIT, "{}", outcome.reason().len());
}

proptest! {
    #[test]
    fn any_answer_is_read_without_panic(status in 100..1000_u16, body in ".{0,200}") {
        let _ = read(&answer(status, &body), || NOW);
    }

    #[test]
    fn of_an_answer_that_is_not_fcms_no_address_is_ever_called_gone(
        status in 201..1000_u16,
        word in "[A-Z_]{0,20}",
    ) {
        let outcome = read(&refused(status, &word, json!([rate_limit()])), || NOW);
        prop_assert!(!is_gone(&outcome), "{:?}", outcome);
    }
}
