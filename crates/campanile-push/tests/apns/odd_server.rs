//! A server that answers every request alike, with what no provider would send.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Serves on loopback until it is dropped.
pub(crate) struct OddServer {
    pub(crate) address: SocketAddr,
    pub(crate) ca_pem: String,
    /// How many requests were answered.
    pub(crate) answered: watch::Receiver<usize>,
    _task: JoinSet<()>,
}

impl OddServer {
    pub(crate) async fn answering(status: u16, body: Bytes) -> Self {
        let names = vec!["api.push.apple.com".to_owned()];
        let identity = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(identity.cert.der().to_vec())], key.into())
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(tls));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let (answers, answered) = watch::channel(0);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                connections.spawn(serve(
                    acceptor.clone(),
                    tcp,
                    status,
                    body.clone(),
                    answers.clone(),
                ));
            }
        });
        Self { address, ca_pem: identity.cert.pem(), answered, _task: task }
    }
}

async fn serve(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    status: StatusCode,
    body: Bytes,
    answers: watch::Sender<usize>,
) {
    let tls = acceptor.accept(tcp).await.unwrap();
    let mut http2 = h2::server::handshake(tls).await.unwrap();
    while let Some(Ok((_, mut respond))) = http2.accept().await {
        let head = Response::builder().status(status).body(()).unwrap();
        let mut stream = respond.send_response(head, false).unwrap();
        // The end in a frame of its own, as many servers do.
        stream.send_data(body.clone(), false).unwrap();
        stream.send_data(Bytes::new(), true).unwrap();
        answers.send_modify(|count| *count += 1);
    }
}
