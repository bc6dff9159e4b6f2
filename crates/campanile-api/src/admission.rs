//! What every call passes on its way in and out: a request id, room, a deadline, and statuses in
//! our words.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use campanile_core::AppId;
use campanile_core::port::Entropy;
use campanile_engine::tasks;
use futures::future::{Either, select};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::{Code, Status};

use crate::arrival::in_time;
use crate::server::ServerConfig;
use crate::status::{Answer, from_transport};

/// Names the request in answers and logs.
pub(crate) const REQUEST_ID: &str = "x-request-id";
const TIMEOUT: &str = "grpc-timeout";

/// The transport has a timer for `grpc-timeout` too, and answers CANCELLED; ours is this much
/// earlier, so that a caller reads DEADLINE_EXCEEDED.
const SOONER: Duration = Duration::from_millis(5);

/// The tenants that a server knows.
pub(crate) type Apps = Arc<BTreeSet<AppId>>;

/// An admitted call. Whoever streams an answer keeps it until the end of the stream: it is the
/// call's place among those that may run at once.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    pub(crate) request_id: Arc<str>,
    /// The tenants it may be for.
    pub(crate) apps: Apps,
    _place: Arc<OwnedSemaphorePermit>,
}

/// Wraps all services of a server.
#[derive(Clone)]
pub(crate) struct Admission<S> {
    inner: S,
    entropy: Arc<dyn Entropy>,
    apps: Apps,
    room: Arc<Semaphore>,
    /// How long a message may take to arrive.
    arrive_within: Duration,
}

impl<S> Admission<S> {
    /// Lets calls for `apps` run, as many at once and as slowly as `config` says.
    pub(crate) fn new(
        inner: S,
        entropy: Arc<dyn Entropy>,
        apps: Apps,
        config: &ServerConfig,
    ) -> Self {
        let room = Arc::new(Semaphore::new(config.calls.min(Semaphore::MAX_PERMITS)));
        Self { inner, entropy, apps, room, arrive_within: config.arrive_within }
    }

    fn admit(&self, headers: &HeaderMap, id: &HeaderValue) -> Result<Admitted, Answer> {
        let place = self.room.clone().try_acquire_owned().map_err(|_| Answer::overloaded())?;
        let request_id = String::from_utf8_lossy(id.as_bytes()).into();
        deadline(headers)?;
        Ok(Admitted { request_id, apps: self.apps.clone(), _place: Arc::new(place) })
    }
}

impl<S> Service<Request<Body>> for Admission<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if !is_grpc(request.headers()) {
            return Box::pin(async { Ok(unsupported()) });
        }
        let id = request_id(request.headers(), &*self.entropy);
        let admitted = self.admit(request.headers(), &id);
        let limit = deadline(request.headers());
        let call = admitted.and_then(|admitted| {
            request.extensions_mut().insert(admitted.clone());
            let request = in_time(request, self.arrive_within);
            Ok((self.inner.call(request), limit?, admitted))
        });
        Box::pin(async move {
            let answer = match call {
                Ok((call, limit, _admitted)) => within(limit, call).await,
                Err(answer) => answer.into_status().into_http(),
            };
            let mut answer = translated(answer);
            answer.headers_mut().insert(REQUEST_ID, id);
            Ok(answer)
        })
    }
}

/// The answer of `call`, or that it came too late.
async fn within(
    limit: Option<Duration>,
    call: impl Future<Output = Result<Response<Body>, Infallible>>,
) -> Response<Body> {
    let Some(limit) = limit else {
        let Ok(answer) = call.await;
        return answer;
    };
    let limit = limit.saturating_sub(SOONER);
    if limit.is_zero() {
        return Answer::too_late().into_status().into_http();
    }
    match select(std::pin::pin!(call), std::pin::pin!(tasks::sleep(limit))).await {
        Either::Left((Ok(answer), _)) => answer,
        Either::Right(_) => Answer::too_late().into_status().into_http(),
    }
}

/// An answer that is a status made by the transport, in our words.
fn translated(answer: Response<Body>) -> Response<Body> {
    match Status::from_header_map(answer.headers()) {
        Some(status) if status.code() != Code::Ok && status.details().is_empty() => {
            from_transport(status).into_http()
        }
        _ => answer,
    }
}

