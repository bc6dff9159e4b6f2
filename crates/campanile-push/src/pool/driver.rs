//! The one task of a connection: it makes it, moves its bytes, watches over it and ends with it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tracing::{debug, info, warn};

use super::config::PoolConfig;
use super::connection::{Connection, Gauge};
use super::counters::up;
use super::dial::Dialer;
use super::link::Link;
use super::shared::Shared;
use super::wire::Wire;

/// Starts a task that connects and then drives the connection until it ends. It is aborted with
/// `tasks`.
pub(super) fn start(tasks: &mut JoinSet<()>, pool: Weak<Shared>, dialer: Arc<Dialer>, turn: usize) {
    while tasks.try_join_next().is_some() {}
    tasks.spawn(async move {
        let backoff = match dialer.dial(turn).await {
            Ok(io) => live(&pool, io).await,
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
async fn live(pool: &Weak<Shared>, io: TlsStream<TcpStream>) -> Option<Duration> {
    let config = pool.upgrade()?.config.clone();
    let (gauge, link) = (Arc::new(Gauge::default()), Arc::new(Link::new()));
    let (doubts, doubted) = mpsc::channel(1);
    let mut driver = Driver {
        wire: Wire::new(io, link.clone(), config.request_timeout),
        link: link.clone(),
        gauge: gauge.clone(),
        pool: pool.clone(),
        cap: config.streams_per_connection,
    };
    driver.learn();
    {
        let pool = pool.upgrade()?;
        info!(host = %pool.host, "connected");
        pool.connected(Arc::new(Connection::new(gauge, link, doubts)));
    }
    let why = driver.run(doubted, &config).await;
    driver.link.end(&why);
    let pool = pool.upgrade()?;
    info!(host = %pool.host, %why, "connection ended");
    pool.ended(&driver.gauge, why)
}

struct Driver<T> {
    wire: Wire<T>,
    link: Arc<Link>,
    gauge: Arc<Gauge>,
    pool: Weak<Shared>,
    /// The limit of our own.
    cap: usize,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    /// Runs the connection until it ends, and tells why it did.
    async fn run(&mut self, mut doubted: mpsc::Receiver<()>, config: &PoolConfig) -> String {
        let (link, gauge, pool) = (self.link.clone(), self.gauge.clone(), self.pool.clone());
        tokio::select! {
            biased;
            why = poll_fn(|cx| self.poll(cx)) => return why,
            watched = watch(&link, &gauge, &pool, &mut doubted, config) => match watched {
                Watched::Silent => return "no answer to PING".to_owned(),
                Watched::Unused => {}
            },
        }
        // Nobody can send any more, so say goodbye; but wait for nobody to hear it.
        self.link.close();
        match timeout(config.ping_timeout, poll_fn(|cx| self.wire.poll_close(cx))).await {
            Ok(Ok(())) => "closed".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no goodbye".to_owned(),
        }
    }

    /// Moves bytes, then looks what they changed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        let ended = self.wire.poll(cx);
        self.learn();
        ended
    }

    fn learn(&self) {
        let news = self.link.news();
        // Nothing is known of the server before its SETTINGS arrive.
        let changed = self.gauge.set_limit(news.allowed.unwrap_or(1).min(self.cap));
        let Some(pool) = self.pool.upgrade() else { return };
        if changed {
            pool.room_changed();
        }
        if let Some(why) = news.goaway {
            up(&pool.counters.going_away);
            info!(host = %pool.host, %why, "server is going away");
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
    link: &Link,
    gauge: &Gauge,
    pool: &Weak<Shared>,
    doubted: &mut mpsc::Receiver<()>,
    config: &PoolConfig,
) -> Watched {
    loop {
        let answers = gauge.answers();
        match timeout(config.ping_after, doubted.recv()).await {
            Ok(None) => return Watched::Unused,
            Err(_) if gauge.answers() != answers => continue,
            Ok(Some(())) | Err(_) => {}
        }
        let mut answered = pin!(link.pong.notified());
        // In line before asking, or an answer that comes at once goes unnoticed.
        answered.as_mut().enable();
        link.ping();
        if timeout(config.ping_timeout, answered).await.is_err() {
            if let Some(pool) = pool.upgrade() {
                up(&pool.counters.ping_lost);
            }
            return Watched::Silent;
        }
        debug!("answered a PING");
        gauge.set_suspect(false);
        if let Some(pool) = pool.upgrade() {
            pool.room_changed();
        }
    }
}
