//! Traces, sent to a collector (OpenTelemetry Protocol 1.x, OTLP/gRPC).
//!
//! A trace that a caller records is recorded here too; of requests without a trace, one in so many
//! begins one. Spans wait in a bounded queue and are sent in batches. What finds no room there, or a
//! collector that does not take it, is lost and counted: no request and no push waits for it.

mod convert;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use campanile_core::TraceContext;
use campanile_core::port::{Clock, Entropy, Span, Tracer};
use campanile_engine::tasks::{Task, sleep, spawn};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use self::convert::{Epoch, request};
use crate::config::TracesConfig;

/// Spans that wait to be sent.
const WAITING: usize = 8192;
/// Spans that are sent together.
const BATCH: usize = 512;
/// The longest a span waits for others.
const GATHER: Duration = Duration::from_millis(500);
/// How long the collector may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long a stop waits for what is still to be sent.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// Sends spans to a collector.
pub(crate) struct Traces {
    queue: mpsc::Sender<Message>,
    one_in: u32,
    entropy: Arc<dyn Entropy>,
    counts: Arc<Counts>,
    _sending: Task,
}

/// What became of spans.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    lost: AtomicU64,
}

enum Message {
    Span(Box<Span>),
    /// Everything before it is to be sent, and then it is to be said so.
    Flush(oneshot::Sender<()>),
}

impl Traces {
    /// Sends to the collector that `config` names, which may come and go. Needs a runtime.
    pub(crate) fn start(
        config: &TracesConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Arc<Self> {
        let (queue, waiting) = mpsc::channel(WAITING);
        let counts = Arc::<Counts>::default();
        let endpoint = Endpoint::from(config.collector.clone());
        let endpoint = endpoint.timeout(ANSWER_WITHIN).connect_timeout(ANSWER_WITHIN);
        let client = TraceServiceClient::new(endpoint.connect_lazy());
        let sender = Sender { client, clock, counts: counts.clone(), is_heard: true };
        let _sending = spawn(sender.run(waiting));
        Arc::new(Self { queue, one_in: config.one_in, entropy, counts, _sending })
    }

    /// Waits until what is there is sent, but not for long.
    pub(crate) async fn flush(&self) {
        let (tell, told) = oneshot::channel();
        let all = async {
            if self.queue.send(Message::Flush(tell)).await.is_ok() {
                // Whoever sends may have ended; then there is nothing to wait for.
                let _ended = told.await;
            }
        };
        if timeout(FLUSH_WITHIN, all).await.is_err() {
            tracing::warn!("the collector of traces did not take the last spans in time");
        }
    }

    /// Spans that the collector took, and those that were lost.
    pub(super) fn counted(&self) -> (u64, u64) {
        let Counts { sent, lost } = &*self.counts;
        (sent.load(Ordering::Relaxed), lost.load(Ordering::Relaxed))
    }

    /// Whether a request that came without a trace begins one.
    fn is_chosen(&self, [a, b, c, d]: [u8; 4]) -> bool {
        u32::from_be_bytes([a, b, c, d]).checked_rem(self.one_in) == Some(0)
    }
}

impl Tracer for Traces {
    fn begin(&self, parent: Option<&TraceContext>) -> Option<TraceContext> {
        match parent {
            Some(parent) if !parent.is_sampled() => None,
            Some(parent) => {
                let [a, b, c, d, e, f, g, h, ..] = self.entropy.draw();
                Some(parent.child([a, b, c, d, e, f, g, h]))
            }
            // Nothing is drawn for each request where none is chosen.
            None if self.one_in == 0 => None,
            None => {
                let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = self.entropy.draw();
                let (span, flags) = ([a, b, c, d, e, f, g, h], TraceContext::SAMPLED);
                let begin = || TraceContext { trace: self.entropy.draw(), span, flags };
                self.is_chosen([i, j, k, l]).then(begin)
            }
        }
    }

    fn record(&self, span: Span) {
        if self.queue.try_send(Message::Span(Box::new(span))).is_err() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sends what waits.
struct Sender {
    client: TraceServiceClient<Channel>,
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
    /// Whether the collector took the last batch: its silence is told once.
    is_heard: bool,
}

impl Sender {
    async fn run(mut self, mut waiting: mpsc::Receiver<Message>) {
        let mut epoch = Epoch::default();
        let mut messages = Vec::with_capacity(BATCH);
        while waiting.recv_many(&mut messages, BATCH).await > 0 {
            let is_asked = |it: &Message| matches!(it, Message::Flush(_));
            if messages.len() < BATCH && !messages.iter().any(is_asked) {
                sleep(GATHER).await;
                while messages.len() < BATCH {
                    let Ok(more) = waiting.try_recv() else { break };
                    messages.push(more);
                }
            }
            let (mut spans, mut asked) = (Vec::with_capacity(messages.len()), Vec::new());
            for message in messages.drain(..) {
                match message {
                    Message::Span(span) => spans.push(*span),
                    Message::Flush(tell) => asked.push(tell),
                }
            }
            epoch.look(&*self.clock);
            self.send(spans, &epoch).await;
            for tell in asked {
                // Who asked may have lost patience.
                let _gone = tell.send(());
            }
        }
    }

    async fn send(&mut self, spans: Vec<Span>, epoch: &Epoch) {
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        if count == 0 {
            return;
        }
        let answer = self.client.export(request(spans, epoch)).await;
        let rejected = match &answer {
            Ok(answer) => {
                let partly = answer.get_ref().partial_success.as_ref();
                partly.map_or(0, |it| u64::try_from(it.rejected_spans).unwrap_or(0)).min(count)
            }
            Err(_) => count,
        };
        self.counts.sent.fetch_add(count - rejected, Ordering::Relaxed);
        self.counts.lost.fetch_add(rejected, Ordering::Relaxed);
        match &answer {
            Err(status) if self.is_heard => {
                tracing::warn!(code = ?status.code(), "the collector takes no traces");
            }
            Ok(_) if !self.is_heard => tracing::info!("the collector takes traces again"),
            _ => {}
        }
        self.is_heard = answer.is_ok();
    }
}

#[cfg(test)]
mod tests;