/// Whether it is gRPC with protobuf at all ("gRPC over HTTP2", Requests).
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind == b"application/grpc"
        || kind.starts_with(b"application/grpc+proto")
        || kind.starts_with(b"application/grpc;")
}

fn unsupported() -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    answer
}

/// The caller's id of the request if it is short and printable; otherwise one of ours.
fn request_id(headers: &HeaderMap, entropy: &dyn Entropy) -> HeaderValue {
    let usable = |id: &&HeaderValue| {
        (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    headers.get(REQUEST_ID).filter(usable).cloned().unwrap_or_else(|| {
        let fresh = format!("{:032x}", u128::from_be_bytes(entropy.draw()));
        HeaderValue::from_str(&fresh).unwrap_or(HeaderValue::from_static("none"))
    })
}

/// The time the caller gives the call: up to eight digits and a unit ("gRPC over HTTP2",
/// Requests).
fn deadline(headers: &HeaderMap) -> Result<Option<Duration>, Answer> {
    let Some(said) = headers.get(TIMEOUT) else { return Ok(None) };
    let parsed = said.to_str().ok().and_then(|said| {
        let (amount, unit) = said.split_at_checked(said.len().checked_sub(1)?)?;
        let digits = (1..=8).contains(&amount.len()) && amount.bytes().all(|b| b.is_ascii_digit());
        let amount: u64 = amount.parse().ok().filter(|_| digits)?;
        Some(match unit {
            "H" => Duration::from_secs(amount.saturating_mul(3600)),
            "M" => Duration::from_secs(amount.saturating_mul(60)),
            "S" => Duration::from_secs(amount),
            "m" => Duration::from_millis(amount),
            "u" => Duration::from_micros(amount),
            "n" => Duration::from_nanos(amount),
            _ => return None,
        })
    });
    let reason = "must be up to eight digits and one of H M S m u n";
    parsed.map(Some).ok_or_else(|| Answer::invalid(TIMEOUT, reason))
}

#[cfg(test)]
impl Admitted {
    /// A call that was admitted to a server with these tenants.
    pub(crate) fn to(apps: &[&str]) -> Self {
        let apps = apps.iter().filter_map(|app| AppId::new(app).ok()).collect();
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned();
        let _place = Arc::new(place.expect("there is room for one"));
        Self { request_id: "test".into(), apps: Arc::new(apps), _place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;

    impl Entropy for Sevens {
        fn draw(&self) -> [u8; 16] {
            [0x77; 16]
        }
    }

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )])
    }

    #[test]
    fn a_request_keeps_its_id_or_gets_one() {
        assert_eq!(request_id(&headers(REQUEST_ID, "order-42/1"), &Sevens), "order-42/1");
        let fresh = "7".repeat(32);
        assert_eq!(request_id(&HeaderMap::new(), &Sevens), fresh.as_str());
        for bad in ["", "a b", "ä", &"x".repeat(129)] {
            assert_eq!(request_id(&headers(REQUEST_ID, bad), &Sevens), fresh.as_str(), "{bad}");
        }
    }

    #[test]
    fn a_deadline_is_read_as_the_protocol_says() {
        let read = |said| deadline(&headers(TIMEOUT, said));
        assert_eq!(deadline(&HeaderMap::new()), Ok(None));
        assert_eq!(read("0n"), Ok(Some(Duration::ZERO)));
        assert_eq!(read("250m"), Ok(Some(Duration::from_millis(250))));
        assert_eq!(read("2M"), Ok(Some(Duration::from_secs(120))));
        assert_eq!(read("99999999H"), Ok(Some(Duration::from_secs(359_999_996_400))));
        for bad in ["", "S", "abc", "1", "1x", "-1S", "+1S", "123456789S", "1.5S", "1ß"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_protobuf_is_grpc_here() {
        let is = |kind| is_grpc(&headers("content-type", kind));
        assert!(is("application/grpc") && is("application/grpc+proto"));
        assert!(!is("application/json") && !is("application/grpc-web") && !is(""));
        assert!(!is_grpc(&HeaderMap::new()));
    }
}
