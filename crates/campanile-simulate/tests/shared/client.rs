//! A small client of the simulated services that can also do wrong things.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Ping, PingPong};
use http::{HeaderMap, Request, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tap::{Heard, Tap};

/// No step of a test takes longer unless something is broken.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// What a client needs to know of a simulator.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) ca_pem: String,
    pub(crate) host: &'static str,
}

pub(crate) async fn tls(
    target: &Target,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(target.ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let tcp = TcpStream::connect(target.addr).await?;
    let name = ServerName::try_from(target.host).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

pub(crate) struct Client {
    pub(crate) send: SendRequest<Bytes>,
    pub(crate) driver: JoinHandle<Result<(), h2::Error>>,
    pub(crate) heard: Heard,
    pings: PingPong,
    target: Target,
}

impl Client {
    pub(crate) async fn connect(target: &Target) -> Self {
        let heard = Heard::default();
        let io = tls(target, rustls::ALL_VERSIONS, &[b"h2"]).await.unwrap();
        let io = Tap { io, heard: heard.clone() };
        let (send, mut connection) = h2::client::Builder::new()
            .initial_max_send_streams(100)
            .handshake::<_, Bytes>(io)
            .await
            .unwrap();
        let pings = connection.ping_pong().unwrap();
        let driver = tokio::spawn(connection);
        Self { send, driver, heard, pings, target: target.clone() }
    }

    /// Waits until everything that the server sent before now has been processed.
    pub(crate) async fn barrier(&mut self) {
        tokio::time::timeout(LIMIT, self.pings.ping(Ping::opaque())).await.unwrap().unwrap();
    }

    /// Opens a stream and sends the whole request.
    pub(crate) async fn open(&mut self, push: &Push) -> Result<ResponseFuture, h2::Error> {
        let (response, mut body) = self.open_without_body(push).await?;
        body.send_data(push.body.clone(), true)?;
        Ok(response)
    }

    /// Opens a stream and leaves its body to be sent.
    pub(crate) async fn open_without_body(
        &mut self,
        push: &Push,
    ) -> Result<(ResponseFuture, h2::SendStream<Bytes>), h2::Error> {
        let uri = format!("https://{}{}", self.target.host, push.path);
        let mut request = Request::builder().method(push.method.as_str()).uri(uri);
        for (name, value) in &push.headers {
            request = request.header(name, value);
        }
        let mut send = self.send.clone().ready().await?;
        send.send_request(request.body(()).unwrap(), false)
    }

    /// Sends a push and reads its answer.
    pub(crate) async fn push(&mut self, push: &Push) -> Result<Answer, h2::Error> {
        let response = self.open(push).await?;
        Answer::read(response).await
    }
}

/// An answer of the simulator.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn read(response: ResponseFuture) -> Result<Self, h2::Error> {
        let response = tokio::time::timeout(LIMIT, response).await.expect("an answer in time")?;
        let (parts, mut stream) = response.into_parts();
        let mut body = Vec::new();
        while let Some(chunk) = stream.data().await {
            body.extend_from_slice(&chunk?);
        }
        Ok(Self { status: parts.status, headers: parts.headers, body: body.into() })
    }

    pub(crate) fn json(&self) -> Value {
        if self.body.is_empty() { Value::Null } else { serde_json::from_slice(&self.body).unwrap() }
    }

    /// Status and reason, the form in which Apple documents answers.
    pub(crate) fn outcome(&self) -> (u16, String) {
        let reason = self.json().get("reason").and_then(Value::as_str).unwrap_or("").to_owned();
        (self.status.as_u16(), reason)
    }

    pub(crate) fn apns_id(&self) -> &str {
        self.headers["apns-id"].to_str().unwrap()
    }
}

/// A request; starts valid and can be broken anywhere.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Push {
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self = self.unset(name);
        self.add(name, value)
    }

    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn add(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    pub(crate) fn to(self, token: &str) -> Self {
        self.path(&format!("/3/device/{token}"))
    }

    pub(crate) fn collapse(self, id: &str) -> Self {
        self.set("apns-collapse-id", id)
    }
}
