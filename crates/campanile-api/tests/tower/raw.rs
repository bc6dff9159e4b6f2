//! Calls made byte by byte, so that they can be as wrong as somebody wants them.

use std::net::SocketAddr;

use bytes::Bytes;
use campanile_engine::tasks::{Task, spawn};
use campanile_proto::rpc;
use h2::client::SendRequest;
use prost::Message;
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
            let _refused = stream.send_data(body, true);
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

/// `message` in a gRPC frame.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    framed(0, message.len(), message)
}

/// A frame that may lie.
pub(crate) fn framed(compressed: u8, length: usize, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(length).unwrap().to_be_bytes();
    [&[compressed][..], &length, message].concat()
}
