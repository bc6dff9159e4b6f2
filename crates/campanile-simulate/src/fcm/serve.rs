//! How FCM deals with one request.

use std::borrow::Cow;

use bytes::Bytes;
use http::request::Parts;
use serde::Deserialize;

use super::answer::Verdict;
use super::check::{self, TOKEN_PATH};
use super::device::{Change, Device};
use super::message;
use super::rejection::Rejection;
use super::sign_in;
use super::state::{Fcm, Incoming};
use crate::service::{Asked, Serve, Service, Shared, Subject};

/// A message is at most 4096 bytes of keys and values; quotes and escapes come on top.
const BODY_LIMIT: usize = 64 * 1024;

/// What the host of a connection serves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    messages: bool,
    sign_ins: bool,
}

impl Service for Fcm {
    type Device = Device;
    type Change = Change;
    type Rejection = Rejection;

    /// A registration token begins with the installation id.
    fn key(name: &str) -> Cow<'_, str> {
        name.split_once(':').map_or(name, |(fid, _)| fid).into()
    }
}

impl Serve for Fcm {
    const THREAD: &'static str = "fcm-simulator";
    const BODY_LIMIT: usize = BODY_LIMIT;
    type Session = Served;
    type Verdict = Verdict;

    fn session(&self, host: &str) -> Served {
        let is_one = |hosts: &[String]| hosts.iter().any(|name| name == host);
        Served { messages: is_one(&self.send_hosts), sign_ins: is_one(&self.token_hosts) }
    }

    fn subject<'a>(parts: &'a Parts, body: &'a Bytes) -> Subject<'a> {
        if parts.uri.path() == TOKEN_PATH {
            return Subject::SignIn;
        }
        let named = serde_json::from_slice::<Named<'_>>(body).ok();
        let target = named.and_then(|named| named.message.fid.or(named.message.token));
        Subject::Push(target.unwrap_or_default())
    }

    fn judge(shared: &Shared<Self>, served: &mut Served, request: &Asked<'_>) -> Verdict {
        let result = match request.parts.uri.path() == TOKEN_PATH {
            true if served.sign_ins => sign_in(shared, request),
            false if served.messages => send(shared, request),
            _ => Err(check::not_found()),
        };
        match result {
            Ok(body) => Verdict(Ok(body)),
            Err(rejection) => Self::reject(shared, request, rejection),
        }
    }

    fn reject(shared: &Shared<Self>, request: &Asked<'_>, rejection: Rejection) -> Verdict {
        let reason = rejection.reason.clone();
        shared.change(|state| state.world.rejected(request.connection, reason));
        Verdict(Err(rejection))
    }
}

fn sign_in(shared: &Shared<Fcm>, request: &Asked<'_>) -> Result<Bytes, Rejection> {
    let assertion = sign_in::assertion(request.parts, request.body)?;
    let now_ms = shared.clock.now_ms();
    shared.change(|state| {
        let answer = state.sign_in(&assertion, now_ms)?;
        state.service.sign_ins += 1;
        state.world.count(request.connection, |counts| counts.signed_in += 1);
        Ok(answer)
    })
}

fn send(shared: &Shared<Fcm>, request: &Asked<'_>) -> Result<Bytes, Rejection> {
    let push = Incoming {
        head: check::head(request.parts)?,
        connection: request.connection,
        now_ms: shared.clock.now_ms(),
        recording: shared.recording,
    };
    // Before the message is read: a request that is refused for what it says counts too.
    shared.change(|state| state.admit(&push))?;
    let message = message::message(request.body)?;
    let name = message.target.text().unwrap_or_default().to_owned();
    shared.change_device(&name, |state| match state.judge(&push, message) {
        Ok((answer, changes)) => (Ok(answer), changes),
        Err(rejection) => (Err(rejection), Vec::new()),
    })
}

/// As much of a request as tells whom it is about.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    message: Addressed<'a>,
}

#[derive(Deserialize)]
struct Addressed<'a> {
    #[serde(borrow, default)]
    fid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    token: Option<Cow<'a, str>>,
}
