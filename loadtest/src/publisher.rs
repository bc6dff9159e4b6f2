//! The generator: notifications when they are due, over several streams.
//!
//! With a rate the arrivals are open: each has a time at which it is to be sent, and its latency
//! counts from there, however late it goes out because the engine was slow. With `max` the next is
//! sent when there is room for it, and its time is that.

use std::sync::Arc;
use std::time::Duration;

use campanile_api::Client;
use campanile_proto::v1;
use futures::future::try_join_all;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use crate::addresses::APP;
use crate::arrival::title;
use crate::error::LoadError;
use crate::ledger::Ledger;
use crate::scenario::{Rate, Scenario};

/// How often it is looked what is due.
const LOOK: Duration = Duration::from_millis(1);
/// Messages of a stream that wait to be sent.
const WAITING: usize = 32;
/// The body of a notification.
const TEXT: &str = "Your order is ready at the counter. Show this notification when you pick it \
                    up, and thank you for waiting; the kitchen was busier than we thought.";

/// Numbers in one message: the first, and how many.
type Numbers = (usize, usize);

/// Publishes until the window of `ledger` ends, and then until everything that was sent is durable.
///
/// # Errors
/// [`LoadError`] if one is refused or a stream breaks.
pub(crate) async fn publish(
    client: &Client,
    scenario: &Scenario,
    ledger: &Arc<Ledger>,
) -> Result<(), LoadError> {
    let mut lanes = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..scenario.streams {
        let (send, numbers) = mpsc::channel(WAITING);
        lanes.push(send);
        streams.push(stream(client, scenario.clone(), ledger.clone(), numbers));
    }
    let (_, streams) = tokio::join!(arrivals(scenario, ledger, lanes), try_join_all(streams));
    streams.map(drop)
}

/// Hands out numbers as they are due. It ends early if every stream has broken.
async fn arrivals(scenario: &Scenario, ledger: &Ledger, lanes: Vec<mpsc::Sender<Numbers>>) {
    let (mut next, mut turn) = (0, 0);
    loop {
        let now = ledger.now();
        if now >= ledger.window().to || next >= ledger.room() {
            return;
        }
        let due = due(scenario, ledger, now, next).min(ledger.room());
        if due <= next {
            sleep(LOOK).await;
            continue;
        }
        let count = (due - next).min(scenario.batch);
        for number in next..next + count {
            let at = match scenario.rate {
                Rate::Max => now,
                Rate::PerSecond(rate) => Duration::from_secs(1) * number32(number) / rate,
            };
            ledger.send(number, at);
        }
        let Some(lane) = lanes.get(turn % lanes.len()) else { return };
        if lane.send((next, count)).await.is_err() {
            return;
        }
        (next, turn) = (next + count, turn + 1);
    }
}

/// How many are to be sent by now, all in all.
fn due(scenario: &Scenario, ledger: &Ledger, now: Duration, sent: usize) -> usize {
    match scenario.rate {
        Rate::PerSecond(rate) => {
            let due = now.as_secs_f64() * f64::from(rate);
            // The end of the window is the end of it: numbers are whole.
            due as usize + 1
        }
        Rate::Max => {
            let done = match scenario.endpoints {
                0 => ledger.acknowledged().all(),
                endpoints => ledger.pushed().all() / endpoints as u64,
            };
            let under_way = sent.saturating_sub(usize::try_from(done).unwrap_or(usize::MAX));
            sent + scenario.ahead.saturating_sub(under_way)
        }
    }
}

fn number32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// One stream: sends what is handed to it, and reads the answers, which come in order.
async fn stream(
    client: &Client,
    scenario: Scenario,
    ledger: Arc<Ledger>,
    numbers: mpsc::Receiver<Numbers>,
) -> Result<(), LoadError> {
    let message = move |(first, count): Numbers| v1::PublishStreamRequest {
        app: APP.to_owned(),
        first_sequence: first as u64,
        notifications: (first..first + count).map(|it| notification(it, scenario.users)).collect(),
    };
    let mut answers = client.publish_stream(ReceiverStream::new(numbers).map(message)).await?;
    while let Some(answer) = answers.next().await {
        let answer = answer.map_err(|status| LoadError::Stream(status.message().to_owned()))?;
        if let Some(failure) = answer.failures.into_iter().next() {
            let number = usize::try_from(failure.sequence).unwrap_or(usize::MAX);
            let reason = failure.failure.map(|failure| failure.reason).unwrap_or_default();
            return Err(LoadError::Refused { number, reason });
        }
        for number in answer.accepted.iter().flat_map(|range| range.from..=range.to) {
            ledger.acknowledge(usize::try_from(number).unwrap_or(usize::MAX));
        }
    }
    Ok(())
}

fn notification(number: usize, users: usize) -> v1::Notification {
    let visual =
        v1::Visual { title: title(number), body: Some(TEXT.to_owned()), ..Default::default() };
    v1::Notification {
        target: Some(user(number % users)),
        content: Some(v1::Content { visual: Some(visual), raw: None }),
        ..Default::default()
    }
}

/// A user by number.
pub(crate) fn user(number: usize) -> v1::Target {
    v1::Target { target: Some(v1::target::Target::UserId(format!("user-{number}"))) }
}
