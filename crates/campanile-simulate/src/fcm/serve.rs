//! How FCM deals with one request.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

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

/// What the hosts serve.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// The host that the connection was made to.
    host: Box<str>,
    messages: Arc<[String]>,
    sign_ins: Arc<[String]>,
}

impl Served {
    /// Whether a request may be made here. A client may use a connection for every host that its
    /// certificate is for (RFC 9113 §9.1.1), so what counts is the host that the request names; if
    /// that is unknown, as an address is, the host of the connection.
    fn serves(&self, parts: &Parts) -> bool {
        let known = |host: &&str| self.messages.iter().chain(&*self.sign_ins).any(|it| it == host);
        let host = parts.uri.host().filter(known).unwrap_or(&self.host);
        let is_sign_in = parts.uri.path() == TOKEN_PATH;
        let hosts = if is_sign_in { &self.sign_ins } else { &self.messages };
        hosts.iter().any(|it| it == host)
    }
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
        let (messages, sign_ins) = (self.send_hosts.clone(), self.token_hosts.clone());
        Served { host: host.into(), messages, sign_ins }
    }

    fn subject<'a>(parts: &'a Parts, body: &'a Bytes) -> Subject<'a> {
        if parts.uri.path() == TOKEN_PATH {
            return Subject::SignIn;
        }
        let named = serde_json::from_slice::<Named<'_>>(body).ok();
        let target = named.and_then(|named| named.message.fid.or(named.message.token));
        Subject::Push(target.unwrap_or_default())
    }

    fn repeated<'a>(_: &'a Parts, body: &'a Bytes) -> Option<Cow<'a, str>> {
        serde_json::from_slice::<Named<'_>>(body).ok()?.message.android.collapse_key
    }

    /// A date is not kept: what a script asks for, it asks for in seconds.
    fn wait(rejection: &Rejection) -> Option<Duration> {
        rejection.retry_after.as_deref()?.parse().ok().map(Duration::from_secs)
    }

    fn judge(shared: &Shared<Self>, served: &mut Served, request: &Asked<'_>) -> Verdict {
        let result = match request.parts.uri.path() {
            _ if !served.serves(request.parts) => Err(check::not_found()),
            TOKEN_PATH => sign_in(shared, request),
            _ => send(shared, request),
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
    let result = shared.change_device(&name, |state| match state.judge(&push, message) {
        Ok((answer, changes)) => (Ok(answer), changes),
        Err(rejection) => (Err(rejection), Vec::new()),
    });
    if let (Ok(_), Some(tap)) = (&result, &shared.tap) {
        tap.accepted(&name, request.body);
    }
    result
}

/// As much of a request as tells whom and what it is about.
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
    #[serde(borrow, default)]
    android: Collapsed<'a>,
}

#[derive(Default, Deserialize)]
struct Collapsed<'a> {
    #[serde(borrow, default)]
    collapse_key: Option<Cow<'a, str>>,
}
