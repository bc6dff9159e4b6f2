//! Calls made byte by byte, so that they can be as wrong as somebody wants them.

use std::net::SocketAddr;

use bytes::Bytes;
use campanile_engine::tasks::{Task, spawn};
use campanile_proto::rpc;
use h2::client::SendRequest;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Code, Status};

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) status: Option<Status>,
}

impl Answer {
    pub(crate) fn code(&self) -> Code {
        self.status.as_ref().expect("an answer without a gRPC status").code()
    }

    pub(crate) fn details(&self) -> rpc::Status {
        rpc::Status::decode(self.status.as_ref().unwrap().details()).unwrap()
    }
}

/// How a message comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Whole,
    /// Its end never comes.
    Endless,
}

/// A connection that knows nothing of gRPC.
pub(crate) struct Raw {
    sender: SendRequest<Bytes>,
    _connection: Task<()>,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = spawn(async move {
            let _closed = connection.await;
        });
        Self { sender, _connection: connection }
    }

    /// Calls `path` as a gRPC client would, except for `headers`, which replace.
    pub(crate) async fn call(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, h2::Error> {
        self.call_as(path, headers, body, Arrival::Whole).await
    }

    /// The same, with a message that comes as `arrival` says.
    pub(crate) async fn call_as(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
        arrival: Arrival,
    ) -> Result<Answer, h2::Error> {
        let mut request = http::Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let call = async {
            let mut sender = self.sender.clone().ready().await?;
            let (answer, mut stream) = sender.send_request(request, false)?;
            let body = body.into();
            // A server may answer and close the stream before it has read everything.
            let _refused = stream.send_data(body, arrival == Arrival::Whole);
            let answer = answer.await?;
            let (parts, mut body) = answer.into_parts();
            while let Some(data) = body.data().await {
                body.flow_control().release_capacity(data?.len())?;
            }
            let trailers = body.trailers().await?;
            let status = trailers.as_ref().and_then(Status::from_header_map);
            let status = status.or_else(|| Status::from_header_map(&parts.headers));
            Ok(Answer { http: parts.status.as_u16(), headers: parts.headers, status })
        };
        super::soon(call).await
    }
}

/// Opens calls and resets each in the same breath; answers the error code of the GOAWAY that comes.
pub(crate) async fn flood_with_resets(address: SocketAddr, calls: u32) -> Option<u32> {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    // POST http://x/ in HPACK (RFC 7541, appendix A).
    let headers = [0x83, 0x86, 0x84, 0x41, 0x01, b'x'];
    let mut bytes = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat();
    for stream in (0..calls).map(|call| 2 * call + 1) {
        bytes.extend(frame(1, 4, stream, &headers));
        bytes.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
    }
    let mut connection = TcpStream::connect(address).await.unwrap();
    let (mut from, mut to) = connection.split();
    let mut said = Vec::new();
    let (_cut_off, _closed) =
        tokio::join!(to.write_all(&bytes), super::soon(from.read_to_end(&mut said)));
    let mut rest = &said[..];
    while let [l2, l1, l0, kind, _, _, _, _, _, payload @ ..] = rest {
        let (payload, after) =
            payload.split_at(u32::from_be_bytes([0, *l2, *l1, *l0]).try_into().unwrap());
        if *kind == 7 {
            return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        rest = after;
    }
    None
}

/// `message` in a gRPC frame.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    framed(0, message.len(), message)
}

/// A frame that may lie.
pub(crate) fn framed(compressed: u8, length: usize, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(length).unwrap().to_be_bytes();
    [&[compressed][..], &length, message].concat()
}
