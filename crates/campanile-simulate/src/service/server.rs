//! Listening, TLS, and the life of the connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection;
use super::wire::Transport;
use super::world::ConnectionStats;
use super::{Serve, Service, Shared};

/// A client that takes longer for its TLS handshake is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause after a failed accept: it fails for want of file descriptors, which takes time to pass.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// TLS reads records in small pieces; this turns many reads into one system call.
const READ_BUFFER: usize = 64 * 1024;

/// A listening socket with everything to serve it.
pub(crate) struct Server<S: Service> {
    pub(crate) tls: TlsAcceptor,
    /// The names it goes by; a client that asks for none, or another, gets the first.
    pub(crate) hosts: Arc<[Arc<str>]>,
    pub(crate) shared: Arc<Shared<S>>,
}

impl<S: Serve> Server<S> {
    /// Serves until `stop` resolves, sent or dropped; then every connection is dropped.
    pub(crate) async fn run(self, listener: TcpListener, mut stop: oneshot::Receiver<()>) {
        let mut connections = JoinSet::new();
        let mut number = 0;
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((tcp, peer)) => {
                        number += 1;
                        connections.spawn(self.client(number, tcp, peer));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
        connections.shutdown().await;
    }

    fn client(
        &self,
        number: u64,
        tcp: TcpStream,
        peer: SocketAddr,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (tls, hosts) = (self.tls.clone(), Arc::clone(&self.hosts));
        let shared = Arc::clone(&self.shared);
        async move {
            let stream = match handshake(&tls, tcp).await {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::debug!(number, %peer, %error, "TLS handshake failed");
                    shared.change(|state| state.world.totals.handshakes_failed += 1);
                    return;
                }
            };
            let host = host_of(&stream, &hosts);
            let session = shared.state().service.session(&host);
            let opened = ConnectionStats {
                number,
                peer,
                host,
                opened_at_ms: shared.clock.now_ms(),
                open: true,
                stream_limit: shared.limits.initial,
                counts: Default::default(),
            };
            shared.change(|state| state.world.opened(opened));
            let _closed = Closed { number, shared: Arc::clone(&shared) };
            if let Err(error) = connection::serve(stream, shared, number, session).await {
                tracing::debug!(number, %peer, %error, "no HTTP/2 connection");
            }
        }
    }
}

/// Marks a connection as closed however its task ends.
struct Closed<S: Service> {
    number: u64,
    shared: Arc<Shared<S>>,
}

impl<S: Service> Drop for Closed<S> {
    fn drop(&mut self) {
        self.shared.change(|state| state.world.closed(self.number));
    }
}

type Stream = TlsStream<BufReader<TcpStream>>;

async fn handshake(tls: &TlsAcceptor, tcp: TcpStream) -> io::Result<Stream> {
    tcp.set_nodelay(true)?;
    let buffered = BufReader::with_capacity(READ_BUFFER, tcp);
    let stream = tokio::time::timeout(HANDSHAKE, tls.accept(buffered)).await??;
    // A client without ALPN passes the handshake; it would not speak HTTP/2.
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(io::Error::other("the client did not ask for h2"));
    }
    Ok(stream)
}

fn host_of(stream: &Stream, hosts: &[Arc<str>]) -> Arc<str> {
    let asked = stream.get_ref().1.server_name();
    let named = hosts.iter().find(|name| asked == Some(&***name));
    named.or_else(|| hosts.first()).cloned().unwrap_or_default()
}

impl Transport for Stream {
    fn crash(&mut self) -> io::Result<()> {
        self.get_ref().0.get_ref().set_zero_linger()
    }
}
