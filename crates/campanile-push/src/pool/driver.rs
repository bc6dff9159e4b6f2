//! The one task of a connection: it makes it, moves its bytes, watches over it and ends with it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::config::PoolConfig;
use super::connection::{Connection, Gauge};
use super::counters::up;
use super::dial::{Dialer, Dialled};
use super::shared::Shared;

/// Starts a task that connects and then drives the connection until it ends. It is aborted with
/// `tasks`.
pub(super) fn start(tasks: &mut JoinSet<()>, pool: Weak<Shared>, dialer: Arc<Dialer>, turn: usize) {
    while tasks.try_join_next().is_some() {}
    tasks.spawn(async move {
        let backoff = match dialer.dial(turn).await {
            Ok(dialled) => live(&pool, dialled).await,
            Err(error) => pool.upgrade().map(|pool| {
                warn!(host = %pool.host, %error, "no connection");
                pool.dial_failed(error.to_string())
            }),
        };
        if let Some(backoff) = backoff {
            tokio::time::sleep(backoff).await;
            if let Some(pool) = pool.upgrade() {
                pool.cooled_down();
            }
        }
    });
}

/// Drives a fresh connection to its end. Answers how long to wait before the next, if this one
/// was good for nothing.
async fn live(pool: &Weak<Shared>, (sender, http2): Dialled) -> Option<Duration> {
    let config = pool.upgrade()?.config.clone();
    let gauge = Arc::new(Gauge::default());
    let (doubts, doubted) = mpsc::channel(1);
    let mut driver = Driver {
        http2,
        goaway: Some(sender.clone()),
        gauge: gauge.clone(),
        pool: pool.clone(),
        cap: config.streams_per_connection,
    };
    driver.learn_limit();
    {
        let pool = pool.upgrade()?;
        info!(host = %pool.host, "connected");
        pool.connected(Arc::new(Connection::new(gauge, sender, doubts)));
    }
    let why = driver.run(doubted, &config).await;
    let pool = pool.upgrade()?;
    info!(host = %pool.host, %why, "connection ended");
    pool.ended(&driver.gauge, why)
}

struct Driver<T> {
    http2: h2::client::Connection<T, Bytes>,
    /// A handle that is never sent on: it alone tells that a GOAWAY came.
    goaway: Option<SendRequest<Bytes>>,
    gauge: Arc<Gauge>,
    pool: Weak<Shared>,
    /// The limit of our own.
    cap: usize,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    /// Runs the connection until it ends, and tells why it did.
    async fn run(&mut self, mut doubted: mpsc::Receiver<()>, config: &PoolConfig) -> String {
        let pings = self.http2.ping_pong();
        let (gauge, pool) = (self.gauge.clone(), self.pool.clone());
        tokio::select! {
            biased;
            why = poll_fn(|cx| self.poll(cx)) => return why,
            watched = watch(pings, &gauge, &pool, &mut doubted, config) => match watched {
                Watched::Silent => return "no answer to PING".to_owned(),
                Watched::Unused => {}
            },
        }
        // Nobody can send any more, so say goodbye; but wait for nobody to hear it.
        self.goaway = None;
        let goodbye = timeout(config.ping_timeout, poll_fn(|cx| self.poll(cx)));
        goodbye.await.unwrap_or_else(|_| "no goodbye".to_owned())
    }

    /// Moves bytes, then looks what they changed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        let ended = Pin::new(&mut self.http2).poll(cx);
        self.learn_limit();
        self.notice_goaway(cx);
        ended.map(|result| match result {
            Ok(()) => "closed".to_owned(),
            Err(error) => error.to_string(),
        })
    }

    fn learn_limit(&self) {
        if self.gauge.set_limit(self.http2.max_concurrent_send_streams().min(self.cap))
            && let Some(pool) = self.pool.upgrade()
        {
            pool.room_changed();
        }
    }

    fn notice_goaway(&mut self, cx: &mut Context<'_>) {
        let Some(Poll::Ready(Err(error))) = self.goaway.as_mut().map(|it| it.poll_ready(cx)) else {
            return;
        };
        self.goaway = None;
        if let Some(pool) = self.pool.upgrade() {
            if error.is_go_away() && error.is_remote() {
                up(&pool.counters.going_away);
                info!(host = %pool.host, %error, "server is going away");
            }
            pool.close(&self.gauge);
        }
    }
}

enum Watched {
    /// The peer does not answer.
    Silent,
    /// Nobody holds the connection any more.
    Unused,
}

/// Asks the peer for a sign of life when none came for long, or when somebody has doubts.
async fn watch(
    pings: Option<PingPong>,
    gauge: &Gauge,
    pool: &Weak<Shared>,
    doubted: &mut mpsc::Receiver<()>,
    config: &PoolConfig,
) -> Watched {
    let Some(mut pings) = pings else { return Watched::Silent };
    loop {
        let answers = gauge.answers();
        match timeout(config.ping_after, doubted.recv()).await {
            Ok(None) => return Watched::Unused,
            Err(_) if gauge.answers() != answers => continue,
            Ok(Some(())) | Err(_) => {}
        }
        match timeout(config.ping_timeout, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => debug!("answered a PING"),
            _ => {
                if let Some(pool) = pool.upgrade() {
                    up(&pool.counters.ping_lost);
                }
                return Watched::Silent;
            }
        }
        gauge.set_suspect(false);
        if let Some(pool) = pool.upgrade() {
            pool.room_changed();
        }
    }
}
