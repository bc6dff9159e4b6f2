//! How APNs deals with one request.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::request::Parts;

use super::answer::{Verdict, header_of};
use super::check;
use super::device::{Change, Device};
use super::environment::Environment;
use super::id::ApnsId;
use super::payload;
use super::push_type::MAX_VOIP_PAYLOAD;
use super::reason::{Reason, Rejection};
use super::session::Session;
use super::state::{Apns, Incoming};
use crate::Recording;
use crate::service::{Asked, Serve, Service, Shared, Subject};

impl Service for Apns {
    type Device = Device;
    type Change = Change;
    type Rejection = Rejection;

    /// A device token is hexadecimal in any case; it is kept in lower case.
    fn key(name: &str) -> Cow<'_, str> {
        match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => name.to_ascii_lowercase().into(),
            false => name.into(),
        }
    }
}

impl Serve for Apns {
    const THREAD: &'static str = "apns-simulator";
    const BODY_LIMIT: usize = MAX_VOIP_PAYLOAD;
    type Session = Session;
    type Verdict = Verdict;

    fn session(&self, host: &str) -> Session {
        Session::new(self.environment(host))
    }

    fn subject<'a>(parts: &'a Parts, _: &'a Bytes) -> Subject<'a> {
        Subject::Push(check::device_token(parts.uri.path()).unwrap_or_default().into())
    }

    fn repeated<'a>(parts: &'a Parts, _: &'a Bytes) -> Option<Cow<'a, str>> {
        parts.headers.get("apns-collapse-id")?.to_str().ok().map(Cow::from)
    }

    fn wait(rejection: &Rejection) -> Option<Duration> {
        rejection.retry_after.map(|seconds| Duration::from_secs(seconds.into()))
    }

    fn judge(shared: &Shared<Self>, session: &mut Session, request: &Asked<'_>) -> Verdict {
        let parts = request.parts;
        let checked = check::head(&parts.method, parts.uri.path(), &parts.headers)
            .and_then(|head| payload::payload(head.push_type, request.body).map(|_| head));
        let head = match checked {
            Ok(head) => head,
            Err(reason) => return Self::reject(shared, request, reason.into()),
        };
        let (apns_id, header) = id_of(shared, parts, head.apns_id);
        let push = Incoming {
            head: &head,
            apns_id,
            connection: request.connection,
            now_ms: shared.clock.now_ms(),
        };
        let result = deliver(shared, session, &push, request.body);
        if let (Ok(()), Some(tap)) = (&result, &shared.tap) {
            tap.accepted(head.device, request.body);
        }
        // Apple sends it in the sandbox only.
        let unique_id = (result.is_ok() && session.environment() == Environment::Sandbox)
            .then(|| header_of(&new_id(shared).to_string()));
        Verdict { apns_id: header, unique_id, result }
    }

    fn reject(shared: &Shared<Self>, request: &Asked<'_>, rejection: Rejection) -> Verdict {
        let reason = rejection.reason.clone();
        shared.change(|state| state.world.rejected(request.connection, reason));
        let sent = request.parts.headers.get("apns-id");
        let sent = sent.and_then(|id| ApnsId::parse(id.as_bytes()));
        let apns_id = id_of(shared, request.parts, sent).1;
        Verdict { apns_id, unique_id: None, result: Err(rejection) }
    }
}

/// Accepts and delivers a push, or refuses it; counts both.
fn deliver(
    shared: &Shared<Apns>,
    session: &mut Session,
    push: &Incoming<'_>,
    body: &Bytes,
) -> Result<(), Rejection> {
    let record = match shared.recording {
        Recording::Full => serde_json::from_slice(body).map(Some),
        Recording::CountsOnly => Ok(None),
    };
    // The body was found to be JSON before; this reader is stricter about numbers and depth.
    let record = record.map_err(|_| Rejection::from(Reason::PayloadEmpty));
    shared.change_device(push.head.device, |state| {
        match record.and_then(|record| state.judge(session, push, record)) {
            Ok(changes) => (Ok(()), changes),
            Err(rejection) => {
                state.world.rejected(push.connection, rejection.reason.clone());
                (Err(rejection), Vec::new())
            }
        }
    })
}

/// The id of a request, chosen by the client or else here, and as a header to send back.
fn id_of(shared: &Shared<Apns>, parts: &Parts, sent: Option<ApnsId>) -> (ApnsId, HeaderValue) {
    if let (Some(id), Some(header)) = (sent, parts.headers.get("apns-id")) {
        return (id, header.clone());
    }
    let id = new_id(shared);
    (id, header_of(&id.to_string()))
}

/// A fresh id for a request that has none.
fn new_id(shared: &Shared<Apns>) -> ApnsId {
    ApnsId::random(&mut shared.state().random)
}
