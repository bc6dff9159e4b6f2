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

use crate::addresses::user;
use crate::arrival::title;
use crate::error::LoadError;
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::scenario::Scenario;

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
/// Each app has a client of its own, so that none waits for another.
///
/// # Errors
/// [`LoadError`] if one is refused or a stream breaks.
pub(crate) async fn publish(
    clients: &[Client],
    scenario: &Scenario,
    ledger: &Arc<Ledger>,
) -> Result<(), LoadError> {
    let apps = ledger.plan().apps().iter().zip(clients);
    let apps = apps.map(|(app, client)| publish_to(app, client, scenario, ledger));
    try_join_all(apps).await.map(drop)
}

async fn publish_to(
    app: &'static str,
    client: &Client,
    scenario: &Scenario,
    ledger: &Arc<Ledger>,
) -> Result<(), LoadError> {
    let mut lanes = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..scenario.streams {
        let (send, numbers) = mpsc::channel(WAITING);
        lanes.push(send);
        streams.push(stream(app, client, ledger.clone(), numbers));
    }
    let (_, streams) = tokio::join!(arrivals(app, scenario, ledger, lanes), try_join_all(streams));
    streams.map(drop)
}

/// Hands out an app's numbers as they are due. It ends early if a stream has broken.
async fn arrivals(
    app: &str,
    scenario: &Scenario,
    ledger: &Ledger,
    lanes: Vec<mpsc::Sender<Numbers>>,
) {
    let (plan, end) = (ledger.plan(), ledger.window().to);
    let total = plan.total(end).unwrap_or(ledger.room()).min(ledger.room());
    let (mut next, mut turn) = (0, 0);
    while next < total {
        let now = ledger.now();
        if now >= end && plan.total(end).is_none() {
            return;
        }
        let due = due(scenario, ledger, now, next).min(total);
        if due <= next {
            sleep(LOOK).await;
            continue;
        }
        // Numbers of a message follow one another, so it ends where another app has its turn.
        let is_ours = |number: &usize| plan.app(plan.user(*number)) == app;
        let count = (next..due).take(scenario.batch).take_while(is_ours).count();
        for number in next..next + count {
            ledger.send(number, plan.at(number).unwrap_or(now));
        }
        let Some(lane) = lanes.get(turn % lanes.len()) else { return };
        if count > 0 && lane.send((next, count)).await.is_err() {
            return;
        }
        (next, turn) = (next + count.max(1), turn + count.min(1));
    }
}

/// How many are to be sent by now, all in all.
fn due(scenario: &Scenario, ledger: &Ledger, now: Duration, sent: usize) -> usize {
    ledger.plan().due(now).unwrap_or_else(|| {
        let done = match scenario.endpoints {
            0 => ledger.acknowledged().all(),
            endpoints => ledger.pushed().all() / endpoints as u64,
        };
        let under_way = sent.saturating_sub(usize::try_from(done).unwrap_or(usize::MAX));
        sent + scenario.ahead.saturating_sub(under_way)
    })
}

/// One stream: sends what is handed to it, and reads the answers, which come in order.
async fn stream(
    app: &'static str,
    client: &Client,
    ledger: Arc<Ledger>,
    numbers: mpsc::Receiver<Numbers>,
) -> Result<(), LoadError> {
    let plan = *ledger.plan();
    let message = move |(first, count): Numbers| v1::PublishStreamRequest {
        app: app.to_owned(),
        first_sequence: first as u64,
        notifications: (first..first + count).map(|it| notification(it, &plan)).collect(),
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

fn notification(number: usize, plan: &Plan) -> v1::Notification {
    let visual =
        v1::Visual { title: title(number), body: Some(TEXT.to_owned()), ..Default::default() };
    v1::Notification {
        target: Some(user(plan.user(number))),
        content: Some(v1::Content { visual: Some(visual), raw: None }),
        ..Default::default()
    }
}
