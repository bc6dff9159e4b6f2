//! Publishing many: acknowledgements, order, and what ends a stream.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

mod tower;

use std::time::Duration;

use campanile_proto::v1;
use futures::{StreamExt, stream};
use tonic::{Code, Status};

use tower::{APP, Tower, USER, USER_RATE, eventually, soon, titled, user};

fn message(first: u64, notifications: Vec<v1::Notification>) -> v1::PublishStreamRequest {
    v1::PublishStreamRequest { app: APP.into(), first_sequence: first, notifications }
}

fn many(first: u64, count: usize) -> v1::PublishStreamRequest {
    message(first, vec![titled("x"); count])
}

async fn answers(
    tower: &Tower,
    messages: Vec<v1::PublishStreamRequest>,
) -> Vec<Result<v1::PublishStreamResponse, Status>> {
    let answers = tower.client.publish_stream(stream::iter(messages)).await.unwrap();
    soon(answers.collect()).await
}

fn ranges(answer: &v1::PublishStreamResponse) -> Vec<(u64, u64)> {
    answer.accepted.iter().map(|range| (range.from, range.to)).collect()
}

#[tokio::test]
async fn every_message_is_answered_in_order() {
    let tower = Tower::start().await;
    let messages = (0..20).map(|n| many(n * 500, 500)).collect();
    let answers = answers(&tower, messages).await;
    assert_eq!(answers.len(), 20);
    for (n, answer) in (0..20).zip(answers) {
        let answer = answer.unwrap();
        assert_eq!(ranges(&answer), [(n * 500, n * 500 + 499)]);
        assert!(answer.failures.is_empty());
    }
}

#[tokio::test]
async fn what_is_over_a_users_quota_is_refused_for_a_while() {
    let tower = Tower::start().await;
    let burst = u64::from(USER_RATE) * 60;
    let messages = (0..=burst / 500).map(|n| many(n * 500, 500)).collect();
    let answers = answers(&tower, messages).await;
    let accepted: u64 = answers
        .iter()
        .flat_map(|answer| ranges(answer.as_ref().unwrap()))
        .map(|(from, to)| to - from + 1)
        .sum();
    assert_eq!(accepted, burst);
    let refused = &answers.last().unwrap().as_ref().unwrap().failures;
    assert_eq!(refused.len(), 500);
    let code = |failure: &v1::PublishFailure| failure.failure.as_ref().unwrap().code;
    assert!(refused.iter().all(|it| code(it) == Code::ResourceExhausted as i32), "{refused:?}");

    let other = v1::Notification { target: user("grace@example.org"), ..titled("x") };
    let after = [message(0, vec![titled("x"), other])];
    let both = self::answers(&tower, after.to_vec()).await;
    assert_eq!(ranges(both[0].as_ref().unwrap()), [(1, 1)]);

    tower.clock.advance(Duration::from_secs(1));
    let later = self::answers(&tower, vec![many(0, 500)]).await;
    assert_eq!(ranges(later[0].as_ref().unwrap()), [(0, u64::from(USER_RATE) - 1)]);
}

#[tokio::test]
async fn one_bad_notification_fails_alone() {
    let tower = Tower::start().await;
    let keyed =
        |title: &str| v1::Notification { idempotency_key: Some("k".into()), ..titled(title) };
    let first = vec![titled("a"), titled(""), titled("b"), keyed("c")];
    let other_body = vec![keyed("d"), titled("e")];
    let answers = answers(&tower, vec![message(5, first), message(100, other_body)]).await;
    let first = answers[0].as_ref().unwrap();
    assert_eq!(ranges(first), [(5, 5), (7, 8)]);
    let failure = first.failures[0].failure.as_ref().unwrap();
    assert_eq!(first.failures[0].sequence, 6);
    assert_eq!(failure.code, i32::from(Code::InvalidArgument));
    assert_eq!(failure.field, "content.visual.title");
    assert_eq!(failure.retry_after_ms, None);
    assert_eq!(answers.len(), 2);
}

#[tokio::test]
async fn the_same_request_twice_in_a_message_is_one_notification() {
    let tower = Tower::start().await;
    let keyed = || v1::Notification { idempotency_key: Some("k".into()), ..titled("once") };
    let answers = answers(&tower, vec![message(0, vec![keyed(), keyed()])]).await;
    assert_eq!(ranges(answers[0].as_ref().unwrap()), [(0, 1)]);
    eventually(|| async {
        let page = tower.client.list_notifications(tower::list(USER)).await.unwrap();
        (!page.items.is_empty()).then_some(())
    })
    .await;
    // A marker after them: once it is folded, so are they.
    tower.post(titled("marker")).await;
    let page = tower.client.list_notifications(tower::list(USER)).await.unwrap();
    assert_eq!(page.items.len(), 2);
    assert_eq!(page.items[1].revision, 1);
}

#[tokio::test]
async fn the_last_of_many_revisions_wins() {
    let tower = Tower::start().await;
    let revision = |n: u64| v1::Notification {
        app_notification_id: Some("score".into()),
        idempotency_key: Some(format!("goal-{n}")),
        ..titled(&n.to_string())
    };
    let messages = (0..100).map(|n| message(n, vec![revision(n)])).collect();
    assert!(answers(&tower, messages).await.iter().all(Result::is_ok));
    let item = eventually(|| async {
        let page = tower.client.list_notifications(tower::list(USER)).await.unwrap();
        page.items.into_iter().find(|item| item.revision == 100)
    })
    .await;
    assert_eq!(item.content.unwrap().visual.unwrap().title, "99");
}

#[tokio::test]
async fn a_message_that_breaks_the_protocol_ends_the_stream_after_those_before() {
    let tower = Tower::start().await;
    let foreign = v1::PublishStreamRequest { app: "bank".into(), ..many(10, 1) };
    let cases = [
        ("no notifications", many(10, 0)),
        ("too many", many(10, 501)),
        ("numbers again", many(4, 1)),
        ("numbers beyond the last", many(u64::MAX, 2)),
        ("another app", foreign),
    ];
    for (name, broken) in cases {
        let answers = answers(&tower, vec![many(0, 5), broken, many(600, 1)]).await;
        assert_eq!(answers.len(), 2, "{name}");
        assert_eq!(ranges(answers[0].as_ref().unwrap()), [(0, 4)], "{name}");
        let status = answers[1].as_ref().unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{name}: {status}");
    }
    let unsound = v1::Notification { target: user("../"), ..titled("x") };
    let answers = answers(&tower, vec![message(0, vec![unsound])]).await;
    assert_eq!(answers.len(), 1, "a bad value does not break the protocol");
}

#[tokio::test]
async fn too_large_a_message_is_told_as_such() {
    let tower = Tower::start().await;
    let body = "b".repeat(4096);
    let visual = v1::Visual { title: "t".into(), body: Some(body), ..Default::default() };
    let content = Some(v1::Content { visual: Some(visual), raw: None });
    let large = v1::Notification { content, ..titled("") };
    let answers = answers(&tower, vec![message(0, vec![large; 300])]).await;
    assert_eq!(answers[0].as_ref().unwrap_err().code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn a_stream_ends_when_the_server_stops() {
    let tower = Tower::start().await;
    let (sender, messages) = tokio::sync::mpsc::channel(4);
    let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
    let mut answers = tower.client.publish_stream(messages).await.unwrap();
    sender.send(many(0, 3)).await.unwrap();
    assert_eq!(ranges(&soon(answers.message()).await.unwrap().unwrap()), [(0, 2)]);
    tower.shutdown.begin();
    let status = soon(answers.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(soon(tower.server.join()).await.unwrap().is_ok(), "it drained");
}
