//! What a request came to, and how that goes over the wire.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::rejection::Rejection;
use crate::service::{self, Respond};

/// What a request came to: the body of its success, or its refusal.
pub(crate) struct Verdict(pub(crate) Result<Bytes, Rejection>);

impl service::Verdict for Verdict {
    fn accepted(&self) -> bool {
        self.0.is_ok()
    }

    fn send(self, respond: &mut Respond) -> Result<(), h2::Error> {
        let (status, retry_after, body) = match self.0 {
            Ok(body) => (StatusCode::OK, None, body),
            Err(refusal) => (refusal.status, refusal.retry_after.clone(), refusal.bytes()),
        };
        let mut response = Response::new(());
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json; charset=UTF-8");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(Ok(value)) = retry_after.map(|text| HeaderValue::from_str(&text)) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        respond.send_response(response, false)?.send_data(body, true)
    }
}
