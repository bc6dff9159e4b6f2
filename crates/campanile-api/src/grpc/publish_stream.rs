//! Publishing many: messages in, acknowledgements by ranges out.
//!
//! Whatever messages are there already, up to [`GATHERED`], go to the engine in one call, so one
//! durable write serves them all; meanwhile the next ones arrive. One call at a time keeps the
//! order of what a producer says of one item. A message that breaks the protocol ends the stream,
//! after the answers to those before it.

use std::pin::Pin;
use std::sync::Arc;

use campanile_engine::RequestContext;
use campanile_engine::ingest::{Ingest, Publish};
use campanile_engine::tasks::Shutdown;
use campanile_proto::convert;
use campanile_proto::v1;
use futures::{Stream, StreamExt, stream};
use tonic::{Status, Streaming};

use super::notifications::notification;
use crate::context::Caller;
use crate::sequence::Tally;
use crate::status::{Answer, from_transport};

/// Messages that share a call to the engine: at most 2000 notifications.
const GATHERED: usize = 4;

/// The answers to a stream of messages.
pub(crate) type Answers =
    Pin<Box<dyn Stream<Item = Result<v1::PublishStreamResponse, Status>> + Send>>;

/// Answers `messages`, until they end, one breaks the protocol, or the server is to stop.
pub(crate) fn answers(
    ingest: Arc<Ingest>,
    caller: Caller,
    messages: Streaming<v1::PublishStreamRequest>,
    shutdown: Shutdown,
) -> Answers {
    let mut stopping = shutdown.clone();
    let messages = messages.take_until(async move { stopping.begun().await });
    let mut intake = Intake { caller, context: None, next: 0 };
    let taken = messages.map(move |message| match message {
        Ok(message) => intake.take(message).map_err(Answer::into_status),
        Err(status) => Err(from_transport(status)),
    });
    let answered = taken.ready_chunks(GATHERED).then(move |taken| {
        let ingest = ingest.clone();
        async move { stream::iter(publish(&ingest, taken).await) }
    });
    let end =
        stream::once(
            async move { shutdown.has_begun().then(|| Err(Answer::stopping().into_status())) },
        );
    Box::pin(answered.flatten().chain(end.filter_map(|end| async { end })))
}

/// What a stream has said so far.
struct Intake {
    caller: Caller,
    context: Option<RequestContext>,
    next: u64,
}

/// A message that keeps the protocol.
struct Message {
    context: RequestContext,
    first: u64,
    /// The notifications with sound values, in order.
    sound: Vec<Publish>,
    /// The others, by index.
    unsound: Vec<(usize, Answer)>,
}

impl Intake {
    fn take(&mut self, message: v1::PublishStreamRequest) -> Result<Message, Answer> {
        let v1::PublishStreamRequest { app, first_sequence: first, notifications } = message;
        let context = match &self.context {
            Some(context) if context.app.as_str() == app => context.clone(),
            Some(_) => return Err(Answer::invalid("app", "must stay the same within a stream")),
            None => self.context.insert(self.caller.context(&app)?).clone(),
        };
        convert::batch("notifications", notifications.len())?;
        let end = first.checked_add(notifications.len() as u64);
        let end = end.filter(|_| first >= self.next).ok_or_else(|| {
            let reason = "must be above every sequence number before it, and leave room";
            Answer::invalid("first_sequence", reason)
        })?;
        self.next = end;
        let (mut sound, mut unsound) = (Vec::with_capacity(notifications.len()), Vec::new());
        for (index, wire) in notifications.into_iter().enumerate() {
            match notification(wire) {
                Ok(publish) => sound.push(publish),
                Err(violation) => unsound.push((index, violation.into())),
            }
        }
        Ok(Message { context, first, sound, unsound })
    }
}

/// Publishes the messages before the first one that broke the protocol, and answers each.
async fn publish(
    ingest: &Ingest,
    taken: Vec<Result<Message, Status>>,
) -> Vec<Result<v1::PublishStreamResponse, Status>> {
    let mut broken = None;
    let mut batch = Vec::new();
    let mut messages = Vec::with_capacity(taken.len());
    for message in taken {
        match message {
            Ok(Message { context, first, sound, unsound }) => {
                messages.push((context, first, sound.len(), unsound));
                batch.extend(sound);
            }
            Err(status) => {
                broken = Some(Err(status));
                break;
            }
        }
    }
    let context = messages.first().map(|(context, ..)| context.clone());
    let published = match context {
        Some(context) if !batch.is_empty() => ingest.publish(&context, batch).await,
        _ => Vec::new(),
    };
    let mut published = published.into_iter();
    let answers = messages.into_iter().map(|(_, first, sound, unsound)| {
        let mut tally = Tally::new(first);
        let mut unsound = unsound.into_iter().peekable();
        for index in 0..sound + unsound.len() {
            match unsound.next_if(|(at, _)| *at == index) {
                Some((_, answer)) => tally.fail(answer.into_failure()),
                None => match published.next() {
                    Some(Ok(_)) => tally.accept(),
                    Some(Err(error)) => tally.fail(Answer::from(error).into_failure()),
                    None => tally.fail(Answer::unanswered().into_failure()),
                },
            }
        }
        Ok(tally.finish())
    });
    answers.chain(broken).collect()
}
