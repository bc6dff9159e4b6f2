//! Three pages over plain HTTP/1.1 (RFC 9112): `/metrics`, `/healthz`, `/readyz`.
//!
//! A connection gets one answer and a short time, so that nobody can hold one for long.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use campanile_engine::tasks::sleep;
use futures::stream::{FuturesUnordered, StreamExt};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::Observatory;

/// Connections served at once; further ones wait to be accepted.
const CONNECTIONS: usize = 64;
/// The longest time from a connection to the end of its answer.
const LONGEST: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes; hyper takes no less.
const HEAD_BYTES: usize = 8 * 1024;
/// The wait after a connection that could not be accepted, as when there are no more files.
const REST: Duration = Duration::from_millis(100);

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The type of the metrics' format.
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Answers whoever connects, for ever.
pub(super) async fn serve(listener: TcpListener, observatory: Arc<Observatory>) {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if open.len() < CONNECTIONS => match accepted {
                Ok((socket, _)) => open.push(connection(socket, &observatory)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept who wants to observe");
                    sleep(REST).await;
                }
            },
            Some(()) = open.next() => {}
        }
    }
}

async fn connection(socket: TcpStream, observatory: &Observatory) {
    let service =
        service_fn(async |request: Request<_>| Ok::<_, Infallible>(respond(&request, observatory)));
    let mut server = http1::Builder::new();
    let server = server.keep_alive(false).max_buf_size(HEAD_BYTES);
    let served = timeout(LONGEST, server.serve_connection(TokioIo::new(socket), service)).await;
    if !matches!(served, Ok(Ok(()))) {
        tracing::debug!("who wanted to observe was cut off");
    }
}

fn respond<B>(request: &Request<B>, observatory: &Observatory) -> Response<String> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = page(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned());
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match request.uri().path() {
        "/healthz" => page(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => {
            let reasons = observatory.unready();
            if reasons.is_empty() {
                return page(StatusCode::OK, "ready\n".to_owned());
            }
            let reasons = reasons.into_iter().map(|reason| reason + "\n").collect();
            page(StatusCode::SERVICE_UNAVAILABLE, reasons)
        }
        "/metrics" => {
            let mut answer = page(StatusCode::OK, observatory.metrics());
            answer.headers_mut().insert(CONTENT_TYPE, METRICS);
            answer
        }
        _ => {
            let text = "there are /metrics, /healthz and /readyz\n";
            page(StatusCode::NOT_FOUND, text.to_owned())
        }
    }
}

fn page(status: StatusCode, text: String) -> Response<String> {
    let mut answer = Response::new(text);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, PLAIN);
    answer
}
