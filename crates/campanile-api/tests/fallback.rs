//! A fallback that breaks the rules is refused, with the field at fault.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

mod tower;

use campanile_api::ClientError;
use campanile_proto::v1;
use tonic::Code;

use tower::{Tower, publish, titled};

#[track_caller]
fn invalid<T: std::fmt::Debug>(answer: Result<T, ClientError>, field: &str) {
    match answer {
        Err(ClientError::Refused { code: Code::InvalidArgument, field: at, message, .. }) => {
            assert_eq!(at.as_deref(), Some(field), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn fallbacks_that_break_the_rules() {
    let tower = Tower::start().await;
    let said = |after_seconds, title: &str| {
        let visual = Some(v1::Visual { title: title.into(), ..Default::default() });
        v1::Notification { fallback: Some(v1::Fallback { after_seconds, visual }), ..titled("x") }
    };
    let only_android =
        v1::Notification { platforms: vec![v1::Platform::Fcm.into()], ..said(60, "x") };
    let no_visual = v1::Fallback { after_seconds: 60, visual: None };
    let no_visual = v1::Notification { fallback: Some(no_visual), ..titled("x") };
    let rows = [
        (said(0, "x"), "fallback.after_seconds"),
        (said(59, "x"), "fallback.after_seconds"),
        (said(601, "x"), "fallback.after_seconds"),
        (said(60, ""), "fallback.visual.title"),
        (no_visual, "fallback.visual"),
        (only_android, "fallback"),
    ];
    for (wrong, field) in rows {
        invalid(tower.client.publish(publish(wrong)).await, field);
    }
    for allowed in [60, 600] {
        tower.client.publish(publish(said(allowed, "x"))).await.unwrap();
    }
}
