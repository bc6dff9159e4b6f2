//! What a push came to, and how that goes over the wire.

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderValue, Response};

use super::reason::Rejection;

pub(crate) type Respond = SendResponse<Bytes>;

/// What a push came to.
pub(crate) struct Verdict {
    pub(crate) apns_id: HeaderValue,
    pub(crate) result: Result<(), Rejection>,
}

impl Verdict {
    /// Sends the answer, with an `apns-unique-id` if it has one and the push was accepted.
    ///
    /// # Errors
    ///
    /// The client has reset the stream meanwhile.
    pub(crate) fn send(
        self,
        unique_id: Option<HeaderValue>,
        respond: &mut Respond,
    ) -> Result<(), h2::Error> {
        match self.result {
            Ok(()) => respond.send_response(accepted(self.apns_id, unique_id), true).map(drop),
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
