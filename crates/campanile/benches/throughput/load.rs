//! Load through the public API.

use std::time::Instant;

use campanile_api::Client;
use campanile_proto::v1;
use futures::future::join_all;
use futures::{StreamExt, stream};

use super::tower::{APP, TOPIC, Tower};

/// Streams that publish at the same time.
const STREAMS: usize = 4;
/// Notifications in one message.
pub(crate) const BATCH: usize = 100;
/// The body of a notification.
const TEXT: &str = "Your order is ready at the counter. Show this notification when you pick it \
                    up, and thank you for waiting; the kitchen was busier than we thought.";

/// Registers the endpoints of `users` users with the platform and with the engine.
pub(crate) async fn register(client: &Client, tower: &Tower, users: usize, endpoints: usize) {
    for user in 0..users {
        let registrations = (0..endpoints).map(|endpoint| {
            let apns = v1::ApnsAddress {
                token: tower.device(user, endpoint),
                topic: TOPIC.to_owned(),
                environment: v1::Environment::Production.into(),
            };
            let platform = Some(v1::address::Platform::Apns(apns));
            client.register_endpoint(v1::RegisterEndpointRequest {
                app: APP.to_owned(),
                user_id: format!("user-{user}"),
                installation_id: format!("phone-{endpoint}"),
                address: Some(v1::Address { platform }),
                ..v1::RegisterEndpointRequest::default()
            })
        });
        for answer in join_all(registrations).await {
            answer.expect("a registration");
        }
    }
}

/// Publishes `count` notifications over several streams, to `users` users by turns; answers how
/// many became durable per second.
pub(crate) async fn publish(client: &Client, name: &str, users: usize, count: usize) -> f64 {
    let started = Instant::now();
    let share = count / STREAMS;
    let streams = (0..STREAMS).map(|stream| one_stream(client, name, users, stream, share));
    let durable: usize = join_all(streams).await.into_iter().sum();
    assert_eq!(durable, share * STREAMS, "every notification becomes durable");
    durable as f64 / started.elapsed().as_secs_f64()
}

/// Asks for an inbox: the projection has to be there for it, not only the listener.
pub(crate) async fn first_request(client: &Client) {
    let request = v1::ListNotificationsRequest {
        app: APP.to_owned(),
        target: Some(target("user-0".to_owned())),
        page_size: Some(1),
        ..Default::default()
    };
    client.list_notifications(request).await.expect("an inbox");
}

async fn one_stream(
    client: &Client,
    name: &str,
    users: usize,
    number: usize,
    count: usize,
) -> usize {
    let name = name.to_owned();
    let messages = (0..count.div_ceil(BATCH)).map(move |message| {
        let first = message * BATCH;
        let notifications = (first..(first + BATCH).min(count))
            .map(|sequence| notification(&name, (sequence * STREAMS + number) % users))
            .collect();
        let first_sequence = first as u64;
        v1::PublishStreamRequest { app: APP.to_owned(), first_sequence, notifications }
    });
    let mut answers = client.publish_stream(stream::iter(messages)).await.expect("a stream");
    let mut durable = 0;
    while let Some(answer) = answers.next().await {
        let answer = answer.expect("an answer");
        assert!(answer.failures.is_empty(), "{:?}", answer.failures.first());
        durable += answer.accepted.iter().map(|range| range.to - range.from + 1).sum::<u64>();
    }
    usize::try_from(durable).expect("a count")
}

fn notification(name: &str, user: usize) -> v1::Notification {
    let visual = v1::Visual {
        title: "Order ready".to_owned(),
        body: Some(TEXT.to_owned()),
        ..v1::Visual::default()
    };
    v1::Notification {
        target: Some(target(format!("{name}-{user}"))),
        content: Some(v1::Content { visual: Some(visual), raw: None }),
        ..v1::Notification::default()
    }
}

fn target(user: String) -> v1::Target {
    v1::Target { target: Some(v1::target::Target::UserId(user)) }
}
