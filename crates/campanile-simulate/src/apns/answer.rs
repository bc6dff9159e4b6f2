//! What a push came to, and how that goes over the wire.

use http::{HeaderValue, Response};

use super::reason::Rejection;
use crate::service::{self, Respond};

/// What a push came to.
pub(crate) struct Verdict {
    pub(crate) apns_id: HeaderValue,
    /// The `apns-unique-id` of an accepted push, if it gets one.
    pub(crate) unique_id: Option<HeaderValue>,
    pub(crate) result: Result<(), Rejection>,
}

impl service::Verdict for Verdict {
    fn accepted(&self) -> bool {
        self.result.is_ok()
    }

    fn send(self, respond: &mut Respond) -> Result<(), h2::Error> {
        match self.result {
            Ok(()) => respond.send_response(accepted(self.apns_id, self.unique_id), true).map(drop),
            Err(rejection) => respond
                .send_response(rejected(self.apns_id, &rejection), false)?
                .send_data(rejection.body(), true),
        }
    }
}

fn accepted(apns_id: HeaderValue, unique_id: Option<HeaderValue>) -> Response<()> {
    let mut response = Response::new(());
    response.headers_mut().insert("apns-id", apns_id);
    if let Some(id) = unique_id {
        response.headers_mut().insert("apns-unique-id", id);
    }
    response
}

fn rejected(apns_id: HeaderValue, rejection: &Rejection) -> Response<()> {
    let mut response = accepted(apns_id, None);
    *response.status_mut() = rejection.status;
    if let Some(seconds) = rejection.retry_after {
        response.headers_mut().insert("retry-after", HeaderValue::from(seconds));
    }
    response
}

/// Ids are ASCII, so the fallback, an empty value, is never taken.
pub(crate) fn header_of(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
