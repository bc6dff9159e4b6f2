//! Scripted trouble, as a client meets it.

use campanile_simulate::fcm::{Action, Code, ErrorCode, Fate, Fault, Rejection, When};
use serde_json::json;

use super::fixture::{Fixture, NOW, PHONE, accounts, alert, grant, refusal, send};

#[tokio::test]
async fn every_documented_error_can_be_scripted() {
    let fixture = Fixture::start();
    for (code, status, word) in [
        (Code::InvalidArgument, 400, "INVALID_ARGUMENT"),
        (Code::Unregistered, 404, "NOT_FOUND"),
        (Code::SenderIdMismatch, 403, "PERMISSION_DENIED"),
        (Code::QuotaExceeded, 429, "RESOURCE_EXHAUSTED"),
        (Code::Unavailable, 503, "UNAVAILABLE"),
        (Code::Internal, 500, "INTERNAL"),
        (Code::ThirdPartyAuthError, 401, "UNAUTHENTICATED"),
    ] {
        fixture.fcm.inject(Fault::new(Action::Reject(code.into()), When::Next(1)));
        let answer = fixture.send(alert("t")).await;
        let expected = (status, word.to_owned(), Some(code.as_str().to_owned()), vec![]);
        assert_eq!(refusal(&answer), expected);
    }
    assert_eq!(fixture.phone().accepted(), 0);
}

#[tokio::test]
async fn a_wait_is_asked_for_in_seconds_or_as_a_date() {
    let fixture = Fixture::start();
    for wait in ["30", "Fri, 15 Jan 2027 08:00:30 GMT"] {
        let busy = Rejection::from(Code::Unavailable).retry_after(wait);
        fixture.fcm.inject(Fault::new(Action::Reject(busy), When::Next(1)));
        assert_eq!(fixture.send(alert("t")).await.headers["retry-after"], wait);
    }
}

#[tokio::test]
async fn who_repeats_a_message_too_soon_is_noticed() {
    let fixture = Fixture::start();
    let busy = Rejection::from(Code::Unavailable).retry_after(30);
    fixture.fcm.inject(Fault::new(Action::Reject(busy), When::Next(2)));
    let collapsed = |key: &str| {
        let mut message = alert(key);
        message["android"]["collapse_key"] = json!(key);
        message
    };
    for (key, too_soon) in [("a", 0), ("b", 0), ("a", 1), ("a", 1)] {
        fixture.send(collapsed(key)).await;
        assert_eq!(fixture.fcm.counts().too_soon, too_soon, "{key}");
    }
}

#[tokio::test]
async fn a_fault_finds_its_device_by_token_and_by_id() {
    let fixture = Fixture::start();
    fixture.fcm.register_device("bells-0815", "fid-tablet").unwrap();
    let gone = Action::Reject(Code::Unregistered.into());
    let fault = fixture.fcm.inject(Fault::new(gone, When::Always).on_device(PHONE));
    let to = |target: serde_json::Value| {
        let mut message = alert("t");
        message.as_object_mut().unwrap().remove("token");
        message.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
        message
    };
    assert_eq!(fixture.send(to(json!({ "fid": "fid-tablet" }))).await.status, 200);
    assert_eq!(fixture.send(to(json!({ "token": PHONE }))).await.status, 404);
    assert_eq!(fixture.send(to(json!({ "fid": "fid-phone" }))).await.status, 404);
    assert_eq!(fixture.fcm.struck(fault), Some(2));
}

#[tokio::test]
async fn sign_ins_and_messages_have_trouble_of_their_own() {
    let fixture = Fixture::start();
    let bearer = fixture.bearer(&accounts()[0]).await;
    let sign_in = grant(&accounts()[0].assertion(NOW).unwrap());
    let busy = || Action::Reject(Code::Unavailable.into());
    let mut client = fixture.connect().await;
    let mut statuses = async || {
        let sent = client.push(&send(&bearer, alert("t"))).await.unwrap().status.as_u16();
        (sent, client.push(&sign_in).await.unwrap().status.as_u16())
    };
    let fault = fixture.fcm.inject(Fault::new(busy(), When::Always).on_sign_in());
    assert_eq!(statuses().await, (200, 503));
    fixture.fcm.lift(fault);
    fixture.fcm.inject(Fault::new(busy(), When::Always));
    assert_eq!(statuses().await, (503, 200));
}

#[tokio::test]
async fn an_answer_can_be_lost_although_the_phone_rang() {
    let fixture = Fixture::start();
    let bearer = fixture.bearer(&accounts()[0]).await;
    for (fate, accepted) in [(Fate::Lost, 0), (Fate::Taken, 1)] {
        let reset = Action::Reset(ErrorCode::INTERNAL_ERROR, fate);
        fixture.fcm.inject(Fault::new(reset, When::Next(1)));
        let error = fixture.connect().await.push(&send(&bearer, alert("t"))).await.unwrap_err();
        assert!(error.is_reset(), "{error}");
        assert_eq!(fixture.phone().accepted(), accepted, "{fate:?}");
    }
}
