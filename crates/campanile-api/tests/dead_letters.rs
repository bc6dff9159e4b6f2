//! Deliveries that failed: listed in pages, asked for again once, as far as the log reaches back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

mod tower;

use std::collections::BTreeSet;
use std::time::Duration;

use campanile_api::ClientError;
use campanile_core::port::{Clock as _, EventLog as _, LogAdmin as _, NewRecord};
use campanile_core::{
    AppId, DeliveryId, DeliveryKind, End, EndpointId, NotificationId, Offset, Platform, Receipt,
    Settled, Timestamp, UserId,
};
use campanile_engine::edge::Names;
use campanile_proto::{codec, v1};
use tonic::Code;

use tower::{APP, NOW, Tower, USER, eventually, publish, register, titled, token, user};

/// What a platform's worker wrote down of a notification that it could not deliver.
async fn fails(tower: &Tower, whose: &str, posted: &v1::PublishResponse, end: End) {
    let app = AppId::new(APP).unwrap();
    let user = Names::new([2; 32]).of(&app).user(&app, &UserId::new(whose).unwrap());
    let endpoint = Names::new([2; 32]).of(&app).endpoint(user, "phone");
    let item = NotificationId::parse(&posted.notification_id).unwrap();
    let cause = Offset(posted.position.as_ref().unwrap().offset);
    let (delivery, at) = (DeliveryId::new(item, cause, endpoint), tower.clock.now());
    let kind = DeliveryKind::Show { revision: 1 };
    let settled = vec![Settled { delivery, endpoint, kind, attempts: 1, at, end }];
    let receipt = Receipt { app, user, cause, item, platform: Platform::Apns, settled };
    let body = codec::encode_receipt(&receipt);
    let partition = tower.receipts.identity().partition_of(user);
    let answers = tower.receipts.append(vec![NewRecord { partition, user, body }]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

fn rejected() -> End {
    End::Rejected { status: 400, reason: "BadTopic".into() }
}

/// Posts to a user with a phone, on which it fails.
async fn fails_for(tower: &Tower, whose: &str) -> v1::PublishResponse {
    let phone = token(&format!("phone of {whose}"));
    let phone = v1::RegisterEndpointRequest {
        user_id: whose.into(),
        installation_id: "phone".into(),
        address: tower::apns(&phone),
        ..register("phone")
    };
    tower.client.register_endpoint(phone).await.unwrap();
    let posted = v1::Notification { target: user(whose), ..titled("bell") };
    let posted = tower.client.publish(publish(posted)).await.unwrap();
    fails(tower, whose, &posted, rejected()).await;
    posted
}

fn instant(at: Timestamp) -> Option<prost_types::Timestamp> {
    let nanos = i32::try_from(at.as_millis() % 1000 * 1_000_000).unwrap();
    Some(prost_types::Timestamp { seconds: i64::try_from(at.as_secs()).unwrap(), nanos })
}

fn since_now() -> v1::DeadLetterFilter {
    v1::DeadLetterFilter { from: instant(NOW), ..v1::DeadLetterFilter::default() }
}

fn listing(filter: v1::DeadLetterFilter) -> v1::ListDeadLettersRequest {
    let (app, filter) = (APP.into(), Some(filter));
    v1::ListDeadLettersRequest { app, filter, ..v1::ListDeadLettersRequest::default() }
}

fn redriving(filter: v1::DeadLetterFilter) -> v1::RedriveDeadLettersRequest {
    let (app, filter) = (APP.into(), Some(filter));
    v1::RedriveDeadLettersRequest { app, filter, ..v1::RedriveDeadLettersRequest::default() }
}

/// Every page, of so many at once.
async fn pages(tower: &Tower, filter: v1::DeadLetterFilter, limit: i32) -> Vec<v1::DeadLetter> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let limit = Some(limit);
        let request = v1::ListDeadLettersRequest { cursor, limit, ..listing(filter.clone()) };
        let page = tower.client.list_dead_letters(request).await.unwrap();
        assert!(page.complete);
        all.extend(page.dead_letters);
        cursor = page.cursor;
        if cursor.is_empty() {
            return all;
        }
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, ClientError>, code: Code, at: &str) {
    match answer {
        Err(ClientError::Refused { code: found, field, message, .. }) => {
            assert_eq!((found, field.as_deref()), (code, Some(at)), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

/// Waits until the projection knows what was posted.
async fn until_due(tower: &Tower, filter: &v1::DeadLetterFilter, count: usize) {
    eventually(|| async {
        let found = pages(tower, filter.clone(), 500).await;
        let yes = |it: &&v1::DeadLetter| it.redrivable() == v1::Redrivable::Yes;
        (found.iter().filter(yes).count() == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn pages_have_every_dead_letter_once() {
    let tower = Tower::start().await;
    let mut ids = BTreeSet::new();
    for number in 0..7 {
        let posted = fails_for(&tower, &format!("user-{number}")).await;
        ids.insert(posted.notification_id);
    }
    // What was accepted, or handled before, is none.
    let fine = tower.post(titled("fine")).await;
    fails(&tower, USER, &fine, End::Accepted { provider_id: "x".into() }).await;
    let handled = End::Suppressed(campanile_core::Suppression::Handled);
    fails(&tower, USER, &fine, handled).await;
    for limit in [1, 2, 500] {
        let found = pages(&tower, since_now(), limit).await;
        assert_eq!(found.len(), 7, "pages of {limit}");
        let found: BTreeSet<_> = found.into_iter().map(|it| it.notification_id).collect();
        assert_eq!(found, ids, "pages of {limit}");
    }
    let whose = v1::DeadLetterFilter { target: user("user-3"), ..since_now() };
    eventually(|| async { (pages(&tower, whose.clone(), 1).await.len() == 1).then_some(()) }).await;
    let [one] = &pages(&tower, whose.clone(), 9).await[..] else { panic!("one user's") };
    let of_item = v1::DeadLetterFilter {
        notification_id: one.notification_id.clone(),
        ..v1::DeadLetterFilter::default()
    };
    assert_eq!(pages(&tower, of_item, 9).await.len(), 1);
    let narrowed = [
        v1::DeadLetterFilter { platforms: vec![v1::Platform::Fcm.into()], ..whose.clone() },
        v1::DeadLetterFilter { reasons: vec![v1::DeadReason::GaveUp.into()], ..whose.clone() },
        v1::DeadLetterFilter { endpoint_id: "0".repeat(32), ..whose },
    ];
    for filter in narrowed {
        assert_eq!(pages(&tower, filter.clone(), 9).await, [], "{filter:?}");
    }
    let delivery = one.delivery.as_ref().unwrap();
    assert!(EndpointId::parse(&delivery.endpoint_id).is_ok() && one.user.len() == 32);
    assert_eq!((delivery.shows_revision, one.reason()), (Some(1), v1::DeadReason::Rejected));
}

#[tokio::test]
async fn a_failure_is_asked_for_again_once() {
    let tower = Tower::start().await;
    for number in 0..5 {
        fails_for(&tower, &format!("user-{number}")).await;
    }
    until_due(&tower, &since_now(), 5).await;
    let events = || async {
        let mut count = 0;
        for partition in tower.events.identity().partitions() {
            count += tower.events.bounds(partition).await.unwrap().end.0;
        }
        count
    };
    let before = events().await;
    let dry = v1::RedriveDeadLettersRequest { dry_run: true, ..redriving(since_now()) };
    let counted = tower.client.redrive_dead_letters(dry).await.unwrap();
    assert_eq!((counted.redriven, events().await), (5, before), "nothing is written");

    let (mut redriven, mut cursor) = (0, String::new());
    loop {
        let limit = Some(2);
        let request = v1::RedriveDeadLettersRequest { cursor, limit, ..redriving(since_now()) };
        let done = tower.client.redrive_dead_letters(request).await.unwrap();
        assert!(done.redriven <= 2, "{done:?}");
        redriven += done.redriven;
        cursor = done.cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!((redriven, events().await), (5, before + 5));
    let again = tower.client.redrive_dead_letters(redriving(since_now())).await.unwrap();
    let why = v1::Redrivable::Redriven.into();
    let left_alone = v1::SkippedDeadLetters { why, not_due: 0, count: 5 };
    assert_eq!((again.redriven, again.skipped), (0, vec![left_alone]));
    assert_eq!(events().await, before + 5);
}

/// A crash can leave both: the platform took it, and then would not take it again.
#[tokio::test]
async fn what_was_accepted_too_is_left_alone() {
    let tower = Tower::start().await;
    let posted = fails_for(&tower, USER).await;
    until_due(&tower, &since_now(), 1).await;
    fails(&tower, USER, &posted, End::Accepted { provider_id: "x".into() }).await;
    let found = eventually(|| async {
        let found = pages(&tower, since_now(), 9).await.pop().unwrap();
        (found.redrivable() != v1::Redrivable::Yes).then_some(found)
    });
    assert_eq!(found.await.redrivable(), v1::Redrivable::Accepted);
}

#[tokio::test]
async fn a_page_says_what_the_log_does_not_have_any_more() {
    let tower = Tower::start().await;
    fails_for(&tower, USER).await;
    let posted = tower.post(titled("second")).await;
    fails(&tower, USER, &posted, rejected()).await;
    let request = v1::ListDeadLettersRequest { limit: Some(1), ..listing(since_now()) };
    let first = tower.client.list_dead_letters(request.clone()).await.unwrap();
    assert!(first.complete && !first.cursor.is_empty());

    tower.clock.advance(Duration::from_secs(3600));
    let posted = tower.post(titled("third")).await;
    fails(&tower, USER, &posted, rejected()).await;
    let (minute, all) = (Duration::from_secs(60), [Offset(u64::MAX); 4]);
    tower.receipts.retain(minute, tower.clock.now(), &all).await.unwrap();
    let on = v1::ListDeadLettersRequest { cursor: first.cursor, ..request.clone() };
    let on = tower.client.list_dead_letters(on).await.unwrap();
    // What is recorded after the first page is no business of its cursor.
    assert_eq!((on.dead_letters.len(), on.complete), (0, false));
    let kept = v1::ListDeadLettersRequest { limit: None, ..request };
    let kept = tower.client.list_dead_letters(kept).await.unwrap();
    assert_eq!((kept.dead_letters.len(), kept.complete), (1, false));
    let done = tower.client.redrive_dead_letters(redriving(since_now())).await.unwrap();
    assert!(!done.complete);
}

#[tokio::test]
async fn dead_letters_that_break_the_rules() {
    let tower = Tower::start().await;
    fails_for(&tower, USER).await;
    fails_for(&tower, "bob").await;
    let filter = v1::DeadLetterFilter::default;
    let future = instant(NOW.after(Duration::from_secs(1)));
    let cases = [
        (v1::DeadLetterFilter { platforms: vec![9], ..filter() }, "filter.platforms"),
        (v1::DeadLetterFilter { reasons: vec![9], ..filter() }, "filter.reasons"),
        (
            v1::DeadLetterFilter { notification_id: "42".into(), ..filter() },
            "filter.notification_id",
        ),
        (v1::DeadLetterFilter { endpoint_id: "42".into(), ..filter() }, "filter.endpoint_id"),
        (v1::DeadLetterFilter { target: user(""), ..filter() }, "filter.target"),
        (v1::DeadLetterFilter { until: instant(NOW), ..since_now() }, "filter.until"),
    ];
    for (filter, field) in cases {
        let listed = tower.client.list_dead_letters(listing(filter.clone())).await;
        refused(listed, Code::InvalidArgument, field);
        let redriven = tower.client.redrive_dead_letters(redriving(filter.clone())).await;
        let is_unbounded =
            filter.from.is_none() && filter.target.is_none() && filter.notification_id.is_empty();
        let early = ["filter.platforms", "filter.reasons", "filter.endpoint_id"].contains(&field);
        let field = if is_unbounded && !early { "filter" } else { field };
        refused(redriven, Code::InvalidArgument, field);
    }
    let late = v1::DeadLetterFilter { from: future, ..filter() };
    refused(tower.client.list_dead_letters(listing(late)).await, Code::OutOfRange, "filter.from");
    let all = tower.client.redrive_dead_letters(redriving(filter())).await;
    refused(all, Code::InvalidArgument, "filter");
    for limit in [0, -1, 501] {
        let page = v1::ListDeadLettersRequest { limit: Some(limit), ..listing(filter()) };
        refused(tower.client.list_dead_letters(page).await, Code::InvalidArgument, "limit");
        let part = v1::RedriveDeadLettersRequest { limit: Some(limit), ..redriving(since_now()) };
        refused(tower.client.redrive_dead_letters(part).await, Code::InvalidArgument, "limit");
    }
    let first = v1::ListDeadLettersRequest { limit: Some(1), ..listing(since_now()) };
    let cursor = tower.client.list_dead_letters(first).await.unwrap().cursor;
    assert!(!cursor.is_empty(), "there is another user's");
    for (cursor, filter) in [("made-up".to_owned(), since_now()), (cursor, filter())] {
        let on = v1::ListDeadLettersRequest { cursor, ..listing(filter) };
        refused(tower.client.list_dead_letters(on).await, Code::InvalidArgument, "cursor");
    }
}
